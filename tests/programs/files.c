/* What the calls of files answer: each error, and each effect that a program can see. In a folder of its own.
 */
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define FOLDER "/tmp/ashlar-files"
#define BAD    ((char *)8)
#define PAGE   4096

static void open_close(void)
{
    char name[300];
    TELL_EXACT(open("a", O_RDONLY));
    TELL_EXACT(open("a", O_CREAT | O_EXCL | O_RDWR, 0666));
    TELL(open("a", O_CREAT | O_EXCL, 0666));
    TELL(open("a", O_DIRECTORY));
    TELL(open("a/b", O_RDONLY));
    TELL(open(BAD, O_RDONLY));
    TELL(open("", O_RDONLY));
    TELL(open(".", O_WRONLY));
    memset(name, 'x', sizeof name);
    name[299] = 0;
    TELL(open(name, O_RDONLY));
    TELL_EXACT(openat(AT_FDCWD, "a", O_RDONLY));
    TELL(openat(3, "b", O_RDONLY));
    TELL(openat(99, "b", O_RDONLY));
    TELL_EXACT(dup(3));
    TELL_EXACT(dup2(3, 9));
    TELL_EXACT(dup2(3, 3));
    TELL(dup2(77, 77));
    TELL(dup2(3, 1 << 20));
    TELL(dup3(3, 3, 0));
    TELL_EXACT(dup3(3, 8, O_CLOEXEC));
    TELL_EXACT(fcntl(8, F_GETFD));
    TELL(fcntl(8, F_SETFD, 0));
    TELL_EXACT(fcntl(8, F_GETFD));
    TELL_EXACT(fcntl(8, F_DUPFD, 20));
    TELL_EXACT(fcntl(8, F_DUPFD_CLOEXEC, 20));
    TELL(fcntl(8, F_DUPFD, 1 << 20));
    TELL_EXACT(fcntl(21, F_GETFD));
    TELL_EXACT(fcntl(8, F_GETFL));
    TELL(fcntl(8, F_SETFL, O_APPEND));
    TELL_EXACT(fcntl(3, F_GETFL));
    TELL(fcntl(8, F_SETFL, 0));
    TELL(fcntl(8, 999));
    TELL(syscall(SYS_close_range, 8, 7, 0));
    TELL(syscall(SYS_close_range, 5, ~0U, 0));
    TELL(close(8));
    TELL(close(4));
    TELL(close(99));
    TELL_EXACT(creat("c", 0600));
    TELL(read(4, name, 1));
    TELL(close(4));
}

static void positions(void)
{
    char bytes[64] = "";
    struct iovec parts[3] = {{"one", 3}, {"", 0}, {"two", 3}};
    struct iovec into[2] = {{bytes, 2}, {bytes + 2, 60}};
    TELL_EXACT(write(3, "hello", 5));
    TELL_EXACT(write(3, BAD, 5));
    TELL_EXACT(write(3, BAD, 0));
    TELL(write(99, "x", 1));
    TELL_EXACT(lseek(3, 0, SEEK_CUR));
    TELL_EXACT(lseek(3, -10, SEEK_CUR));
    TELL_EXACT(lseek(3, 3, SEEK_END));
    TELL_EXACT(lseek(3, 0, 9));
    TELL_EXACT(writev(3, parts, 3));
    TELL(writev(3, parts, -1));
    TELL(writev(3, (struct iovec *)BAD, 1));
    TELL_EXACT(pread(3, bytes, 64, 0));
    printf("%s, %s\n", bytes, bytes + 8);
    TELL_EXACT(pread(3, bytes, 64, 100));
    TELL(pread(3, bytes, 64, -1));
    TELL_EXACT(pwrite(3, "J", 1, 0));
    TELL(pwrite(3, "J", 1, -1));
    TELL_EXACT(lseek(3, 0, SEEK_SET));
    TELL_EXACT(readv(3, into, 2));
    printf("%s\n", bytes);
    TELL_EXACT(preadv(3, into, 2, 1));
    TELL_EXACT(pwritev(3, parts, 1, 20));
    TELL(ftruncate(3, -1));
    TELL(ftruncate(3, 6));
    TELL(ftruncate(99, 6));
    TELL_EXACT(lseek(3, 0, SEEK_END));
    TELL(truncate("a", 12));
    TELL(truncate("none", 12));
    TELL(truncate("a", -1));
    TELL_EXACT(lseek(3, 0, SEEK_END));
    TELL(fsync(3));
    TELL(fdatasync(99));
    TELL_EXACT(syscall(SYS_read, 3, bytes, -1L));
    TELL_EXACT(read(3, (char *)-4096, 10));
}

static void show(const char *name, const struct stat *status)
{
    printf("%s: mode %o links %ld user %u group %u size %ld\n", name, status->st_mode, (long)status->st_nlink,
           status->st_uid, status->st_gid, S_ISREG(status->st_mode) ? (long)status->st_size : 0L);
}

