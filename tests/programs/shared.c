/* Memory that processes share, with futexes and mutexes in it, and files without names and their seals. */
#include "check.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define PAGE   4096UL
#define BOTH   (PROT_READ | PROT_WRITE)
#define SHARED (MAP_SHARED | MAP_ANONYMOUS)
#define ROUNDS 500

static char *share(unsigned pages)
{
    return mmap(NULL, pages * PAGE, BOTH, SHARED, -1, 0);
}

/* Runs `child` in a fork; returns how it ended. */
static int forked(void (*child)(void *), void *argument)
{
    int status;
    fflush(stdout);
    if (fork() == 0) {
        child(argument);
        _exit(0);
    }
    wait(&status);
    return status;
}

static void write_pages(void *memory)
{
    char *base = memory;
    base[0] = 'c';
    base[5 * PAGE] = 'd';
}

static void inherited(void)
{
    char *base = share(8);
    char *own = mmap(NULL, PAGE, BOTH, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    base[PAGE] = 'a';
    own[0] = 'p';
    TELL_EXACT(forked(write_pages, base));
    printf("shared: %c %d %c %d\n", base[0], base[2 * PAGE], base[5 * PAGE], own[0]);
    TELL(munmap(base, PAGE)); /* the rest stays */
    TELL_EXACT(base[PAGE]);
    TELL(mprotect(base + PAGE, PAGE, PROT_READ));
    TELL(mprotect(base + PAGE, PAGE, BOTH));
    base[PAGE]++;
    TELL_EXACT(base[PAGE]);
    TELL(munmap(base + PAGE, 7 * PAGE));
}

/* Two mappings made by themselves have nothing in common; a private map of zeros is a program's own. */
static void zeros(void)
{
    int zero = open("/dev/zero", O_RDWR);
    int read_only = open("/dev/zero", O_RDONLY);
    char *one = mmap(NULL, 2 * PAGE, BOTH, MAP_SHARED, zero, 0);
    char *other = mmap(NULL, 8 * PAGE, BOTH, MAP_SHARED, zero, 0);
    char *own = mmap(NULL, 8 * PAGE, BOTH, MAP_PRIVATE, zero, PAGE);
    char *reads = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, read_only, 0);
    TELL(mmap(NULL, PAGE, BOTH, MAP_SHARED, read_only, 0));
    TELL_EXACT(reads[0]);
    one[0] = 1;
    TELL_EXACT(forked(write_pages, other));
    TELL_EXACT(other[0]);
    TELL_EXACT(one[0]);
    TELL_EXACT(forked(write_pages, own));
    TELL_EXACT(own[0]);
    own[0] = 3;
    TELL_EXACT(own[0] + own[PAGE]);
    TELL(munmap(one, 2 * PAGE));
    TELL(munmap(other, 8 * PAGE));
    TELL(munmap(own, 8 * PAGE));
    TELL(munmap(reads, PAGE));
    close(zero);
    close(read_only);
}

static void errors(void)
{
    TELL(mmap(NULL, PAGE, BOTH, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, -1, 0));
    TELL(mmap(NULL, 0, BOTH, SHARED, -1, 0));
    TELL(mmap(NULL, -1UL, BOTH, SHARED, -1, 0));
    TELL(mmap(NULL, PAGE, BOTH, SHARED | MAP_GROWSDOWN, -1, 0));
    TELL(munmap(mmap(NULL, PAGE, PROT_NONE, SHARED, -1, 0), PAGE));
    TELL(munmap(mmap(NULL, 3 * PAGE, BOTH, SHARED | MAP_POPULATE, 77, 0), 3 * PAGE));
}

/* Maps memory over shared memory, and shared memory over other. */
static void replaced(void)
{
    char *base = share(4);
    base[PAGE] = 7;
    char *again = mmap(base + PAGE, PAGE, BOTH, SHARED | MAP_FIXED, -1, 0);
    TELL_EXACT(again == base + PAGE);
    TELL_EXACT(again[0]);
    TELL(mmap(base, PAGE, BOTH, SHARED | MAP_FIXED_NOREPLACE, -1, 0));
    TELL(munmap(base, 4 * PAGE));
}

static long futex(volatile uint32_t *word, int operation, uint32_t value)
{
    return syscall(SYS_futex, word, operation, value, NULL, NULL, 0);
}

struct turns {
    volatile uint32_t turn;
    uint32_t taken;
    pthread_mutex_t mutex;
    pthread_cond_t condition;
    long counted;
};

/* Waits until it is `who`'s turn, and gives it to the other. */
static void play(struct turns *turns, uint32_t who)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        while (turns->turn != who) {
            futex(&turns->turn, FUTEX_WAIT, 1 - who);
        }
        turns->taken++;
        __atomic_store_n(&turns->turn, 1 - who, __ATOMIC_SEQ_CST);
        futex(&turns->turn, FUTEX_WAKE, 1);
    }
}

static void play_other(void *memory)
{
    play(memory, 1);
}

static void count(void *memory)
{
    struct turns *turns = memory;
    for (unsigned i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&turns->mutex);
        turns->counted++;
        if (turns->counted == 2L * ROUNDS) {
            pthread_cond_broadcast(&turns->condition);
        }
        pthread_mutex_unlock(&turns->mutex);
    }
}

static void make_shared(struct turns *turns)
{
    pthread_mutexattr_t mutex;
    pthread_condattr_t condition;
    pthread_mutexattr_init(&mutex);
    pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&turns->mutex, &mutex);
    pthread_condattr_init(&condition);
    pthread_condattr_setpshared(&condition, PTHREAD_PROCESS_SHARED);
    pthread_cond_init(&turns->condition, &condition);
}

