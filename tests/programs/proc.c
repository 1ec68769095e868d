/* /proc: what it says of this process's memory, in Linux's formats. Run on Linux, each line is what it prints
 * there. */
#include "proc.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

extern char **environ;

/* ---- maps ---- */

struct line {
    unsigned long base, end, offset, node;
    char access[5], device[16], name[256];
};

/* Whether a line of maps is Linux's to the column. */
static int parse(const char *at, struct line *line)
{
    char again[512];
    int name = 0;
    memset(line, 0, sizeof *line);
    if (sscanf(at, "%lx-%lx %4s %lx %15s %lu %n", &line->base, &line->end, line->access, &line->offset,
               line->device, &line->node, &name) != 6) {
        return 0;
    }
    size_t bytes = strcspn(at, "\n");
    if ((size_t)name < bytes) {
        snprintf(line->name, sizeof line->name, "%.*s", (int)(bytes - (size_t)name), at + name);
    }
    int length = snprintf(again, sizeof again, "%08lx-%08lx %s %08lx %s %lu ", line->base, line->end,
                          line->access, line->offset, line->device, line->node);
    if (line->name[0]) {
        snprintf(again + length, sizeof again - (size_t)length, "%*s%s", length < 73 ? 73 - length : 1, "",
                 line->name);
    }
    return strlen(again) == bytes && memcmp(again, at, bytes) == 0;
}

/* The line of maps that holds the address; every line before it is sound, and they ascend. */
static int find(const char *maps, unsigned long address, struct line *line)
{
    unsigned long last = 0;
    if (whole(maps, LARGEST) < 0) {
        return 0;
    }
    for (char *at = text; *at; at = strchr(at, '\n') + 1) {
        if (!strchr(at, '\n') || !parse(at, line) || line->base < last || line->end <= line->base) {
            printf("a bad line: %.*s\n", (int)strcspn(at, "\n"), at);
            return 0;
        }
        last = line->end;
        if (address >= line->base && address < line->end) {
            return 1;
        }
    }
    return 0;
}

static void show(const char *what, void *address)
{
    struct line line;
    if (!find("/proc/self/maps", (unsigned long)address, &line)) {
        printf("%s: nothing\n", what);
        return;
    }
    const char *name = strrchr(line.name, '/');
    printf("%s: %s %lx %s%s\n", what, line.access, line.offset, name ? name : line.name,
           line.node ? " with a node" : "");
}

static void maps(void)
{
    char *own = mmap(NULL, 5 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct line line;
    int local = 0;
    struct stat status;
    find("/proc/self/maps", (unsigned long)maps, &line);
    printf("code: %s %lx %d\n", line.access, line.offset, line.name[0] == '/' && line.node != 0);
    show("data", &environ);
    show("stack", &local);
    free(malloc(1));
    show("heap", (char *)sbrk(0) - 1);
    mprotect(own + PAGE, PAGE, PROT_READ);
    mprotect(own + 2 * PAGE, PAGE, PROT_NONE);
    for (int i = 0; i < 4; i++) {
        find("/proc/self/maps", (unsigned long)(own + i * PAGE), &line);
        printf("page %d: %s %s\n", i, line.access,
               i == 1 || i == 2 ? line.base == (unsigned long)(own + i * PAGE) ? "begins" : "goes on" : "");
    }
    munmap(own, 5 * PAGE);
    show("unmapped", own);
    int file = open("/tmp/proc maps\nfile", O_RDWR | O_CREAT | O_TRUNC, 0600);
    TELL(ftruncate(file, 3 * PAGE));
    char *shared = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, PAGE);
    char *private = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, 0);
    show("shared", shared);
    show("private", private);
    fstat(file, &status);
    find("/proc/self/maps", (unsigned long)shared, &line);
    printf("node: %d\n", line.node == status.st_ino);
    unlink("/tmp/proc maps\nfile");
    show("deleted", shared);
    close(file);
    munmap(shared, 2 * PAGE);
    munmap(private, PAGE);
}

