/*
 * Threads that empty memory beside others that use it: a page holds its own number or zero, whoever comes
 * when. Forks beside wiping: what is wiped is zero in the child. Files that are cut beside readers. Copies
 * from and to a process that changes its mappings.
 */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define PAGE   4096UL
#define PAGES  256UL
#define ROUNDS 24

static _Atomic(int) stop;
static char *base;
static int file;

static void must(int well, const char *what)
{
    if (!well) {
        printf("%s: error %d\n", what, errno);
        fflush(stdout);
        _exit(1);
    }
}

static unsigned long next(unsigned long *state)
{
    *state = *state * 6364136223846793005UL + 1442695040888963407UL;
    return *state >> 33;
}

static void *use(void *argument)
{
    unsigned long state = (unsigned long)argument;
    while (!stop) {
        unsigned long page = next(&state) % PAGES;
        _Atomic(unsigned long) *word = (void *)(base + page * PAGE + 8 * (unsigned long)argument);
        unsigned long found = *word;
        must(found == 0 || found == page + 1, "a page of another one");
        *word = page + 1;
    }
    return NULL;
}

static void *empty(void *argument)
{
    unsigned long state = 7 + (unsigned long)argument;
    for (int i = 0; i < ROUNDS; i++) {
        unsigned long first = next(&state) % PAGES;
        unsigned long count = 1 + next(&state) % (PAGES - first);
        must(!madvise(base + first * PAGE, count * PAGE, i & 1 ? MADV_DONTNEED : MADV_FREE), "madvise");
        must(!madvise(base + first * PAGE, PAGE, i & 2 ? MADV_DONTDUMP : MADV_DODUMP), "marks");
    }
    return NULL;
}

static void faults_beside_emptying(void)
{
    pthread_t users[3];
    pthread_t emptiers[2];
    stop = 0;
    for (unsigned long i = 0; i < 3; i++) {
        must(!pthread_create(&users[i], NULL, use, (void *)i), "a thread");
    }
    for (unsigned long i = 0; i < 2; i++) {
        must(!pthread_create(&emptiers[i], NULL, empty, (void *)i), "a thread");
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(emptiers[i], NULL);
    }
    stop = 1;
    for (int i = 0; i < 3; i++) {
        pthread_join(users[i], NULL);
    }
}

static void forks_beside_wiping(void)
{
    pthread_t user;
    stop = 0;
    must(!pthread_create(&user, NULL, use, (void *)5), "a thread");
    for (int i = 0; i < 5; i++) {
        int status;
        must(!madvise(base, PAGES / 2 * PAGE, MADV_WIPEONFORK), "wipe");
        pid_t child = fork();
        if (child == 0) {
            for (unsigned long page = 0; page < PAGES / 2; page++) {
                must(*(unsigned long *)(base + page * PAGE + 40) == 0, "a page that was to be wiped");
            }
            _exit(0);
        }
        must(!madvise(base, PAGES / 2 * PAGE, MADV_KEEPONFORK), "keep");
        must(waitpid(child, &status, 0) == child && status == 0, "the child");
    }
    stop = 1;
    pthread_join(user, NULL);
}

/* Reads by a call, which answers what an access would not survive. */
static void *read_file(void *argument)
{
    const char *shown = argument;
    int ends[2];
    char c;
    must(!pipe(ends), "pipe");
    for (unsigned long state = 3; !stop;) {
        if (write(ends[1], shown + next(&state) % PAGES * PAGE, 1) == 1) {
            must(read(ends[0], &c, 1) == 1 && (c == 0 || c == 'x'), "a byte of the file");
        } else {
            must(errno == EFAULT, "beyond the end");
        }
    }
    return NULL;
}

static void readers_beside_cutting(void)
{
    pthread_t readers[2];
    file = memfd_create("file", 0);
    must(!ftruncate(file, PAGES * PAGE), "ftruncate");
    char *shown = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    stop = 0;
    for (int i = 0; i < 2; i++) {
        must(!pthread_create(&readers[i], NULL, read_file, shown), "a thread");
    }
    unsigned long state = 9;
    for (int i = 0; i < ROUNDS; i++) {
        unsigned long bytes = next(&state) % PAGES * PAGE;
        must(!ftruncate(file, bytes), "cut");
        must(!ftruncate(file, PAGES * PAGE), "grow");
        must(pwrite(file, "x", 1, next(&state) % PAGES * PAGE) == 1, "pwrite");
        must(!fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, bytes, PAGE), "punch");
    }
    stop = 1;
    for (int i = 0; i < 2; i++) {
        pthread_join(readers[i], NULL);
    }
    must(!ftruncate(file, 0) && !ftruncate(file, PAGES * PAGE), "cut all");
    for (unsigned long page = 0; page < PAGES; page++) {
        must(shown[page * PAGE] == 0, "a page that was cut off"); /* a page from before shows no more */
    }
    must(!munmap(shown, PAGES * PAGE) && !close(file), "munmap");
}

static void copies_beside_changes(void)
{
    char here[2 * PAGE];
    pid_t child = fork();
    if (child == 0) {
        for (;;) {
            madvise(base, PAGES * PAGE, MADV_DONTNEED);
            munmap(base + 4 * PAGE, PAGE);
            mmap(base + 4 * PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                 0);
        }
    }
    for (int i = 0; i < ROUNDS; i++) {
        struct iovec local = {here, sizeof here};
        struct iovec remote = {base + 3 * PAGE + 100, sizeof here};
        ssize_t bytes = i & 1 ? process_vm_readv(child, &local, 1, &remote, 1, 0)
                              : process_vm_writev(child, &local, 1, &remote, 1, 0);
        must(bytes >= (ssize_t)PAGE - 100, "a copy");
    }
    kill(child, 9);
    waitpid(child, NULL, 0);
}

int main(void)
{
    base = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    faults_beside_emptying();
    forks_beside_wiping();
    readers_beside_cutting();
    copies_beside_changes();
    puts("done");
    return 0;
}
