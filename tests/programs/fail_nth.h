/*
 * Makes every allocation inside one call fail in turn, alone and with all that follow it, and looks each time
 * that the call says why, and has changed nothing. Only a kernel that was built with all assertions can do
 * that (kernel/linux/fail_nth.h). Elsewhere each call is made once, as it is, and the program prints the
 * same.
 *
 * What is a call's own: `call` makes it, as one system call; `undo` takes back what it has done where it was
 * done. Whatever else a program can see of itself is compared: its mappings, what lies in them, descriptors,
 * the files in its folder, limits, signals.
 */
#pragma once

#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define FAIL_NTH    0x41534c48 /* as in the kernel */
#define PAGE        4096UL
#define FOLDER      "/tmp/ashlar-fail"
#define DESCRIPTORS 96   /* that are compared; the highest that a test opens is below it */
#define MOST        4000 /* allocations in one call: more are taken for a call that always fails */

#define FOREVER_ARENA ((char *)0x300000000000)
#define ARENA_PAGES   64UL

#define MAY_ALLOCATE_NOTHING 1 /* kind of an attempt */

struct attempt {
    const char *name;
    long (*call)(void);        /* -1 and errno, or what it answers */
    void (*undo)(long answer); /* of one that was done; or NULL */
    int error;                 /* that is right beside ENOMEM; or 0 */
    int kind;                  /* MAY_ALLOCATE_NOTHING: it is no mistake if nothing can fail */
};

static bool fails_here; /* this kernel can make allocations fail */
static unsigned long failures;

static inline long plan(unsigned long nth, bool rest)
{
    return syscall(SYS_prctl, FAIL_NTH, nth, rest, 0, 0);
}

/* ---- What a program can see of itself ---- */

enum { SEEN_MAPS, SEEN_MEMORY, SEEN_DESCRIPTORS, SEEN_FOLDER, SEEN_LIMITS, SEEN_SIGNALS, SEEN_KINDS };
static const char *const seen_names[] = {"maps", "memory", "descriptors", "folder", "limits", "signals"};

struct seen {
    uint64_t sums[SEEN_KINDS];
};

static uint64_t add(uint64_t sum, const void *bytes, size_t length)
{
    const unsigned char *at = bytes;
    while (length-- > 0) {
        sum = (sum ^ *at++) * 0x100000001b3ULL;
    }
    return sum;
}

static char text[1 << 16];

static uint64_t see_file(int place, const char *name)
{
    uint64_t sum = 1;
    int file = openat(place, name, O_RDONLY);
    for (long got; (got = read(file, text, sizeof text)) > 0;) {
        sum = add(sum, text, (size_t)got);
    }
    close(file);
    return sum;
}

/* What of the arena is mapped; the sum does not touch what was never touched. */
static uint64_t see_memory(void)
{
    uint64_t sum = 1;
    for (unsigned long i = 0; i < ARENA_PAGES; i++) {
        unsigned char there = 0;
        char *page = FOREVER_ARENA + i * PAGE;
        if (mincore(page, PAGE, &there) == 0) {
            sum = add(sum, &i, sizeof i);
            sum = there & 1 ? add(sum, page, 64) : sum;
        }
    }
    return sum;
}

static uint64_t see_descriptors(void)
{
    uint64_t sum = 1;
    for (int i = 0; i < DESCRIPTORS; i++) {
        struct stat about;
        long facts[6] = {fcntl(i, F_GETFD), fcntl(i, F_GETFL), lseek(i, 0, SEEK_CUR)};
        if (facts[0] >= 0 && fstat(i, &about) == 0) {
            facts[3] = (long)about.st_ino;
            facts[4] = about.st_size;
            facts[5] = (long)about.st_nlink;
        }
        sum = add(sum, facts, sizeof facts);
    }
    return sum;
}

/* The names in a folder, in any order, and what is told of each. */
static uint64_t see_folder(const char *name, int depth)
{
    char entries[2048];
    uint64_t sum = 0;
    int folder = open(name, O_RDONLY | O_DIRECTORY);
    for (long got; (got = syscall(SYS_getdents64, folder, entries, sizeof entries)) > 0;) {
        for (long at = 0; at < got; at += *(unsigned short *)(entries + at + 16)) {
            const char *entry = entries + at + 19;
            struct stat about;
            bool dots = entry[0] == '.';
            if (dots || fstatat(folder, entry, &about, AT_SYMLINK_NOFOLLOW) != 0) {
                continue;
            }
            long facts[] = {about.st_mode, (long)about.st_nlink, about.st_size,        about.st_uid,
                            about.st_gid,  about.st_blocks,      about.st_mtim.tv_nsec};
            uint64_t one = add(add(7, facts, sizeof facts), entry, strlen(entry));
            one = S_ISREG(about.st_mode) ? one ^ see_file(folder, entry) : one;
            char below[256];
            snprintf(below, sizeof below, "%s/%s", name, entry);
            sum += S_ISDIR(about.st_mode) && depth > 0 ? one ^ see_folder(below, depth - 1) : one;
        }
    }
    close(folder);
    return sum;
}