/* However it is read, it says the same. */
static void parts(void)
{
    static char first[LARGEST];
    static const size_t steps[] = {1, 7, 100, 4095};
    long bytes = whole("/proc/self/maps", LARGEST);
    memcpy(first, text, sizeof first);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        long again = whole("/proc/self/maps", steps[i]);
        printf("%zu at a time: %d\n", steps[i], again == bytes && memcmp(first, text, (size_t)bytes) == 0);
    }
    int file = open("/proc/self/maps", O_RDONLY);
    char part[50];
    printf("in the middle: %d\n", pread(file, part, 50, 100) == 50 && memcmp(part, first + 100, 50) == 0);
    printf("before it: %d\n", pread(file, part, 50, 10) == 50 && memcmp(part, first + 10, 50) == 0);
    printf("behind the end: %zd\n", pread(file, part, 50, 100000));
    TELL_EXACT(lseek(file, 60, SEEK_SET));
    printf("from there: %d\n", read(file, part, 50) == 50 && memcmp(part, first + 60, 50) == 0);
    TELL_EXACT(lseek(file, 0, SEEK_SET));
    printf("again: %d\n", read(file, part, 50) == 50 && memcmp(part, first, 50) == 0);
    TELL_EXACT(read(file, (void *)1, 50));
    close(file);
}

/* ---- smaps, status ---- */

/* The number that stands behind a name in the part of `text` that begins at `from`. */
static long value(const char *from, const char *name)
{
    for (const char *at = from; at; at = strchr(at, '\n'), at = at ? at + 1 : NULL) {
        if (strncmp(at, name, strlen(name)) == 0 && at[strlen(name)] == ':') {
            return strtol(at + strlen(name) + 1, NULL, 10);
        }
    }
    return -1;
}

static const char *part_of(unsigned long address)
{
    static char head[32];
    whole("/proc/self/smaps", LARGEST);
    snprintf(head, sizeof head, "%08lx-", address);
    return strstr(text, head);
}

static void numbers(const char *what, void *address)
{
    static const char *const names[] = {"Size",          "KernelPageSize", "MMUPageSize",  "Rss",
                                        "Pss",           "Shared_Clean",   "Shared_Dirty", "Private_Clean",
                                        "Private_Dirty", "Referenced",     "Anonymous",    "LazyFree",
                                        "AnonHugePages", "Swap",           "SwapPss"};
    const char *from = part_of((unsigned long)address);
    printf("%s:", what);
    for (size_t i = 0; from && i < sizeof names / sizeof names[0]; i++) {
        printf(" %ld", value(from, names[i]));
    }
    const char *flags = from ? strstr(from, "VmFlags: rd") : NULL;
    printf("%s\n", flags ? "" : " no flags");
    fflush(stdout);
}

static void smaps(void)
{
    char *own = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(own, PAGE, PROT_NONE); /* no neighbour becomes part of it */
    char *pages = own + PAGE;
    numbers("untouched", pages);
    for (int i = 0; i < 3; i++) {
        pages[i * 2 * PAGE] = 1;
    }
    numbers("three written", pages);
    (void)*(volatile char *)(pages + PAGE);
    numbers("one read", pages);
    if (fork() == 0) {
        numbers("shared with the parent", pages);
        pages[0] = 2;
        numbers("one copied", pages);
        _exit(0);
    }
    wait(NULL);
    numbers("alone again", pages);
    munmap(own, 8 * PAGE);
}

/* Whether lines have these names, in this order, others aside, each with a tabulator behind its colon. */
static void names_in_order(const char *file, const char *names)
{
    whole(file, LARGEST);
    const char *at = text;
    char name[32];
    for (int length; sscanf(names, "%31s%n", name, &length) == 1; names += length) {
        char head[40];
        snprintf(head, sizeof head, "%s:", name);
        while (at && strncmp(at, head, strlen(head)) != 0) {
            at = strchr(at, '\n');
            at = at ? at + 1 : NULL;
        }
        if (!at) {
            printf("%s: no %s\n", file, name);
            return;
        }
    }
    printf("%s: all there\n", file);
}

