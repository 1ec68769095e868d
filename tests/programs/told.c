/* All that calls write to a program is theirs; see told.h. */
#include "told.h"

#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <ucontext.h>

#define FOLDER "/tmp/ashlar-told"
#define TOLD   (SIGRTMIN + 2)

static int file, folder, set, ends[2], timer_file, timer;

#define CALL(name, ...)                                                                                      \
    static long name(unsigned char *to)                                                                      \
    {                                                                                                        \
        return __VA_ARGS__;                                                                                  \
    }

CALL(tell_stat, syscall(SYS_stat, "file", to))
CALL(tell_lstat, syscall(SYS_lstat, "link", to))
CALL(tell_fstat, syscall(SYS_fstat, ends[0], to))
CALL(tell_fstatat, syscall(SYS_newfstatat, AT_FDCWD, "/dev/null", to, 0))
CALL(tell_statx, syscall(SYS_statx, AT_FDCWD, "file", 0, 0x7ff, to))
CALL(tell_statx_none, syscall(SYS_statx, AT_FDCWD, "none", 0, 0x7ff, to))
CALL(tell_sysinfo, syscall(SYS_sysinfo, to))
CALL(tell_uname, syscall(SYS_uname, to))
CALL(tell_usage, syscall(SYS_getrusage, RUSAGE_SELF, to))
CALL(tell_usage_children, syscall(SYS_getrusage, RUSAGE_CHILDREN, to))
CALL(tell_usage_thread, syscall(SYS_getrusage, RUSAGE_THREAD, to))
CALL(tell_times, syscall(SYS_times, to))
CALL(tell_action, syscall(SYS_rt_sigaction, TOLD, NULL, to, 8))
CALL(tell_mask, syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, to, 8))
CALL(tell_pending, syscall(SYS_rt_sigpending, to, 8))
CALL(tell_stack, syscall(SYS_sigaltstack, NULL, to))
CALL(tell_interval, syscall(SYS_getitimer, ITIMER_REAL, to))
CALL(tell_timer, syscall(SYS_timer_gettime, timer, to))
CALL(tell_timer_file, syscall(SYS_timerfd_gettime, timer_file, to))
CALL(tell_parameter, syscall(SYS_sched_getparam, 0, to))
CALL(tell_round_robin, syscall(SYS_sched_rr_get_interval, 0, to))
CALL(tell_cpus, syscall(SYS_sched_getaffinity, 0, 1024, to))
CALL(tell_cpu, syscall(SYS_getcpu, to, to + 4, NULL))
CALL(tell_limit, syscall(SYS_getrlimit, RLIMIT_STACK, to))
CALL(tell_limit_64, syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, to))
CALL(tell_limit_wrong, syscall(SYS_prlimit64, 0, 99, NULL, to))
CALL(tell_events, syscall(SYS_epoll_wait, set, to, 10, 0))
CALL(tell_clock, syscall(SYS_clock_gettime, CLOCK_MONOTONIC, to))
CALL(tell_process_clock, syscall(SYS_clock_gettime, CLOCK_PROCESS_CPUTIME_ID, to))
CALL(tell_resolution, syscall(SYS_clock_getres, CLOCK_REALTIME, to))
CALL(tell_day, syscall(SYS_gettimeofday, to, to + 16))
CALL(tell_seconds, syscall(SYS_time, to))
CALL(tell_name, syscall(SYS_prctl, PR_GET_NAME, to))
CALL(tell_death, syscall(SYS_prctl, PR_GET_PDEATHSIG, to))
CALL(tell_counter, syscall(SYS_prctl, PR_GET_TSC, to))
CALL(tell_base, syscall(SYS_arch_prctl, 0x1003, to))
CALL(tell_robust, syscall(SYS_get_robust_list, 0, to, to + 8))
CALL(tell_where, syscall(SYS_getcwd, to, ROOM))
CALL(tell_link, syscall(SYS_readlink, "link", to, ROOM))
CALL(tell_link_short, syscall(SYS_readlink, "link", to, 2))
CALL(tell_resident, syscall(SYS_mincore, (void *)((uintptr_t)tell_link & -PAGE), PAGE, to))
CALL(tell_ready, syscall(SYS_ioctl, file, FIONREAD, to))
CALL(tell_bytes, syscall(SYS_pread64, file, to, ROOM, 0))
CALL(tell_bytes_end, syscall(SYS_pread64, file, to, ROOM, 3))
CALL(tell_beyond, syscall(SYS_pread64, file, to, ROOM, 1000))
CALL(tell_hole, syscall(SYS_pread64, folder, to, ROOM, 0))

static long tell_entries(unsigned char *to)
{
    lseek(folder, 0, SEEK_SET);
    return syscall(SYS_getdents64, folder, to, ROOM);
}

static long tell_pipe(unsigned char *to)
{
    write(ends[1], "bytes", 5);
    long answer = syscall(SYS_read, ends[0], to, 5 + 100);
    write(ends[1], "a", 1);
    return answer;
}

