/* Files that are written to and executed, by mappings that outlive their descriptors; and O_PATH and memfd
 * where they count. With the argument "rule": what Ashlar alone refuses. */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define COPY "/tmp/ashlar-uses"
#define PAGE 4096
#define BOTH (PROT_READ | PROT_WRITE)

static void copy_self(void)
{
    static char bytes[65536];
    long got;
    int from = open("/proc/self/exe", O_RDONLY);
    unlink(COPY);
    int to = open(COPY, O_CREAT | O_WRONLY, 0755);
    while ((got = read(from, bytes, sizeof bytes)) > 0) {
        write(to, bytes, (size_t)got);
    }
    close(from);
    close(to);
}

/* Runs the copy: its status, or the error of execve(). */
static int run_copy(void)
{
    char *arguments[] = {COPY, "end", NULL};
    int status;
    pid_t child = fork();
    if (child == 0) {
        execv(COPY, arguments);
        _exit(errno);
    }
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
}

static void *map(int file, int protection, int flags)
{
    return mmap(NULL, 4 * PAGE, protection, flags, file, 0);
}

static void written_by_mappings(void)
{
    int file = open(COPY, O_RDWR);
    char *pages = map(file, BOTH, MAP_SHARED);
    int ends[2];
    char byte;
    printf("open to write: %d\n", run_copy());
    close(file);
    printf("mapped: %d\n", run_copy());
    munmap(pages + PAGE, PAGE);
    printf("mapped in two parts: %d\n", run_copy());
    munmap(pages, PAGE);
    printf("mapped in part: %d\n", run_copy());
    mprotect(pages + 2 * PAGE, PAGE, PROT_READ);
    printf("mapped and cut: %d\n", run_copy());
    pipe(ends);
    pid_t child = fork();
    if (child == 0) {
        close(ends[1]);
        read(ends[0], &byte, 1);
        _exit(0);
    }
    munmap(pages, 4 * PAGE);
    printf("mapped by a child: %d\n", run_copy());
    close(ends[0]);
    close(ends[1]);
    waitpid(child, NULL, 0);
    printf("mapped by nobody: %d\n", run_copy());
}

static void executed_by_mappings(void)
{
    int file = open(COPY, O_RDONLY);
    void *pages = map(file, PROT_READ | PROT_EXEC, MAP_PRIVATE);
    close(file);
    printf("mapped and executed: %d\n", run_copy());
    munmap(pages, 4 * PAGE);
    TELL(open(COPY, O_RDWR) > 0);
}

static void places(void)
{
    struct pollfd polled = {.fd = open("/tmp", O_PATH), .events = POLLIN | POLLOUT};
    struct timeval now = {0, 0};
    fd_set reads;
    FD_ZERO(&reads);
    FD_SET(polled.fd, &reads);
    TELL_EXACT(poll(&polled, 1, 0));
    printf("ready: %x\n", (unsigned)polled.revents);
    TELL_EXACT(select(polled.fd + 1, &reads, NULL, NULL, &now));
    close(polled.fd);
    FD_SET(polled.fd, &reads);
    TELL_EXACT(select(polled.fd + 1, &reads, NULL, NULL, &now));
}

static void modes(void)
{
    struct stat status;
    int file = memfd_create("mode", 0);
    TELL(fchmod(file, 0640));
    fstat(file, &status);
    printf("mode: %o\n", status.st_mode);
    TELL(fchown(file, (uid_t)-1, (gid_t)-1));
    struct timespec times[2] = {{7, 0}, {9, 0}};
    TELL(futimens(file, times));
    fstat(file, &status);
    printf("times: %ld %ld\n", (long)status.st_atime, (long)status.st_mtime);
}

/* ---- Ashlar's own rule ---- */

#define MUST(holds)                                                                                          \
    do {                                                                                                     \
        if (!(holds)) {                                                                                      \
            printf("line %d: %s, error %d\n", __LINE__, #holds, errno);                                      \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)
#define FAILS(call, error) MUST((long)(call) == -1 && errno == (error))

static void rule(void)
{
    int writes = open(COPY, O_RDWR);
    int reads = open(COPY, O_RDONLY);
    char *shared = map(writes, BOTH, MAP_SHARED);
    char *private = map(reads, PROT_READ, MAP_PRIVATE);
    MUST(shared != MAP_FAILED && private != MAP_FAILED);
    FAILS(map(reads, PROT_READ | PROT_EXEC, MAP_PRIVATE), EACCES);
    FAILS(map(writes, PROT_READ | PROT_EXEC, MAP_SHARED), EACCES);
    FAILS(mprotect(private, 4 * PAGE, PROT_READ | PROT_EXEC), EACCES);
    FAILS(mprotect(shared, 4 * PAGE, PROT_READ | PROT_EXEC), EACCES);
    MUST(munmap(shared, 4 * PAGE) == 0);
    MUST(mprotect(private + PAGE, PAGE, PROT_READ | PROT_EXEC) == 0);
    MUST(mprotect(private + PAGE, 2 * PAGE, PROT_READ | PROT_EXEC) == 0);
    FAILS(map(writes, BOTH, MAP_SHARED), EACCES);
    FAILS(map(writes, PROT_READ, MAP_SHARED), EACCES);
    FAILS(ftruncate(writes, 1), ETXTBSY);
    FAILS(open(COPY, O_WRONLY), ETXTBSY);
    MUST(mprotect(private, 2 * PAGE, PROT_READ) == 0);
    FAILS(open(COPY, O_RDONLY | O_TRUNC), ETXTBSY);
    MUST(mprotect(private, 4 * PAGE, BOTH) == 0);
    shared = map(writes, BOTH, MAP_SHARED);
    MUST(shared != MAP_FAILED && munmap(shared, 4 * PAGE) == 0);
    MUST(mprotect(private, 4 * PAGE, PROT_READ | PROT_EXEC) == 0);
    FAILS(map(writes, BOTH, MAP_SHARED), EACCES);
    MUST(munmap(private, 4 * PAGE) == 0);
    MUST(map(writes, BOTH, MAP_SHARED) != MAP_FAILED);
    puts("done");
}

int main(int count, char **arguments)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    if (count > 1 && strcmp(arguments[1], "end") == 0) {
        return 5;
    }
    mkdir("/tmp", 0777);
    copy_self();
    if (count > 1) {
        rule();
        return 0;
    }
    written_by_mappings();
    executed_by_mappings();
    places();
    modes();
    unlink(COPY);
    return 0;
}
