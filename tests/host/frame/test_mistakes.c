/* What must not be done to frames, and the name that each mistake gets. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mm/frame/internal.h"
#include "pc.h"
#include "tests/host/support/host.h"

static void expect_panic(phys_addr_t block, unsigned order, const char *name, const char *detail)
{
    struct host_panic_trap trap;
    volatile bool panicked;
    CATCH_PANIC(trap, panicked, frame_free(&pc.pool, block, order));
    assert_true(panicked);
    if (!strstr(trap.message, name) || !strstr(trap.message, detail)) {
        fail_msg("\"%s\" says neither \"%s\" nor \"%s\"", trap.message, name, detail);
    }
}

static void every_mistaken_free_has_its_name(void **state)
{
    (void)state;
    phys_addr_t block = frame_alloc(&pc.pool, 3, OWNER_SLABS);
    expect_panic(block, 2, "wrong order", "slabs");
    expect_panic(phys_add(block, FRAME_BYTES), 0, "part of a block", "order 3");
    expect_panic(phys_add(block, 8), 3, "misaligned", "");
    frame_get(&pc.pool, block);
    expect_panic(block, 3, "still shared", "2 references");
    assert_false(frame_put(&pc.pool, block));
    frame_free(&pc.pool, block, 3);
    expect_panic(block, 3, "double free", "in a magazine");
    frame_pool_drain(&pc.pool);
    expect_panic(block, 3, "double free", "free");
    expect_panic(phys_addr(MIB(50)), 0, "never allocated", "free");
    expect_panic(phys_addr(KIB(700)), 0, "reserved memory", "reserved");
    expect_panic(phys_addr(MIB(120)), 0, "reserved memory", "ACPI NVS");
    expect_panic(phys_addr(0), 0, "reserved memory", "kept back");
    expect_panic(pc.pool.state_base, 0, "reserved memory", "allocator state");
    expect_panic(phys_addr(GIB(2)), 0, "not memory of this pool", "");
    expect_panic(phys_addr(TIB(100)), 0, "not memory of this pool", "");
    expect_panic(phys_addr(MIB(50)), 30, "impossible order", "");
    assert_int_equal(frame_try_get(&pc.pool, phys_addr(MIB(50))), FRAME_NOT_ALLOCATED);
}

static void a_second_pool_refuses_the_first_ones_frames(void **state)
{
    (void)state;
    static struct machine other;
    machine_make(&other, GIB(6));
    machine_range(&other, GIB(5), MIB(64), MEMORY_USABLE);
    assert_int_equal(machine_start(&other, 1, NULL), FRAME_OK);
    phys_addr_t block = frame_alloc(&pc.pool, 0, OWNER_TEST);
    assert_int_equal(frame_try_free(&other.pool, block, 0), FRAME_NOT_MANAGED);
    frame_free(&pc.pool, block, 0);
    machine_destroy(&other);
}

static void references_have_an_end(void **state)
{
    (void)state;
    phys_addr_t block = frame_alloc(&pc.pool, 0, OWNER_TEST);
    struct frame_descriptor *descriptor = frame_descriptor(&pc.pool, block);
    atomic_store(&descriptor->tag, frame_tag(FRAME_ALLOCATED, 0, FRAME_REFERENCES_MAX));
    assert_int_equal(frame_try_get(&pc.pool, block), FRAME_TOO_SHARED);
    assert_false(frame_put(&pc.pool, block));
    assert_int_equal(frame_try_get(&pc.pool, block), FRAME_OK);
    atomic_store(&descriptor->tag, frame_tag(FRAME_ALLOCATED, 0, 1));
    assert_true(frame_put(&pc.pool, block));
}

static void expect_name(const struct host_panic_trap *trap, bool panicked, const char *name)
{
    assert_true(panicked);
    if (!strstr(trap->message, name)) {
        fail_msg("\"%s\" does not say \"%s\"", trap->message, name);
    }
}

/* A pin is a reference that no free and no put takes, only frame_unpin(). */
static void every_mistake_with_pins_has_its_name(void **state)
{
    (void)state;
    struct frame_pool *pool = &pc.pool;
    struct host_panic_trap trap;
    volatile bool panicked;
    phys_addr_t block = frame_alloc(pool, 2, OWNER_TEST);
    CATCH_PANIC(trap, panicked, frame_unpin(pool, block));
    expect_name(&trap, panicked, "frame_unpin: not pinned");
    frame_pin(pool, block);
    assert_int_equal(frame_descriptor_users(frame_descriptor(pool, block)), 1);
    assert_true(machine_is_sound(&pc));
    expect_panic(block, 2, "still pinned", "2 references, 1 pins");
    assert_false(frame_put(pool, block)); /* now the pin has the only one */
    expect_panic(block, 2, "still pinned", "1 references, 1 pins");
    assert_int_equal(frame_try_free(pool, block, 2), FRAME_PINNED);
    assert_int_equal(frame_split(pool, block), FRAME_NOT_ALLOCATED);
    CATCH_PANIC(trap, panicked, frame_put(pool, block));
    expect_name(&trap, panicked, "still pinned");
    frame_pin(pool, block);
    CATCH_PANIC(trap, panicked, frame_put(pool, block));
    expect_name(&trap, panicked, "frame_put: still pinned");
    assert_false(frame_unpin(pool, block));
    assert_true(frame_unpin(pool, block));
    CATCH_PANIC(trap, panicked, frame_pin(pool, block));
    expect_name(&trap, panicked, "frame_pin: double free");
    struct frame_descriptor *descriptor = frame_descriptor(pool, block = frame_alloc(pool, 0, OWNER_TEST));
    uint64_t both = atomic_load(&descriptor->both);
    atomic_store(&descriptor->both,
                 frame_both(frame_tag(FRAME_ALLOCATED, 0, FRAME_REFERENCES_MAX), OWNER_TEST));
    assert_int_equal(frame_try_pin(pool, block), FRAME_TOO_SHARED);
    atomic_store(&descriptor->both, frame_both(frame_tag(FRAME_ALLOCATED, 0, FRAME_PINS_MAX + 1),
                                               frame_use(OWNER_TEST, 0, false, FRAME_PINS_MAX)));
    assert_int_equal(frame_try_pin(pool, block), FRAME_TOO_SHARED);
    atomic_store(&descriptor->both, both);
    frame_free(pool, block, 0);
}

