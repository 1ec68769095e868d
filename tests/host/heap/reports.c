#include "reports.h"

struct heap_fixture fixture;
struct slab_cache typed;
struct slab_cache another;

void make(struct slab_cache *made, const char *name, uint32_t bytes, uint32_t alignment)
{
    struct slab_cache_config config = {.name = name, .bytes = bytes, .alignment = alignment};
    assert_int_equal(slab_cache_init(&fixture.heap.slabs, made, &config), SLAB_OK);
}

static unsigned trace(void *context, const void *caller, void **stack, unsigned limit)
{
    (void)context;
    (void)caller;
    stack[0] = (void *)0x1234;
    return limit > 0;
}

int begin(void **state)
{
    (void)state;
    host_cpu = 0;
    assert_int_equal(fixture_start(&fixture, HEAP_MACHINE_BYTES, 2, NULL), SLAB_OK);
    return 0;
}

int begin_with(const char *rules)
{
    host_cpu = 0;
    assert_int_equal(fixture_start(&fixture, HEAP_MACHINE_BYTES, 2, rules), SLAB_OK);
    fixture.heap.slabs.config.backtrace = trace;
    make(&typed, "typed", 100, 0);
    make(&another, "another", 100, 0);
    return 0;
}

int begin_typed(void **state)
{
    (void)state;
    return begin_with(NULL);
}

int begin_debug(void **state)
{
    (void)state;
    return begin_with("*:redzone,poison,owner;typed:quarantine;heap*:quarantine;large:owner");
}

int end(void **state)
{
    (void)state;
    fixture_check(&fixture);
    fixture_stop(&fixture);
    assert_int_equal(host_preempt_depth, 0);
    return 0;
}

void expect(enum slab_fault fault, const void *pointer)
{
    assert_int_equal(fixture.reports, 1);
    assert_string_equal(slab_fault_name(fixture.report.fault), slab_fault_name(fault));
    assert_ptr_equal(fixture.report.pointer, pointer);
    fixture.reports = 0;
}
