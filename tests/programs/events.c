/* What epoll and eventfd answer: each error, each kind of waiting, and threads that wake each other. */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define BAD    ((void *)8)
#define ROUNDS 3000
#define MANY   40

static struct epoll_event told[64];

static long control(int set, int operation, int file, uint32_t events, uint64_t data)
{
    struct epoll_event event = {.events = events, .data.u64 = data};
    return epoll_ctl(set, operation, file, &event);
}

/* Waits not, and says what is ready. */
static void show(const char *what, int set)
{
    int count = epoll_wait(set, told, 64, 0);
    printf("%s: %d", what, count);
    for (int i = 0; i < count; i++) {
        printf(" %x/%llx", told[i].events, (unsigned long long)told[i].data.u64);
    }
    printf("\n");
}

static void numbers(void)
{
    uint64_t value = 5;
    char bytes[16] = "";
    TELL_EXACT(eventfd(3, 0x10));
    int file = eventfd(3, EFD_NONBLOCK);
    printf("flags: %x\n", fcntl(file, F_GETFL));
    TELL_EXACT(read(file, &value, 7));
    TELL_EXACT(read(file, &value, 8));
    printf("value: %llu\n", (unsigned long long)value);
    TELL_EXACT(read(file, &value, 8));
    TELL_EXACT(write(file, &value, 7));
    TELL_EXACT(write(file, BAD, 8));
    value = UINT64_MAX;
    TELL_EXACT(write(file, &value, 8));
    value = UINT64_MAX - 1;
    TELL_EXACT(write(file, &value, 8));
    struct pollfd polled = {.fd = file, .events = POLLIN | POLLOUT};
    TELL_EXACT(poll(&polled, 1, 0));
    printf("ready: %x\n", (unsigned)polled.revents);
    value = 1;
    TELL_EXACT(write(file, &value, 8));
    TELL_EXACT(read(file, bytes, 16));
    TELL_EXACT(poll(&polled, 1, 0));
    printf("ready: %x\n", (unsigned)polled.revents);
    TELL_EXACT(lseek(file, 0, SEEK_SET));
    TELL_EXACT(pread(file, bytes, 8, 0));
    TELL_EXACT(read(file, BAD, 8));
    close(file);
    file = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC);
    TELL_EXACT(fcntl(file, F_GETFD));
    for (int i = 0; i < 3; i++) {
        TELL_EXACT(read(file, &value, 8));
        printf("value: %llu\n", (unsigned long long)value);
    }
    struct stat status;
    TELL(fstat(file, &status));
    close(file);
}