static long tell_ends(unsigned char *to)
{
    long answer = syscall(SYS_pipe2, to, 0);
    close(*(int *)to);
    close(*(int *)(to + 4));
    return answer;
}

static long tell_poll(unsigned char *to)
{
    struct pollfd *waits = (struct pollfd *)to;
    waits[0].fd = ends[0];
    waits[0].events = POLLIN;
    waits[1].fd = -1;
    waits[1].events = POLLIN;
    return syscall(SYS_poll, waits, 2, 0);
}

static long tell_select(unsigned char *to)
{
    struct timeval none = {0, 0};
    memset(to, 0, 8);
    to[ends[0] / 8] |= (unsigned char)(1 << ends[0] % 8);
    return syscall(SYS_select, ends[0] + 1, to, NULL, NULL, &none);
}

static long tell_send(unsigned char *to)
{
    memset(to, 0, 8);
    int other = memfd_create("other", 0);
    long answer = syscall(SYS_sendfile, other, file, to, 3);
    close(other);
    return answer;
}

static long tell_new_timer(unsigned char *to)
{
    long answer = syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, to);
    syscall(SYS_timer_delete, *(int *)to);
    return answer;
}

static long ended_child(void)
{
    long child = syscall(SYS_fork);
    if (child == 0) {
        syscall(SYS_exit_group, 3);
    }
    return child;
}

static long tell_wait4(unsigned char *to)
{
    return syscall(SYS_wait4, ended_child(), to, 0, to + 16);
}

static long tell_waitid(unsigned char *to)
{
    return syscall(SYS_waitid, P_PID, ended_child(), to, WEXITED, to + 256);
}

static long tell_waitid_none(unsigned char *to)
{
    long child = syscall(SYS_fork);
    if (child == 0) {
        for (;;) {
            pause();
        }
    }
    long answer = syscall(SYS_waitid, P_PID, child, to, WEXITED | WNOHANG, NULL);
    kill((pid_t)child, SIGKILL);
    waitpid((pid_t)child, NULL, 0);
    return answer;
}

static long tell_queued(unsigned char *to)
{
    uint64_t signals = 1UL << (TOLD - 1);
    union sigval value = {.sival_int = 7};
    sigqueue(getpid(), TOLD, value);
    return syscall(SYS_rt_sigtimedwait, &signals, to, NULL, 8);
}

static long tell_killed(unsigned char *to)
{
    uint64_t signals = 1UL << (TOLD - 1);
    syscall(SYS_tkill, getpid(), TOLD);
    return syscall(SYS_rt_sigtimedwait, &signals, to, NULL, 8);
}

static long tell_expired(unsigned char *to)
{
    uint64_t signals = 1UL << (SIGALRM - 1);
    struct itimerval soon = {.it_value = {0, 1}};
    syscall(SYS_setitimer, ITIMER_REAL, &soon, NULL);
    return syscall(SYS_rt_sigtimedwait, &signals, to, NULL, 8);
}

static long tell_lock(unsigned char *to)
{
    struct flock *lock = (struct flock *)to;
    lock->l_type = F_WRLCK;
    lock->l_whence = SEEK_SET;
    lock->l_start = 0;
    lock->l_len = 10;
    return syscall(SYS_fcntl, file, F_GETLK, lock);
}

static long tell_other_lock(unsigned char *to)
{
    int other = open("file", O_RDWR);
    struct flock whole = {.l_type = F_WRLCK, .l_start = 2, .l_len = 5};
    fcntl(other, F_OFD_SETLK, &whole);
    long answer = tell_lock(to);
    close(other);
    return answer;
}

static long tell_parent(unsigned char *to)
{
    long child = syscall(SYS_clone, SIGCHLD | 0x00100000, 0, to, 0, 0); /* PARENT_SETTID */
    if (child == 0) {
        syscall(SYS_exit_group, 0);
    }
    waitpid((pid_t)child, NULL, 0);
    return child;
}

static long tell_terminal(unsigned char *to)
{
    int terminal = open("/dev/console", O_RDWR | O_NOCTTY);
    syscall(SYS_ioctl, terminal, TCGETS, to);
    syscall(SYS_ioctl, terminal, TIOCGWINSZ, to + 64);
    syscall(SYS_ioctl, terminal, TIOCGPGRP, to + 80);
    close(terminal);
    return 0;
}

#define TIMES "72-80 88-96 104-112"

