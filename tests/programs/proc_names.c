/* /proc: links, other processes, the machine, and what cannot be done there. Compared with Linux line by
 * line. */
#include "proc.h"

#include <dirent.h>
#include <elf.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>

extern char **environ;

/* ---- Links, and what the program was started with ---- */

static void says(const char *link)
{
    char to[256] = "";
    ssize_t bytes = readlink(link, to, sizeof to - 1);
    printf("%s: %s%s\n", link, bytes < 0 ? "error" : to, bytes > 0 && to[bytes] ? "?" : "");
}

static void links(void)
{
    char path[64], to[64] = "";
    int ends[2];
    struct stat one, other;
    chdir("/tmp");
    says("/proc/self/cwd");
    says("/proc/self/root");
    says("/proc/mounts");
    snprintf(path, sizeof path, "/proc/%d", getpid());
    readlink("/proc/self", to, sizeof to - 1);
    printf("self: %d\n", strcmp(to, path + 6) == 0);
    printf("exe: %d\n", stat("/proc/self/exe", &one) == 0 && S_ISREG(one.st_mode) && one.st_size > 1000);
    TELL(stat("/proc/self/exe/", &one));
    TELL(open("/proc/self/exe", O_WRONLY));
    int file = open("/tmp/a file", O_RDWR | O_CREAT | O_TRUNC, 0600);
    write(file, "hello", 5);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    memset(to, 0, sizeof to);
    TELL_EXACT(readlink(path, to, sizeof to - 1));
    printf("fd: %s\n", to);
    unlink("/tmp/a file");
    memset(to, 0, sizeof to);
    readlink(path, to, sizeof to - 1);
    printf("deleted: %s\n", to);
    int again = open(path, O_RDONLY);
    memset(to, 0, sizeof to);
    TELL_EXACT(read(again, to, sizeof to));
    printf("again: %s\n", to);
    TELL(fstat(file, &one) | stat(path, &other));
    printf("the same: %d, a link: %d\n", one.st_ino == other.st_ino,
           lstat(path, &other) == 0 && S_ISLNK(other.st_mode) && (other.st_mode & 0777) == 0700);
    again = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    TELL(fstat(file, &one));
    printf("cut: %ld\n", (long)one.st_size);
    pipe(ends);
    snprintf(path, sizeof path, "/proc/self/fd/%d", ends[0]);
    memset(to, 0, sizeof to);
    readlink(path, to, sizeof to - 1);
    fstat(ends[0], &one);
    snprintf(path, sizeof path, "pipe:[%lu]", one.st_ino);
    printf("pipe: %d\n", strcmp(to, path) == 0);
    says("/proc/self/fd/1000");
    says("/proc/self/fd/01");
    says("/proc/self/fd/x");
    close(file);
    close(again);
}

/* What was said in the beginning lies in order. */
static void start(char **arguments)
{
    char *at = text;
    long bytes = whole("/proc/self/cmdline", 3);
    int same = 1;
    for (; *arguments; arguments++) {
        same = same && strcmp(at, *arguments) == 0;
        at += strlen(at) + 1;
    }
    printf("cmdline: %d %d\n", same, at == text + bytes);
    bytes = whole("/proc/self/environ", 1000);
    at = text;
    same = 1;
    for (char **variable = environ; *variable; variable++) {
        same = same && strcmp(at, *variable) == 0;
        at += strlen(at) + 1;
    }
    printf("environ: %d %d\n", same, at == text + bytes);
    bytes = whole("/proc/self/auxv", LARGEST);
    same = bytes % 16 == 0;
    int ends = 0;
    for (long i = 0; i + 16 <= bytes && !ends; i += 16) {
        const uint64_t *entry = (const uint64_t *)(const void *)(text + i);
        ends += entry[0] == AT_NULL;
        same = same && (entry[0] == AT_NULL || getauxval(entry[0]) == entry[1]);
    }
    printf("auxv: %d %d\n", same, ends != 0);
}

/* ---- Others, and what cannot be done ---- */

static long count(const char *folder)
{
    long count = 0;
    DIR *directory = opendir(folder);
    while (directory && readdir(directory)) {
        count++;
    }
    if (directory) {
        closedir(directory);
    }
    return count;
}

/* A process that ends while its files are open. */
static void ended(void)
{
    static const char *const names[] = {"maps",  "smaps",   "status",  "stat",
                                        "statm", "cmdline", "pagemap", "limits"};
    enum { NAMES = sizeof names / sizeof names[0] };
    char path[64], part[100];
    int files[NAMES];
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(1);
    }
    for (int i = 0; i < NAMES; i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", child, names[i]);
        files[i] = open(path, O_RDONLY);
    }
    snprintf(path, sizeof path, "/proc/%d", child);
    int folder = open(path, O_RDONLY | O_DIRECTORY);
    kill(child, SIGKILL);
    siginfo_t info;
    waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
    snprintf(path, sizeof path, "/proc/%d/stat", child);
    whole(path, LARGEST);
    printf("zombie: %c\n", strrchr(text, ')')[2]);
    printf("its maps: %zd, cmdline: %zd, statm: %zd\n", read(files[0], part, 100), read(files[5], part, 100),
           read(files[4], part, 100));
    snprintf(path, sizeof path, "/proc/%d/exe", child);
    TELL_EXACT(readlink(path, part, 100));
    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", child, child);
    printf("its task: %d\n", whole(path, LARGEST) > 0);
    waitpid(child, NULL, 0);
    for (int i = 0; i < NAMES; i++) {
        errno = 0;
        ssize_t bytes = i == 4 || i == 5 ? 0 : read(files[i], part, 96);
        printf("%s: %zd %d\n", names[i], bytes, bytes < 0 ? errno : 0);
        close(files[i]);
    }
    TELL(openat(folder, "maps", O_RDONLY));
    TELL(openat(folder, "fd/0", O_RDONLY));
    snprintf(path, sizeof path, "/proc/%d/maps", child);
    TELL(open(path, O_RDONLY));
    close(folder);
}

