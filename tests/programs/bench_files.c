/* Benchmarks of files, pipes and signals. */
#include "bench.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* ---- Files ---- */

/* A file of PAGES pages, which are there; nobody finds it by its name any more. */
static int whole_file(void)
{
    int file = open("/bench.file", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    need(file >= 0 && unlink("/bench.file") == 0 && ftruncate(file, PAGES * PAGE) == 0, "a file");
    for (uint64_t i = 0; i < PAGES; i++) {
        need(pwrite(file, "x", 1, (off_t)(i * PAGE)) == 1, "pwrite");
    }
    return file;
}

uint64_t bench_fault_file(void)
{
    int file = whole_file();
    void *made = mmap(NULL, PAGES * PAGE, PROT_READ, MAP_SHARED, file, 0);
    need(made != MAP_FAILED && madvise(made, PAGES * PAGE, MADV_RANDOM) == 0, "mmap");
    uint64_t ticks = read_pages(made);
    release(made, PAGES);
    close(file);
    return ticks;
}

uint64_t bench_pread_4k(void)
{
    static char buffer[PAGE];
    int file = whole_file();
    uint64_t begin = __rdtsc();
    for (int i = 0; i < HALF; i++) {
        (void)!pread(file, buffer, PAGE, (off_t)(i * PAGE));
    }
    uint64_t ticks = since(begin, HALF);
    close(file);
    return ticks;
}

uint64_t bench_pipe_local(void)
{
    int ends[2];
    char byte = 0;
    need(pipe(ends) == 0, "pipe");
    uint64_t begin = __rdtsc();
    for (int i = 0; i < MANY; i++) {
        (void)!write(ends[1], &byte, 1);
        (void)!read(ends[0], &byte, 1);
    }
    uint64_t ticks = since(begin, MANY);
    close(ends[0]);
    close(ends[1]);
    return ticks;
}

static void pass_back(int from, int to)
{
    char byte;
    for (int i = 0; i < MANY; i++) {
        (void)!read(from, &byte, 1);
        (void)!write(to, &byte, 1);
    }
    _exit(0);
}

uint64_t bench_pipe_round(void)
{
    int there[2];
    int back[2];
    char byte = 0;
    need(pipe(there) == 0 && pipe(back) == 0, "pipe");
    pid_t child = fork();
    if (child == 0) {
        pass_back(there[0], back[1]);
    }
    uint64_t begin = __rdtsc();
    for (int i = 0; i < MANY; i++) {
        (void)!write(there[1], &byte, 1);
        (void)!read(back[0], &byte, 1);
    }
    uint64_t ticks = since(begin, MANY);
    waitpid(child, NULL, 0);
    for (int i = 0; i < 2; i++) {
        close(there[i]);
        close(back[i]);
    }
    return ticks;
}

/* ---- Signals ---- */

static volatile char *guarded;

static void nothing(int number)
{
    (void)number;
}

static void opened(int number)
{
    (void)number;
    mprotect((void *)guarded, PAGE, PROT_READ | PROT_WRITE);
}

uint64_t bench_signal_self(void)
{
    if (signal(SIGUSR1, nothing) == SIG_ERR) {
        return not_there("no signals");
    }
    uint64_t begin = __rdtsc();
    for (int i = 0; i < MANY; i++) {
        kill(getpid(), SIGUSR1);
    }
    return since(begin, MANY);
}

uint64_t bench_segv_round(void)
{
    if (signal(SIGSEGV, opened) == SIG_ERR) {
        return not_there("no signals");
    }
    guarded = zeros(1);
    guarded[0] = 1;
    uint64_t begin = __rdtsc();
    for (int i = 0; i < MANY; i++) {
        mprotect((void *)guarded, PAGE, PROT_READ);
        guarded[0] = 1;
    }
    uint64_t ticks = since(begin, MANY);
    signal(SIGSEGV, SIG_DFL);
    release(guarded, 1);
    return ticks;
}
