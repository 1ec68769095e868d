/* Sizes of pipes, packets, what waits in them, and writers whom nobody reads, for two kernels to be compared.
 */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define PAGE  4096
#define LARGE (1 << 20)

static char text[LARGE], back[LARGE];
static int ends[2];

static void make(int flags)
{
    if (pipe2(ends, flags) != 0) {
        _exit(1);
    }
}

static void drop(void)
{
    close(ends[0]);
    close(ends[1]);
}

static int waiting(int end)
{
    int bytes = -1;
    return ioctl(end, FIONREAD, &bytes) == 0 ? bytes : -1;
}

static void sizes(void)
{
    make(O_NONBLOCK);
    TELL_EXACT(fcntl(ends[0], F_GETPIPE_SZ));
    TELL_EXACT(fcntl(ends[0], F_SETPIPE_SZ, 0));
    TELL_EXACT(fcntl(ends[0], F_SETPIPE_SZ, -1));
    TELL_EXACT(fcntl(ends[0], F_SETPIPE_SZ, 1));
    TELL_EXACT(fcntl(ends[0], F_SETPIPE_SZ, 4097));
    TELL_EXACT(fcntl(ends[1], F_SETPIPE_SZ, 3 * 65536));
    TELL_EXACT(write(ends[1], text, LARGE));
    TELL_EXACT(fcntl(ends[1], F_SETPIPE_SZ, 65536));
    TELL_EXACT(fcntl(ends[1], F_GETPIPE_SZ));
    TELL_EXACT(waiting(ends[0]));
    TELL_EXACT(waiting(ends[1]));
    TELL_EXACT(fcntl(ends[1], F_SETPIPE_SZ, LARGE));
    TELL_EXACT(write(ends[1], text + 262144, LARGE - 262144));
    TELL_EXACT(read(ends[0], back, 200000));
    TELL_EXACT(write(ends[1], text, 100));
    TELL_EXACT(read(ends[0], back + 200000, LARGE - 200000));
    printf("as it was: %d\n", memcmp(text, back, LARGE));
    TELL_EXACT(read(ends[0], back, LARGE));
    TELL_EXACT(fcntl(ends[1], F_SETPIPE_SZ, PAGE));
    TELL_EXACT(write(ends[1], text, 3000));
    TELL_EXACT(write(ends[1], text + 3000, 2000));
    TELL_EXACT(write(ends[1], text + 3000, 1096));
    TELL_EXACT(write(ends[1], text, 1));
    TELL_EXACT(fcntl(ends[1], F_SETPIPE_SZ, 2 * PAGE));
    TELL_EXACT(write(ends[1], text + PAGE, PAGE));
    TELL_EXACT(read(ends[0], back, 10));
    TELL_EXACT(write(ends[1], text, 1));
    TELL_EXACT(fcntl(ends[1], F_SETPIPE_SZ, 1));
    TELL_EXACT(read(ends[0], back + 10, PAGE));
    TELL_EXACT(fcntl(ends[1], F_SETPIPE_SZ, 1));
    TELL_EXACT(read(ends[0], back + 10 + PAGE, PAGE));
    printf("as it was: %d\n", memcmp(text, back, 2 * PAGE));
    TELL_EXACT(waiting(ends[1]));
    drop();
    int file = open("/dev/null", O_RDONLY);
    TELL_EXACT(fcntl(file, F_GETPIPE_SZ));
    TELL_EXACT(fcntl(file, F_SETPIPE_SZ, 4096));
    close(file);
}

/* A writer that waits goes on when the pipe becomes larger. */
static void woken(void)
{
    make(0);
    fcntl(ends[1], F_SETPIPE_SZ, PAGE);
    TELL_EXACT(write(ends[1], text, PAGE));
    pid_t child = fork();
    if (child == 0) {
        _exit(write(ends[1], text + PAGE, PAGE) != PAGE);
    }
    struct timespec moment = {0, 2000000};
    nanosleep(&moment, NULL);
    TELL_EXACT(fcntl(ends[0], F_SETPIPE_SZ, 2 * PAGE));
    int status;
    waitpid(child, &status, 0);
    printf("the writer: %d, %d\n", status, waiting(ends[0]));
    drop();
}

