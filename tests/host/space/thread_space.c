/*
 * Several CPUs (threads) use address spaces at once, under the thread sanitizer: each a user space and a part
 * of the kernel's tables of its own, and all of them two that they share, fork, and copy from and to. Ranges
 * may be longer than what one hold of a lock works on, so that faults come between.
 */
#include "steps.h"

#include <ashlar/vm_advice.h>
#include <ashlar/vm_move.h>
#include <ashlar/vm_peek.h>
#include <string.h>

#include "tests/host/support/random.h"
#include "tests/host/support/threads.h"

#define OPERATIONS 6000
#define WINDOW     1200     /* pages that all happens in */
#define OWN_PAGES  16       /* of a thread's own space, which hold marks */
#define OWN_BASE   (GIB(2)) /* of these; elsewhere the space is as the shared one */
#define ROOM       GIB(1)   /* of a thread's part of the kernel's half */
#define FILE_PAGES 4        /* few, so that they are shared by many */

static struct vm_space shared[2];
static phys_addr_t file[FILE_PAGES];  /* the pages of `pager`: a reference is ours */
static phys_addr_t given[FILE_PAGES]; /* the same of frames that are given */
static _Atomic(uint64_t) dirtied;     /* times that the pager was told of a written page */

/* One thread's spaces. */
struct own {
    struct vm_space user;      /* with marked pages at OWN_BASE */
    struct vm_space kernel;    /* over the kernel's tables */
    uint64_t marks[OWN_PAGES]; /* what its pages hold */
};

static virt_addr_t page_at(const struct vm_space *of, uint64_t random)
{
    return virt_addr((of->user ? BASE : of->base) + random % WINDOW * PAGE);
}

static void must(bool well, const char *what)
{
    if (!well) {
        panic("%s", what);
    }
}

static phys_addr_t get_page(struct vm_pager *pager, uint64_t offset, bool wait)
{
    phys_addr_t frame = file[offset / PAGE];
    (void)pager;
    (void)wait;
    return frame_try_get(&vm.machine.pool, frame) == FRAME_OK ? frame : FRAME_NONE;
}

static void note_dirty(struct vm_pager *pager, uint64_t offset, phys_addr_t frame)
{
    (void)pager;
    must(frame.raw == file[offset / PAGE].raw, "a page of another offset was written");
    atomic_fetch_add_explicit(&dirtied, 1, memory_order_relaxed);
}

static struct vm_pager pager;

/* Mostly short, sometimes longer than any hold. */
static uint64_t length_of(uint64_t random)
{
    return (1 + random / 8 % (random % 8 ? 6 : 700)) * PAGE;
}

/* A region whose pages many show. */
static struct vm_request shared_request(uint64_t address, uint64_t bytes, uint64_t random)
{
    struct vm_request request = zeros_at(address, min_u64(bytes, FILE_PAGES * PAGE));
    if (random & 1) {
        request.source = VM_FRAMES;
        request.frames = given;
    } else {
        request.source = VM_PAGER;
        request.pager = &pager;
        request.shared = random & 2;
        request.around = random & 4 ? 8 : 0;
    }
    return request;
}

/* Asks which pages are there, and reads or writes one, as somebody would who has not loaded the space. */
static void look_inside(struct vm_space *on, virt_addr_t address, uint64_t random)
{
    uint8_t present[VM_RESIDENCY_PAGES];
    uint64_t word = 0;
    (void)vm_space_residency(on, address, VM_RESIDENCY_PAGES, present);
    if (random >> 20 & 1) {
        vm_space_write(on, address, &word, sizeof word);
    } else {
        vm_space_read(on, address, &word, sizeof word);
    }
}

/* Moves something somewhere, or replaces something. */
static void move_or_replace(struct vm_space *on, virt_addr_t address, uint64_t bytes, uint64_t random)
{
    virt_addr_t made;
    struct vm_request request = zeros_at(address.raw, bytes);
    struct vm_move move = {.from = page_at(on, random >> 4),
                           .bytes = bytes,
                           .new_bytes = bytes,
                           .fixed = random & 1,
                           .replace = random & 2,
                           .keep = random & 4,
                           .address = address};
    if (random & 8) {
        request.replace = true;
        vm_space_map(on, &request, &made);
    } else if (vm_space_move(on, &move, &made) == VM_OK && !move.fixed) {
        vm_space_unmap(on, made, bytes); /* it may be anywhere */
    }
}

