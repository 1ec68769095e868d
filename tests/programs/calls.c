/* Makes calls of all kinds, for strace; with an argument it leaves a child behind that makes calls for ever.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void go_on(void)
{
    for (;;) {
        getppid();
        for (volatile int i = 0; i < 10000000; i++) {
        }
    }
}

int main(int count, char **arguments)
{
    char part[50];
    (void)arguments;
    if (count > 1) {
        signal(SIGHUP, SIG_IGN); /* which the end of the first program sends */
        if (fork() == 0) {
            go_on();
        }
        return 0;
    }
    mkdir("/tmp", 0777);
    int file = open("/tmp/a \"name\"\n", O_RDWR | O_CREAT | O_TRUNC, 0600);
    for (int i = 0; i < 50; i++) {
        part[i] = (char)('0' + i % 10);
    }
    write(file, part, 50);
    pread(file, part, 10, 0);
    pread(file, (void *)1, 10, 0);
    open("/none", O_RDONLY);
    open((const char *)1, O_RDONLY);
    close(77);
    getppid();
    mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(NULL, 0, MADV_HUGEPAGE);
    syscall(400, 1, 2, 3, 4, 5, 6);
    if (fork() == 0) {
        _exit(9);
    }
    wait(NULL);
    return 3;
}
