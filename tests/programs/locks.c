/* What locks of files answer: fcntl() for processes and for open files, flock; who waits, and who would for
 * ever. */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define FILE_NAME "/tmp/ashlar-locks"
#define BAD       ((void *)8)
#define MOST      INT64_MAX

static long lock(int file, int command, int type, int whence, off_t start, off_t bytes)
{
    struct flock lock = {.l_type = (short)type, .l_whence = (short)whence, .l_start = start, .l_len = bytes};
    return fcntl(file, command, &lock);
}

static long set(int file, int type, off_t start, off_t bytes)
{
    return lock(file, F_SETLK, type, SEEK_SET, start, bytes);
}

/* Who excludes a lock. */
static void show(const char *what, int file, int command, int type, off_t start, off_t bytes, pid_t who)
{
    struct flock lock = {.l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = bytes};
    if (fcntl(file, command, &lock) != 0) {
        printf("%s: error %d\n", what, errno);
    } else {
        printf("%s: %d, %d, %ld, %ld, %d\n", what, lock.l_type, lock.l_whence, (long)lock.l_start,
               (long)lock.l_len,
               lock.l_pid == who  ? 1
               : lock.l_pid == 0  ? 0
               : lock.l_pid == -1 ? -1
                                  : 2);
    }
}

/* Asks in a child, since nobody is excluded by himself: all that is there. */
static void show_all(const char *what)
{
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0) {
        int file = open(FILE_NAME, O_RDWR);
        off_t at = 0;
        printf("%s:", what);
        for (;;) {
            struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 0};
            fcntl(file, F_GETLK, &lock);
            if (lock.l_type == F_UNLCK) {
                break;
            }
            printf(" %ld+%ld%s%s", (long)lock.l_start, (long)lock.l_len, lock.l_type == F_WRLCK ? "w" : "r",
                   lock.l_pid == parent ? "" : "?");
            if (lock.l_len == 0) {
                break;
            }
            at = lock.l_start + lock.l_len;
        }
        printf("\n");
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

static void errors(int file)
{
    struct flock request = {.l_type = F_WRLCK, .l_pid = 3};
    int reads = open(FILE_NAME, O_RDONLY);
    int writes = open(FILE_NAME, O_WRONLY);
    int place = open(FILE_NAME, O_PATH);
    TELL(fcntl(file, F_SETLK, BAD));
    TELL(fcntl(file, F_GETLK, BAD));
    TELL(set(99, F_WRLCK, 0, 0));
    TELL(set(reads, F_WRLCK, 0, 0));
    TELL(set(writes, F_RDLCK, 0, 0));
    TELL(set(reads, F_UNLCK, 0, 0));
    TELL(set(place, F_RDLCK, 0, 0));
    TELL(set(file, 7, 0, 0));
    TELL(lock(file, F_GETLK, F_UNLCK, SEEK_SET, 0, 0));
    TELL(lock(file, F_SETLK, F_WRLCK, 9, 0, 0));
    TELL(set(file, F_WRLCK, -1, 0));
    TELL(set(file, F_WRLCK, 5, -6));
    TELL(set(file, F_WRLCK, MOST, 2));
    TELL(lock(file, F_SETLK, F_WRLCK, SEEK_CUR, MOST, 0));
    TELL(lock(file, F_SETLK, F_WRLCK, SEEK_END, MOST, 0));
    TELL(fcntl(file, F_OFD_SETLK, &request));
    TELL(fcntl(file, F_OFD_GETLK, &request));
    TELL(flock(99, LOCK_SH));
    TELL(flock(place, LOCK_SH));
    TELL(flock(file, LOCK_SH | LOCK_EX));
    TELL(flock(file, 0));
    TELL(flock(file, LOCK_NB));
    TELL(flock(file, LOCK_UN));
    close(reads);
    close(writes);
    close(place);
}