static void pins_hold_runs(void **state)
{
    (void)state;
    struct frame_request request = {.frames = 5, .owner = OWNER_TEST};
    phys_addr_t run;
    assert_int_equal(frame_alloc_request(&pc.pool, &request, &run), FRAME_OK);
    frame_pin(&pc.pool, run);
    assert_int_equal(frame_try_free_run(&pc.pool, run, 5), FRAME_PINNED);
    assert_false(frame_put(&pc.pool, run));
    assert_int_equal(frame_try_free_run(&pc.pool, run, 5), FRAME_PINNED);
    assert_true(frame_unpin(&pc.pool, run));
}

/* What is busy is not freed; an age is forgotten when it is, and so is that of what is split. */
static void marks_end_with_the_block(void **state)
{
    (void)state;
    struct frame_pool *pool = &pc.pool;
    struct host_panic_trap trap;
    struct frame_facts facts;
    volatile bool panicked;
    phys_addr_t block = frame_alloc(pool, 1, OWNER_TEST);
    CATCH_PANIC(trap, panicked, frame_end_change(pool, block));
    expect_name(&trap, panicked, "not being changed");
    assert_true(frame_begin_change(pool, block));
    assert_false(frame_begin_change(pool, block));
    frame_set_age(pool, block, 99);
    frame_pool_look(pool, block, &facts);
    assert_true(facts.busy && facts.age == 99 && facts.pins == 0 && facts.owner == OWNER_TEST);
    expect_panic(block, 1, "being changed", "busy");
    assert_int_equal(frame_change_owner(pool, block, OWNER_TEST, OWNER_OTHER), FRAME_OK);
    frame_end_change(pool, block);
    frame_pool_look(pool, block, &facts);
    assert_true(!facts.busy && facts.age == 99 && facts.owner == OWNER_OTHER);
    assert_int_equal(frame_split(pool, block), FRAME_OK);
    frame_set_age(pool, block, FRAME_AGE_MAX + 1);
    frame_pool_look(pool, block, &facts);
    assert_int_equal(facts.age, FRAME_AGE_MAX);
    assert_true(machine_is_sound(&pc));
    frame_free(pool, block, 0);
    frame_free(pool, phys_add(block, FRAME_BYTES), 0);
    assert_true(machine_is_sound(&pc));
    assert_int_equal(frame_alloc(pool, 0, OWNER_TEST).raw, block.raw + FRAME_BYTES);
    assert_int_equal(frame_alloc(pool, 0, OWNER_TEST).raw, block.raw);
    frame_pool_look(pool, block, &facts);
    assert_int_equal(facts.age, 0);
    frame_free(pool, block, 0);
    frame_free(pool, phys_add(block, FRAME_BYTES), 0);
}