static void status(void)
{
    names_in_order(
        "/proc/self/status",
        "Name Umask State Tgid Ngid Pid PPid TracerPid Uid Gid FDSize Groups NStgid NSpid NSpgid NSsid "
        "VmPeak VmSize VmLck VmPin VmHWM VmRSS RssAnon RssFile RssShmem VmData VmStk VmExe VmLib VmPTE "
        "VmSwap "
        "HugetlbPages CoreDumping THP_enabled Threads SigQ SigPnd ShdPnd SigBlk SigIgn SigCgt "
        "CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp Seccomp_filters Cpus_allowed_list");
    printf("numbers: %d %d %d\n", value(text, "Pid") == getpid(), value(text, "Tgid") == getpid(),
           value(text, "PPid") == getppid());
    printf("sums: %d\n",
           value(text, "VmRSS") == value(text, "RssAnon") + value(text, "RssFile") + value(text, "RssShmem"));
    printf("%.14s%.19s\n", text, strstr(text, "State"));
    names_in_order("/proc/self/smaps",
                   "Size KernelPageSize MMUPageSize Rss Pss Pss_Dirty Shared_Clean Shared_Dirty "
                   "Private_Clean Private_Dirty Referenced Anonymous LazyFree AnonHugePages "
                   "ShmemPmdMapped FilePmdMapped Shared_Hugetlb Private_Hugetlb Swap SwapPss "
                   "Locked THPeligible VmFlags");
    names_in_order("/proc/meminfo",
                   "MemTotal MemFree MemAvailable Buffers Cached SwapCached SwapTotal SwapFree "
                   "AnonPages Shmem KReclaimable Slab SReclaimable SUnreclaim KernelStack PageTables");
    printf("meminfo: column %d\n", (int)(strstr(text, " kB") - text));
}

/* The lines of the status with these names, as they are. */
static void tell_lines(const char *names)
{
    char name[32];
    whole("/proc/self/status", LARGEST);
    for (int length; sscanf(names, "%31s%n", name, &length) == 1; names += length) {
        char head[40];
        snprintf(head, sizeof head, "\n%s:", name);
        const char *at = strstr(text, head);
        printf("%.*s.\n", at ? (int)strcspn(at + 1, "\n") : 0, at ? at + 1 : "");
    }
}

static void handle(int number)
{
    (void)number;
}

static void status_of_signals(void)
{
    sigset_t set, before;
    gid_t groups[] = {7, 5};
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMIN + 2);
    sigprocmask(SIG_BLOCK, &set, &before);
    signal(SIGUSR2, SIG_IGN);
    signal(SIGHUP, handle);
    raise(SIGUSR1);
    kill(getpid(), SIGRTMIN + 2);
    void *locked = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mlock(locked, (size_t)(3 * PAGE));
    tell_lines("SigPnd ShdPnd SigBlk SigIgn SigCgt NoNewPrivs Groups VmLck VmPin Seccomp CapAmb CapInh");
    printf("peak: %d\n", value(text, "VmPeak") >= value(text, "VmSize"));
    munmap(locked, (size_t)(3 * PAGE));
    long size = value(text, "VmSize");
    tell_lines("VmLck");
    printf("peak: %d %d\n", value(text, "VmPeak") >= size, value(text, "VmSize") < size);
    syscall(SYS_setgroups, 2, groups);
    syscall(SYS_setresgid, 1, 2, 3);
    syscall(SYS_setfsgid, 2);
    syscall(SYS_setresuid, 4, 0, 6);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    tell_lines("Uid Gid Groups NoNewPrivs");
    syscall(SYS_setresuid, 0, 0, 0);
    syscall(SYS_setresgid, 0, 0, 0);
    signal(SIGUSR1, SIG_IGN);
    signal(SIGRTMIN + 2, SIG_IGN);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

/* ---- Memory that is no file's ---- */

