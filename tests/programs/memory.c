/* What the calls of memory answer, and what they do: each error, and each effect that a program can see. */
#include "check.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define PAGE  4096UL
#define PAGES 16
#define BOTH  (PROT_READ | PROT_WRITE)
#define ANON  (MAP_PRIVATE | MAP_ANONYMOUS)
#define FAR   ((char *)0x7fffffffe000)

static char *room(void)
{
    return mmap(NULL, PAGES * PAGE, BOTH, ANON, -1, 0);
}

static void errors_of_mmap(void)
{
    char *base = room();
    TELL(mmap(NULL, 0, BOTH, ANON, -1, 0));
    TELL(mmap(NULL, PAGE, BOTH, MAP_ANONYMOUS, -1, 0));
    TELL(mmap(NULL, PAGE, BOTH, MAP_ANONYMOUS | 4, -1, 0));
    TELL(mmap(NULL, PAGE, BOTH, MAP_PRIVATE, -1, 0));
    TELL(mmap(NULL, PAGE, BOTH, MAP_PRIVATE, 99, 0));
    TELL(syscall(SYS_mmap, 0, PAGE, BOTH, ANON, -1, 1));
    TELL(mmap(NULL, 1UL << 47, BOTH, ANON, -1, 0));
    TELL(mmap(NULL, -1UL, BOTH, ANON, -1, 0));
    TELL(mmap(base + 1, PAGE, BOTH, ANON | MAP_FIXED, -1, 0));
    TELL(mmap(FAR, 2 * PAGE, BOTH, ANON | MAP_FIXED, -1, 0));
    TELL(mmap((char *)-PAGE, PAGE, BOTH, ANON | MAP_FIXED, -1, 0));
    TELL(mmap(base + PAGE, PAGE, BOTH, ANON | MAP_FIXED_NOREPLACE, -1, 0));
    TELL(munmap(base, PAGES * PAGE));
    TELL(mmap(base + PAGE, PAGE, BOTH, ANON | MAP_FIXED_NOREPLACE, -1, 0) == base + PAGE ? 0 : -1);
    TELL(munmap(base + PAGE, PAGE));
}

static void places(void)
{
    char *base = room();
    TELL(munmap(base, PAGES * PAGE));
    TELL_EXACT(mmap(base + 3, PAGE, BOTH, ANON, -1, 0) ==
               base); /* a hint is rounded, and taken when it is free */
    TELL_EXACT(mmap(base, PAGE, BOTH, ANON, -1, 0) == base);
    TELL_EXACT(mmap(base, PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0) == base); /* what was there goes */
    TELL_EXACT(base[0]);
    TELL(munmap(base, 2 * PAGE)); /* holes are no error */
    TELL(munmap(base, 2 * PAGE));
}

static void errors_of_munmap(void)
{
    char *base = room();
    TELL(munmap(base, 0));
    TELL(munmap(base + 1, PAGE));
    TELL(munmap((char *)-PAGE, PAGE));
    TELL(munmap(base, 1UL << 47));
    TELL(munmap(base, -1UL));
    TELL(munmap(base, 1)); /* a whole page */
    TELL(mprotect(base, PAGE, BOTH));
    TELL(munmap(base, PAGES * PAGE));
}

static void errors_of_mprotect(void)
{
    char *base = room();
    TELL(mprotect(base, 0, PROT_READ));
    TELL(mprotect(base + 1, PAGE, PROT_READ));
    TELL(mprotect(base, PAGE, 0x100));
    TELL(mprotect(base, -1UL, PROT_READ));
    TELL(mprotect(base, 1UL << 47, PROT_READ));
    TELL(mprotect((char *)-PAGE, PAGE, PROT_READ));
    TELL(mprotect((char *)0x1000, PAGE, PROT_READ));
    TELL(munmap(base + PAGE, PAGE));
    TELL(mprotect(base, 3 * PAGE, PROT_READ));
    TELL(mprotect(base + 2 * PAGE, PAGE, PROT_NONE));
    TELL(mprotect(base + 2 * PAGE, PAGE, BOTH));
    TELL(munmap(base, PAGES * PAGE));
}

/* Contents stay through every protection, and a part changes by itself. */
static void contents(void)
{
    char *base = room();
    long sum = 0;
    memset(base, 1, PAGES * PAGE);
    TELL(mprotect(base + PAGE, 2 * PAGE, PROT_NONE));
    TELL(mprotect(base + PAGE, 2 * PAGE, PROT_READ));
    for (unsigned i = 0; i < PAGES; i++) {
        sum += base[i * PAGE];
    }
    TELL_EXACT(sum);
    TELL(munmap(base + 4 * PAGE, 4 * PAGE));
    TELL_EXACT(mmap(base + 4 * PAGE, 4 * PAGE, BOTH, ANON | MAP_FIXED, -1, 0) == base + 4 * PAGE);
    TELL_EXACT(base[4 * PAGE] + base[8 * PAGE]);
    TELL(munmap(base, PAGES * PAGE));
}

