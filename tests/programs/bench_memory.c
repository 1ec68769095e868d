/* Benchmarks of what a program does with its memory. */
#include "bench.h"

#include <string.h>
#include <sys/mman.h>

#define LARGE       (2UL << 20)
#define LARGE_PAGES 32UL
#define NEAR        100 /* ticks in which no fault is taken */

volatile char *zeros(uint64_t pages)
{
    void *made = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    need(made != MAP_FAILED && madvise(made, pages * PAGE, MADV_NOHUGEPAGE) == 0, "mmap");
    return made;
}

void release(volatile char *memory, uint64_t pages)
{
    need(munmap((void *)memory, pages * PAGE) == 0, "munmap");
}

uint64_t write_pages(volatile char *memory, char value)
{
    uint64_t begin = __rdtsc();
    for (uint64_t i = 0; i < PAGES; i++) {
        memory[i * PAGE] = value;
    }
    return since(begin, PAGES);
}

uint64_t read_pages(volatile char *memory)
{
    uint64_t begin = __rdtsc();
    for (uint64_t i = 0; i < PAGES; i++) {
        (void)memory[i * PAGE];
    }
    return since(begin, PAGES);
}

volatile char *written(void)
{
    volatile char *memory = zeros(PAGES);
    write_pages(memory, 1);
    return memory;
}

uint64_t bench_fault_anon_write(void)
{
    volatile char *memory = zeros(PAGES);
    uint64_t ticks = write_pages(memory, 1);
    release(memory, PAGES);
    return ticks;
}

uint64_t bench_fault_anon_read(void)
{
    volatile char *memory = zeros(PAGES);
    uint64_t ticks = read_pages(memory);
    release(memory, PAGES);
    return ticks;
}

uint64_t bench_mprotect_page(void)
{
    volatile char *memory = written();
    uint64_t begin = __rdtsc();
    int failed = mprotect((void *)memory, PAGES * PAGE, PROT_READ) |
                 mprotect((void *)memory, PAGES * PAGE, PROT_READ | PROT_WRITE);
    uint64_t ticks = since(begin, PAGES);
    need(failed == 0, "mprotect");
    release(memory, PAGES);
    return ticks;
}

uint64_t bench_dontneed_page(void)
{
    volatile char *memory = written();
    uint64_t begin = __rdtsc();
    int failed = madvise((void *)memory, PAGES * PAGE, MADV_DONTNEED);
    uint64_t ticks = since(begin, PAGES);
    release(memory, PAGES);
    return failed ? not_there("no MADV_DONTNEED") : ticks;
}

uint64_t bench_munmap_page(void)
{
    volatile char *memory = written();
    uint64_t begin = __rdtsc();
    munmap((void *)memory, PAGES * PAGE);
    return since(begin, PAGES);
}

uint64_t bench_mmap_pair(void)
{
    uint64_t begin = __rdtsc();
    for (int i = 0; i < HALF; i++) {
        void *area = mmap(NULL, SMALL_AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        munmap(area, SMALL_AREA);
    }
    return since(begin, HALF);
}

uint64_t bench_brk_pair(void)
{
    uint64_t begin = __rdtsc();
    for (int i = 0; i < HALF; i++) {
        sbrk(SMALL_AREA);
        sbrk(-SMALL_AREA);
    }
    return since(begin, HALF);
}

/* Where the second touch of a 2 MiB page is a fault as well, there are none. */
uint64_t bench_fault_huge(void)
{
    uint64_t bytes = LARGE_PAGES * LARGE;
    char *made = mmap(NULL, bytes + LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    need(made != MAP_FAILED, "mmap");
    volatile char *first = made + (-(uintptr_t)made & (LARGE - 1));
    int failed = madvise((void *)first, bytes, MADV_HUGEPAGE);
    uint64_t begin = __rdtsc();
    for (uint64_t at = 0; at < bytes; at += LARGE) {
        first[at] = 1;
    }
    uint64_t ticks = since(begin, LARGE_PAGES);
    begin = __rdtsc();
    first[PAGE] = 1;
    failed |= since(begin, 1) > NEAR;
    munmap(made, bytes + LARGE);
    return failed ? not_there("no large pages for MADV_HUGEPAGE") : ticks;
}

/* Pages that went out, all of them; their memory is the caller's. */
static volatile char *paged_out(uint64_t *ticks)
{
    static unsigned char states[PAGES];
    volatile char *memory = zeros(PAGES);
    for (uint64_t i = 0; i < PAGES; i++) {
        memset((void *)(memory + i * PAGE), (int)i | 1, PAGE);
    }
    uint64_t begin = __rdtsc();
    int failed = madvise((void *)memory, PAGES * PAGE, MADV_PAGEOUT);
    *ticks = since(begin, PAGES);
    failed |= mincore((void *)memory, PAGES * PAGE, states);
    for (uint64_t i = 0; i < PAGES; i++) {
        failed |= states[i] & 1;
    }
    return failed ? release(memory, PAGES), NULL : memory;
}

uint64_t bench_swap_out(void)
{
    uint64_t ticks;
    volatile char *memory = paged_out(&ticks);
    if (!memory) {
        return not_there("no swap");
    }
    release(memory, PAGES);
    return ticks;
}

uint64_t bench_swap_in(void)
{
    uint64_t ticks;
    volatile char *memory = paged_out(&ticks);
    if (!memory) {
        return not_there("no swap");
    }
    ticks = read_pages(memory);
    release(memory, PAGES);
    return ticks;
}