/* One operation on a space; what is there may be in the way. */
static void operate(struct vm_space *on, uint64_t random)
{
    virt_addr_t address = page_at(on, random >> 8);
    uint64_t bytes = length_of(random >> 23);
    struct vm_request request = zeros_at(address.raw, bytes);
    struct vm_counts counts;
    virt_addr_t made;
    switch (random % 14) {
    case 0:
        vm_space_unmap(on, address, bytes);
        break;
    case 1:
        vm_space_protect(on, address, bytes, random >> 20 & 1 ? VM_NONE : RW);
        break;
    case 2:
        request.around = random >> 21 & 1 ? 64 : 0;
        request.large = random >> 22 & 1;
        vm_space_map(on, &request, &made);
        break;
    case 3:
        request = shared_request(address.raw, bytes, random >> 21);
        vm_space_map(on, &request, &made);
        break;
    case 4:
        vm_space_sync(on, address, bytes);
        break;
    case 5:
        vm_space_count(on, address, bytes, &counts);
        break;
    case 6:
        vm_space_discard(on, address, bytes, random >> 20 & 1);
        break;
    case 7:
        vm_space_mark(on, address, bytes, random >> 20 & VM_MARKS, random >> 21 & VM_MARKS);
        break;
    case 8:
        vm_pager_revoke(&pager, (random >> 20) % FILE_PAGES * PAGE, PAGE * (1 + (random >> 24) % 4),
                        random >> 22 & 1);
        break;
    case 9:
        look_inside(on, address, random);
        break;
    case 10:
        move_or_replace(on, address, bytes, random >> 40);
        break;
    default:
        vm_space_fault(on, address, random >> 22 & 1 ? VM_READ : VM_WRITE);
    }
}

/* A child of the space all share: writes to what it has, and goes. */
static void fork_and_fault(uint64_t random)
{
    struct vm_space child;
    if (vm_space_clone(&shared[0], &child, "child") != VM_OK) {
        return;
    }
    for (unsigned i = 0; i < 4; i++, random >>= 6) {
        vm_space_fault(&child, page_at(&child, random), VM_WRITE);
    }
    vm_space_destroy(&child);
}

/* Memory of a page of the thread's own: no other thread has it. */
static uint64_t *own_word(struct own *own, uint64_t page)
{
    virt_addr_t address = virt_addr(OWN_BASE + page * PAGE);
    must(vm_fault_resolved(vm_space_fault(&own->user, address, VM_WRITE)), "a page of one's own is refused");
    struct page_translation found = page_table_translate(own->user.table, address);
    must(found.mapped && found.access & PAGE_WRITE, "a page of one's own is not there");
    return frame_pointer(&vm.machine.pool, found.target);
}

static void check_marks(struct own *own, uint64_t random)
{
    uint64_t page = random % OWN_PAGES;
    uint64_t *word = own_word(own, page);
    must(*word == own->marks[page], "a page holds what somebody else wrote");
    *word = own->marks[page] = random;
}

/* Who shows a page is asked while those who share it come and go: a page of one's own stays. */
static void find_places(struct own *own, uint64_t random)
{
    struct vm_place places[4];
    (void)own_word(own, random % OWN_PAGES);
    virt_addr_t address = virt_addr(OWN_BASE + random % OWN_PAGES * PAGE);
    phys_addr_t frame = page_table_translate(own->user.table, address).target;
    must(vm_frame_places(&vm.manager, frame, places, 4) >= 1, "a page of one's own is not found");
    vm_frame_places(&vm.manager, file[random >> 8 & (FILE_PAGES - 1)], places, 4);
    vm_frame_places(&vm.manager, given[random >> 16 & (FILE_PAGES - 1)], places, 4);
}

/* Copies between spaces, in both directions: two locks at once. */
static void copy(struct own *own, uint64_t random)
{
    struct vm_space *one = random & 1 ? &shared[0] : &shared[1];
    struct vm_space *other = random & 2 ? &own->user : one == shared ? &shared[1] : &shared[0];
    vm_space_copy(one, page_at(one, random >> 2), other, page_at(other, random >> 12),
                  length_of(random >> 33));
    if (random >> 24 & 1) { /* what is copied from its marked pages stays as it is there */
        vm_space_copy(one, page_at(one, random >> 25), &own->user, virt_addr(OWN_BASE), 2 * PAGE);
    }
}

/* Whatever space has the number now stays while it is looked at. */
static void look_up(uint64_t random)
{
    struct vm_region_facts facts;
    uint32_t number = (uint32_t)(random % 24);
    struct vm_space *found = vm_space_get(&vm.manager, number);
    if (!found) {
        return;
    }
    for (uint64_t at = 0; vm_space_next(found, virt_addr(at), &facts);) {
        at = facts.base.raw + facts.bytes;
    }
    must(found->number == number, "a space that was found has another number");
    vm_space_put(found);
}

