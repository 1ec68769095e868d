/* What mremap() answers and does, each error and each effect; and mappings that take others' places while
 * threads look. */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define PAGE   4096UL
#define BOTH   (PROT_READ | PROT_WRITE)
#define ANON   (MAP_PRIVATE | MAP_ANONYMOUS)
#define MOVE   MREMAP_MAYMOVE
#define FIXED  (MREMAP_MAYMOVE | MREMAP_FIXED)
#define KEEP   (MREMAP_MAYMOVE | MREMAP_DONTUNMAP)
#define ROUNDS 300

static char *room(unsigned pages)
{
    return mmap(NULL, pages * PAGE, BOTH, ANON, -1, 0);
}

/* Each page holds its number and `first`. */
static void number(char *base, unsigned pages, int first)
{
    for (unsigned i = 0; i < pages; i++) {
        base[i * PAGE] = (char)(first + (int)i);
    }
}

/* Whether they hold it still, wherever they are. */
static int holds(const char *base, unsigned pages, int first)
{
    for (unsigned i = 0; i < pages; i++) {
        if (base[i * PAGE] != (char)(first + (int)i)) {
            return 0;
        }
    }
    return 1;
}

static char *again(char *base, size_t old, size_t new, int flags, char *target)
{
    return (char *)syscall(SYS_mremap, base, old * PAGE, new *PAGE, flags, target);
}

static int readable(const char *base)
{
    int ends[2];
    int can = pipe(ends) == 0 && write(ends[1], base, 1) == 1;
    close(ends[0]);
    close(ends[1]);
    return can;
}

static void errors(void)
{
    char *base = room(16);
    char *other = room(16);
    munmap(base + 8 * PAGE, 8 * PAGE);
    TELL(syscall(SYS_mremap, base + 1, PAGE, PAGE, 0, 0));
    TELL(syscall(SYS_mremap, base, PAGE, PAGE, 8, 0));
    TELL(syscall(SYS_mremap, base, PAGE, 0, MOVE, 0));
    TELL(syscall(SYS_mremap, base, PAGE, -1UL, MOVE, 0));
    TELL(syscall(SYS_mremap, base, PAGE, PAGE, MREMAP_FIXED, other));
    TELL(syscall(SYS_mremap, base, PAGE, PAGE, MREMAP_DONTUNMAP, 0));
    TELL(syscall(SYS_mremap, base, PAGE, 2 * PAGE, KEEP, 0));
    TELL(syscall(SYS_mremap, base, PAGE, PAGE, FIXED, other + 1));
    TELL(syscall(SYS_mremap, base, 2 * PAGE, 2 * PAGE, FIXED, base + PAGE));
    TELL(syscall(SYS_mremap, base + PAGE, 2 * PAGE, 2 * PAGE, FIXED, base));
    TELL(syscall(SYS_mremap, base, PAGE, PAGE, FIXED, 0x7ffffffff000UL));
    TELL(syscall(SYS_mremap, base, PAGE, 1UL << 47, FIXED, other));
    TELL(syscall(SYS_mremap, base, PAGE, 1UL << 46, 0, 0));
    TELL(syscall(SYS_mremap, base + 8 * PAGE, PAGE, PAGE, 0, 0)); /* nothing there */
    TELL(syscall(SYS_mremap, base + 8 * PAGE, PAGE, 2 * PAGE, MOVE, 0));
    TELL(syscall(SYS_mremap, base, 9 * PAGE, 10 * PAGE, MOVE, 0)); /* beyond its end */
    TELL(syscall(SYS_mremap, base, 0, PAGE, MOVE, 0));             /* not shared */
    TELL(syscall(SYS_mremap, base, 2 * PAGE, 3 * PAGE, 0, 0));     /* in the midst of it */
    TELL(syscall(SYS_mremap, base, 1UL << 47, PAGE, 0, 0));
    munmap(other, 16 * PAGE);
}

static void lengths(void)
{
    char *base = room(16);
    number(base, 16, 1);
    TELL_EXACT(again(base, 16, 16, 0, NULL) == base);
    TELL_EXACT(again(base, 16, 4, 0, NULL) == base);
    TELL_EXACT(readable(base + 4 * PAGE));
    TELL_EXACT(again(base, 4, 8, 0, NULL) == base);
    TELL_EXACT(holds(base, 4, 1));
    TELL_EXACT(base[4 * PAGE] + base[7 * PAGE]); /* zeros, not what was there */
    number(base, 8, 40);
    TELL_EXACT(again(base + 4 * PAGE, 4, 6, 0, NULL) == base + 4 * PAGE);
    TELL_EXACT(holds(base, 8, 40) && base[9 * PAGE] == 0);
    TELL(mprotect(base + 9 * PAGE, PAGE, PROT_READ)); /* the last page is another region */
    TELL(again(base + 4 * PAGE, 5, 7, 0, NULL));
    TELL(again(base + 4 * PAGE, 6, 7, MOVE, NULL));                       /* of two regions */
    TELL_EXACT(again(base + 4 * PAGE, 6, 3, 0, NULL) == base + 4 * PAGE); /* shorter: of any */
    TELL_EXACT(holds(base, 7, 40));
    TELL_EXACT(readable(base + 7 * PAGE) + readable(base + 9 * PAGE));
    munmap(base, 7 * PAGE);
}

