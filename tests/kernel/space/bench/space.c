/*
 * What page faults and regions cost. Zeroing a frame is 512 of the instructions counted for what is filled
 * with zeros: "fault.zero.frame" says how many go into the frame itself.
 */
#include <ashlar/bench.h>
#include <ashlar/heap.h>
#include <ashlar/memory.h>
#include <ashlar/vm_kernel.h>
#include <ashlar/vm_move.h>

#include "tests/kernel/user/program.h"

#define PAGES 256
#define RW    (VM_READ | VM_WRITE)

static virt_addr_t map_lazy(struct bench *bench, struct vm_request request)
{
    virt_addr_t address = virt_addr(0);
    request.alignment = MIB(2);
    if (vm_space_map(kernel_lazy_space(), &request, &address) != VM_OK) {
        bench_skip(bench, "no memory");
    }
    return address;
}

static void unmap_lazy(virt_addr_t address, uint64_t bytes)
{
    vm_space_unmap(kernel_lazy_space(), address, bytes);
}

/*
 * A write to each page; `fill` is what fills them before (or NULL). The first page of a table is not counted.
 */
static void touch_pages(struct bench *bench, struct vm_request request, bool write)
{
    request.bytes = (PAGES + 1) * FRAME_BYTES;
    virt_addr_t address = map_lazy(bench, request);
    if (bench->skipped) {
        return;
    }
    volatile uint8_t *bytes = virt_pointer(address);
    bytes[0] = write ? 1 : bytes[0];
    bench_start(bench);
    for (uint64_t i = 1; i <= PAGES; i++) {
        if (write) {
            bytes[i * FRAME_BYTES] = 1;
        } else {
            (void)bytes[i * FRAME_BYTES];
        }
    }
    bench_stop(bench, PAGES);
    unmap_lazy(address, request.bytes);
}

/* The frame alone, allocated and zeroed as the fault does it. */
KERNEL_BENCH(fault_zero_frame, "fault.zero.frame")
{
    phys_addr_t *frames = heap_alloc_array(&kernel_heap, PAGES, sizeof *frames);
    if (frames == NULL) {
        bench_skip(bench, "not enough memory");
        return;
    }
    bench_start(bench);
    for (unsigned i = 0; i < PAGES; i++) {
        frames[i] = frame_alloc_zeroed(kernel_frames(), OWNER_TEST);
    }
    bench_stop(bench, PAGES);
    frame_free_batch(kernel_frames(), PAGES, frames);
    heap_free(&kernel_heap, frames);
}

/*
 * A first write by a user program, frames being zeroed already: the stock of zeroed frames is filled while
 * nothing is counted. What it takes to enter and leave user mode is spread over the pages of a run.
 */
#define ANON_PAGES 16 /* as many as the stock has */
#define ANON_RUNS  8

static const uint8_t anon_code[] = {
    0xbf, 0x00,       0x10, 0x60, 0x00,             /* movl $0x601000, %edi */
    0xb9, ANON_PAGES, 0,    0,    0,                /* movl $16, %ecx */
    0xc6, 0x07,       0x01,                         /* 1: movb $1, (%rdi) */
    0x48, 0x81,       0xc7, 0x00, 0x10, 0x00, 0x00, /* addq $4096, %rdi */
    0xff, 0xc9,                                     /* decl %ecx */
    0x75, 0xf2,                                     /* jnz 1b */
    0xcc,                                           /* int3 */
};

/* Faults the first page in, of a table that is not counted, and then takes the others from the program. */
static uint64_t run_anon(struct user_program *program, struct bench *bench)
{
    vm_space_fault(&program->space, virt_addr(USER_PROGRAM_DATA), VM_WRITE);
    while (frame_pool_idle(kernel_frames())) {
    }
    bench_start(bench);
    user_program_run(program);
    bench_stop(bench, 1);
    return bench->ticks;
}

KERNEL_BENCH(fault_anon, "fault.anon")
{
    uint64_t ticks = 0;
    for (unsigned run = 0; run < ANON_RUNS; run++) {
        static struct user_program program;
        if (!user_program_make(&program, anon_code, sizeof anon_code)) {
            bench_skip(bench, "no memory");
            return;
        }
        ticks += run_anon(&program, bench);
        user_program_drop(&program);
    }
    bench->ticks = ticks;
    bench->operations = (uint64_t)ANON_RUNS * ANON_PAGES;
}

/* A first write: the whole trap, a zeroed frame of its own. */
KERNEL_BENCH(fault_zero, "fault.zero")
{
    touch_pages(bench, (struct vm_request){.source = VM_ZERO, .access = RW}, true);
}

/* The same, 16 pages at a time. */
KERNEL_BENCH(fault_zero_around, "fault.zero.around16")
{
    touch_pages(bench, (struct vm_request){.source = VM_ZERO, .access = RW, .around = 16}, true);
}

/* A first read: the shared zero page. */
KERNEL_BENCH(fault_zero_read, "fault.zero.read")
{
    touch_pages(bench, (struct vm_request){.source = VM_ZERO, .access = RW}, false);
}

