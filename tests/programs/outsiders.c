/* What somebody who is not root, and has no terminal, gets of root's terminal and of root's memory: nothing.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* A field of /proc/PID/stat, by its number in proc(5), from 3 on. */
static unsigned long field(const char *text, int number)
{
    const char *at = strrchr(text, ')');
    unsigned long value = 0;
    for (int i = 2; at && i < number; i++) {
        at = strchr(at + 1, ' ');
    }
    return at && sscanf(at, " %lu", &value) == 1 ? value : ~0UL;
}

static int error_of(int result)
{
    return result < 0 ? errno : 0;
}

int main(void)
{
    char name[64];
    char text[1024] = "";
    snprintf(name, sizeof name, "/proc/%d/stat", getpid());
    fflush(stdout);
    if (fork() == 0) {
        int open_before = error_of(open("/dev/tty", O_RDWR));
        setsid();
        int open_after = error_of(open("/dev/tty", O_RDWR));
        if (setresuid(1000, 1000, 1000) != 0) {
            _exit(1);
        }
        int taken = error_of(ioctl(0, TIOCSCTTY, 1));
        int file = open(name, O_RDONLY);
        if (read(file, text, sizeof text - 1) < 0) {
            _exit(1);
        }
        printf("opened %d, then %d, taken %d, code %lu to %lu, stack %lu, heap %lu\n", open_before,
               open_after, taken, field(text, 26), field(text, 27), field(text, 28), field(text, 47));
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
    return 0;
}