/* Who changes a block has a reference to it: the other users may leave meanwhile, and nothing is freed. */
static void users_may_leave_a_block_in_change(uint64_t frames)
{
    struct frame_pool *pool = &pc.pool;
    struct host_panic_trap trap;
    struct frame_facts facts;
    volatile bool panicked;
    phys_addr_t block;
    struct frame_request request = {.frames = frames, .owner = OWNER_TEST};
    assert_int_equal(frame_alloc_request(pool, &request, &block), FRAME_OK); /* the reference of its user */
    frame_get(pool, block);                                                  /* of who changes it */
    assert_true(frame_begin_change(pool, block));
    assert_false(frame_put(pool, block)); /* the user leaves */
    frame_pool_look(pool, block, &facts);
    assert_true(facts.references == 1 && facts.busy && facts.owner == OWNER_TEST);
    CATCH_PANIC(trap, panicked, (void)frame_put(pool, block)); /* the change has not ended */
    expect_name(&trap, panicked, "being changed");
    frame_end_change(pool, block);
    assert_true(frame_put(pool, block));
    assert_true(machine_is_sound(&pc));
}

/* The same with a pin, as who lets a device write has it. */
static void a_pin_keeps_a_block_in_change(void)
{
    struct frame_pool *pool = &pc.pool;
    phys_addr_t block = frame_alloc(pool, 0, OWNER_TEST);
    frame_pin(pool, block);
    assert_true(frame_begin_change(pool, block));
    assert_false(frame_put(pool, block));
    frame_end_change(pool, block);
    assert_true(frame_unpin(pool, block));
    assert_true(machine_is_sound(&pc));
}

static void who_changes_a_block_keeps_it(void **state)
{
    (void)state;
    users_may_leave_a_block_in_change(1);
    users_may_leave_a_block_in_change(4);
    users_may_leave_a_block_in_change(5); /* a run */
    a_pin_keeps_a_block_in_change();
}

/* An owner that is none is refused with the magazine full, too: no account is written that does not exist. */
static void an_owner_that_is_none_has_its_name(void **state)
{
    (void)state;
    struct host_panic_trap trap;
    volatile bool panicked;
    struct frame_pool *pool = &pc.pool;
    volatile unsigned none = OWNER_COUNT + 1000000;
    phys_addr_t frame = frame_alloc(pool, 0, OWNER_TEST);
    assert_true(frame_pool_idle(pool));
    CATCH_PANIC(trap, panicked, frame_alloc(pool, 0, (enum frame_owner)none));
    expect_name(&trap, panicked, "no such owner");
    CATCH_PANIC(trap, panicked, frame_alloc_zeroed(pool, (enum frame_owner)none));
    expect_name(&trap, panicked, "no such owner");
    struct frame_request request = {.frames = 1, .owner = (enum frame_owner)none};
    assert_int_equal(frame_alloc_request(pool, &request, &frame), FRAME_BAD_OWNER);
    assert_int_equal(frame_alloc_at(pool, phys_addr(MIB(50)), 0, (enum frame_owner)none), FRAME_BAD_OWNER);
    assert_int_equal(frame_alloc_batch(pool, 1, &frame, (enum frame_owner)none), 0);
    CATCH_PANIC(trap, panicked, frame_alloc(pool, FRAME_ORDERS, OWNER_TEST));
    expect_name(&trap, panicked, "impossible order");
}