static void refused(void)
{
    struct stat status;
    TELL(mkdir("/proc/new", 0700));
    TELL(open("/proc/new", O_CREAT | O_WRONLY, 0600));
    TELL(mkdir("/proc/meminfo", 0700));
    TELL(unlink("/proc/meminfo"));
    TELL(rmdir("/proc/self/fd"));
    TELL(rename("/proc/meminfo", "/proc/other"));
    TELL(rename("/proc/meminfo", "/tmp/other"));
    TELL(link("/proc/meminfo", "/tmp/other"));
    TELL(symlink("x", "/proc/other"));
    TELL(chmod("/proc/self/maps", 0600));
    TELL(rmdir("/proc"));
    TELL(open("/proc/0", O_RDONLY));
    TELL(open("/proc/99999999", O_RDONLY));
    TELL(open("/proc/self/maps/x", O_RDONLY));
    TELL(open("/proc/self/task/0/maps/x", O_RDONLY));
    TELL(stat("/proc/self/../self/./maps", &status));
    printf("maps: %o %ld, of another device: %d\n", status.st_mode, (long)status.st_size,
           stat("/", &status) == 0 && stat("/proc", &status) == 0);
    TELL(stat("/proc/self/task", &status));
    printf("task: %ld entries\n", count("/proc/self/task"));
    int before = (int)count("/proc/self/fd");
    int file = open("/dev/null", O_RDONLY);
    printf("fd: %ld more\n", count("/proc/self/fd") - before);
    close(file);
    TELL(access("/proc/self/maps", R_OK));
    TELL(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, open("/proc/self/maps", O_RDONLY), 0) == MAP_FAILED ? -1
                                                                                                      : 0);
}

/* Each link leads to the one before. */
static void chain(void)
{
    char name[40];
    int last = open("/", O_PATH);
    for (int i = 0; i < 2000 && last >= 0; i++) {
        snprintf(name, sizeof name, "/proc/self/fd/%d", last);
        int next = open(name, O_PATH | O_NOFOLLOW);
        close(last);
        last = next;
    }
    printf("chain: %d\n", last >= 0);
    close(last);
}

static void machine(void)
{
    struct utsname name;
    struct rlimit limit;
    double up, idle;
    char want[100];
    uname(&name);
    whole("/proc/sys/kernel/osrelease", LARGEST);
    printf("osrelease: %d\n", strncmp(text, name.release, strlen(name.release)) == 0);
    printf("pid_max: %d, overcommit: %d, chance: %d\n", whole("/proc/sys/kernel/pid_max", 10) > 1,
           whole("/proc/sys/vm/overcommit_memory", 10) == 2,
           whole("/proc/sys/kernel/randomize_va_space", 10) == 2);
    whole("/proc/version", LARGEST);
    printf("%.14s\n", text);
    whole("/proc/uptime", LARGEST);
    printf("uptime: %d\n", sscanf(text, "%lf %lf\n", &up, &idle));
    whole("/proc/loadavg", LARGEST);
    int runs, all, last;
    double load[3];
    printf("loadavg: %d\n",
           sscanf(text, "%lf %lf %lf %d/%d %d", load, load + 1, load + 2, &runs, &all, &last));
    whole("/proc/stat", LARGEST);
    printf("%.5s %d\n", text, strstr(text, "\ncpu0 ") && strstr(text, "\nintr ") && strstr(text, "\nbtime "));
    whole("/proc/cpuinfo", LARGEST);
    printf("%.14s\n", text);
    whole("/proc/buddyinfo", LARGEST);
    printf("%.13s, %d columns\n", text, (int)(strcspn(text, "\n") - 22) / 7);
    getrlimit(RLIMIT_NOFILE, &limit);
    whole("/proc/self/limits", LARGEST);
    snprintf(want, sizeof want, "\n%-25s %-20lu %-20lu %-10s\n", "Max open files", limit.rlim_cur,
             limit.rlim_max, "files");
    printf("limits: %d %d\n", strstr(text, want) != NULL,
           strncmp(text, "Limit                     Soft Limit           Hard Limit           Units     \n",
                   79) == 0);
    printf("Max nice: %d\n",
           strstr(text, "\nMax nice priority         0                    0                    \n") != NULL);
}

int main(int count_of_arguments, char **arguments)
{
    (void)count_of_arguments;
    mkdir("/tmp", 0777);
    start(arguments);
    links();
    chain();
    machine();
    ended();
    refused();
    return 0;
}