static void tell_map(const char *what, const void *at)
{
    char start[20];
    snprintf(start, sizeof start, "%lx-", (unsigned long)at);
    whole("/proc/self/maps", LARGEST);
    const char *line = strstr(text, start);
    const char *name = line ? strpbrk(line, "/[\n") : NULL;
    printf("%s: %.*s.\n", what, name ? (int)strcspn(name, "\n") : 0, name ? name : "");
}

static void titles(void)
{
    char path[32], link[300];
    int both = PROT_READ | PROT_WRITE;
    int zero = open("/dev/zero", O_RDWR);
    int named = (int)syscall(SYS_memfd_create, "a name", 0);
    memset(link, 'l', 249);
    link[249] = 0;
    int longest = (int)syscall(SYS_memfd_create, link, 0);
    ftruncate(named, PAGE);
    ftruncate(longest, PAGE);
    tell_map("shared", mmap(NULL, PAGE, both, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    tell_map("zeros", mmap(NULL, PAGE, both, MAP_SHARED, zero, 0));
    void *mapped = mmap(NULL, PAGE, both, MAP_SHARED, named, 0);
    tell_map("memfd", mapped);
    snprintf(path, sizeof path, "/proc/self/fd/%d", named);
    memset(link, 0, sizeof link);
    readlink(path, link, sizeof link - 1);
    printf("%s\n", link);
    close(named);
    tell_map("closed", mapped);
    tell_map("longest", mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, longest, 0));
    close(longest);
    close(zero);
}

/* ---- stat, statm, pagemap ---- */

static void stat_line(void)
{
    int number, parent, group, session, length = 0, fields = 0;
    char state;
    prctl(PR_SET_NAME, "a b) (c");
    whole("/proc/self/stat", LARGEST);
    sscanf(text, "%d (a b) (c) %c %d %d %d %n", &number, &state, &parent, &group, &session, &length);
    printf("stat: %d %c %d %d %d\n", number == getpid(), state, parent == getppid(), group == getpgrp(),
           session == getsid(0));
    for (char *at = strrchr(text, ')'); (at = strchr(at + 1, ' '));) {
        fields++;
    }
    printf("%d fields behind the name\n", fields);
    whole("/proc/self/comm", LARGEST);
    printf("comm: %s", text);
    long sizes[8];
    whole("/proc/self/statm", LARGEST);
    printf("statm: %d, rest %d\n",
           sscanf(text, "%ld %ld %ld %ld %ld %ld %ld %ld", sizes, sizes + 1, sizes + 2, sizes + 3, sizes + 4,
                  sizes + 5, sizes + 6, sizes + 7),
           sizes[0] > sizes[1] && sizes[1] >= sizes[2] && sizes[4] == 0 && sizes[6] == 0);
}

static void pagemap(void)
{
    char *own = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t words[4];
    int file = open("/proc/self/pagemap", O_RDONLY);
    off_t at = (off_t)((unsigned long)own / (unsigned long)PAGE * 8);
    own[PAGE] = own[3 * PAGE] = 1;
    TELL_EXACT(pread(file, words, sizeof words, at));
    for (int i = 0; i < 4; i++) {
        printf("page %d: present %d swapped %d file %d alone %d\n", i, (int)(words[i] >> 63),
               (int)(words[i] >> 62 & 1), (int)(words[i] >> 61 & 1), (int)(words[i] >> 56 & 1));
    }
    TELL_EXACT(pread(file, words, 8, (off_t)((unsigned long)pagemap / (unsigned long)PAGE * 8)));
    printf("code: present %d file %d\n", (int)(words[0] >> 63), (int)(words[0] >> 61 & 1));
    TELL_EXACT(pread(file, words, 7, at));
    TELL_EXACT(pread(file, words, 8, at + 1));
    TELL_EXACT(pread(file, words, 8, (off_t)1 << 40));
    close(file);
    munmap(own, 4 * PAGE);
}

int main(void)
{
    mkdir("/tmp", 0777);
    prctl(PR_SET_NAME, "a name");
    maps();
    parts();
    smaps();
    status();
    stat_line();
    pagemap();
    status_of_signals();
    titles();
    return 0;
}
