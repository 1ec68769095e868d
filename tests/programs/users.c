/* Users, groups and capabilities: how calls change them, and what they allow. Run by root; each part in a
 * process of its own, as what is lost does not come back. */
#include "check.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#define VERSION_1 0x19980330
#define VERSION_2 0x20071026
#define VERSION_3 0x20080522
#define SHOWN     0x00ffffff /* capabilities that both kernels' root has in every case */
#define FOLDER    "/tmp/ashlar-users"

struct header {
    unsigned version;
    int number;
};

struct part {
    unsigned effective, permitted, inheritable;
};

static void part_of_process(const char *name, void (*run)(void))
{
    int status = -1;
    printf("-- %s\n", name);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        run();
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, &status, 0);
    if (status != 0) {
        printf("ended with %x\n", status);
    }
}

static void tell_state(const char *what)
{
    unsigned u[3], g[3];
    struct header header = {VERSION_3, 0};
    struct part parts[2];
    syscall(SYS_getresuid, u, u + 1, u + 2);
    syscall(SYS_getresgid, g, g + 1, g + 2);
    syscall(SYS_capget, &header, parts);
    printf("%s: %u %u %u %u, %u %u %u %u; %x %x %x\n", what, u[0], u[1], u[2], (unsigned)syscall(SYS_setfsuid, -1),
           g[0], g[1], g[2], (unsigned)syscall(SYS_setfsgid, -1), parts[0].effective & SHOWN,
           parts[0].permitted & SHOWN, parts[0].inheritable & SHOWN);
}

#define STATE(call)                                                                                          \
    do {                                                                                                     \
        TELL(call);                                                                                          \
        tell_state("  then");                                                                                \
    } while (0)

/* ---- IDs ---- */

static void of_root(void)
{
    printf("%d %d %d %d\n", getuid(), geteuid(), getgid(), getegid());
    tell_state("root");
    STATE(syscall(SYS_setuid, -1));
    STATE(syscall(SYS_setreuid, 5, 6));
    STATE(syscall(SYS_setreuid, 6, 5));
    STATE(syscall(SYS_setreuid, -1, 7));
    STATE(syscall(SYS_setuid, 0));
    STATE(syscall(SYS_setgid, 9));
    STATE(syscall(SYS_setregid, -1, 10));
}

static void saved(void)
{
    STATE(syscall(SYS_setresgid, 3, 4, 5));
    STATE(syscall(SYS_setresuid, 1000, 1001, 0));
    STATE(syscall(SYS_setresuid, -1, 0, -1));
    STATE(syscall(SYS_setresuid, 1, 2, 3));
    STATE(syscall(SYS_setresuid, 4, -1, -1));
    STATE(syscall(SYS_setresuid, 3, 1, 2));
    STATE(syscall(SYS_setuid, 1));
    STATE(syscall(SYS_setuid, 3));
    STATE(syscall(SYS_setgid, 3));
    STATE(syscall(SYS_setgid, 4));
    STATE(syscall(SYS_setregid, 5, 3));
    TELL(syscall(SYS_getresuid, 1L, 1L, 1L));
}

static void of_files(void)
{
    TELL_EXACT(syscall(SYS_setfsuid, 1000));
    tell_state("user of files");
    TELL_EXACT(syscall(SYS_setfsgid, 1001));
    TELL_EXACT(syscall(SYS_setfsuid, 0));
    tell_state("and back");
    TELL(syscall(SYS_setresuid, 1, 2, 3));
    TELL_EXACT(syscall(SYS_setfsuid, 4));
    TELL_EXACT(syscall(SYS_setfsuid, 3));
    TELL_EXACT(syscall(SYS_setfsuid, -1));
}

static void kept(void)
{
    TELL(prctl(PR_SET_KEEPCAPS, 1));
    TELL(prctl(PR_SET_KEEPCAPS, 2));
    STATE(syscall(SYS_setresuid, 1000, 1000, 1000));
    struct header header = {VERSION_3, 0};
    struct part parts[2] = {{0x88, 0x88, 0}, {0, 0, 0}};
    STATE(syscall(SYS_capset, &header, parts));
    STATE(syscall(SYS_setuid, 7));
    parts[0].permitted = 0x188;
    STATE(syscall(SYS_capset, &header, parts));
    TELL_EXACT(prctl(PR_GET_KEEPCAPS));
    printf("dumpable %d\n", prctl(PR_GET_DUMPABLE));
}