static void moves(void)
{
    char *base = room(1024);
    char *target = room(2048);
    number(base, 1024, 1);
    char *moved = again(base, 1024, 2000, MOVE, NULL);
    printf("moved: %d %d %d\n", holds(moved, 1024, 1), moved[1999 * PAGE], readable(moved));
    moved[1999 * PAGE] = 7;
    number(target, 2048, 3);
    TELL_EXACT(again(moved, 1024, 1024, FIXED, target + 3 * PAGE) == target + 3 * PAGE); /* a part */
    TELL_EXACT(holds(target, 3, 3) && holds(target + 3 * PAGE, 1024, 1));
    TELL_EXACT(holds(target + 1027 * PAGE, 1021, 3 + 1027));
    TELL_EXACT(readable(moved) + readable(moved + 1024 * PAGE) + moved[1999 * PAGE]);
    TELL_EXACT(again(target + 3 * PAGE, 1024, 10, FIXED, moved) == moved); /* shorter */
    TELL_EXACT(holds(moved, 10, 1) && !readable(target + 3 * PAGE) && !readable(target + 1026 * PAGE));
    TELL_EXACT(holds(target + 1027 * PAGE, 1021, 3 + 1027));
    TELL_EXACT(again(target, 2, 6, FIXED, moved) == moved); /* longer */
    TELL_EXACT(holds(moved, 2, 3) && moved[2 * PAGE] == 0 && moved[6 * PAGE] == 7);
    munmap(target, 2048 * PAGE);
    munmap(moved, 2000 * PAGE);
}

static void keeps(void)
{
    char *base = room(64);
    char *target = room(64);
    number(base, 64, 1);
    char *moved = again(base, 64, 64, KEEP, NULL);
    TELL_EXACT(moved != base && holds(moved, 64, 1));
    TELL_EXACT(base[0] + base[63 * PAGE]); /* there, and empty */
    number(base, 64, 5);
    TELL_EXACT(again(base + PAGE, 62, 62, KEEP | MREMAP_FIXED, target) == target);
    TELL_EXACT(holds(target, 62, 6) && base[0] == 5 && base[PAGE] == 0 && base[63 * PAGE] == 68);
    TELL_EXACT(target[62 * PAGE] == 0);
    munmap(base, 64 * PAGE);
    munmap(target, 64 * PAGE);
    munmap(moved, 64 * PAGE);
}

