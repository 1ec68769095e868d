/* Memory that grows downwards, as far as it may: its limits, its gap, and who lies in its way. */
#include "check.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define PAGE  4096UL
#define ROOM  (64UL << 20)
#define BOTH  (PROT_READ | PROT_WRITE)
#define ANON  (MAP_PRIVATE | MAP_ANONYMOUS)
#define STACK (ANON | MAP_GROWSDOWN | MAP_FIXED)

static char *top; /* the end of an address range in which nothing lies */

/* A stack of a page right below the end. */
static char *stack_at_top(void)
{
    return mmap(top - PAGE, PAGE, BOTH, STACK, -1, 0);
}

/* The signal that a child ends by which touches the pages below `from`, one after the other down to `to`. */
static int touched(char *from, char *to)
{
    int status;
    fflush(stdout);
    if (fork() == 0) {
        for (char *at = from - PAGE; at >= to; at -= PAGE) {
            *(volatile char *)at = 1;
        }
        _exit(0);
    }
    wait(&status);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

static void grows(void)
{
    char *base = stack_at_top();
    base[0] = 1;
    base[-1] = 2;                /* the next page */
    base[-100 * (long)PAGE] = 3; /* from afar */
    printf("grown: %d %d %d %d\n", base[0], base[-1], base[-100 * (long)PAGE], base[-50 * (long)PAGE]);
    TELL_EXACT(touched(base, base - 1000 * PAGE));
    TELL(munmap(base - 100 * PAGE, 101 * PAGE));
    TELL_EXACT(touched(top, top - PAGE));
}

/* A system call that writes there makes it grow, too. */
static void grows_for_the_kernel(void)
{
    int ends[2];
    char *base = stack_at_top();
    TELL(pipe(ends));
    TELL_EXACT(write(ends[1], "abc", 3));
    TELL_EXACT(read(ends[0], base - 5 * PAGE, 3));
    TELL_EXACT(base[-5 * (long)PAGE]);
    TELL(munmap(base - 5 * PAGE, 6 * PAGE));
    TELL(write(ends[1], base - 5 * PAGE, 1));
}

static void limit(void)
{
    struct rlimit limit;
    char *base = stack_at_top();
    getrlimit(RLIMIT_STACK, &limit);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = 64 * PAGE;
    TELL(setrlimit(RLIMIT_STACK, &limit));
    TELL_EXACT(touched(base, top - 64 * PAGE));
    TELL_EXACT(touched(base, top - 65 * PAGE));
    limit.rlim_cur = before;
    TELL(setrlimit(RLIMIT_STACK, &limit));
    TELL_EXACT(touched(base, top - 65 * PAGE));
    TELL(munmap(base, PAGE));
}

static void gap(void)
{
    char *base = stack_at_top();
    char *below = mmap(top - 400 * PAGE, PAGE, BOTH, ANON | MAP_FIXED, -1, 0);
    TELL_EXACT(touched(base, below + 257 * PAGE)); /* 256 pages stay free */
    TELL_EXACT(touched(base, below + 256 * PAGE));
    TELL(mprotect(below, PAGE, PROT_NONE)); /* who made a guard himself needs none */
    TELL_EXACT(touched(base, below + PAGE));
    TELL_EXACT(touched(base, below));
    TELL(munmap(below, PAGE));
    TELL_EXACT(touched(base, below));
    char *over = mmap(top - 2 * PAGE, PAGE, BOTH, ANON | MAP_FIXED, -1, 0);
    TELL_EXACT(touched(base, over)); /* right below it: nothing grows */
    TELL_EXACT(touched(over, over - PAGE));
    TELL(munmap(over, 2 * PAGE));
}

static void errors(void)
{
    TELL(mmap(NULL, PAGE, BOTH, MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0));
    TELL(mmap(NULL, PAGE, BOTH, MAP_PRIVATE | MAP_GROWSDOWN, 99, 0));
    TELL(munmap(mmap(NULL, 4 * PAGE, BOTH, ANON | MAP_GROWSDOWN, -1, 0), 4 * PAGE));
    char *base = stack_at_top();
    TELL(mmap(top - PAGE, PAGE, BOTH, ANON | MAP_GROWSDOWN | MAP_FIXED_NOREPLACE, -1, 0));
    TELL(mprotect(base, PAGE, PROT_READ));
    TELL_EXACT(touched(base, base - PAGE)); /* no more than it allows */
    TELL(munmap(base, PAGE));
}

int main(void)
{
    char *base = mmap(NULL, ROOM, PROT_NONE, ANON, -1, 0);
    top = base + ROOM;
    mmap(top, PAGE, PROT_NONE, ANON | MAP_FIXED, -1, 0);
    munmap(base, ROOM);
    grows();
    grows_for_the_kernel();
    limit();
    gap();
    errors();
    puts("done");
    return 0;
}