/* Effects on what the process has asked for. */
static void dumped(void)
{
    int signal = 0;
    TELL(prctl(PR_SET_PDEATHSIG, SIGUSR1));
    TELL(prctl(PR_SET_DUMPABLE, 1));
    TELL(syscall(SYS_setresuid, 0, 0, 5));
    prctl(PR_GET_PDEATHSIG, &signal);
    printf("as before: %d %d\n", prctl(PR_GET_DUMPABLE), signal);
    TELL(syscall(SYS_setresuid, -1, 5, -1));
    prctl(PR_GET_PDEATHSIG, &signal);
    printf("of others: %d %d\n", prctl(PR_GET_DUMPABLE), signal);
}

/* ---- Groups ---- */

static void groups(void)
{
    static gid_t many[65537];
    gid_t got[8] = {0};
    TELL_EXACT(syscall(SYS_setgroups, 0, NULL));
    TELL_EXACT(syscall(SYS_getgroups, 0, NULL));
    gid_t some[] = {9, 3, 70000, 3, 1};
    TELL(syscall(SYS_setgroups, 5, some));
    TELL_EXACT(syscall(SYS_getgroups, 8, got));
    printf("%u %u %u %u %u\n", got[0], got[1], got[2], got[3], got[4]);
    TELL_EXACT(syscall(SYS_getgroups, 0, 1L));
    TELL(syscall(SYS_getgroups, 4, got));
    TELL(syscall(SYS_getgroups, -1, got));
    TELL(syscall(SYS_getgroups, 8, 1L));
    TELL(syscall(SYS_setgroups, 2, 1L));
    some[1] = (gid_t)-1;
    TELL(syscall(SYS_setgroups, 5, some));
    TELL(syscall(SYS_setgroups, 65537, many));
    TELL(syscall(SYS_setgroups, -1, many));
    TELL_EXACT(syscall(SYS_getgroups, 0, NULL));
    for (int i = 0; i < 65536; i++) {
        many[i] = (gid_t)(i * 40503 % 65536);
    }
    TELL(syscall(SYS_setgroups, 65536, many));
    memset(many, 0, sizeof many);
    TELL_EXACT(syscall(SYS_getgroups, 65536, many));
    int sorted = 0;
    for (int i = 0; i < 65536; i++) {
        sorted += many[i] == (gid_t)i;
    }
    printf("sorted: %d\n", sorted);
    FILE *status = fopen("/proc/self/status", "r");
    int number, count = 0;
    while (fscanf(status, "Groups:%n", &count) != EOF && count == 0) {
        fscanf(status, "%*[^\n]\n");
    }
    for (count = 0; fscanf(status, "%d", &number) == 1; count++) {
    }
    printf("in its status: %d, the last %d\n", count, number);
    fclose(status);
    TELL(syscall(SYS_setresuid, 5, 5, 5));
    TELL(syscall(SYS_setgroups, 1, some));
}

/* ---- Capabilities ---- */