/* By futexes, then by the C library's mutexes: processes that have the memory at the same address. */
static void synchronised(void)
{
    int status;
    struct turns *turns = (void *)share(1);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        play_other(turns);
        _exit(0);
    }
    play(turns, 0);
    waitpid(child, &status, 0);
    printf("turns: %u, %d\n", turns->taken, status);
    make_shared(turns);
    for (unsigned i = 0; i < 2; i++) {
        if (fork() == 0) {
            count(turns);
            _exit(0);
        }
    }
    pthread_mutex_lock(&turns->mutex);
    while (turns->counted < 2L * ROUNDS) {
        pthread_cond_wait(&turns->condition, &turns->mutex);
    }
    pthread_mutex_unlock(&turns->mutex);
    wait(NULL);
    wait(NULL);
    printf("counted: %ld\n", turns->counted);
    TELL(munmap(turns, PAGE));
}

/* A file shown at two addresses: the word is one, and so are those who wait for it. */
static void two_addresses(void)
{
    int memory = memfd_create("two", 0);
    TELL(ftruncate(memory, 2 * PAGE));
    volatile uint32_t *one = mmap(NULL, 2 * PAGE, BOTH, MAP_SHARED, memory, 0);
    volatile uint32_t *other = mmap(NULL, PAGE, BOTH, MAP_SHARED, memory, PAGE);
    close(memory);
    int status;
    fflush(stdout);
    if (fork() == 0) {
        while (*other == 0) {
            futex(other, FUTEX_WAIT, 0);
        }
        _exit((int)*other);
    }
    one[PAGE / sizeof *one] = 9;
    while (futex(&one[PAGE / sizeof *one], FUTEX_WAKE, 1) == 0 && waitpid(-1, &status, WNOHANG) == 0) {
        sched_yield();
    }
    wait(&status);
    printf("two addresses: %d\n", WEXITSTATUS(status));
}

static void seals(void)
{
    int memory = memfd_create("sealed", MFD_ALLOW_SEALING | MFD_CLOEXEC);
    int plain = memfd_create("plain", 0);
    int ends[2];
    char bytes[2 * PAGE];
    memset(bytes, 'x', sizeof bytes);
    TELL(pipe(ends));
    TELL_EXACT(fcntl(memory, F_GET_SEALS));
    TELL_EXACT(fcntl(plain, F_GET_SEALS));
    TELL_EXACT(fcntl(ends[0], F_GET_SEALS));
    TELL(fcntl(ends[1], F_ADD_SEALS, F_SEAL_GROW));
    TELL(fcntl(ends[0], F_ADD_SEALS, F_SEAL_GROW));
    TELL(fcntl(99, F_GET_SEALS));
    TELL(fcntl(plain, F_ADD_SEALS, F_SEAL_GROW));
    TELL(fcntl(memory, F_ADD_SEALS, 0x1000));
    TELL(ftruncate(memory, PAGE + 100));
    TELL(fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK));
    TELL(ftruncate(memory, PAGE));
    TELL(ftruncate(memory, PAGE + 200));
    TELL(fcntl(memory, F_ADD_SEALS, F_SEAL_GROW));
    TELL(ftruncate(memory, PAGE + 300));
    TELL(ftruncate(memory, PAGE + 200));
    TELL_EXACT(pwrite(memory, bytes, 2 * PAGE, 0)); /* a page, and not a part of the next */
    TELL_EXACT(pwrite(memory, bytes, 200, PAGE));
    TELL_EXACT(pwrite(memory, bytes, 201, PAGE));
    char *shown = mmap(NULL, PAGE, BOTH, MAP_SHARED, memory, 0);
    TELL(fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE));
    TELL(munmap(shown, PAGE));
    TELL_EXACT(fcntl(memory, F_GET_SEALS));
    TELL(fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE));
    TELL(fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE));
    TELL(mmap(NULL, PAGE, BOTH, MAP_SHARED, memory, 0));
    TELL_EXACT(pwrite(memory, bytes, 1, 0));
    char *copy = mmap(NULL, PAGE, BOTH, MAP_PRIVATE, memory, 0);
    copy[0]++;
    TELL_EXACT(copy[0] + copy[1]);
    TELL(fcntl(memory, F_ADD_SEALS, F_SEAL_SEAL));
    TELL(fcntl(memory, F_ADD_SEALS, F_SEAL_SEAL));
    TELL_EXACT(fcntl(memory, F_GET_SEALS));
    TELL(memfd_create("unknown", 0x20));
}

/* Who had it mapped before goes on writing, and nobody else. */
static void future(void)
{
    int memory = memfd_create("future", MFD_ALLOW_SEALING);
    TELL(ftruncate(memory, PAGE));
    char *shown = mmap(NULL, PAGE, BOTH, MAP_SHARED, memory, 0);
    TELL(fcntl(memory, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
    shown[0] = 5;
    char byte = 0;
    TELL_EXACT(pread(memory, &byte, 1, 0));
    TELL_EXACT(byte);
    TELL_EXACT(pwrite(memory, &byte, 1, 0));
    TELL(mmap(NULL, PAGE, BOTH, MAP_SHARED, memory, 0));
    char *reads = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, memory, 0);
    shown[0]++;
    TELL_EXACT(reads[0]);
    int reading = open("/dev/null", O_RDONLY);
    TELL(fcntl(reading, F_ADD_SEALS, F_SEAL_WRITE));
}

int main(void)
{
    inherited();
    zeros();
    errors();
    replaced();
    synchronised();
    two_addresses();
    seals();
    future();
    puts("done");
    return 0;
}