static const struct telling tellings[] = {
    {"stat", tell_stat, "", false, NULL},
    {"lstat", tell_lstat, "", false, NULL},
    {"fstat of a pipe", tell_fstat, TIMES, false, NULL},
    {"newfstatat", tell_fstatat, "", false, NULL},
    {"statx", tell_statx, "", false, NULL},
    {"statx of nothing", tell_statx_none, "", false, NULL},
    {"sysinfo", tell_sysinfo, "0-82", false, NULL},
    {"uname", tell_uname, "", false, NULL},
    {"getrusage", tell_usage, "0-144", false, NULL},
    {"getrusage, children", tell_usage_children, "0-144", false, NULL},
    {"getrusage, a thread", tell_usage_thread, "0-144", false, NULL},
    {"times", tell_times, "0-32", false, NULL},
    {"rt_sigaction", tell_action, "", false, NULL},
    {"rt_sigprocmask", tell_mask, "", false, NULL},
    {"rt_sigpending", tell_pending, "", false, NULL},
    {"sigaltstack", tell_stack, "", false, NULL},
    {"getitimer", tell_interval, "", false, NULL},
    {"timer_gettime", tell_timer, "16-32", false, NULL},
    {"timerfd_gettime", tell_timer_file, "16-32", false, NULL},
    {"timer_create", tell_new_timer, "0-4", false, NULL},
    {"sched_getparam", tell_parameter, "", false, NULL},
    {"sched_rr_get_interval", tell_round_robin, "", false, NULL},
    {"sched_getaffinity", tell_cpus, "", true, NULL},
    {"getcpu", tell_cpu, "0-8", false, NULL},
    {"getrlimit", tell_limit, "", false, NULL},
    {"prlimit64", tell_limit_64, "", false, NULL},
    {"prlimit64, wrong", tell_limit_wrong, "", false, NULL},
    {"epoll_wait", tell_events, "", false, NULL},
    {"poll", tell_poll, "", false, NULL},
    {"select", tell_select, "", false, NULL},
    {"clock_gettime", tell_clock, "0-16", false, NULL},
    {"clock_gettime, a process's", tell_process_clock, "0-16", false, NULL},
    {"clock_getres", tell_resolution, "", false, NULL},
    {"gettimeofday", tell_day, "0-16", false, NULL},
    {"time", tell_seconds, "0-8", false, NULL},
    {"prctl, name", tell_name, "", false, NULL},
    {"prctl, signal", tell_death, "", false, NULL},
    {"prctl, counter", tell_counter, "", false, NULL},
    {"arch_prctl", tell_base, "", false, NULL},
    {"get_robust_list", tell_robust, "", false, NULL},
    {"getcwd", tell_where, "", false, NULL},
    {"readlink", tell_link, "", false, NULL},
    {"readlink, short", tell_link_short, "", false, NULL},
    {"getdents64", tell_entries, "", true, NULL},
    {"mincore", tell_resident, "", false, NULL},
    {"ioctl, ready", tell_ready, "", false, NULL},
    {"ioctl, terminal", tell_terminal, "", true, NULL},
    {"pread", tell_bytes, "", false, NULL},
    {"pread, the end", tell_bytes_end, "", false, NULL},
    {"pread, beyond", tell_beyond, "", false, NULL},
    {"pread of a folder", tell_hole, "", false, NULL},
    {"read of a pipe", tell_pipe, "", false, NULL},
    {"pipe2", tell_ends, "", false, NULL},
    {"sendfile", tell_send, "", false, NULL},
    {"wait4", tell_wait4, "16-160", false, NULL},
    {"waitid", tell_waitid, "16-20 256-400", false, "12-16"},
    {"waitid, nobody", tell_waitid_none, "", false, "12-16"},
    {"rt_sigtimedwait, queued", tell_queued, "", false, NULL},
    {"rt_sigtimedwait, killed", tell_killed, "", false, NULL},
    {"rt_sigtimedwait, expired", tell_expired, "", false, NULL},
    {"fcntl, no lock", tell_lock, "", false, NULL},
    {"fcntl, another's lock", tell_other_lock, "", false, NULL},
    {"clone", tell_parent, "0-4", false, NULL},
};

static void prepare(void)
{
    struct timespec times[2] = {{1000, 0}, {1000, 0}};
    uint64_t blocked = 1UL << (TOLD - 1) | 1UL << (SIGALRM - 1);
    struct itimerspec far = {.it_value = {1000, 0}};
    struct sigevent nothing = {.sigev_notify = SIGEV_NONE};
    mkdir("/tmp", 01777);
    mkdir(FOLDER, 0755);
    chdir(FOLDER);
    file = open("file", O_CREAT | O_RDWR, 0644);
    write(file, "abcde", 5);
    symlink("file", "link");
    futimens(file, times);
    utimensat(AT_FDCWD, "link", times, AT_SYMLINK_NOFOLLOW);
    folder = open(".", O_RDONLY | O_DIRECTORY);
    pipe(ends);
    write(ends[1], "a", 1);
    set = epoll_create1(0);
    epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &(struct epoll_event){.events = EPOLLIN, .data.u64 = 5});
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, &blocked, NULL, 8);
    timer_file = timerfd_create(CLOCK_MONOTONIC, 0);
    timerfd_settime(timer_file, 0, &far, NULL);
    syscall(SYS_timer_create, CLOCK_MONOTONIC, &nothing, &timer);
    syscall(SYS_timer_settime, timer, 0, &far, NULL);
}

int main(void)
{
    prepare();
    for (unsigned i = 0; i < sizeof tellings / sizeof *tellings; i++) {
        look(&tellings[i]);
    }
    unlink("file");
    unlink("link");
    rmdir(FOLDER);
    printf("%u mistakes\n", mistakes);
    return 0;
}
