/* Users, groups and capabilities: how calls change them, and what only root may. */
#include "users.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <time.h>

#define VERSION_1 0x19980330
#define VERSION_2 0x20071026
#define SHOWN     0x00ffffff /* capabilities that both kernels' root has in every case */

static void tell_state(const char *what)
{
    unsigned u[3], g[3];
    struct header header = {VERSION_3, 0};
    struct part parts[2];
    syscall(SYS_getresuid, u, u + 1, u + 2);
    syscall(SYS_getresgid, g, g + 1, g + 2);
    syscall(SYS_capget, &header, parts);
    printf("%s: %u %u %u %u, %u %u %u %u; %x %x %x\n", what, u[0], u[1], u[2],
           (unsigned)syscall(SYS_setfsuid, -1), g[0], g[1], g[2], (unsigned)syscall(SYS_setfsgid, -1),
           parts[0].effective & SHOWN, parts[0].permitted & SHOWN, parts[0].inheritable & SHOWN);
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
    TELL(mknod("/tmp/ashlar-device", S_IFCHR | 0600, 0x103));
}

int main(void)
{
    begin_parts();
    part_of_process("root", of_root);
    part_of_process("saved", saved);
    part_of_process("of files", of_files);
    part_of_process("kept", kept);
    part_of_process("dumped", dumped);
    part_of_process("groups", groups);
    part_of_process("versions", versions);
    part_of_process("bounding", bounding);
    part_of_process("refused", refused);
    return 0;
}