/* Memory that processes share, and a file, shown a second time and moved. */
static void shared(void)
{
    char *base = mmap(NULL, 8 * PAGE, BOTH, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    number(base, 8, 1);
    char *second = again(base + PAGE, 0, 4, MOVE, NULL);
    TELL_EXACT(holds(second, 4, 2));
    second[0] = 99;
    TELL_EXACT(base[PAGE]);
    char *moved = again(base, 8, 8, FIXED, room(8));
    moved[2 * PAGE] = 98;
    TELL_EXACT(second[PAGE]);
    moved = again(moved, 8, 8, KEEP, NULL);
    moved[3 * PAGE] = 97;
    TELL_EXACT(second[2 * PAGE]);
    int file = memfd_create("file", 0);
    TELL(ftruncate(file, 4 * PAGE));
    char *whole = mmap(NULL, 4 * PAGE, BOTH, MAP_SHARED, file, 0);
    number(whole, 4, 50);
    char *private = mmap(NULL, 2 * PAGE, BOTH, MAP_PRIVATE, file, PAGE);
    private[0] = 1;
    TELL_EXACT(private[PAGE]);
    TELL(again(private, 0, 1, MOVE, NULL));
    private = again(private, 2, 3, MOVE, NULL);
    TELL_EXACT(private[0] * 10000 + private[PAGE] * 100 + private[2 * PAGE]);
    TELL_EXACT(whole[PAGE]);
    munmap(second, 4 * PAGE);
    munmap(moved, 8 * PAGE);
    munmap(whole, 4 * PAGE);
    munmap(private, 3 * PAGE);
}

/* A child has what the parent had, wherever one of the two moves it. */
static void forked(void)
{
    int status;
    char *base = room(600);
    number(base, 600, 1);
    base = again(base, 600, 601, FIXED, room(601));
    fflush(stdout);
    if (fork() == 0) {
        char *moved = again(base, 300, 300, FIXED, room(300));
        int good = holds(moved, 300, 1) && holds(base + 300 * PAGE, 300, 301) && !readable(base);
        number(moved, 300, 77);
        _exit(good ? 3 : 4);
    }
    number(base + 10 * PAGE, 100, 60);
    base = again(base, 601, 700, MOVE, NULL);
    wait(&status);
    TELL_EXACT(WEXITSTATUS(status));
    TELL_EXACT(holds(base, 10, 1) && holds(base + 10 * PAGE, 100, 60) && holds(base + 110 * PAGE, 490, 111));
    munmap(base, 700 * PAGE);
}

static void limits(void)
{
    struct rlimit limit = {1UL << 30, RLIM_INFINITY};
    char *base = room(16);
    TELL(setrlimit(RLIMIT_AS, &limit));
    TELL(again(base, 16, 1UL << 18, MOVE, NULL));
    limit.rlim_cur = RLIM_INFINITY;
    TELL(setrlimit(RLIMIT_AS, &limit));
    munmap(base, 16 * PAGE);
}

/* ---- Beside threads ---- */

#define PLACE_PAGES 200

static char *place;
static volatile int stop;

/* Reads and writes in a place that always has something: returns how often it was none of what it may be. */
static void *look(void *unused)
{
    (void)unused;
    long wrong = 0;
    unsigned at = (unsigned)(uintptr_t)&wrong;
    while (!stop) {
        at = (at * 1103515245 + 12345) & 0x7fffffff;
        char *page = place + at / 7 % PLACE_PAGES * PAGE;
        char found = *(volatile char *)page;
        wrong += found != 0 && found != 1 && found != 2;
        if (at & 0x10000) {
            *(volatile char *)page = 2;
        }
    }
    return (void *)wrong;
}

static void beside(const char *what, void (*change)(void))
{
    pthread_t threads[3];
    long wrong = 0;
    place = room(PLACE_PAGES);
    stop = 0;
    for (int i = 0; i < 3; i++) {
        pthread_create(&threads[i], NULL, look, NULL);
    }
    for (int i = 0; i < ROUNDS; i++) {
        change();
    }
    stop = 1;
    for (int i = 0; i < 3; i++) {
        void *answer;
        pthread_join(threads[i], &answer);
        wrong += (long)answer;
    }
    printf("%s beside threads: %ld wrong\n", what, wrong);
    munmap(place, PLACE_PAGES * PAGE);
}

static void map_over(void)
{
    if (mmap(place, PLACE_PAGES * PAGE, BOTH, ANON | MAP_FIXED, -1, 0) != place) {
        puts("not mapped");
    }
}

static void map_shared_over(void)
{
    if (mmap(place + PAGE, 9 * PAGE, BOTH, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != place + PAGE) {
        puts("not mapped");
    }
    map_over();
}

static void move_over(void)
{
    char *fresh = room(PLACE_PAGES);
    for (unsigned i = 0; i < PLACE_PAGES; i++) {
        fresh[i * PAGE] = 1;
    }
    if (again(fresh, PLACE_PAGES, PLACE_PAGES, FIXED, place) != place) {
        puts("not moved");
    }
}

/* What stays behind can be touched at any time. */
static void move_away(void)
{
    char *taken = again(place, PLACE_PAGES, PLACE_PAGES, KEEP, NULL);
    if (taken == MAP_FAILED || munmap(taken, PLACE_PAGES * PAGE) != 0) {
        puts("not moved");
    }
}

/* What one table shows goes to two; and what lies at the new place counts once. */
static void over_a_bound(void)
{
    char *low = mmap((void *)0x40000000, 8 * PAGE, BOTH, ANON | MAP_FIXED, -1, 0);
    low[0] = 5;
    char *high = mremap(low, 8 * PAGE, 8 * PAGE, FIXED, (void *)0x501ff000);
    printf("over a bound: %d %d\n", high[0], high[7 * PAGE]);
    struct rlimit limit = {1UL << 30, RLIM_INFINITY};
    char *large = mmap(NULL, 600UL << 20, PROT_NONE, ANON, -1, 0);
    TELL(setrlimit(RLIMIT_AS, &limit));
    printf("replaced: %d\n", mmap(large, 600UL << 20, PROT_READ, ANON | MAP_FIXED, -1, 0) == large);
    limit.rlim_cur = RLIM_INFINITY;
    TELL(setrlimit(RLIMIT_AS, &limit));
    munmap(large, 600UL << 20);
    munmap(high, 8 * PAGE);
}

int main(void)
{
    errors();
    over_a_bound();
    lengths();
    moves();
    keeps();
    shared();
    forked();
    limits();
    beside("mmap", map_over);
    beside("shared mmap", map_shared_over);
    beside("mremap", move_over);
    beside("mremap that keeps", move_away);
    puts("done");
    return 0;
}
