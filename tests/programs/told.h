/*
 * Looks at all that the kernel writes to a program. A call is made twice into poisoned memory: with one
 * poison and the kernel's stack and heap full of one pattern, then with others. Each byte was written     it
 * is the same both times: its value comes from what was asked for; untouched   it is the poison both times;
 *     or neither  it comes from what lay in the kernel, unless it is said to vary, as a time does.
 * Which bytes are written is printed, for two kernels to be compared, and what looks like a kernel address,
 * or like what the kernel's own poison is made of, is told.
 */
#pragma once

#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

#define PAGE       4096UL
#define ROOM       2048
#define KERNEL     0xffff800000000000UL
#define HALF_ONES  0xffffffff00000000UL /* the upper half is an int of -1 */
#define IMAGE      0xffffffff80000000UL /* where the kernel's own image lies, and all behind it */
#define NEAR_END   0xfffffffffffff000UL /* small negative numbers */
#define POISON_RUN 4                    /* bytes of the kernel's poison in a row that are told */

struct telling {
    const char *name;
    long (*call)(unsigned char *to); /* writes to `to`, of ROOM bytes that are poisoned already */
    const char *varies;              /* "FROM-END FROM-END" of bytes that may be others each time; or "" */
    bool quiet;                      /* how much is written depends on the machine: it is not printed */
    const char *padded;              /* bytes, said alike, that may be 0 instead of untouched; or NULL */
};

static unsigned mistakes;

static void mistake(const char *name, const char *what, size_t at, uint64_t value)
{
    if (++mistakes < 100) {
        printf("%s: %s at %zu: %#lx\n", name, what, at, (unsigned long)value);
    }
}

/* ---- What lies in the kernel ---- */

/* Fills the kernel's stack and heap, as far as a program can, with a byte: by registers, by structures that
 * it copies in, by names and by what it keeps. */
static void dirty(unsigned char byte)
{
    static unsigned char bytes[ROOM];
    uint64_t word = byte * 0x0101010101010101UL;
    memset(bytes, byte, sizeof bytes);
    for (int number = 500; number < 504; number++) {
        syscall(number, word, word, word, word, word, word);
    }
    struct iovec vectors[8];
    for (int i = 0; i < 8; i++) {
        vectors[i] = (struct iovec){bytes, 100};
    }
    int ends[2];
    if (pipe(ends) == 0) {
        writev(ends[1], vectors, 8);
        readv(ends[0], vectors, 8);
        memset(bytes, byte, sizeof bytes);
        close(ends[0]);
        close(ends[1]);
    }
    struct pollfd waits[20];
    for (int i = 0; i < 20; i++) {
        waits[i] = (struct pollfd){.fd = (int)word, .events = (short)word};
    }
    syscall(SYS_poll, waits, 20, 0);
    int set = epoll_create1(0), file = memfd_create((char[]){(char)byte, 0}, 0);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = word};
    epoll_ctl(set, EPOLL_CTL_ADD, 0, &event);
    write(file, bytes, sizeof bytes);
    close(set);
    close(file);
    bytes[sizeof bytes - 1] = 0;
    syscall(SYS_openat, AT_FDCWD, bytes, 0);
    syscall(SYS_readlink, bytes, bytes, word);
    syscall(SYS_clock_nanosleep, word, 0, bytes, bytes);
    syscall(SYS_rt_sigtimedwait, bytes, NULL, bytes, 8);
    syscall(SYS_settimeofday, bytes, NULL);
    syscall(SYS_clone3, bytes, 80);
    syscall(SYS_fcntl, 0, F_SETLK, bytes);
    syscall(SYS_utimensat, AT_FDCWD, "/none", bytes, 0);
    syscall(SYS_process_vm_readv, 1, bytes, 8, bytes, 8, word);
}

/* ---- What came back ---- */

static bool is_kernel_address(uint64_t word)
{
    return (word >= KERNEL && word < HALF_ONES) || (word >= IMAGE && word < NEAR_END);
}

static void look_for_addresses(const char *name, const void *from, size_t length)
{
    const unsigned char *bytes = from;
    for (size_t i = 0; i + 8 <= length; i += 8) {
        uint64_t word;
        memcpy(&word, bytes + i, 8);
        if (is_kernel_address(word)) {
            mistake(name, "a kernel address", i, word);
        }
    }
    for (size_t i = 0, run = 0; i < length; i++) {
        bool same = i > 0 && bytes[i] == bytes[i - 1];
        run = bytes[i] != 0xa5 && bytes[i] != 0x6b ? 0 : same ? run + 1 : 1;
        if (run == POISON_RUN) {
            mistake(name, "the kernel's poison", i, bytes[i]);
        }
    }
}

static bool is_among(const char *ranges, size_t at)
{
    char *end;
    for (; *ranges; ranges = *end ? end + 1 : end) {
        size_t first = strtoul(ranges, &end, 10);
        size_t last = strtoul(end + 1, &end, 10);
        if (at >= first && at < last) {
            return true;
        }
    }
    return false;
}

enum kind { WRITTEN, UNTOUCHED };

/* Prints stretches: w for written bytes, u for those that are not, and how many. */
static void print_kinds(const char *name, long answer, const enum kind kinds[ROOM])
{
    size_t end = ROOM;
    while (end > 0 && kinds[end - 1] == UNTOUCHED) {
        end--;
    }
    printf("%s:%s", name, answer < 0 ? " error" : "");
    for (size_t i = 0; i < end;) {
        size_t first = i;
        while (i < end && kinds[i] == kinds[first]) {
            i++;
        }
        printf(" %c%zu", kinds[first] == WRITTEN ? 'w' : 'u', i - first);
    }
    printf("\n");
}

static inline void look(const struct telling *telling)
{
    static const unsigned char poisons[2] = {0x11, 0xee};
    static unsigned char got[2][ROOM];
    enum kind kinds[ROOM];
    long answer = 0;
    for (int i = 0; i < 2; i++) {
        memset(got[i], poisons[i], ROOM);
        dirty(i == 0 ? 0x77 : 0xc3);
        answer = telling->call(got[i]);
    }
    for (size_t i = 0; i < ROOM; i++) {
        bool untouched = got[0][i] == poisons[0] && got[1][i] == poisons[1];
        bool zero = telling->padded && is_among(telling->padded, i) && got[0][i] == 0 && got[1][i] == 0;
        kinds[i] = (untouched || zero) && !is_among(telling->varies, i) ? UNTOUCHED : WRITTEN;
        if (got[0][i] != got[1][i] && !untouched && !is_among(telling->varies, i)) {
            mistake(telling->name, "a byte that is not the call's", i, got[0][i] << 8 | got[1][i]);
        }
    }
    look_for_addresses(telling->name, got[0], ROOM);
    look_for_addresses(telling->name, got[1], ROOM);
    if (telling->quiet) {
        printf("%s:%s\n", telling->name, answer < 0 ? " error" : " done");
    } else {
        print_kinds(telling->name, answer, kinds);
    }
}
