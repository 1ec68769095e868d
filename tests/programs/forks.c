/* 200 forks, and as many threads: all that they took comes back. And forks without end, which are refused. */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TOUCHED 200000

static uint32_t word;

static void *touch(void *memory)
{
    memset(memory, 1, TOUCHED);
    return NULL;
}

int main(int count, char **arguments)
{
    char *memory = mmap(NULL, TOUCHED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    touch(memory);
    (void)arguments;
    for (int i = 0; i < 200; i++) {
        pthread_t thread;
        pid_t child = fork();
        if (child == 0) {
            touch(memory);
            _exit(pthread_create(&thread, NULL, touch, memory));
        }
        if (child < 0 || waitpid(child, NULL, 0) != child) {
            printf("fork %d: %s\n", i, strerror(errno));
            return 1;
        }
    }
    if (count > 1) {
        int made = 0;
        int error = 0;
        static pid_t children[100000];
        while (error == 0 && made < 100000) {
            pid_t child = fork();
            if (child == 0) {
                syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
            }
            error = child < 0 ? errno : 0;
            children[made] = child;
            made += child > 0;
        }
        printf("%d: %s\n", made > 40, error == EAGAIN || error == ENOMEM ? "refused" : strerror(error));
        for (int i = 0; i < made; i++) {
            kill(children[i], SIGKILL);
        }
        for (int i = 0; i < made; i++) {
            wait(NULL);
        }
    }
    printf("done\n");
    return 0;
}