static void every_mistaken_put_has_its_name(void **state)
{
    (void)state;
    struct host_panic_trap trap;
    volatile bool panicked;
    struct frame_pool *pool = &pc.pool;
    struct frame_request request = {.frames = 7, .owner = OWNER_HEAP};
    phys_addr_t run;
    assert_int_equal(frame_alloc_request(pool, &request, &run), FRAME_OK);
    assert_int_equal(frame_try_get(pool, run), FRAME_OK);
    assert_int_equal(frame_try_free_run(pool, run, 7), FRAME_SHARED);
    assert_int_equal(frame_try_get(pool, phys_add(run, 4 * FRAME_BYTES)), FRAME_PART_OF_BLOCK);
    CATCH_PANIC(trap, panicked, frame_put(pool, phys_add(run, 4 * FRAME_BYTES)));
    expect_name(&trap, panicked, "part of a block");
    assert_false(frame_put(pool, run));
    assert_true(frame_put(pool, run));
    CATCH_PANIC(trap, panicked, frame_put(pool, run));
    expect_name(&trap, panicked, "double free");
    CATCH_PANIC(trap, panicked, frame_put(pool, phys_addr(MIB(50))));
    expect_name(&trap, panicked, "never allocated");
    CATCH_PANIC(trap, panicked, frame_put(pool, phys_addr(TIB(70) + 8)));
    expect_name(&trap, panicked, "misaligned");
    CATCH_PANIC(trap, panicked, frame_get(pool, phys_addr(MIB(120))));
    expect_name(&trap, panicked, "reserved memory");
}

/* Lengths, orders and alignments that no request can have. */
static void requests_that_cannot_be_are_refused(void **state)
{
    (void)state;
    struct frame_pool *pool = &pc.pool;
    phys_addr_t run = phys_addr(5);
    static const struct {
        struct frame_request request;
        enum frame_error error;
    } cases[] = {
        {{.frames = 0, .owner = OWNER_TEST}, FRAME_BAD_ORDER},
        {{.frames = FRAME_RUN_MAX + 1, .owner = OWNER_TEST}, FRAME_BAD_ORDER},
        {{.frames = 3, .alignment = 3 * FRAME_BYTES, .owner = OWNER_TEST}, FRAME_BAD_ALIGNMENT},
        {{.frames = 3, .alignment = GIB(2), .owner = OWNER_TEST}, FRAME_BAD_ALIGNMENT},
    };
    for (unsigned i = 0; i < ARRAY_LENGTH(cases); i++) {
        assert_int_equal(frame_alloc_request(pool, &cases[i].request, &run), cases[i].error);
        assert_int_equal(run.raw, 5);
    }
    assert_int_equal(frame_alloc_at(pool, phys_addr(MIB(50)), FRAME_ORDER_MAX + 1, OWNER_TEST),
                     FRAME_BAD_ORDER);
    assert_int_equal(frame_alloc_at(pool, phys_addr(MIB(50) + FRAME_BYTES), 1, OWNER_TEST),
                     FRAME_BAD_ALIGNMENT);
    /* The policy answers for memory that it does not have, too. */
    uint64_t beyond = GIB(2) >> FRAME_SHIFT;
    assert_int_equal(pool->config.policy->take_at(pool->policy_state, beyond, FRAME_ORDER_2M), beyond);
}

static void mistakes_with_marks_and_runs_have_their_names(void **state)
{
    (void)state;
    struct host_panic_trap trap;
    volatile bool panicked;
    struct frame_pool *pool = &pc.pool;
    struct frame_request request = {.frames = 5, .owner = OWNER_TEST};
    phys_addr_t run;
    CATCH_PANIC(trap, panicked, (void)frame_begin_change(pool, phys_addr(MIB(50))));
    expect_name(&trap, panicked, "frame_begin_change: never allocated");
    CATCH_PANIC(trap, panicked, frame_set_age(pool, phys_addr(MIB(120)), 1));
    expect_name(&trap, panicked, "frame_set_age: reserved memory");
    assert_int_equal(frame_alloc_request(pool, &request, &run), FRAME_OK);
    assert_true(frame_begin_change(pool, run));
    CATCH_PANIC(trap, panicked, (void)frame_put(pool, run));
    expect_name(&trap, panicked, "frame_put: being changed");
    frame_end_change(pool, run);
    assert_int_equal(frame_try_free_run(pool, run, 0), FRAME_BAD_ORDER);
    assert_int_equal(frame_try_free_run(pool, run, FRAME_RUN_MAX + 3), FRAME_BAD_ORDER);
    assert_int_equal(frame_try_free_run(pool, phys_add(run, 8), 5), FRAME_BAD_ALIGNMENT);
    assert_int_equal(frame_try_free_run(pool, phys_add(run, FRAME_BYTES), 5), FRAME_PART_OF_BLOCK);
    CATCH_PANIC(trap, panicked, frame_free_run(pool, run, 6));
    expect_name(&trap, panicked, "frame_free_run: ");
    frame_free_run(pool, run, 5);
}

