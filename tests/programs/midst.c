/* Calls that move many bytes end in the midst when their process is killed: how much of a file is there
 * tells. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define BYTES (64L << 20)

static void send_all(int file)
{
    sendfile(file, open("/dev/zero", O_RDONLY), NULL, BYTES);
}

static void write_all(int file)
{
    (void)!write(file, mmap(NULL, BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), BYTES);
}

static int ends_in_the_midst(void (*body)(int))
{
    struct stat status = {0};
    int file = memfd_create("file", 0);
    pid_t child = fork();
    if (child == 0) {
        body(file);
        _exit(0);
    }
    while (status.st_size == 0) {
        fstat(file, &status);
    }
    kill(child, SIGKILL);
    int how = 0;
    waitpid(child, &how, 0);
    fstat(file, &status);
    close(file);
    return WIFSIGNALED(how) && status.st_size < BYTES;
}

int main(void)
{
    printf("in the midst: %d %d\n", ends_in_the_midst(send_all), ends_in_the_midst(write_all));
    return 0;
}