static void start_own(struct own *own, unsigned cpu)
{
    virt_addr_t made;
    struct vm_request marked = zeros_at(OWN_BASE, OWN_PAGES * PAGE);
    struct vm_space_config user = {.name = "own",
                                   .base = virt_addr(VM_USER_BASE),
                                   .bytes = VM_USER_END - VM_USER_BASE,
                                   .owner = OWNER_USER,
                                   .kernel = &vm.kernel};
    struct vm_space_config kernel = {.name = "part",
                                     .base = virt_addr(VM_KERNEL + cpu * ROOM),
                                     .bytes = ROOM,
                                     .owner = OWNER_VMALLOC,
                                     .tables = &vm.kernel};
    memset(own->marks, 0, sizeof own->marks);
    must(vm_space_create(&own->user, &vm.manager, &user) == VM_OK, "no space");
    must(vm_space_create(&own->kernel, &vm.manager, &kernel) == VM_OK, "no part of the kernel's");
    must(vm_space_map(&own->user, &marked, &made) == VM_OK, "no region");
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct own own;
    host_cpu = worker->cpu;
    start_own(&own, worker->cpu);
    for (unsigned i = 0; i < OPERATIONS; i++) {
        uint64_t random = random_next(&worker->random);
        uint64_t what = random >> 56;
        look_up(random);
        if (what < 4) {
            fork_and_fault(random);
        } else if (what < 40) {
            copy(&own, random);
        } else if (what < 70) {
            check_marks(&own, random);
            if (random % 4 == 0) {
                find_places(&own, random >> 2);
            }
        } else if (what < 100) {
            operate(&own.kernel, random);
        } else {
            operate(what < 150 ? &own.user : &shared[what & 1], random);
        }
    }
    vm_space_destroy(&own.kernel);
    vm_space_destroy(&own.user);
    return NULL;
}

static void *destroy(void *argument)
{
    host_cpu = 1;
    vm_fixture_drop(argument);
    return NULL;
}

/* A space that somebody holds is not found any more once it is to go, and goes when it is let go. */
static void a_reference_keeps_a_space(void **state)
{
    static struct vm_space going;
    static struct vm_space other;
    struct vm_region_facts facts;
    struct vm_request request = zeros_at(BASE, PAGE);
    virt_addr_t made;
    pthread_t thread;
    (void)state;
    host_cpu = 0;
    vm_fixture_start_cpus(&vm, MIB(64), 4, 2);
    vm_fixture_space(&vm, &going, "going");
    must(vm_space_map(&going, &request, &made) == VM_OK, "no region");
    uint32_t number = going.number;
    struct vm_space *held = vm_space_get(&vm.manager, number);
    must(held == &going, "the space is not found");
    must(pthread_create(&thread, NULL, destroy, &going) == 0, "no thread");
    for (struct vm_space *found; (found = vm_space_get(&vm.manager, number));) {
        vm_space_put(found);
        cpu_relax();
    }
    for (unsigned i = 0; i < 100; i++) {
        must(vm_space_find(held, virt_addr(BASE), &facts), "a space that is held was taken apart");
        vm_fixture_space(&vm, &other, "other");
        must(other.number != number, "the number of a space that is held was given out");
        vm_fixture_drop(&other);
    }
    vm_space_put(held);
    pthread_join(thread, NULL);
    vm_fixture_stop(&vm);
}

static void run(unsigned threads)
{
    host_cpu = 0;
    vm_fixture_start_cpus(&vm, MIB(64), 4, threads);
    pager = (struct vm_pager){.get = get_page, .dirty = note_dirty, .references = 1};
    for (unsigned i = 0; i < FILE_PAGES; i++) {
        file[i] = frame_alloc_zeroed(&vm.machine.pool, OWNER_TEST);
        given[i] = frame_alloc_zeroed(&vm.machine.pool, OWNER_TEST);
        frame_note_clear(frame_descriptor(&vm.machine.pool, given[i]));
    }
    vm_fixture_space(&vm, &shared[0], "shared");
    vm_fixture_space(&vm, &shared[1], "shared too");
    threads_run(threads, work);
    vm_fixture_check(&vm);
    vm_fixture_drop(&shared[1]);
    vm_fixture_drop(&shared[0]);
    must(atomic_load(&pager.references) == 1, "references to the pager");
    vm_pager_put(&pager);
    must(vm.manager.family_numbers.count == 0, "a family of nobody's");
    for (unsigned i = 0; i < FILE_PAGES; i++) {
        must(frame_descriptor(&vm.machine.pool, given[i])->note.raw == 0, "a page of nobody's is counted");
        must(frame_put(&vm.machine.pool, file[i]), "references to the file's pages");
        must(frame_put(&vm.machine.pool, given[i]), "references to given pages");
    }
    vm_fixture_stop(&vm);
}

static void two_cpus_use_spaces(void **state)
{
    (void)state;
    run(2);
}

static void four_cpus_use_spaces(void **state)
{
    (void)state;
    run(4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reference_keeps_a_space),
        cmocka_unit_test(two_cpus_use_spaces),
        cmocka_unit_test(four_cpus_use_spaces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