/* ---- Descriptors that cannot be read ---- */

/* Where the machine would fault: the descriptor of a frame near which nothing was ever used. */
static uintptr_t unbacked(void)
{
    return (uintptr_t)&pc.pool.descriptors[MIB(50) >> FRAME_SHIFT];
}

static void a_fault_at_a_descriptor_is_explained(void **state)
{
    (void)state;
    struct host_panic_trap trap;
    volatile bool panicked;
    struct frame_pool *pool = &pc.pool;
    phys_addr_t frame = frame_alloc(pool, 0, OWNER_TEST);
    frame_pool_explain_fault(pool, (uintptr_t)frame_descriptor(pool, frame)); /* backed: not our business */
    frame_pool_explain_fault(pool, (uintptr_t)pool->descriptors - 1);
    frame_pool_explain_fault(pool, 8);
    CATCH_PANIC(trap, panicked, frame_pool_explain_fault(pool, unbacked()));
    expect_name(&trap, panicked, "never allocated");
    frame_free(pool, frame, 0);
}

static _Atomic(bool) is_held;

static void *hold_for_a_while(void *pool_pointer)
{
    struct frame_pool *pool = pool_pointer;
    host_cpu = 1;
    spinlock_acquire(&pool->lock);
    atomic_store(&is_held, true);
    for (unsigned i = 0; i < 20000; i++) {
        cpu_relax();
    }
    spinlock_release(&pool->lock);
    return NULL;
}

static void a_fault_is_explained_while_another_cpu_holds_the_lock(void **state)
{
    (void)state;
    struct host_panic_trap trap;
    volatile bool panicked;
    pthread_t other;
    assert_int_equal(pthread_create(&other, NULL, hold_for_a_while, &pc.pool), 0);
    while (!atomic_load(&is_held)) {
        cpu_relax();
    }
    CATCH_PANIC(trap, panicked, frame_pool_explain_fault(&pc.pool, unbacked()));
    expect_name(&trap, panicked, "never allocated");
    pthread_join(other, NULL);
}

static void a_fault_is_explained_while_this_cpu_holds_the_lock(void **state)
{
    (void)state;
    struct host_panic_trap trap;
    volatile bool panicked;
    lock_set_patience(1000000);
    spinlock_acquire(&pc.pool.lock);
    CATCH_PANIC(trap, panicked, frame_pool_explain_fault(&pc.pool, unbacked()));
    spinlock_release(&pc.pool.lock);
    expect_name(&trap, panicked, "0x3200000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PC_TEST(every_mistaken_free_has_its_name),
        PC_TEST(a_second_pool_refuses_the_first_ones_frames),
        PC_TEST(references_have_an_end),
        PC_TEST(every_mistake_with_pins_has_its_name),
        PC_TEST(pins_hold_runs),
        PC_TEST(marks_end_with_the_block),
        PC_TEST(who_changes_a_block_keeps_it),
        PC_TEST(an_owner_that_is_none_has_its_name),
        PC_TEST(every_mistaken_put_has_its_name),
        PC_TEST(requests_that_cannot_be_are_refused),
        PC_TEST(mistakes_with_marks_and_runs_have_their_names),
        PC_TEST(a_fault_at_a_descriptor_is_explained),
        PC_TEST(a_fault_is_explained_while_another_cpu_holds_the_lock),
        PC_TEST(a_fault_is_explained_while_this_cpu_holds_the_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