static void errors(void)
{
    int ends[2];
    pipe(ends);
    TELL(epoll_create(0));
    TELL(epoll_create1(1));
    int set = epoll_create1(EPOLL_CLOEXEC);
    TELL_EXACT(fcntl(set, F_GETFD));
    TELL(epoll_ctl(set, EPOLL_CTL_ADD, ends[0], BAD));
    TELL(epoll_ctl(99, EPOLL_CTL_DEL, ends[0], BAD));
    TELL(control(99, EPOLL_CTL_ADD, ends[0], EPOLLIN, 0));
    TELL(control(set, EPOLL_CTL_ADD, 99, EPOLLIN, 0));
    TELL(control(ends[0], EPOLL_CTL_ADD, ends[1], EPOLLIN, 0));
    TELL(control(set, EPOLL_CTL_ADD, set, EPOLLIN, 0));
    TELL(control(set, EPOLL_CTL_ADD, open("/tmp", O_RDONLY), EPOLLIN, 0));
    TELL(control(set, EPOLL_CTL_ADD, open("/dev/null", O_RDWR), EPOLLIN, 0));
    TELL(control(set, EPOLL_CTL_ADD, open("/tmp", O_PATH), EPOLLIN, 0));
    TELL(control(set, 9, ends[0], EPOLLIN, 0));
    TELL(control(set, EPOLL_CTL_MOD, ends[0], EPOLLIN, 0));
    TELL(control(set, EPOLL_CTL_DEL, ends[0], EPOLLIN, 0));
    TELL(control(set, EPOLL_CTL_ADD, ends[0], EPOLLIN, 0));
    TELL(control(set, EPOLL_CTL_ADD, ends[0], EPOLLIN, 0));
    TELL(control(set, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLEXCLUSIVE, 0));
    TELL(control(set, EPOLL_CTL_ADD, ends[1], EPOLLOUT | EPOLLEXCLUSIVE | EPOLLONESHOT, 0));
    TELL(control(set, EPOLL_CTL_ADD, ends[1], EPOLLOUT | EPOLLEXCLUSIVE, 0));
    TELL(control(set, EPOLL_CTL_MOD, ends[1], EPOLLOUT, 0));
    TELL_EXACT(epoll_wait(set, told, 0, 0));
    TELL_EXACT(epoll_wait(set, told, -1, 0));
    TELL_EXACT(epoll_wait(set, (void *)-4096L, 1, 0));
    TELL_EXACT(epoll_wait(99, told, 1, 0));
    TELL_EXACT(epoll_wait(ends[0], told, 1, 0));
    TELL_EXACT(epoll_wait(set, BAD, 1, 0));
    TELL_EXACT(epoll_wait(set, told, 1, 0));
    TELL_EXACT(syscall(SYS_epoll_pwait, set, told, 1, 0, told, 4));
    TELL_EXACT(syscall(SYS_epoll_pwait, set, told, 1, 0, NULL, 4));
    struct timespec bad = {0, 1000000000};
    struct timespec none = {0, 0};
    TELL_EXACT(syscall(SYS_epoll_pwait2, set, told, 1, &bad, NULL, 8));
    TELL_EXACT(syscall(SYS_epoll_pwait2, set, told, 1, BAD, NULL, 8));
    TELL_EXACT(syscall(SYS_epoll_pwait2, set, told, 1, &none, NULL, 8));
    char byte;
    TELL_EXACT(read(set, &byte, 1));
    TELL_EXACT(lseek(set, 0, SEEK_CUR));
    closefrom(3);
}

static void kinds(void)
{
    char bytes[65536] = "";
    int ends[2];
    pipe2(ends, O_NONBLOCK);
    int set = epoll_create1(0);
    control(set, EPOLL_CTL_ADD, ends[0], EPOLLIN, 0x123456789a);
    show("nothing", set);
    write(ends[1], bytes, 3);
    show("level", set);
    show("level again", set);
    read(ends[0], bytes, 3);
    show("read", set);
    control(set, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLET, 2);
    write(ends[1], bytes, 10);
    show("edge", set);
    show("edge again", set);
    read(ends[0], bytes, 5);
    show("edge, read in part", set);
    write(ends[1], bytes, 1);
    show("edge, written again", set);
    control(set, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLET, 3);
    show("edge, set again", set);
    control(set, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLONESHOT, 4);
    show("once", set);
    write(ends[1], bytes, 1);
    show("once again", set);
    control(set, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLONESHOT, 5);
    show("once, set again", set);
    control(set, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLONESHOT, 8);
    TELL(epoll_wait(set, (struct epoll_event *)8, 1, 0));
    show("once, not told", set);
    control(set, EPOLL_CTL_MOD, ends[0], 0, 6);
    show("nothing asked for", set);
    control(set, EPOLL_CTL_ADD, ends[1], EPOLLOUT | EPOLLET, 7);
    show("room", set);
    read(ends[0], bytes, 2);
    show("more room", set);
    while (write(ends[1], bytes, sizeof bytes) > 0) {
    }
    show("full", set);
    read(ends[0], bytes, 8192);
    show("room again", set);
    close(ends[1]);
    show("hung up", set);
    control(set, EPOLL_CTL_MOD, ends[0], EPOLLET, 8);
    show("hung up, edge", set);
    show("hung up, edge again", set);
    close(ends[0]);
    show("closed", set);
    close(set);
    pipe(ends);
    set = epoll_create1(0);
    control(set, EPOLL_CTL_ADD, ends[1], EPOLLOUT, 1);
    close(ends[0]);
    show("no readers", set);
    int copy = dup(ends[1]);
    close(ends[1]);
    show("closed but for a copy", set);
    TELL(control(set, EPOLL_CTL_DEL, ends[1], 0, 0));
    close(copy);
    show("closed with its copy", set);
    closefrom(3);
}

