/* Benchmarks of processes and threads. */
#include "bench.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* ---- Processes ---- */

uint64_t bench_syscall_null(void)
{
    uint64_t begin = __rdtsc();
    for (int i = 0; i < MANY; i++) {
        syscall(SYS_getppid);
    }
    return since(begin, MANY);
}

uint64_t bench_fork_2048(void)
{
    volatile char *memory = written();
    uint64_t begin = __rdtsc();
    pid_t child = fork();
    if (child == 0) {
        _exit(0);
    }
    uint64_t ticks = since(begin, 1);
    need(waitpid(child, NULL, 0) == child, "fork");
    release(memory, PAGES);
    return ticks;
}

uint64_t bench_fault_cow_reuse(void)
{
    volatile char *memory = written();
    pid_t child = fork();
    if (child == 0) {
        _exit(0);
    }
    need(waitpid(child, NULL, 0) == child, "fork");
    uint64_t ticks = write_pages(memory, 2);
    release(memory, PAGES);
    return ticks;
}

uint64_t bench_fault_cow_copy(void)
{
    volatile char *memory = written();
    uint64_t ticks = 0;
    int ends[2];
    need(pipe(ends) == 0, "pipe");
    pid_t child = fork();
    if (child == 0) {
        ticks = write_pages(memory, 3);
        _exit(write(ends[1], &ticks, sizeof ticks) != sizeof ticks);
    }
    need(waitpid(child, NULL, 0) == child && read(ends[0], &ticks, sizeof ticks) == sizeof ticks, "fork");
    close(ends[0]);
    close(ends[1]);
    release(memory, PAGES);
    return ticks;
}

uint64_t bench_fork_exit_wait(void)
{
    uint64_t begin = __rdtsc();
    for (int i = 0; i < FEW; i++) {
        pid_t child = fork();
        if (child == 0) {
            _exit(0);
        }
        waitpid(child, NULL, 0);
    }
    return since(begin, FEW);
}

uint64_t bench_vfork_exec_exit_wait(void)
{
    int status = 0;
    uint64_t begin = __rdtsc();
    for (int i = 0; i < FEW && status == 0; i++) {
        pid_t child = vfork();
        if (child == 0) {
            execl("/proc/self/exe", "bench", "leaf", (char *)NULL);
            _exit(1);
        }
        waitpid(child, &status, 0);
    }
    uint64_t ticks = since(begin, FEW);
    need(status == 0, "exec");
    return ticks;
}

/* ---- Threads ---- */

#define SHARES (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND)

static char stack[SMALL_AREA] __attribute__((aligned(16)));
static int word;

static int leave(void *argument)
{
    (void)argument;
    return 0;
}

uint64_t bench_thread_pair(void)
{
    uint64_t begin = __rdtsc();
    for (int i = 0; i < FEW; i++) {
        pid_t thread = clone(leave, stack + sizeof stack, SHARES, NULL);
        waitpid(thread, NULL, __WALL);
    }
    return since(begin, FEW);
}

/* Sleeps until the word is `value`. */
static void await(int value)
{
    while (__atomic_load_n(&word, __ATOMIC_SEQ_CST) != value) {
        syscall(SYS_futex, &word, FUTEX_WAIT, !value, NULL, NULL, 0);
    }
}

static void announce(int value)
{
    __atomic_store_n(&word, value, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static int bounce(void *argument)
{
    (void)argument;
    for (int i = 0; i < MANY; i++) {
        await(1);
        announce(0);
    }
    return 0;
}

uint64_t bench_futex_round(void)
{
    word = 0;
    pid_t thread = clone(bounce, stack + sizeof stack, SHARES, NULL);
    need(thread > 0, "clone");
    uint64_t begin = __rdtsc();
    for (int i = 0; i < MANY; i++) {
        announce(1);
        await(0);
    }
    uint64_t ticks = since(begin, MANY);
    waitpid(thread, NULL, __WALL);
    return ticks;
}