static void versions(void)
{
    struct header header = {1, 0};
    struct part parts[2];
    TELL(syscall(SYS_capget, &header, NULL));
    printf("version %x\n", header.version);
    header.version = 1;
    TELL(syscall(SYS_capget, &header, parts));
    header.version = 1;
    TELL(syscall(SYS_capset, &header, parts));
    TELL(syscall(SYS_capget, 1L, parts));
    TELL(syscall(SYS_capget, 1L, NULL));
    header = (struct header){VERSION_1, 0};
    memset(parts, 0x55, sizeof parts);
    TELL(syscall(SYS_capget, &header, parts));
    printf("%x, and beyond %x\n", parts[0].effective & SHOWN, parts[1].effective);
    header = (struct header){VERSION_2, getpid()};
    TELL(syscall(SYS_capget, &header, parts));
    TELL(syscall(SYS_capget, &header, 1L));
    header.number = -1;
    TELL(syscall(SYS_capget, &header, parts));
    header.number = 30000000;
    TELL(syscall(SYS_capget, &header, parts));
    header.number = 1;
    TELL(syscall(SYS_capset, &header, parts));
    header.number = 0;
    TELL(syscall(SYS_capset, &header, 1L));
    parts[0] = parts[1] = (struct part){0, 0, 0};
    parts[0].effective = 1;
    STATE(syscall(SYS_capset, &header, parts));
    parts[0] = (struct part){3, 7, 2};
    STATE(syscall(SYS_capset, &header, parts));
    parts[0] = (struct part){3, 15, 2};
    STATE(syscall(SYS_capset, &header, parts));
    parts[0] = (struct part){3, 7, 8};
    STATE(syscall(SYS_capset, &header, parts));
    TELL(prctl(PR_CAPBSET_DROP, 1));
    TELL(syscall(SYS_setgid, 1));
}

static void bounding(void)
{
    TELL_EXACT(prctl(PR_CAPBSET_READ, 1));
    TELL_EXACT(prctl(PR_CAPBSET_READ, 99));
    TELL(prctl(PR_CAPBSET_DROP, 99));
    TELL(prctl(PR_CAPBSET_DROP, 1));
    TELL_EXACT(prctl(PR_CAPBSET_READ, 1));
    tell_state("dropped");
}

/* ---- Others ---- */

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

/* ---- What only root may ---- */

static void refused(void)
{
    struct rlimit limit = {64, 64};
    struct timespec now;
    struct timeval time;
    clock_gettime(CLOCK_REALTIME, &now);
    gettimeofday(&time, NULL);
    TELL(setrlimit(RLIMIT_MSGQUEUE, &limit));
    TELL(syscall(SYS_setresuid, 1000, 1000, 1000));
    TELL(chroot("/"));
    TELL(chroot("/none"));
    TELL(syscall(SYS_sethostname, "x", 1));
    TELL(syscall(SYS_sethostname, 1L, 1));
    TELL(syscall(SYS_setdomainname, "x", 1));
    TELL(clock_settime(CLOCK_REALTIME, &now));
    TELL(syscall(SYS_settimeofday, &time, NULL));
    limit.rlim_cur = limit.rlim_max = 65;
    TELL(setrlimit(RLIMIT_MSGQUEUE, &limit));
    limit.rlim_cur = limit.rlim_max = 63;
    TELL(setrlimit(RLIMIT_MSGQUEUE, &limit));
    TELL(prctl(PR_CAPBSET_DROP, 1));
    TELL(mknod(FOLDER "-device", S_IFCHR | 0600, 0x103));
}

/* ---- Files ---- */

static void make(const char *name, uid_t user, gid_t group, mode_t mode)
{
    int file = open(name, O_CREAT | O_WRONLY, 0600);
    write(file, "#!/none\n", 8);
    fchown(file, user, group);
    fchmod(file, mode);
    close(file);
}

static void try_file(const char *name)
{
    char *arguments[] = {(char *)name, NULL};
    int reads = open(name, O_RDONLY), error_of_reads = errno;
    int writes = open(name, O_WRONLY), error_of_writes = errno;
    printf("%s: %d %d", name + sizeof FOLDER, reads < 0 ? error_of_reads : 0, writes < 0 ? error_of_writes : 0);
    close(reads);
    close(writes);
    printf(", %d", execv(name, arguments) < 0 ? errno : 0);
    for (int mode = 1; mode <= 4; mode *= 2) {
        printf(" %d", access(name, mode) < 0 ? errno : 0);
        printf(" %d", (int)syscall(SYS_faccessat2, AT_FDCWD, name, mode, AT_EACCESS) < 0 ? errno : 0);
    }
    printf("\n");
}

static void try_all(const char *who)
{
    printf("- %s\n", who);
    try_file(FOLDER "/own");
    try_file(FOLDER "/group");
    try_file(FOLDER "/other");
    try_file(FOLDER "/nobody");
    try_file(FOLDER "/further");
    try_file(FOLDER "/closed/file");
}