static void many(void)
{
    int files[MANY];
    uint64_t sum = 0;
    int set = epoll_create1(0);
    for (int i = 0; i < MANY; i++) {
        files[i] = eventfd(i % 2, 0);
        control(set, EPOLL_CTL_ADD, files[i], EPOLLIN, (uint64_t)i);
    }
    for (int i = 0; i < 4; i++) {
        int count = epoll_wait(set, told, 5, 0);
        for (int j = 0; j < count; j++) {
            sum += told[j].data.u64;
        }
    }
    printf("each in turn: %llu\n", (unsigned long long)sum);
    TELL_EXACT(epoll_wait(set, told, 64, -1));
    for (int i = 0; i < MANY; i += 3) {
        close(files[i]);
    }
    TELL_EXACT(epoll_wait(set, told, 64, -1));
    closefrom(3);
}

static void nested(void)
{
    int sets[6];
    for (int i = 0; i < 6; i++) {
        sets[i] = epoll_create1(0);
    }
    for (int i = 0; i < 5; i++) {
        TELL(control(sets[i], EPOLL_CTL_ADD, sets[i + 1], EPOLLIN, (uint64_t)i));
    }
    TELL(control(sets[4], EPOLL_CTL_ADD, sets[0], EPOLLIN, 0));
    TELL(control(sets[1], EPOLL_CTL_ADD, sets[0], EPOLLIN, 0));
    TELL(control(sets[0], EPOLL_CTL_ADD, sets[2], EPOLLIN | EPOLLEXCLUSIVE, 0));
    int file = eventfd(0, 0);
    TELL(control(sets[4], EPOLL_CTL_ADD, file, EPOLLIN, 9));
    show("nested, nothing", sets[0]);
    eventfd_write(file, 1);
    show("nested", sets[0]);
    show("inner", sets[4]);
    struct pollfd polled = {.fd = sets[0], .events = POLLIN | POLLOUT};
    TELL_EXACT(poll(&polled, 1, 0));
    printf("ready: %x\n", (unsigned)polled.revents);
    uint64_t value;
    read(file, &value, 8);
    TELL_EXACT(poll(&polled, 1, 0));
    show("nested, read", sets[0]);
    eventfd_write(file, 1);
    close(sets[2]);
    show("cut", sets[0]);
    show("below the cut", sets[3]);
    closefrom(3);
}

/* ---- Threads ---- */

static int there;
static int back;
static int waited;

static void *answer(void *unused)
{
    eventfd_t value;
    for (int i = 0; i < ROUNDS; i++) {
        eventfd_read(there, &value);
        eventfd_write(back, value + 1);
    }
    return unused;
}

static void ping_pong(void)
{
    pthread_t thread;
    eventfd_t value = 0;
    uint64_t sum = 0;
    there = eventfd(0, 0);
    back = eventfd(0, 0);
    pthread_create(&thread, NULL, answer, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        eventfd_write(there, 1);
        eventfd_read(back, &value);
        sum += value;
    }
    pthread_join(thread, NULL);
    printf("ping-pong: %llu\n", (unsigned long long)sum);
    close(there);
    close(back);
}