static void packets(void)
{
    make(O_DIRECT | O_NONBLOCK);
    printf("flags: %o, %o\n", fcntl(ends[0], F_GETFL), fcntl(ends[1], F_GETFL));
    TELL_EXACT(write(ends[1], text, 5));
    TELL_EXACT(write(ends[1], text + 100, 7));
    TELL_EXACT(write(ends[1], text, 0));
    TELL_EXACT(write(ends[1], text + 200, 10000));
    TELL_EXACT(waiting(ends[0]));
    TELL_EXACT(read(ends[0], back, 3)); /* and what it has no room for is lost */
    TELL_EXACT(read(ends[0], back, 100));
    printf("the second: %d\n", memcmp(back, text + 100, 7));
    TELL_EXACT(read(ends[0], back, LARGE));
    TELL_EXACT(read(ends[0], back + 4096, LARGE - 4096));
    TELL_EXACT(read(ends[0], back + 8192, LARGE - 8192));
    printf("the third: %d\n", memcmp(back, text + 200, 10000));
    TELL_EXACT(read(ends[0], back, 1));
    for (int i = 0; i < 16; i++) {
        if (write(ends[1], text, 1) != 1) {
            printf("packet %d does not fit\n", i);
        }
    }
    TELL_EXACT(write(ends[1], text, 1));
    TELL_EXACT(read(ends[0], back, 0));
    TELL_EXACT(read(ends[0], back, 1));
    TELL(fcntl(ends[1], F_SETFL, O_NONBLOCK)); /* no packets any more; but the last one stays one */
    printf("flags: %o\n", fcntl(ends[1], F_GETFL));
    TELL_EXACT(write(ends[1], text, 2));
    TELL_EXACT(write(ends[1], text, 2));
    for (int i = 0; i < 15; i++) {
        (void)!read(ends[0], back, 10);
    }
    TELL_EXACT(read(ends[0], back, 10));
    TELL(fcntl(ends[1], F_SETFL, O_NONBLOCK | O_DIRECT));
    TELL_EXACT(write(ends[1], text, 2));
    TELL_EXACT(write(ends[1], text, 2));
    TELL_EXACT(read(ends[0], back, 10));
    drop();
    TELL(pipe2(ends, O_APPEND));
}

/* ---- Whom nobody reads ---- */

static volatile sig_atomic_t signals;

static void count(int signal)
{
    (void)signal;
    signals++;
}

static void broken(void)
{
    struct sigaction action = {.sa_handler = count};
    sigaction(SIGPIPE, &action, NULL);
    make(0);
    pid_t child = fork();
    if (child == 0) {
        close(ends[1]);
        (void)!read(ends[0], back, 10000);
        _exit(0);
    }
    close(ends[0]);
    long written = write(ends[1], text, LARGE); /* in part, and yet a signal */
    printf("in part: %d, %d signals\n", written >= 65536 && written < LARGE, (int)signals);
    waitpid(child, NULL, 0);
    TELL_EXACT(write(ends[1], text, 1));
    TELL_EXACT(write(ends[1], text, 0));
    printf("%d signals\n", (int)signals);
    close(ends[1]);
    signal(SIGPIPE, SIG_DFL);
}

static void ready(void)
{
    make(O_NONBLOCK);
    fcntl(ends[1], F_SETPIPE_SZ, PAGE);
    struct pollfd both[2] = {{ends[0], POLLIN, 0}, {ends[1], POLLOUT, 0}};
    TELL_EXACT(poll(both, 2, 0));
    printf("%x %x\n", both[0].revents, both[1].revents);
    TELL_EXACT(write(ends[1], text, 1));
    TELL_EXACT(poll(both, 2, 0));
    printf("%x %x\n", both[0].revents, both[1].revents);
    TELL_EXACT(read(ends[0], back, 1));
    TELL_EXACT(poll(both, 2, 0));
    printf("%x %x\n", both[0].revents, both[1].revents);
    drop();
}

static void named(void)
{
    unlink("/tmp/named-pipe");
    mkdir("/tmp", 0777);
    TELL(mkfifo("/tmp/named-pipe", 0600));
    int end = open("/tmp/named-pipe", O_RDWR | O_NONBLOCK);
    TELL_EXACT(fcntl(end, F_GETPIPE_SZ));
    TELL_EXACT(fcntl(end, F_SETPIPE_SZ, 8192));
    TELL_EXACT(write(end, text, 10000));
    TELL_EXACT(waiting(end));
    TELL_EXACT(read(end, back, 10000));
    close(end);
    end = open("/tmp/named-pipe", O_PATH);
    TELL_EXACT(fcntl(end, F_GETPIPE_SZ));
    TELL_EXACT(waiting(end));
    close(end);
    unlink("/tmp/named-pipe");
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    for (int i = 0; i < LARGE; i++) {
        text[i] = (char)(i * 7 + i / 251);
    }
    sizes();
    woken();
    packets();
    broken();
    ready();
    named();
    return 0;
}
