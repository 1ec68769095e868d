/*
 * A pager whose pages are written to or executed, never both: random mappings, protections, copies of the
 * space and ends of it. After each operation what the regions are is looked up again, and must be what the
 * pager counts.
 */
#include "steps.h"
#include "tests/host/support/random.h"

#define PAGES      8
#define OPERATIONS 20000

static struct test_pager pager;
static struct vm_space child;
static bool has_child;

static int32_t uses_in(struct vm_space *in, unsigned *writes, unsigned *executes)
{
    struct vm_region_facts region;
    for (uint64_t at = BASE; at < BASE + PAGES * PAGE; at += PAGE) {
        if (vm_space_find(in, virt_addr(at), &region) && region.base.raw == at) {
            *writes += region.shared;
            *executes += !region.shared && region.access & VM_EXECUTE;
            assert_false(region.shared && region.access & VM_EXECUTE);
        }
    }
    return (int32_t)*writes - (int32_t)*executes;
}

static void check_uses(void)
{
    unsigned writes = 0;
    unsigned executes = 0;
    int32_t uses = uses_in(&space, &writes, &executes);
    if (has_child) {
        uses = uses_in(&child, &writes, &executes);
    }
    assert_true(writes == 0 || executes == 0);
    assert_int_equal(pager.pager.uses, uses);
}

/* What would be the case if it were done: whether that breaks the rule. */
static bool would_break(bool shared, unsigned access)
{
    bool executes = access & VM_EXECUTE;
    return shared ? executes || pager.pager.uses < 0 : executes && pager.pager.uses > 0;
}

static unsigned some_access(uint64_t *random)
{
    static const unsigned accesses[] = {VM_READ, RW, VM_READ | VM_EXECUTE, VM_NONE};
    return accesses[random_number(random) % 4];
}

static void map_some(uint64_t *random, uint64_t base, uint64_t bytes)
{
    struct vm_request request = {.source = VM_PAGER,
                                 .pager = &pager.pager,
                                 .address = virt_addr(base),
                                 .offset = base - BASE,
                                 .bytes = bytes,
                                 .fixed = true,
                                 .shared = random_number(random) % 4 == 0,
                                 .access = some_access(random)};
    bool breaks = would_break(request.shared, request.access);
    enum vm_error error = try_map(request);
    assert_true(error == (breaks ? VM_BAD_ACCESS : VM_OK) || error == VM_OVERLAP);
}

/* Whether the range has a shared region, and whether it has any hole. */
static void look_at(uint64_t base, uint64_t bytes, bool *shared, bool *hole)
{
    struct vm_region_facts region;
    *shared = *hole = false;
    for (uint64_t at = base; at < base + bytes; at += PAGE) {
        if (!vm_space_find(&space, virt_addr(at), &region)) {
            *hole = true;
        } else {
            *shared = *shared || region.shared;
        }
    }
}

static void protect_some(uint64_t *random, uint64_t base, uint64_t bytes)
{
    unsigned access = some_access(random);
    bool shared;
    bool hole;
    look_at(base, bytes, &shared, &hole);
    bool breaks = access & VM_EXECUTE && (shared || pager.pager.uses > 0);
    enum vm_error error = vm_space_protect(&space, virt_addr(base), bytes, access);
    assert_int_equal(error, hole ? VM_NOT_MAPPED : breaks ? VM_BAD_ACCESS : VM_OK);
}

static void clone_or_end(void)
{
    if (has_child) {
        vm_fixture_drop(&child);
    } else {
        assert_int_equal(vm_space_clone(&space, &child, "child"), VM_OK);
        vm_fixture_add(&child);
    }
    has_child = !has_child;
}

static void uses_are_counted(void **state)
{
    uint64_t random = 1;
    (void)state;
    test_pager_start(&pager, &vm);
    pager.pager.exclusive = true;
    for (unsigned i = 0; i < OPERATIONS; i++) {
        uint64_t first = random_number(&random) % PAGES;
        uint64_t base = BASE + first * PAGE;
        uint64_t bytes = (1 + random_number(&random) % (PAGES - first)) * PAGE;
        switch (random_number(&random) % 8) {
        case 0:
            clone_or_end();
            break;
        case 1:
        case 2:
            assert_int_equal(vm_space_unmap(&space, virt_addr(base), bytes), VM_OK);
            break;
        case 3:
        case 4:
            protect_some(&random, base, bytes);
            break;
        default:
            map_some(&random, base, bytes);
        }
        check_uses();
    }
    if (has_child) {
        clone_or_end();
    }
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE), PAGES * PAGE), VM_OK);
    assert_int_equal(pager.pager.uses, 0);
    test_pager_stop(&pager);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(uses_are_counted, start, stop)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
