/* What a task may do to those of other users: signals, memory, limits, scheduling, and files below /proc. */
#include "users.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/uio.h>

static pid_t sleeper(uid_t user, int dumpable)
{
    int ends[2];
    char byte;
    fflush(stdout);
    pipe(ends);
    pid_t child = fork();
    if (child == 0) {
        syscall(SYS_setresgid, user, user, user);
        syscall(SYS_setresuid, user, user, user);
        prctl(PR_SET_DUMPABLE, dumpable);
        write(ends[1], "", 1);
        for (;;) {
            pause();
        }
    }
    read(ends[0], &byte, 1);
    close(ends[0]);
    close(ends[1]);
    return child;
}

static void opens(pid_t process, const char *name)
{
    char path[64], text[64];
    snprintf(path, sizeof path, "/proc/%d/%s", process, name);
    int file = open(path, O_RDONLY);
    printf("%s: %d", name, file < 0 ? errno : 0);
    printf(", %d\n", readlink(path, text, sizeof text) > 0 ? 0 : errno);
    if (file >= 0) {
        close(file);
    }
}

/* What a task may do to the other. */
static void touch(const char *what, pid_t other)
{
    static int own, size = sizeof own;
    struct iovec here = {&own, (size_t)size}, there = {&own, (size_t)size};
    struct rlimit limit = {100, 100};
    struct sched_param none = {0};
    cpu_set_t cpus;
    void *head;
    size_t length;
    struct header header = {VERSION_3, other};
    struct part parts[2];
    siginfo_t information = {.si_code = SI_QUEUE};
    sched_getaffinity(0, sizeof cpus, &cpus);
    printf("- %s\n", what);
    TELL(kill(other, 0));
    TELL(kill(other, SIGURG));
    TELL(kill(other, SIGCONT));
    TELL(syscall(SYS_tgkill, other, other, SIGURG));
    TELL(syscall(SYS_tkill, other, 0));
    TELL(syscall(SYS_rt_sigqueueinfo, other, SIGURG, &information));
    TELL(kill(other, 65));
    TELL(process_vm_readv(other, &here, 1, &there, 1, 0));
    TELL(process_vm_writev(other, &here, 1, &there, 1, 0));
    TELL(prlimit(other, RLIMIT_CORE, NULL, &limit));
    limit = (struct rlimit){0, 100};
    TELL(prlimit(other, RLIMIT_MSGQUEUE, &limit, NULL));
    TELL(setpriority(PRIO_PROCESS, (id_t)other, 5));
    TELL(setpriority(PRIO_PROCESS, (id_t)other, 4));
    TELL_EXACT(getpriority(PRIO_PROCESS, (id_t)other));
    TELL(sched_setscheduler(other, SCHED_BATCH, &none));
    TELL(sched_setscheduler(other, SCHED_IDLE, &none));
    TELL(sched_setscheduler(other, SCHED_OTHER, &none));
    TELL(sched_setaffinity(other, sizeof cpus, &cpus));
    TELL(syscall(SYS_get_robust_list, other, &head, &length));
    TELL(syscall(SYS_capget, &header, parts));
    int file = (int)syscall(SYS_pidfd_open, other, 0);
    TELL(syscall(SYS_pidfd_send_signal, file, 0, NULL, 0));
    TELL(syscall(SYS_pidfd_getfd, file, 0, 0));
    close(file);
    opens(other, "maps");
    opens(other, "environ");
    opens(other, "auxv");
    opens(other, "status");
    opens(other, "exe");
    opens(other, "fd");
    opens(other, "cwd");
    char path[40];
    struct stat status;
    snprintf(path, sizeof path, "/proc/%d", other);
    stat(path, &status);
    printf("owner %u %u", status.st_uid, status.st_gid);
    strcat(path, "/maps");
    stat(path, &status);
    printf(", of its map %u %u\n", status.st_uid, status.st_gid);
}

static void others(void)
{
    pid_t root = sleeper(0, 1);
    pid_t same = sleeper(1000, 1);
    pid_t hidden = sleeper(1000, 0);
    pid_t stranger = sleeper(1001, 1);
    touch("root to root", root);
    touch("root to hidden", hidden);
    syscall(SYS_setgroups, 0, NULL);
    syscall(SYS_setresgid, 1000, 1000, 1000);
    syscall(SYS_setresuid, 1000, 1000, 1000);
    prctl(PR_SET_DUMPABLE, 1);
    touch("to root", root);
    touch("to the same", same);
    touch("to one that hides", hidden);
    touch("to a stranger", stranger);
    TELL(kill(-getpgrp(), 0));
    TELL(kill(same, SIGKILL));
    TELL(kill(hidden, SIGKILL));
    TELL(kill(stranger, SIGKILL));
    TELL(kill(root, SIGKILL));
    siginfo_t information;
    memset(&information, 0, sizeof information);
    waitid(P_PID, (id_t)same, &information, WEXITED);
    printf("its user: %u\n", information.si_uid);
}

/* What is a process's own it finds, also when others may not look into it. */
static void own(void)
{
    char text[64];
    TELL(syscall(SYS_setresuid, -1, 1000, -1));
    TELL(readlink("/proc/self/fd/0", text, sizeof text) > 0);
    TELL(access("/proc/self/fd", R_OK));
    int folder = open("/proc/self/fd", O_RDONLY | O_DIRECTORY);
    TELL(folder);
    TELL(openat(folder, "0", O_PATH));
    TELL(readlink("/proc/self/exe", text, sizeof text) > 0);
    TELL(open("/proc/self/maps", O_RDONLY));
    TELL(open("/proc/self/environ", O_RDONLY));
    TELL(open("/proc/self/pagemap", O_RDONLY));
}

static void others_end(void)
{
    setpgid(0, 0);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        others();
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    signal(SIGTERM, SIG_IGN);
    kill(0, SIGKILL);
}

static void renice(void)
{
    TELL(setpriority(PRIO_PROCESS, 0, 3));
    TELL(syscall(SYS_setresuid, 4242, 4242, 4242));
    TELL(setpriority(PRIO_PROCESS, 0, 2));
    TELL(setpriority(PRIO_PROCESS, 0, 4));
    TELL(setpriority(PRIO_USER, 4242, 6));
    TELL(setpriority(PRIO_USER, 0, 7));
    TELL_EXACT(getpriority(PRIO_USER, 0));
    TELL_EXACT(getpriority(PRIO_USER, 4243));
}

int main(void)
{
    begin_parts();
    part_of_process("others", others_end);
    part_of_process("renice", renice);
    part_of_process("own", own);
    return 0;
}
