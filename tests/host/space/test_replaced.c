/*
 * A page gets another frame, another CPU uses it meanwhile: between the clearing of the entry and its setting
 * that CPU finds nothing there. It faults, waits for the space's lock, and finds that there is nothing to do.
 */
#include <pthread.h>

#include "steps.h"

static pthread_t other;      /* the thread that is the other CPU */
static unsigned flushes;     /* that have been looked into */
static enum mmu_use use;     /* what the other CPU wants to do there */
static enum vm_fault answer; /* what its fault came to */

static void *fault_there(void *unused)
{
    (void)unused;
    host_cpu = 1;
    answer = vm_space_fault(&space, virt_addr(BASE), vm_access_of(use));
    return NULL;
}

/* Whether somebody waits behind the holder, and has done so for a while. */
static bool is_waited_for(const struct spinlock *lock)
{
    return atomic_load(&lock->gate.claimed) != 0;
}

/* The moment in which the old translation is about to go: another CPU that does not have it looks there. */
static void use_it_meanwhile(void)
{
    if (flushes++ != 0) {
        return;
    }
    assert_int_equal(mmu_model_walk(space.table, BASE).result, MMU_NOT_PRESENT);
    assert_int_equal(pthread_create(&other, NULL, fault_there, NULL), 0);
    while (!is_waited_for(&space.lock)) {
    }
}

static int start_two(void **state)
{
    (void)state;
    vm_fixture_start_cpus(&vm, MIB(24), 4, 2);
    vm_fixture_space(&vm, &space, "test");
    flushes = 0;
    return 0;
}

/* Runs the writer's fault, which must come to `expected`, with the other CPU in its midst. */
static void write_and_meanwhile(enum mmu_use wanted, enum vm_fault expected)
{
    use = wanted;
    mmu_model_fill();
    mmu_model_at_flush(use_it_meanwhile);
    assert_int_equal(vm_space_fault(&space, virt_addr(BASE), VM_WRITE), expected);
    mmu_model_at_flush(NULL);
    assert_true(flushes >= 1);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_int_equal(answer, VM_FAULT_SPURIOUS);
    mmu_model_check();
    vm_fixture_check(&vm);
}

/* The zero page gives way to a frame of the space's own. */
static void the_zero_page_goes(void **state)
{
    (void)state;
    map((struct vm_request){.source = VM_ZERO, .bytes = PAGE});
    touch(BASE, MMU_READ, VM_FAULT_ZERO_READ);
    write_and_meanwhile(MMU_READ, VM_FAULT_ZERO);
}

/* A shared frame gives way to a copy: the other CPU writes to the copy, not beside it. */
static void a_shared_frame_goes(void **state)
{
    (void)state;
    struct vm_space child;
    map((struct vm_request){.source = VM_ZERO, .bytes = PAGE});
    *touch(BASE, MMU_WRITE, VM_FAULT_ZERO) = 7;
    assert_int_equal(vm_space_clone(&space, &child, "child"), VM_OK);
    vm_fixture_add(&child);
    write_and_meanwhile(MMU_WRITE, VM_FAULT_COPIED);
    *touch(BASE, MMU_WRITE, VM_FAULT_COUNT) = 8;
    assert_int_equal(*touch_in(&child, BASE, MMU_READ, VM_FAULT_COUNT), 7);
    vm_fixture_drop(&child);
}

/* A 2 MiB page is cut: whoever uses the rest of it waits, too. */
static void a_large_page_is_cut(void **state)
{
    (void)state;
    map((struct vm_request){.source = VM_ZERO, .bytes = MIB(2), .large = true});
    *touch(BASE, MMU_WRITE, VM_FAULT_LARGE) = 9;
    use = MMU_WRITE;
    mmu_model_fill();
    mmu_model_at_flush(use_it_meanwhile);
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE + MIB(1)), PAGE), VM_OK);
    mmu_model_at_flush(NULL);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_int_equal(answer, VM_FAULT_SPURIOUS);
    assert_int_equal(*touch(BASE, MMU_READ, VM_FAULT_COUNT), 9);
    mmu_model_check();
}

#define TEST_OF_TWO(function) cmocka_unit_test_setup_teardown(function, start_two, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF_TWO(the_zero_page_goes),
        TEST_OF_TWO(a_shared_frame_goes),
        TEST_OF_TWO(a_large_page_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