/* A write to what was read before: the zero page goes, and must be flushed. */
KERNEL_BENCH(fault_zero_after_read, "fault.zero.after_read")
{
    virt_addr_t address =
        map_lazy(bench, (struct vm_request){.source = VM_ZERO, .access = RW, .bytes = PAGES * FRAME_BYTES});
    if (bench->skipped) {
        return;
    }
    volatile uint8_t *bytes = virt_pointer(address);
    for (uint64_t i = 0; i < PAGES; i++) {
        (void)bytes[i * FRAME_BYTES];
    }
    bench_start(bench);
    for (uint64_t i = 0; i < PAGES; i++) {
        bytes[i * FRAME_BYTES] = 1;
    }
    bench_stop(bench, PAGES);
    unmap_lazy(address, PAGES * FRAME_BYTES);
}

/* A write to a page that a fork shares: a copy of the frame, 512 words of "rep movsq". */
static void copy_pages(struct bench *bench, bool last_user)
{
    virt_addr_t address = map_lazy(
        bench,
        (struct vm_request){.source = VM_ZERO, .access = RW, .bytes = PAGES * FRAME_BYTES, .around = 16});
    if (bench->skipped) {
        return;
    }
    volatile uint8_t *bytes = virt_pointer(address);
    virt_addr_t copy = virt_add(address, GIB(1));
    for (uint64_t i = 0; i < PAGES; i++) {
        bytes[i * FRAME_BYTES] = 1;
    }
    if (vm_space_copy(kernel_lazy_space(), copy, kernel_lazy_space(), address, PAGES * FRAME_BYTES) !=
        VM_OK) {
        bench_skip(bench, "no memory");
    } else {
        if (last_user) {
            unmap_lazy(copy, PAGES * FRAME_BYTES);
        }
        bench_start(bench);
        for (uint64_t i = 0; i < PAGES; i++) {
            bytes[i * FRAME_BYTES] = 2;
        }
        bench_stop(bench, PAGES);
    }
    unmap_lazy(copy, PAGES * FRAME_BYTES);
    unmap_lazy(address, PAGES * FRAME_BYTES);
}

KERNEL_BENCH(fault_copy, "fault.copy")
{
    copy_pages(bench, false);
}

KERNEL_BENCH(fault_reuse, "fault.reuse")
{
    copy_pages(bench, true);
}

/* A region of 16 pages made and removed, untouched. */
KERNEL_BENCH(vm_map_pair, "vm.map.pair")
{
    bench_start(bench);
    for (unsigned i = 0; i < PAGES; i++) {
        virt_addr_t address;
        struct vm_request request = {.source = VM_ZERO, .access = RW, .bytes = 16 * FRAME_BYTES};
        if (vm_space_map(kernel_lazy_space(), &request, &address) == VM_OK) {
            unmap_lazy(address, 16 * FRAME_BYTES);
        }
    }
    bench_stop(bench, PAGES);
}

/*
 * Fork of a space with as many pages touched, and the end of the child; per page. What is counted is the one,
 * the other, or both.
 */
static void fork_pages(struct bench *bench, uint64_t pages, bool call, bool end)
{
    static struct vm_space parent;
    static struct vm_space child;
    virt_addr_t address;
    struct vm_request request = {.source = VM_ZERO, .access = RW, .bytes = pages * FRAME_BYTES};
    if (user_space_create(&parent, "bench") != VM_OK) {
        bench_skip(bench, "no memory");
        return;
    }
    bool made = vm_space_map(&parent, &request, &address) == VM_OK;
    for (uint64_t i = 0; made && i < pages; i++) {
        made = vm_fault_resolved(vm_space_fault(&parent, virt_add(address, i * FRAME_BYTES), VM_WRITE));
    }
    bench_start(bench);
    made = made && vm_space_clone(&parent, &child, "child") == VM_OK;
    if (made && !end) {
        bench_stop(bench, pages);
    }
    if (made && !call) {
        bench_start(bench);
    }
    if (made) {
        vm_space_destroy(&child);
    }
    if (made && end) {
        bench_stop(bench, pages);
    }
    if (!made) {
        bench_skip(bench, "no memory");
    }
    vm_space_destroy(&parent);
}

KERNEL_BENCH(vm_fork, "vm.fork.page")
{
    fork_pages(bench, PAGES, true, true);
}

/* As many pages as the yardstick of a user program has. */
KERNEL_BENCH(vm_fork_2048, "vm.fork.2048")
{
    fork_pages(bench, 2048, true, false);
}

KERNEL_BENCH(vm_exit_2048, "vm.exit.2048")
{
    fork_pages(bench, 2048, false, true);
}

/* Pages of a program that go on at another address, as by mremap(); per page. */
KERNEL_BENCH(vm_move_2048, "vm.move.2048")
{
    static struct vm_space space;
    const uint64_t pages = 2048;
    virt_addr_t address;
    struct vm_request request = {.source = VM_ZERO, .access = RW, .bytes = pages * FRAME_BYTES};
    if (user_space_create(&space, "bench") != VM_OK) {
        bench_skip(bench, "no memory");
        return;
    }
    bool made = vm_space_map(&space, &request, &address) == VM_OK;
    for (uint64_t i = 0; made && i < pages; i++) {
        made = vm_fault_resolved(vm_space_fault(&space, virt_add(address, i * FRAME_BYTES), VM_WRITE));
    }
    struct vm_move move = {.from = address, .bytes = request.bytes, .new_bytes = request.bytes};
    bench_start(bench);
    made = made && vm_space_move(&space, &move, &address) == VM_OK;
    bench_stop(bench, pages);
    if (!made) {
        bench_skip(bench, "no memory");
    }
    vm_space_destroy(&space);
}