static void ranges(int file)
{
    TELL(set(file, F_WRLCK, 10, 10));
    TELL(set(file, F_RDLCK, 30, 10));
    show_all("two");
    TELL(set(file, F_WRLCK, 20, 10));
    show_all("joined, and beside another sort");
    TELL(set(file, F_UNLCK, 12, 3));
    show_all("cut");
    TELL(set(file, F_RDLCK, 13, 20));
    show_all("over several");
    TELL(set(file, F_WRLCK, 14, 1));
    show_all("in the midst");
    TELL(set(file, F_RDLCK, 14, 1));
    show_all("and back");
    TELL(set(file, F_RDLCK, 50, -5));
    show_all("backwards");
    TELL(set(file, F_WRLCK, 100, 0));
    show_all("to the end");
    TELL(set(file, F_UNLCK, 200, 1));
    show_all("cut behind");
    TELL(set(file, F_WRLCK, MOST, 1));
    TELL(set(file, F_UNLCK, MOST, 0));
    show_all("the last byte");
    lseek(file, 5, SEEK_SET);
    write(file, "12345", 5);
    TELL(lock(file, F_SETLK, F_WRLCK, SEEK_CUR, -3, 1));
    TELL(lock(file, F_SETLK, F_WRLCK, SEEK_END, -9, 2));
    show_all("by the position, and the end");
    show("of himself", file, F_GETLK, F_WRLCK, 0, 0, getpid());
    int copy = open(FILE_NAME, O_RDONLY);
    close(copy);
    show_all("after a close");
    set(file, F_WRLCK, 1, 1);
    dup2(file, 20);
    show_all("a copy");
    dup2(1, 20);
    show_all("a copy gone");
    close(20);
    for (int i = 0; i < 40; i++) {
        set(file, F_WRLCK, i * 2, 1);
    }
    show_all("many");
    set(file, F_RDLCK, 1, 70);
    show_all("over many");
    set(file, F_UNLCK, 0, 0);
    show_all("none");
}

static void open_files(int file)
{
    int other = open(FILE_NAME, O_RDWR);
    TELL(lock(file, F_OFD_SETLK, F_WRLCK, SEEK_SET, 0, 10));
    TELL(lock(other, F_OFD_SETLK, F_WRLCK, SEEK_SET, 9, 10));
    TELL(lock(other, F_OFD_SETLK, F_WRLCK, SEEK_SET, 10, 10));
    TELL(set(other, F_RDLCK, 5, 1));
    show("a file's", other, F_GETLK, F_WRLCK, 0, 0, getpid());
    show("a file's own", file, F_OFD_GETLK, F_WRLCK, 0, 10, getpid());
    show("another file's", file, F_OFD_GETLK, F_WRLCK, 0, 0, getpid());
    TELL(set(file, F_RDLCK, 40, 5));
    show("a process's", file, F_OFD_GETLK, F_WRLCK, 30, 0, getpid());
    int copy = dup(file);
    close(file);
    TELL(lock(other, F_OFD_SETLK, F_WRLCK, SEEK_SET, 0, 5));
    close(copy);
    TELL(lock(other, F_OFD_SETLK, F_WRLCK, SEEK_SET, 0, 5));
    close(other);
}

static void whole(void)
{
    int one = open(FILE_NAME, O_RDWR);
    int other = open(FILE_NAME, O_RDONLY);
    TELL(flock(one, LOCK_SH));
    TELL(flock(other, LOCK_SH | LOCK_NB));
    TELL(flock(one, LOCK_EX | LOCK_NB));
    TELL(flock(other, LOCK_EX | LOCK_NB));
    TELL(flock(one, LOCK_SH | LOCK_NB));
    TELL(set(one, F_WRLCK, 0, 0));
    TELL(flock(other, LOCK_UN));
    TELL(flock(one, LOCK_EX | LOCK_NB));
    int copy = dup(one);
    close(one);
    TELL(flock(other, LOCK_SH | LOCK_NB));
    TELL(flock(copy, LOCK_UN));
    TELL(flock(other, LOCK_SH | LOCK_NB));
    close(copy);
    close(other);
}

/* ---- Waiting ---- */

static void tell_other(int ends[2])
{
    write(ends[1], "x", 1);
}

static void hear(int ends[2])
{
    char byte;
    read(ends[0], &byte, 1);
}

/* A child waits for what its parent has. */
static void waiting(int file)
{
    int status;
    int ends[2];
    pipe(ends);
    set(file, F_WRLCK, 0, 10);
    pid_t child = fork();
    if (child == 0) {
        TELL(set(file, F_RDLCK, 5, 1));
        tell_other(ends);
        long result = lock(file, F_SETLKW, F_WRLCK, SEEK_SET, 5, 10);
        _exit(result == 0 ? 3 : 4);
    }
    hear(ends);
    set(file, F_RDLCK, 0, 10);
    set(file, F_UNLCK, 0, 5);
    set(file, F_UNLCK, 5, 5);
    waitpid(child, &status, 0);
    printf("waited for: %d\n", WEXITSTATUS(status));
    set(file, F_WRLCK, 0, 10);
    child = fork();
    if (child == 0) {
        tell_other(ends);
        lock(file, F_SETLKW, F_WRLCK, SEEK_SET, 5, 10);
        _exit(4);
    }
    hear(ends);
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    printf("ended while it waited: %d\n", WTERMSIG(status));
    set(file, F_UNLCK, 0, 0);
    flock(file, LOCK_EX);
    child = fork();
    if (child == 0) {
        int own = open(FILE_NAME, O_RDWR);
        tell_other(ends);
        _exit(flock(own, LOCK_SH) == 0 ? 5 : 6);
    }
    hear(ends);
    flock(file, LOCK_UN);
    waitpid(child, &status, 0);
    printf("waited for the whole: %d\n", WEXITSTATUS(status));
    close(ends[0]);
    close(ends[1]);
}