static void names(void)
{
    struct stat status;
    struct statx extended;
    char text[32] = "";
    struct timespec times[2] = {{1000, 5}, {2000, 6}};
    TELL(mkdir("d", 0777));
    TELL(mkdir("d", 0777));
    TELL(mkdir("none/d", 0777));
    TELL(link("a", "d/link"));
    TELL(link("a", "d/link"));
    TELL(link("d", "e"));
    TELL(symlink("d/link", "soft"));
    TELL(symlink("d/link", "soft"));
    TELL(symlink("", "empty"));
    TELL_EXACT(readlink("soft", text, 3));
    printf("%s\n", text);
    TELL_EXACT(readlink("soft", text, 32));
    TELL(readlink("a", text, 32));
    TELL(readlink("soft", text, 0));
    TELL(stat("soft", &status));
    show("soft", &status);
    TELL(lstat("soft", &status));
    show("soft itself", &status);
    TELL(fstat(3, &status));
    show("3", &status);
    TELL(fstat(99, &status));
    TELL(stat("none", &status));
    TELL(stat("soft", (struct stat *)BAD));
    TELL(fstatat(3, "", &status, AT_EMPTY_PATH));
    TELL(fstatat(3, "", &status, 0));
    TELL(fstatat(3, "", &status, 0x8000));
    TELL(syscall(SYS_statx, AT_FDCWD, "a", 0, STATX_BASIC_STATS, &extended));
    printf("statx: %o %u %llu\n", extended.stx_mode, extended.stx_nlink, (long long)extended.stx_size);
    TELL(syscall(SYS_statx, AT_FDCWD, "a", 0x6000, STATX_BASIC_STATS, &extended));
    TELL(chmod("a", 0640));
    TELL(fchmod(3, 04755));
    TELL(fchmod(99, 0644));
    TELL(fchmodat(AT_FDCWD, "none", 0644, 0));
    TELL(chown("a", 5, 6));
    TELL(lchown("soft", 7, -1));
    TELL(fchown(3, -1, 9));
    TELL(fstat(3, &status));
    show("changed", &status);
    TELL(utimensat(AT_FDCWD, "a", times, 0));
    TELL(stat("a", &status));
    printf("%ld %ld %ld %ld\n", status.st_atim.tv_sec, status.st_atim.tv_nsec, status.st_mtim.tv_sec,
           status.st_mtim.tv_nsec);
    times[1].tv_nsec = 1000000000;
    TELL(utimensat(AT_FDCWD, "a", times, 0));
    TELL(futimens(3, NULL));
    TELL(access("a", F_OK));
    TELL(access("a", X_OK));
    TELL(access("none", F_OK));
    TELL(access("a", 8));
    TELL(rename("none", "x"));
    TELL(rename("a", "b"));
    TELL(rename("b", "d"));
    TELL(syscall(SYS_renameat2, AT_FDCWD, "b", AT_FDCWD, "d/link", 1));
    TELL(rmdir("d"));
    TELL(unlink("d"));
    TELL(unlinkat(AT_FDCWD, "d/link", 0));
    TELL(unlinkat(AT_FDCWD, "d", AT_REMOVEDIR));
    TELL(unlinkat(AT_FDCWD, "d", 1));
    TELL(rmdir("b"));
    TELL_EXACT(umask(077));
    TELL_EXACT(umask(022));
}

static int by_name(const void *one, const void *other)
{
    return strcmp(*(char *const *)one, *(char *const *)other);
}

static void directories(void)
{
    char text[100];
    char *found[16];
    int count = 0;
    TELL(mkdir("sub", 0755));
    TELL(chdir("sub"));
    TELL_EXACT(syscall(SYS_getcwd, text, sizeof text));
    printf("%s\n", text);
    TELL_EXACT(syscall(SYS_getcwd, text, 3));
    TELL(chdir("none"));
    TELL(chdir("../b"));
    TELL(chdir(".."));
    TELL(fchdir(3));
    DIR *folder = opendir(".");
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char *one = malloc(300);
        snprintf(one, 300, "%s %d", entry->d_name, entry->d_type);
        found[count++] = one;
    }
    closedir(folder);
    qsort(found, (size_t)count, sizeof found[0], by_name);
    for (int i = 0; i < count; i++) {
        printf("entry %s\n", found[i]);
    }
    TELL(syscall(SYS_getdents64, 3, text, sizeof text));
    TELL_EXACT(open(".", O_RDONLY | O_DIRECTORY));
    TELL(syscall(SYS_getdents64, 4, text, 1));
    TELL(syscall(SYS_getdents64, 4, BAD, 1000));
    TELL(read(4, text, 1));
    TELL_EXACT(openat(4, "c", O_RDONLY));
    TELL(fchdir(4));
    TELL(close(5));
    TELL(close(4));
    TELL(rmdir("sub"));
}