static uint64_t see_limits(void)
{
    uint64_t sum = 1;
    for (int i = 0; i < RLIMIT_NLIMITS; i++) {
        struct rlimit limit = {0};
        getrlimit((__rlimit_resource_t)i, &limit);
        sum = add(sum, &limit, sizeof limit);
    }
    char where[256] = "";
    sum = add(sum, where, (size_t)syscall(SYS_getcwd, where, sizeof where));
    return add(sum, where, sizeof where);
}

static uint64_t see_signals(void)
{
    uint64_t sum = 1;
    for (int i = 1; i < 65; i++) {
        uint64_t action[4] = {0};
        syscall(SYS_rt_sigaction, i, NULL, action, 8);
        sum = add(sum, action, sizeof action);
    }
    uint64_t sets[2] = {0};
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &sets[0], 8);
    syscall(SYS_rt_sigpending, &sets[1], 8);
    return add(sum, sets, sizeof sets);
}

static struct seen see(void)
{
    struct seen seen;
    seen.sums[SEEN_MAPS] = see_file(AT_FDCWD, "/proc/self/maps");
    seen.sums[SEEN_MEMORY] = see_memory();
    seen.sums[SEEN_DESCRIPTORS] = see_descriptors();
    seen.sums[SEEN_FOLDER] = see_folder(FOLDER, 2);
    seen.sums[SEEN_LIMITS] = see_limits();
    seen.sums[SEEN_SIGNALS] = see_signals();
    return seen;
}

/* ---- One call ---- */

static bool differs(const char *name, unsigned long nth, const char *when, struct seen a, struct seen b)
{
    bool any = false;
    for (int i = 0; i < SEEN_KINDS; i++) {
        if (a.sums[i] != b.sums[i]) {
            printf("%s, allocation %lu: %s, other %s\n", name, nth, when, seen_names[i]);
            any = true;
        }
    }
    return any;
}

/* Fails the n-th allocation; -1 after a mistake, else how many have failed. */
static long fail_one(const struct attempt *attempt, unsigned long nth, bool rest)
{
    struct seen before = see();
    plan(nth, rest);
    errno = 0;
    long answer = attempt->call();
    int error = errno;
    long failed = plan(0, false);
    bool wrong = false;
    if (answer == -1) {
        wrong = failed <= 0 || (error != ENOMEM && (error != attempt->error || error == 0));
        if (wrong) {
            printf("%s, allocation %lu%s: %ld failed, error %d\n", attempt->name, nth, rest ? " on" : "",
                   failed, error);
        }
        wrong |= differs(attempt->name, nth, rest ? "all failed" : "failed", before, see());
    } else {
        if (attempt->undo) {
            attempt->undo(answer);
        }
        wrong = differs(attempt->name, nth, "undone", before, see());
    }
    return wrong ? -1 : failed;
}

static bool fail_each(const struct attempt *attempt, bool rest, unsigned long *sum)
{
    for (unsigned long nth = 1; nth < MOST; nth++) {
        long failed = fail_one(attempt, nth, rest);
        if (failed <= 0) {
            return failed == 0;
        }
        *sum += (unsigned long)failed;
    }
    printf("%s: never ends\n", attempt->name);
    return false;
}

static void try_call(const struct attempt *attempt)
{
    unsigned long sum = 0;
    bool good = true;
    long answer = attempt->call();
    if (answer == -1) {
        printf("%s: error %d\n", attempt->name, errno);
        return;
    }
    if (attempt->undo) {
        attempt->undo(answer);
    }
    if (fails_here) {
        good = fail_each(attempt, false, &sum) && fail_each(attempt, true, &sum);
        if (sum == 0 && attempt->kind != MAY_ALLOCATE_NOTHING) {
            printf("%s: nothing failed\n", attempt->name);
            good = false;
        }
    }
    failures += sum;
    if (good) {
        printf("%s: good\n", attempt->name);
    }
    fflush(stdout);
}

/* ---- Beginning and end ---- */

static void fill_arena(void)
{
    for (unsigned long i = 0; i < ARENA_PAGES; i++) {
        memset(FOREVER_ARENA + i * PAGE, (int)(i + 1), 64);
    }
}

static void make_arena(void)
{
    mmap(FOREVER_ARENA, ARENA_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
         -1, 0);
    fill_arena();
}

/* arguments: "fails" demands a kernel that can make allocations fail. */
static int begin(int count, char **arguments)
{
    static char buffer[4096];
    setvbuf(stdout, buffer, _IOLBF, sizeof buffer);
    fails_here = plan(0, false) != -1;
    if (count > 1 && strcmp(arguments[1], "fails") == 0 && !fails_here) {
        printf("no allocation can be made to fail\n");
        return 1;
    }
    mkdir("/tmp", 01777);
    mkdir(FOLDER, 0755);
    umask(022);
    make_arena();
    return chdir(FOLDER);
}

static inline int finish(int count)
{
    if (count > 1) {
        printf("%s\n", failures > 100 ? "failed many" : "failed few");
    }
    return 0;
}
