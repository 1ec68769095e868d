/*
 * Readers and writers in a place whose memory others replace, move there and take away, several CPUs at once,
 * under the thread sanitizer: there is always something, and so no fault may ever be refused.
 */
#include "steps.h"
#include <ashlar/vm_move.h>

#include <sched.h>

#include "tests/host/support/random.h"
#include "tests/host/support/threads.h"

#define PLACE      BASE
#define PLACE_SIZE 200    /* pages */
#define ROUNDS     400    /* of changes */
#define OWN        GIB(1) /* where a changer makes what it moves, by its CPU */

static _Atomic(unsigned) changers; /* that are not done */
static _Atomic(uint64_t) touched;

static void must(bool well, const char *what)
{
    if (!well) {
        panic("%s", what);
    }
}

/* Whoever has let go of his last lock lets others run: there are more threads than CPUs. */
static void let_others_run(void)
{
    static _Thread_local unsigned times;
    if (++times % 4 == 0) {
        sched_yield();
    }
}

static void use_place(uint64_t random)
{
    enum vm_access access = random & 1 ? VM_WRITE : VM_READ;
    enum vm_fault fault = vm_space_fault(&space, virt_addr(PLACE + random / 2 % PLACE_SIZE * PAGE), access);
    if (!vm_fault_resolved(fault)) {
        panic("a fault in a place that always has something: %s", vm_fault_name(fault));
    }
    atomic_fetch_add_explicit(&touched, 1, memory_order_relaxed);
}

/* New memory in the place of the old. */
static void replace(uint64_t random)
{
    virt_addr_t made;
    uint64_t first = random / 8 % (PLACE_SIZE - 1);
    struct vm_request request =
        zeros_at(PLACE + first * PAGE, (1 + random / 2048 % (PLACE_SIZE - first)) * PAGE);
    request.replace = true;
    request.around = random & 1 ? 16 : 0;
    must(vm_space_map(&space, &request, &made) == VM_OK, "not replaced");
}

/* Memory with pages in it, moved to the place. */
static void move_there(uint64_t random, uint64_t own)
{
    virt_addr_t made;
    uint64_t pages = 1 + random / 8 % PLACE_SIZE;
    struct vm_request request = zeros_at(own, pages * PAGE);
    struct vm_move move = {.from = virt_addr(own),
                           .bytes = pages * PAGE,
                           .new_bytes = pages * PAGE,
                           .fixed = true,
                           .replace = true,
                           .address = virt_addr(PLACE)};
    must(vm_space_map(&space, &request, &made) == VM_OK, "no region to be moved");
    for (uint64_t i = 0; i < pages; i += 3) {
        must(vm_fault_resolved(vm_space_fault(&space, virt_addr(own + i * PAGE), VM_WRITE)),
             "no page to be moved");
    }
    must(vm_space_move(&space, &move, &made) == VM_OK, "not moved");
}

/* The place's pages, moved away and gone: the region stays. They are not of one region always. */
static void move_away(uint64_t random)
{
    virt_addr_t made;
    uint64_t pages = 1 + random / 8 % PLACE_SIZE;
    struct vm_move move = {.from = virt_addr(PLACE),
                           .bytes = pages * PAGE,
                           .new_bytes = pages * PAGE,
                           .keep = true,
                           .address = virt_addr(GIB(8))};
    enum vm_error error = vm_space_move(&space, &move, &made);
    must(error == VM_OK || error == VM_NOT_MAPPED, "not moved away");
    if (error == VM_OK) {
        must(vm_space_unmap(&space, made, pages * PAGE) == VM_OK, "what was moved away is not there");
    }
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    uint64_t own = OWN + worker->cpu * MIB(64) + worker->cpu * PAGE;
    host_cpu = worker->cpu;
    host_meanwhile = let_others_run;
    if (worker->cpu % 2 == 0) {
        while (atomic_load(&changers) != 0) {
            use_place(random_next(&worker->random));
        }
        return NULL;
    }
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t random = random_next(&worker->random);
        switch (random >> 60 & 3) {
        case 0:
            move_there(random, own);
            break;
        case 1:
            move_away(random);
            break;
        default:
            replace(random);
        }
    }
    atomic_fetch_sub(&changers, 1);
    return NULL;
}

static void run(unsigned threads)
{
    virt_addr_t made;
    struct vm_request request = zeros_at(PLACE, PLACE_SIZE * PAGE);
    host_cpu = 0;
    vm_fixture_start_cpus(&vm, MIB(64), 4, threads);
    vm_fixture_space(&vm, &space, "held");
    must(vm_space_map(&space, &request, &made) == VM_OK, "no place");
    atomic_store(&changers, threads / 2);
    atomic_store(&touched, 0);
    threads_run(threads, work);
    must(atomic_load(&touched) > 100, "nobody used the place");
    vm_fixture_check(&vm);
    vm_fixture_drop(&space);
    vm_fixture_stop(&vm);
}

static void one_uses_what_another_changes(void **state)
{
    (void)state;
    run(2);
}

static void two_use_what_two_change(void **state)
{
    (void)state;
    run(4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_uses_what_another_changes),
        cmocka_unit_test(two_use_what_two_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