/* Takes what is there until it is told to end, which nobody takes away. */
static void *take(void *flags)
{
    long taken = 0;
    struct epoll_event event;
    for (;;) {
        if (epoll_wait(waited, &event, 1, -1) != 1) {
            continue;
        }
        if (event.data.u64 == 1) {
            return (void *)taken;
        }
        uint64_t value;
        while (read(there, &value, 8) == 8) {
            taken++;
            if (flags) {
                break;
            }
        }
    }
}

static void takers(const char *what, uint32_t events, void *flags)
{
    pthread_t threads[4];
    long sum = 0;
    waited = epoll_create1(0);
    there = eventfd(0, EFD_NONBLOCK | EFD_SEMAPHORE);
    int end = eventfd(0, 0);
    control(waited, EPOLL_CTL_ADD, there, events, 0);
    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, take, flags);
    }
    for (int i = 0; i < ROUNDS; i++) {
        eventfd_write(there, 1);
    }
    struct pollfd polled = {.fd = there, .events = POLLIN};
    while (poll(&polled, 1, 0) != 0) {
        sched_yield();
    }
    eventfd_write(end, 1);
    control(waited, EPOLL_CTL_ADD, end, EPOLLIN, 1);
    for (int i = 0; i < 4; i++) {
        void *taken;
        pthread_join(threads[i], &taken);
        sum += (long)taken;
    }
    printf("%s: %ld\n", what, sum);
    closefrom(3);
}

static volatile int over;

static void *open_and_close(void *unused)
{
    while (!over) {
        int ends[2];
        pipe(ends);
        control(waited, EPOLL_CTL_ADD, ends[0], EPOLLIN | EPOLLET, 3);
        control(waited, EPOLL_CTL_ADD, ends[1], EPOLLOUT, 4);
        write(ends[1], "x", 1);
        close(ends[0]);
        control(waited, EPOLL_CTL_MOD, ends[1], EPOLLOUT | EPOLLONESHOT, 4);
        close(ends[1]);
    }
    return unused;
}

/* Sets and files that are closed while others wait for them, and tell of them. */
static void beside_close(void)
{
    pthread_t threads[3];
    waited = epoll_create1(0);
    int outer = epoll_create1(0);
    control(outer, EPOLL_CTL_ADD, waited, EPOLLIN, 1);
    for (int i = 0; i < 3; i++) {
        pthread_create(&threads[i], NULL, open_and_close, NULL);
    }
    for (int i = 0; i < ROUNDS; i++) {
        int set = epoll_create1(0);
        epoll_wait(outer, told, 64, i % 2);
        epoll_wait(waited, told, 64, i % 2);
        control(set, EPOLL_CTL_ADD, waited, EPOLLIN, 1);
        close(set);
    }
    over = 1;
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    show("after closing", waited);
    show("outside", outer);
    closefrom(3);
}

/* One waits in epoll_wait() in another process, and is woken. */
static void processes(void)
{
    int status;
    there = eventfd(0, 0);
    back = eventfd(0, 0);
    pid_t child = fork();
    if (child == 0) {
        int set = epoll_create1(0);
        control(set, EPOLL_CTL_ADD, there, EPOLLIN | EPOLLEXCLUSIVE, 1);
        eventfd_write(back, 1);
        _exit(epoll_wait(set, told, 1, -1));
    }
    eventfd_t value;
    eventfd_read(back, &value);
    eventfd_write(there, 1);
    waitpid(child, &status, 0);
    printf("a child was told of %d\n", WEXITSTATUS(status));
    TELL_EXACT(epoll_wait(epoll_create1(0), told, 1, 1));
    closefrom(3);
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    mkdir("/tmp", 0777);
    closefrom(3);
    numbers();
    errors();
    kinds();
    many();
    nested();
    ping_pong();
    takers("level", EPOLLIN, NULL);
    takers("edge", EPOLLIN | EPOLLET, NULL);
    takers("one at a time", EPOLLIN, told);
    beside_close();
    processes();
    return 0;
}