static void files(void)
{
    gid_t further[] = {50, 60, 70};
    make(FOLDER "/own", 1000, 0, 0700);
    make(FOLDER "/group", 0, 1000, 0070);
    make(FOLDER "/other", 0, 0, 0604);
    make(FOLDER "/nobody", 1000, 1000, 0);
    make(FOLDER "/further", 0, 60, 0650);
    mkdir(FOLDER "/closed", 0700);
    make(FOLDER "/closed/file", 0, 0, 0777);
    try_all("root");
    TELL(syscall(SYS_setgroups, 3, further));
    TELL(syscall(SYS_setfsuid, 1000));
    try_all("files as the user's");
    TELL(syscall(SYS_setfsuid, 0) != 1000);
    TELL(syscall(SYS_setresgid, 1000, 1000, 1000));
    TELL(syscall(SYS_setresuid, -1, 1000, -1));
    try_all("the user for now");
    TELL(syscall(SYS_setresuid, 1000, 1000, 1000));
    try_all("the user for good");
    int file = open(FOLDER "/open/new", O_CREAT | O_EXCL | O_RDWR, 0644);
    struct stat status;
    fstat(file, &status);
    printf("made: %u %u\n", status.st_uid, status.st_gid);
    TELL(fchown(file, 1000, 60));
    TELL(fchown(file, 1000, 61));
    TELL(fchown(file, 1001, -1));
    TELL(chmod(FOLDER "/group", 0777));
    TELL(unlink(FOLDER "/own"));
    TELL(unlink(FOLDER "/open/new"));
    TELL(open(FOLDER "/new", O_CREAT | O_RDWR, 0644));
}

/* One capability at a time, for what it allows of files. */
static void by_capabilities(void)
{
    struct header header = {VERSION_3, 0};
    for (int capability = 0; capability <= 4; capability++) {
        struct part parts[2] = {{1U << capability, 0xff, 0}, {0, 0, 0}};
        printf("- capability %d\n", capability);
        TELL(syscall(SYS_capset, &header, parts));
        try_file(FOLDER "/own");
        try_file(FOLDER "/nobody");
        TELL(chown(FOLDER "/other", 1000, 1000));
        TELL(chown(FOLDER "/other", 0, 0));
        TELL(chmod(FOLDER "/own", 0700));
    }
}

static void in_folder(void (*run)(void))
{
    mkdir(FOLDER, 0755);
    mkdir(FOLDER "/open", 0777);
    chmod(FOLDER "/open", 0777);
    part_of_process("files", run);
    part_of_process("files by capabilities", by_capabilities);
    unlink(FOLDER "/open/new");
    unlink(FOLDER "/own");
    unlink(FOLDER "/group");
    unlink(FOLDER "/other");
    unlink(FOLDER "/nobody");
    unlink(FOLDER "/further");
    unlink(FOLDER "/closed/file");
    rmdir(FOLDER "/closed");
    rmdir(FOLDER "/open");
    rmdir(FOLDER);
}

/* Not every root of a Linux may raise limits: none here may. */
static void drop_resource(void)
{
    struct header header = {VERSION_3, 0};
    struct part parts[2];
    syscall(SYS_capget, &header, parts);
    parts[0].effective &= ~(1U << 24);
    parts[0].permitted &= ~(1U << 24);
    syscall(SYS_capset, &header, parts);
}

int main(void)
{
    mkdir("/tmp", 0777);
    setpriority(PRIO_PROCESS, 0, 0);
    drop_resource();
    part_of_process("root", of_root);
    part_of_process("saved", saved);
    part_of_process("of files", of_files);
    part_of_process("kept", kept);
    part_of_process("dumped", dumped);
    part_of_process("groups", groups);
    part_of_process("versions", versions);
    part_of_process("bounding", bounding);
    part_of_process("others", others_end);
    part_of_process("renice", renice);
    part_of_process("refused", refused);
    in_folder(files);
    return 0;
}