/* The kernel reads and writes for a program only what the program could. */
static void bad_addresses(void)
{
    char *base = room();
    TELL_EXACT(write(1, (char *)0xffff800000000000, 4));
    TELL_EXACT(write(1, (char *)0x1000, 4));
    TELL_EXACT(write(1, base, 0));
    TELL(mprotect(base + PAGE, PAGE, PROT_NONE));
    TELL_EXACT(write(99, base, 1));
    TELL(syscall(SYS_uname, 0xffff800000000000));
    TELL(syscall(SYS_uname, base + PAGE - 100));
    TELL_EXACT(syscall(SYS_getrandom, base, PAGE / 2, 0));
    TELL_EXACT(syscall(SYS_getrandom, base + PAGE, 16, 0));
    TELL_EXACT(syscall(SYS_getrandom, base, 16, 8));
    TELL_EXACT(syscall(SYS_getrandom, base, 16, 6));
    TELL(syscall(SYS_clock_gettime, 1, base + PAGE));
    TELL(syscall(SYS_clock_gettime, 1, base));
    TELL(syscall(SYS_clock_gettime, 99, base));
    TELL(syscall(SYS_arch_prctl, 0x1001, 0xffff800000000000));
    TELL(syscall(SYS_arch_prctl, 0x1002, 0x800000000000));
    TELL(syscall(SYS_arch_prctl, 0x1003, base + PAGE));
    TELL(syscall(SYS_arch_prctl, 0x1004, base));
    TELL(syscall(SYS_arch_prctl, 0x9999, base));
    TELL(syscall(SYS_set_robust_list, base, 23));
    TELL(munmap(base, PAGES * PAGE));
}

static void the_heap(void)
{
    char *begin = sbrk(0);
    char *page = (char *)(((unsigned long)begin + PAGE - 1) & -PAGE);
    TELL(brk(page + 4 * PAGE));
    TELL_EXACT(page[4 * PAGE - 1]);
    page[0] = 5;
    page[3 * PAGE] = 6;
    TELL(brk(page + 2 * PAGE));
    TELL(brk(page + 4 * PAGE));
    TELL_EXACT(page[0] + page[3 * PAGE]); /* what went is zero again */
    TELL_EXACT(syscall(SYS_brk, 0) == (long)(page + 4 * PAGE));
    TELL_EXACT(syscall(SYS_brk, 1UL << 47) == (long)(page + 4 * PAGE));
    TELL_EXACT(syscall(SYS_brk, 0x1000) == (long)(page + 4 * PAGE));
    TELL(brk(begin));
}

static void advice(void)
{
    char *base = room();
    TELL(madvise(base, PAGE, MADV_NORMAL));
    TELL(madvise(base, PAGE, MADV_SEQUENTIAL));
    TELL(madvise(base + 1, PAGE, MADV_RANDOM));
    TELL(madvise(base, PAGE, 9999));
    TELL(madvise(base, 0, MADV_WILLNEED));
    TELL(munmap(base + PAGE, PAGE));
    TELL(madvise(base, 3 * PAGE, MADV_NORMAL));
    TELL(munmap(base, PAGES * PAGE));
}

static void limits(void)
{
    struct rlimit limit;
    TELL(getrlimit(RLIMIT_STACK, &limit));
    TELL_EXACT(limit.rlim_cur);
    TELL(getrlimit(99, &limit));
    TELL(syscall(SYS_prlimit64, 0, RLIMIT_AS, (struct rlimit[]){{2, 1}}, NULL));
    TELL(syscall(SYS_prlimit64, 0, RLIMIT_AS, 0x1000, NULL));
    TELL(setrlimit(RLIMIT_AS, &(struct rlimit){64 << 20, RLIM_INFINITY}));
    TELL(mmap(NULL, 128 << 20, BOTH, ANON, -1, 0));
    TELL(setrlimit(RLIMIT_AS, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY}));
    char *large = mmap(NULL, 128 << 20, BOTH, ANON | MAP_NORESERVE, -1, 0);
    TELL(large == MAP_FAILED ? -1 : 0);
    TELL(munmap(large, 128 << 20));
}

int main(void)
{
    setvbuf(stdout, malloc(65536), _IOFBF, 65536); /* one write at the end */
    errors_of_mmap();
    places();
    errors_of_munmap();
    errors_of_mprotect();
    contents();
    bad_addresses();
    the_heap();
    advice();
    limits();
    return 0;
}