static void pipes(void)
{
    int ends[2];
    char bytes[16] = "";
    struct pollfd polled[3] = {{0, 0, 0}};
    struct timeval soon = {0, 1000};
    TELL(pipe((int *)BAD));
    TELL(pipe2(ends, 0x40));
    TELL(pipe2(ends, O_NONBLOCK | O_CLOEXEC));
    printf("%d %d %d\n", ends[0], ends[1], fcntl(ends[0], F_GETFD));
    TELL(read(ends[0], bytes, 4));
    TELL_EXACT(write(ends[1], "abcdef", 6));
    TELL(lseek(ends[0], 0, SEEK_CUR));
    TELL(pread(ends[0], bytes, 1, 0));
    TELL(write(ends[0], "a", 1));
    polled[0] = (struct pollfd){ends[0], POLLIN, 0};
    polled[1] = (struct pollfd){ends[1], POLLIN | POLLOUT, 0};
    polled[2] = (struct pollfd){99, POLLIN, 0};
    TELL_EXACT(poll(polled, 3, -1));
    printf("%x %x %x\n", polled[0].revents, polled[1].revents, polled[2].revents);
    TELL_EXACT(read(ends[0], bytes, 16));
    TELL_EXACT(poll(polled, 1, 0));
    TELL_EXACT(poll(polled, 1, 5));
    TELL_EXACT(poll(NULL, 0, 1));
    TELL(poll(polled, 1 << 30, 0));
    fd_set set;
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    TELL_EXACT(select(10, &set, NULL, NULL, &soon));
    FD_SET(ends[1], &set);
    TELL_EXACT(select(10, NULL, &set, NULL, NULL));
    FD_SET(60, &set);
    TELL(select(64, &set, NULL, NULL, NULL));
    TELL(close(ends[1]));
    TELL_EXACT(read(ends[0], bytes, 1));
    TELL_EXACT(poll(polled, 1, -1));
    printf("%x\n", polled[0].revents);
    TELL(ioctl(ends[0], TCGETS, bytes));
    TELL(fsync(ends[0]));
    TELL(close(ends[0]));
}

static void maps(void)
{
    char bytes[8] = "";
    off_t offset = 1;
    int memory = memfd_create("m", MFD_CLOEXEC);
    TELL(memfd_create("m", 0x100));
    TELL(ftruncate(memory, PAGE));
    TELL_EXACT(lseek(memory, 0, SEEK_END));
    char *shared = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    char *private = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, memory, 0);
    TELL(shared == MAP_FAILED || private == MAP_FAILED ? -1 : 0);
    strcpy(shared, "shared");
    TELL_EXACT(pread(memory, bytes, 6, 0));
    printf("%s %s\n", bytes, private);
    private[0] = 'S';
    TELL_EXACT(pwrite(memory, "T", 1, 0));
    printf("%s %s\n", shared, private);
    TELL(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, 99, 0));
    TELL(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, memory, 1));
    int reader = open("c", O_RDONLY);
    TELL(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, reader, 0));
    TELL(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, reader, 0));
    TELL(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, reader, 0));
    int writer = open("c", O_WRONLY);
    TELL(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, writer, 0));
    int folder = open(".", O_RDONLY);
    TELL(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, folder, 0));
    TELL_EXACT(sendfile(writer, memory, &offset, 3));
    TELL_EXACT(offset);
    TELL_EXACT(sendfile(writer, memory, NULL, 100));
    TELL_EXACT(pread(reader, bytes, 5, 0));
    printf("%s\n", bytes);
    TELL(sendfile(reader, memory, NULL, 1));
    close(reader);
    close(writer);
    close(folder);
    close(memory);
}

static void devices(void)
{
    char bytes[8] = "abcdefg";
    int null = open("/dev/null", O_RDWR);
    int zero = open("/dev/zero", O_RDWR);
    int full = open("/dev/full", O_RDWR);
    TELL_EXACT(write(null, bytes, 8));
    TELL_EXACT(read(null, bytes, 8));
    TELL_EXACT(read(zero, bytes, 8));
    TELL_EXACT(bytes[0]);
    TELL(write(full, bytes, 8));
    TELL_EXACT(write(null, BAD, 8));
    TELL(ioctl(null, TCGETS, bytes));
    TELL(ioctl(99, TCGETS, bytes));
    close(null);
    close(zero);
    close(full);
}

static void limits(void)
{
    struct rlimit limit = {6, 4096};
    TELL(setrlimit(RLIMIT_NOFILE, &limit));
    TELL_EXACT(open("c", O_RDONLY));
    TELL_EXACT(open("c", O_RDONLY));
    TELL(open("c", O_RDONLY));
    TELL(dup(0));
    TELL(dup2(0, 6));
    int ends[2];
    TELL(pipe(ends));
    TELL(close(4));
    TELL(pipe(ends));
    TELL(close(5));
}

int main(void)
{
    close(3);
    mkdir("/tmp", 01777);
    TELL(mkdir(FOLDER, 0755));
    TELL(chdir(FOLDER));
    open_close();
    positions();
    names();
    directories();
    pipes();
    maps();
    devices();
    limits();
    TELL(unlink("b"));
    TELL(unlink("c"));
    TELL(unlink("soft"));
    TELL(chdir("/"));
    TELL(rmdir(FOLDER));
    return 0;
}
