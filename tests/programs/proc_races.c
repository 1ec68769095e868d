/*
 * Reads maps and smaps a little at a time, while threads map, protect and unmap. Whatever comes and goes,
 * each line is whole, addresses ascend, no stretch is told twice, and what is there all the time is told
 * once.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE      4096L
#define LANDMARKS 40
#define ROUNDS    30
#define CHANGERS  2

static char *marks[LANDMARKS]; /* a page each that may be read, with one on each side that may not */
static char *between;          /* what the threads change lies in front of and behind the landmarks */
static atomic_bool stop;
static char text[1 << 20];

static void *change(void *seed)
{
    unsigned state = (unsigned)(unsigned long)seed;
    while (!stop) {
        long page = rand_r(&state) % 64;
        char *at = between + page * PAGE;
        size_t bytes = (size_t)(1 + rand_r(&state) % 4) * PAGE;
        switch (rand_r(&state) % 3) {
        case 0:
            munmap(at, bytes);
            break;
        case 1:
            mmap(at, bytes, PROT_READ | (rand_r(&state) & PROT_WRITE),
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
            break;
        default:
            mprotect(at, bytes, rand_r(&state) & PROT_WRITE ? PROT_READ | PROT_WRITE : PROT_NONE);
        }
    }
    return NULL;
}

static void fail(const char *why, const char *at)
{
    printf("%s: %.*s\n", why, (int)strcspn(at, "\n"), at);
    exit(1);
}

static long read_all(const char *name, size_t step)
{
    long done = 0, got;
    int file = open(name, O_RDONLY);
    while ((got = read(file, text + done, step)) > 0) {
        done += got;
    }
    close(file);
    text[done] = 0;
    return got < 0 ? got : done;
}

/* fields: lines of smaps between the lines that begin with addresses. */
static void check(int fields)
{
    unsigned long last = 0, base, end, kib;
    int seen = 0, since = fields;
    char access[5], *at;
    for (at = text; *at; at = strchr(at, '\n') + 1) {
        if (!strchr(at, '\n')) {
            fail("no end", at);
        }
        if (sscanf(at, "%lx-%lx %4s", &base, &end, access) == 3) {
            if (base < last || end <= base || since < fields) {
                fail("out of order", at);
            }
            last = end;
            since = 0;
            seen += seen < LANDMARKS && base == (unsigned long)marks[seen] && end == base + PAGE;
        } else if (fields == 0) {
            fail("no line", at);
        } else {
            since++;
            if (strncmp(at, "Rss:", 4) == 0 &&
                (sscanf(at + 4, "%lu kB", &kib) != 1 || kib > (end - base) >> 10)) {
                fail("too much", at);
            }
        }
    }
    if (seen != LANDMARKS) {
        printf("only %d of %d landmarks\n", seen, LANDMARKS);
        exit(1);
    }
}

/* Of a process that ends meanwhile there is an end or an error, whatever was read before. */
static void read_one_that_ends(void)
{
    char name[32], part[64];
    pid_t child = fork();
    if (child == 0) {
        for (volatile int i = 0; i < 20000; i++) {
        }
        _exit(0);
    }
    snprintf(name, sizeof name, "/proc/%d/smaps", child);
    int file = open(name, O_RDONLY);
    while (file >= 0 && read(file, part, sizeof part) > 0) {
    }
    close(file);
    waitpid(child, NULL, 0);
}

static void *open_and_close(void *unused)
{
    int ends[2];
    while (!stop) {
        pipe(ends);
        dup2(ends[1], 100);
        close(ends[0]);
        close(ends[1]);
        close(100);
    }
    return unused;
}

/* Whoever looks for the name may be the last to have the file. */
static void remove_what_is_closed(void)
{
    for (int i = 0; i < 2000; i++) {
        if (unlink("/proc/self/fd/100") == 0) {
            fail("removed", "");
        }
    }
}

int main(void)
{
    pthread_t threads[CHANGERS];
    pthread_t opener;
    char *room = mmap(NULL, (2 * LANDMARKS + 130) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < LANDMARKS; i++) {
        marks[i] = room + (2 * i + 1) * PAGE;
        mprotect(marks[i], PAGE, PROT_READ);
    }
    between = room + (2 * LANDMARKS + 1) * PAGE;
    for (long i = 0; i < CHANGERS; i++) {
        pthread_create(&threads[i], NULL, change, (void *)(i + 1));
    }
    pthread_create(&opener, NULL, open_and_close, NULL);
    remove_what_is_closed();
    for (int i = 0; i < ROUNDS; i++) {
        read_all("/proc/self/maps", (size_t)(1 + i * 37));
        check(0);
        read_all("/proc/self/smaps", (size_t)(100 + i * 37));
        check(20);
        read_one_that_ends();
    }
    stop = 1;
    pthread_join(opener, NULL);
    for (int i = 0; i < CHANGERS; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("done\n");
    return 0;
}