/* Three processes, each with what the one before wants: the last to ask is told; the others go on when it
 * ends. */
static void circle(int file)
{
    int status;
    int ready[2];
    int go[2];
    int told = 0;
    int had = 0;
    pipe(ready);
    pipe(go);
    for (int i = 0; i < 3; i++) {
        if (fork() == 0) {
            set(file, F_WRLCK, i, 1);
            tell_other(ready);
            hear(go);
            int result = lock(file, F_SETLKW, F_WRLCK, SEEK_SET, (i + 1) % 3, 1) == 0 ? 0 : errno;
            _exit(result);
        }
    }
    for (int i = 0; i < 3; i++) {
        hear(ready);
    }
    for (int i = 0; i < 3; i++) {
        tell_other(go);
    }
    for (int i = 0; i < 3; i++) {
        wait(&status);
        told += WEXITSTATUS(status) == EDEADLK;
        had += WEXITSTATUS(status) == 0;
    }
    printf("a circle: %d told, %d had it\n", told, had);
    closefrom(file + 1);
}

/* What an end gives back. */
static void ends(int file)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        set(file, F_WRLCK, 0, 0);
        _exit(0);
    }
    waitpid(child, &status, 0);
    TELL(set(file, F_WRLCK, 0, 0));
    child = fork();
    if (child == 0) {
        printf("not inherited: ");
        TELL(set(file, F_WRLCK, 0, 1));
        _exit(0);
    }
    waitpid(child, &status, 0);
    set(file, F_UNLCK, 0, 0);
}

static int counter_file;

/* Processes that count in a file, each number under a lock. */
static void count_in_file(int file)
{
    counter_file = file;
    int value = 0;
    pwrite(file, &value, sizeof value, 0);
    for (int i = 0; i < 4; i++) {
        if (fork() == 0) {
            for (int j = 0; j < 200; j++) {
                lock(file, F_SETLKW, F_WRLCK, SEEK_SET, 0, 4);
                pread(file, &value, sizeof value, 0);
                value++;
                pwrite(file, &value, sizeof value, 0);
                set(file, F_UNLCK, 0, 4);
            }
            _exit(0);
        }
    }
    while (wait(NULL) > 0) {
    }
    pread(file, &value, sizeof value, 0);
    printf("counted: %d\n", value);
}

static void *lock_and_close(void *unused)
{
    for (int i = 0; i < 500; i++) {
        int file = open(FILE_NAME, O_RDWR);
        lock(file, F_OFD_SETLKW, F_WRLCK, SEEK_SET, 0, 4);
        set(file, F_WRLCK, 100, 4);
        close(file);
    }
    return unused;
}

static void threads(void)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, lock_and_close, NULL);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    show_all("after threads");
}

static void others(int file)
{
    int ends[2];
    pipe(ends);
    TELL_EXACT(fcntl(ends[0], F_GETPIPE_SZ));
    TELL_EXACT(fcntl(ends[1], F_SETPIPE_SZ, 65536));
    TELL_EXACT(fcntl(file, F_GETPIPE_SZ));
    TELL_EXACT(fcntl(file, F_SETPIPE_SZ, 4096));
    TELL_EXACT(fcntl(file, F_GETOWN));
    TELL_EXACT(fcntl(file, F_GETSIG));
    int place = open("/tmp", O_PATH);
    TELL(fcntl(place, F_SETFL, 0));
    TELL(fcntl(place, F_GETLK, BAD));
    TELL(set(ends[0], F_RDLCK, 0, 0));
    TELL(set(ends[0], F_WRLCK, 0, 0));
    TELL(flock(ends[0], LOCK_EX));
    TELL(flock(ends[1], LOCK_EX | LOCK_NB));
}

int main(int count, char **arguments)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    if (count > 1) { /* after execve() */
        show_all("executed");
        return 0;
    }
    closefrom(3);
    mkdir("/tmp", 0777);
    unlink(FILE_NAME);
    int file = open(FILE_NAME, O_CREAT | O_RDWR, 0644);
    errors(file);
    ranges(file);
    open_files(file);
    whole();
    file = open(FILE_NAME, O_RDWR);
    waiting(file);
    circle(file);
    ends(file);
    count_in_file(file);
    threads();
    others(file);
    set(file, F_WRLCK, 3, 4);
    char *next[] = {arguments[0], "again", NULL};
    execv("/proc/self/exe", next);
    return 1;
}
