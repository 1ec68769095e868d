/*
 * The system calls there are: one line each, with Linux's number and name (arch/x86/entry/syscalls/
 * syscall_64.tbl). The function is call_NAME(), in the file of its subject. docs/system-calls.md says what
 * each does, and what is missing.
 *
 * The third word tells what the arguments are, for whoever shows a call to people:
 *     d a file descriptor   p an address   s the address of a string   n a number   x bits
 */
#pragma once

#include "process.h"

/* clang-format off */
#define SYSTEM_CALLS(X)                                                                                      \
    /* output.c */                                                                                           \
    X(1, write, "dpn")              X(5, fstat, "dp")            X(16, ioctl, "dxp")                         \
    X(20, writev, "dpn")            X(89, readlink, "spn")       X(262, newfstatat, "dspx")                  \
    X(267, readlinkat, "dspn")                                                                               \
    /* memory.c */                                                                                           \
    X(9, mmap, "pnxxdn")            X(10, mprotect, "pnx")       X(11, munmap, "pn")                         \
    X(12, brk, "p")                 X(28, madvise, "pnn")                                                    \
    /* identity.c */                                                                                         \
    X(39, getpid, "")               X(60, exit, "n")             X(102, getuid, "")                          \
    X(104, getgid, "")              X(107, geteuid, "")          X(108, getegid, "")                         \
    X(110, getppid, "")             X(158, arch_prctl, "xp")     X(186, gettid, "")                          \
    X(218, set_tid_address, "p")    X(231, exit_group, "n")      X(273, set_robust_list, "pn")               \
    X(121, getpgid, "n")            X(111, getpgrp, "")          X(109, setpgid, "nn")                       \
    X(112, setsid, "")              X(124, getsid, "n")          X(157, prctl, "npnnn")                      \
    /* clone.c, wait.c, kill.c, futex_call.c, exec.c */                                                      \
    X(56, clone, "xpppp")           X(57, fork, "")              X(58, vfork, "")                            \
    X(435, clone3, "pn")            X(61, wait4, "npxp")         X(247, waitid, "nnpxp")                     \
    X(62, kill, "nn")               X(200, tkill, "nn")          X(234, tgkill, "nnn")                       \
    X(202, futex, "pxnppn")         X(59, execve, "spp")                                                     \
    /* limits.c */                                                                                           \
    X(97, getrlimit, "np")          X(160, setrlimit, "np")      X(302, prlimit64, "nnpp")                   \
    /* machine.c */                                                                                          \
    X(24, sched_yield, "")          X(63, uname, "p")            X(228, clock_gettime, "np")                 \
    X(229, clock_getres, "np")      X(318, getrandom, "pnx")
/* clang-format on */

/* A call's function: returns the answer, or an error number with a minus. May wait. */
typedef int64_t system_call(const struct trap_frame *frame);

#define SYSTEM_CALL_DECLARATION(number, name, kinds) system_call call_##name;
SYSTEM_CALLS(SYSTEM_CALL_DECLARATION)
#undef SYSTEM_CALL_DECLARATION

/* The arguments of a call. */
static inline uint64_t argument_1(const struct trap_frame *frame)
{
    return frame->rdi;
}

static inline uint64_t argument_2(const struct trap_frame *frame)
{
    return frame->rsi;
}

static inline uint64_t argument_3(const struct trap_frame *frame)
{
    return frame->rdx;
}

static inline uint64_t argument_4(const struct trap_frame *frame)
{
    return frame->r10;
}

static inline uint64_t argument_5(const struct trap_frame *frame)
{
    return frame->r8;
}

static inline uint64_t argument_6(const struct trap_frame *frame)
{
    return frame->r9;
}
