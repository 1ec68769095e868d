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
    /* file_io.c */                                                                                          \
    X(0, read, "dpn")                X(1, write, "dpn")               X(8, lseek, "dnn")                     \
    X(17, pread64, "dpnn")           X(18, pwrite64, "dpnn")          X(19, readv, "dpn")                    \
    X(20, writev, "dpn")             X(40, sendfile, "ddpn")          X(74, fsync, "d")                      \
    X(75, fdatasync, "d")            X(76, truncate, "sn")            X(77, ftruncate, "dn")                 \
    X(162, sync, "")                 X(295, preadv, "dpnn")           X(296, pwritev, "dpnn")                \
    /* splice.c, copy_files.c */                                                                             \
    X(275, splice, "dpdpnx")         X(276, tee, "ddnx")              X(278, vmsplice, "dpnx")               \
    X(326, copy_file_range, "dpdpnx")                                                                        \
    /* file_allocate.c */                                                                                    \
    X(285, fallocate, "dxnn")                                                                                \
    /* file_descriptors.c */                                                                                 \
    X(2, open, "sxx")                X(3, close, "d")                 X(22, pipe, "p")                       \
    X(32, dup, "d")                  X(33, dup2, "dd")                X(72, fcntl, "dnx")                    \
    X(85, creat, "sx")               X(257, openat, "dsxx")           X(292, dup3, "ddx")                    \
    X(293, pipe2, "px")              X(319, memfd_create, "sx")       X(436, close_range, "ddx")             \
    /* file_io.c, file_hints.c */                                                                            \
    X(221, fadvise64, "dnnn")        X(277, sync_file_range, "dnnx")                                         \
    X(327, preadv2, "dpnnnx")        X(328, pwritev2, "dpnnnx")                                              \
    /* file_locks.c */                                                                                       \
    X(73, flock, "dx")                                                                                       \
    /* file_status.c */                                                                                      \
    X(4, stat, "sp")                 X(5, fstat, "dp")                X(6, lstat, "sp")                      \
    X(21, access, "sx")              X(89, readlink, "spn")           X(217, getdents64, "dpn")              \
    X(262, newfstatat, "dspx")       X(267, readlinkat, "dspn")       X(269, faccessat, "dsx")               \
    X(332, statx, "dsxxp")           X(439, faccessat2, "dsxx")                                              \
    /* file_names.c */                                                                                       \
    X(79, getcwd, "pn")              X(80, chdir, "s")                X(81, fchdir, "d")                     \
    X(82, rename, "ss")              X(83, mkdir, "sx")               X(84, rmdir, "s")                      \
    X(86, link, "ss")                X(87, unlink, "s")               X(88, symlink, "ss")                   \
    X(90, chmod, "sx")               X(91, fchmod, "dx")              X(92, chown, "snn")                    \
    X(93, fchown, "dnn")             X(94, lchown, "snn")             X(95, umask, "x")                      \
    X(133, mknod, "sxx")             X(161, chroot, "s")              X(258, mkdirat, "dsx")                 \
    X(259, mknodat, "dsxx")          X(260, fchownat, "dsnnx")        X(263, unlinkat, "dsx")                \
    X(264, renameat, "dsds")         X(265, linkat, "dsdsx")          X(266, symlinkat, "sds")               \
    X(268, fchmodat, "dsx")          X(280, utimensat, "dspx")        X(316, renameat2, "dsdsx")             \
    /* file_ioctl.c */                                                                                       \
    X(16, ioctl, "dxp")                                                                                      \
    /* file_poll.c */                                                                                        \
    X(7, poll, "pnn")                X(23, select, "npppp")           X(270, pselect6, "nppppp")             \
    X(271, ppoll, "pnppn")                                                                                   \
    /* epoll.c, eventfd.c */                                                                                 \
    X(213, epoll_create, "n")        X(232, epoll_wait, "dpnn")       X(233, epoll_ctl, "dndp")              \
    X(281, epoll_pwait, "dpnnpn")    X(284, eventfd, "n")             X(290, eventfd2, "nx")                 \
    X(291, epoll_create1, "x")       X(441, epoll_pwait2, "dpnppn")                                          \
    /* memory.c */                                                                                           \
    X(9, mmap, "pnxxdn")            X(10, mprotect, "pnx")       X(11, munmap, "pn")                         \
    X(12, brk, "p")                                                                                          \
    /* mremap.c */                                                                                           \
    X(25, mremap, "pnnxp")                                                                                   \
    /* advice.c, residency.c, locking.c, process_memory.c */                                                 \
    X(28, madvise, "pnn")            X(26, msync, "pnx")              X(27, mincore, "pnp")                  \
    X(149, mlock, "pn")              X(150, munlock, "pn")            X(151, mlockall, "x")                  \
    X(152, munlockall, "")           X(310, process_vm_readv, "npnpnx")                                      \
    X(311, process_vm_writev, "npnpnx")                               X(325, mlock2, "pnx")                  \
    /* process_advice.c */                                                                                   \
    X(440, process_madvise, "dpnnx")                                                                         \
    /* identity.c */                                                                                         \
    X(39, getpid, "")               X(60, exit, "n")                                                         \
    X(110, getppid, "")             X(158, arch_prctl, "xp")     X(186, gettid, "")                          \
    X(218, set_tid_address, "p")    X(231, exit_group, "n")      X(273, set_robust_list, "pn")               \
    X(274, get_robust_list, "npp")                                                                           \
    X(121, getpgid, "n")            X(111, getpgrp, "")          X(109, setpgid, "nn")                       \
    X(112, setsid, "")              X(124, getsid, "n")          X(157, prctl, "npnnn")                      \
    /* users.c, capabilities.c */                                                                            \
    X(102, getuid, "")              X(104, getgid, "")           X(105, setuid, "n")                         \
    X(106, setgid, "n")             X(107, geteuid, "")          X(108, getegid, "")                         \
    X(113, setreuid, "nn")          X(114, setregid, "nn")       X(115, getgroups, "np")                     \
    X(116, setgroups, "np")         X(117, setresuid, "nnn")     X(118, getresuid, "ppp")                    \
    X(119, setresgid, "nnn")        X(120, getresgid, "ppp")     X(122, setfsuid, "n")                       \
    X(123, setfsgid, "n")           X(125, capget, "pp")         X(126, capset, "pp")                        \
    /* clone.c, wait.c, kill.c, futex_call.c, exec.c */                                                      \
    X(56, clone, "xpppp")           X(57, fork, "")              X(58, vfork, "")                            \
    X(435, clone3, "pn")            X(61, wait4, "npxp")         X(247, waitid, "nnpxp")                     \
    X(62, kill, "nn")               X(200, tkill, "nn")          X(234, tgkill, "nnn")                       \
    X(202, futex, "pxnppn")         X(59, execve, "spp")         X(322, execveat, "dsppx")                   \
    /* futex_waitv.c */                                                                                      \
    X(449, futex_waitv, "pnxpn")                                                                             \
    /* signal_calls.c, signal_frame.c, kill.c */                                                             \
    X(13, rt_sigaction, "nppn")     X(14, rt_sigprocmask, "nppn") X(15, rt_sigreturn, "")                    \
    X(34, pause, "")                X(127, rt_sigpending, "pn")  X(128, rt_sigtimedwait, "pppn")             \
    X(129, rt_sigqueueinfo, "nnp")  X(130, rt_sigsuspend, "pn")  X(131, sigaltstack, "pp")                   \
    X(219, restart_syscall, "")     X(297, rt_tgsigqueueinfo, "nnnp")                                        \
    /* pidfd.c */                                                                                            \
    X(424, pidfd_send_signal, "dnpx") X(434, pidfd_open, "nx")   X(438, pidfd_getfd, "ddx")                  \
    /* interval_calls.c, posix_timers.c */                                                                   \
    X(36, getitimer, "np")          X(37, alarm, "n")            X(38, setitimer, "npp")                     \
    X(222, timer_create, "npp")     X(223, timer_settime, "nxpp") X(224, timer_gettime, "np")                \
    X(225, timer_getoverrun, "n")   X(226, timer_delete, "n")                                                \
    /* limits.c */                                                                                           \
    X(97, getrlimit, "np")          X(160, setrlimit, "np")      X(302, prlimit64, "nnpp")                   \
    /* timer_file.c */                                                                                       \
    X(283, timerfd_create, "nx")    X(286, timerfd_settime, "dxpp") X(287, timerfd_gettime, "dp")            \
    /* system_information.c */                                                                               \
    X(99, sysinfo, "p")                                                                                      \
    /* machine.c */                                                                                          \
    X(24, sched_yield, "")          X(318, getrandom, "pnx")                                                 \
    /* system.c */                                                                                           \
    X(63, uname, "p")               X(135, personality, "x")     X(170, sethostname, "pn")                   \
    X(171, setdomainname, "pn")                                                                              \
    /* sched.c */                                                                                            \
    X(140, getpriority, "nn")       X(141, setpriority, "nnn")   X(142, sched_setparam, "np")                \
    X(143, sched_getparam, "np")    X(144, sched_setscheduler, "nnp")                                        \
    X(145, sched_getscheduler, "n") X(146, sched_get_priority_max, "n")                                      \
    X(147, sched_get_priority_min, "n")                          X(148, sched_rr_get_interval, "np")         \
    /* clocks.c, sleep.c, usage.c */                                                                         \
    X(35, nanosleep, "pp")          X(96, gettimeofday, "pp")    X(98, getrusage, "np")                      \
    X(100, times, "p")              X(164, settimeofday, "pp")   X(201, time, "p")                           \
    X(227, clock_settime, "np")     X(228, clock_gettime, "np")  X(229, clock_getres, "np")                  \
    X(230, clock_nanosleep, "nxpp")                                                                          \
    /* cpus.c */                                                                                             \
    X(203, sched_setaffinity, "nnp")                             X(204, sched_getaffinity, "nnp")            \
    X(309, getcpu, "pp")            X(324, membarrier, "nx")
/* clang-format on */

/* A call's function: returns the answer, or an error number with a minus. May wait. */
typedef int64_t system_call(const struct trap_frame *frame);

#define SYSTEM_CALL_DECLARATION(number, name, kinds) system_call call_##name;
SYSTEM_CALLS(SYSTEM_CALL_DECLARATION)
#undef SYSTEM_CALL_DECLARATION

/* In a frame's error_code, where a system call's number is: there is none, or none that could begin anew. */
#define NO_CALL UINT64_MAX

#define CALL_NUMBER_RESTART 219 /* restart_syscall */

/* The name of a call, and in *kinds what its arguments are; NULL, and six of bits, for what there is not. */
const char *system_call_name(uint64_t number, const char **kinds);

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
