/* Processes as files: pidfd_open and what takes its descriptors. */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define PIDFD    0x1000
#define BY_PIDFD 3
#define BAD      ((void *)8)

static int opened(pid_t number, unsigned flags)
{
    return (int)syscall(SYS_pidfd_open, number, flags);
}

static long send_to(int file, int number, void *information, unsigned flags)
{
    return syscall(SYS_pidfd_send_signal, file, number, information, flags);
}

static long wait_for(int file, siginfo_t *information, int flags)
{
    memset(information, 0, sizeof *information);
    return syscall(SYS_waitid, BY_PIDFD, file, information, flags, NULL);
}

/* A child that ends when the other end of the pipe is closed, or by a signal. */
static pid_t child_of(int ends[2])
{
    char byte;
    pipe(ends);
    pid_t child = fork();
    if (child == 0) {
        close(ends[1]);
        read(ends[0], &byte, 1);
        _exit(6);
    }
    close(ends[0]);
    return child;
}

static void errors(void)
{
    int ends[2];
    siginfo_t information;
    memset(&information, 0, sizeof information);
    TELL(opened(0, 0));
    TELL(opened(-1, 0));
    TELL(opened(getpid(), 1));
    TELL(opened(999999, 0));
    int own = opened(getpid(), 0);
    TELL_EXACT(fcntl(own, F_GETFD));
    char byte;
    TELL(read(own, &byte, 1));
    TELL(write(own, &byte, 1));
    pipe(ends);
    TELL(send_to(own, 0, NULL, 0x100));
    TELL(send_to(99, 0, NULL, 0));
    TELL(send_to(ends[0], 0, NULL, 0));
    TELL(send_to(own, 65, NULL, 0));
    TELL(send_to(own, 0, BAD, 0));
    TELL(send_to(own, 0, NULL, 0));
    TELL(send_to(own, 5, &information, 0));
    TELL(send_to(own, 0, &information, 0));
    TELL(syscall(SYS_pidfd_getfd, own, ends[0], 1));
    TELL(syscall(SYS_pidfd_getfd, 99, ends[0], 0));
    TELL(syscall(SYS_pidfd_getfd, ends[0], ends[0], 0));
    TELL(syscall(SYS_pidfd_getfd, own, 99, 0));
    TELL(wait_for(own, &information, WEXITED));
    TELL(wait_for(ends[0], &information, WEXITED));
    TELL(wait_for(99, &information, WEXITED));
    TELL(wait_for(-1, &information, WEXITED));
    closefrom(3);
}

static void waited_for(void)
{
    int ends[2];
    siginfo_t information;
    pid_t child = child_of(ends);
    int file = opened(child, 0);
    int impatient = opened(child, O_NONBLOCK);
    struct pollfd polled = {.fd = file, .events = POLLIN};
    int set = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 7};
    TELL(epoll_ctl(set, EPOLL_CTL_ADD, file, &event));
    TELL_EXACT(poll(&polled, 1, 0));
    TELL_EXACT(epoll_wait(set, &event, 1, 0));
    TELL(wait_for(file, &information, WEXITED | WNOHANG));
    printf("nobody: %d\n", information.si_pid);
    TELL(wait_for(impatient, &information, WEXITED));
    close(ends[1]);
    TELL_EXACT(epoll_wait(set, &event, 1, -1));
    TELL_EXACT(poll(&polled, 1, -1));
    printf("ready: %d\n", polled.revents & POLLIN);
    TELL(send_to(file, 0, NULL, 0));
    TELL(wait_for(impatient, &information, WEXITED | WNOWAIT));
    printf("it: %d, %d, %d\n", information.si_pid == child, information.si_code, information.si_status);
    TELL(wait_for(file, &information, WEXITED));
    TELL(wait_for(file, &information, WEXITED));
    TELL(send_to(file, 0, NULL, 0));
    TELL(syscall(SYS_pidfd_getfd, file, 0, 0));
    TELL_EXACT(poll(&polled, 1, 0) & 1);
    TELL(opened(child, 0));
    closefrom(3);
}

static void ended_and_taken(void)
{
    int ends[2];
    int status;
    char byte = 0;
    siginfo_t information;
    pid_t child = child_of(ends);
    int file = opened(child, 0);
    memset(&information, 0, sizeof information);
    TELL(send_to(file, 0, &information, 0));
    int taken = (int)syscall(SYS_pidfd_getfd, file, ends[0], 0);
    printf("taken: %d, %d\n", taken >= 0, fcntl(taken, F_GETFD));
    write(ends[1], "x", 1);
    waitpid(child, &status, 0);
    printf("it read: %d\n", WEXITSTATUS(status));
    write(ends[1], "y", 1);
    TELL_EXACT(read(taken, &byte, 1));
    close(file);
    child = child_of(ends);
    file = opened(child, 0);
    TELL(send_to(file, SIGKILL, NULL, 0));
    waitpid(child, &status, 0);
    printf("by signal %d\n", WTERMSIG(status));
    closefrom(3);
}

struct arguments {
    uint64_t flags, descriptor, child_number, parent_number, signal, stack, stack_bytes, tls;
};

static void cloned(void)
{
    int file = -1;
    int number = -1;
    siginfo_t information;
    long child = syscall(SYS_clone, PIDFD | SIGCHLD, 0, &file, NULL, 0);
    if (child == 0) {
        _exit(8);
    }
    printf("cloned: %d, %d, %d\n", child > 0, file, fcntl(file, F_GETFD));
    TELL(wait_for(file, &information, WEXITED));
    printf("it: %d, %d\n", information.si_pid == child, information.si_status);
    close(file);
    struct arguments arguments = {.flags = PIDFD | CLONE_PARENT_SETTID,
                                  .descriptor = (uint64_t)&file,
                                  .parent_number = (uint64_t)&number,
                                  .signal = SIGCHLD};
    child = syscall(SYS_clone3, &arguments, sizeof arguments);
    if (child == 0) {
        _exit(9);
    }
    printf("cloned: %d, %d, %d\n", child == number, file, fcntl(file, F_GETFD));
    TELL(wait_for(file, &information, WEXITED));
    printf("it: %d, %d\n", information.si_pid == child, information.si_status);
    close(file);
    arguments.parent_number = arguments.descriptor;
    TELL(syscall(SYS_clone3, &arguments, sizeof arguments));
    TELL(syscall(SYS_clone, PIDFD | CLONE_PARENT_SETTID | SIGCHLD, 0, &file, NULL, 0));
    TELL(syscall(SYS_clone, PIDFD | 0x400000 | SIGCHLD, 0, &file, NULL, 0));
    TELL(syscall(SYS_clone, PIDFD | SIGCHLD, 0, BAD, NULL, 0));
    TELL_EXACT(fcntl(3, F_GETFD));
    TELL(wait(NULL));
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    closefrom(3);
    errors();
    waited_for();
    ended_and_taken();
    cloned();
    return 0;
}
