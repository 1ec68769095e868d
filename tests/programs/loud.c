/* Writes more to the console than it takes in an hour; a signal ends that. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#define BYTES (64UL << 20)

static void handle(int signal)
{
    (void)signal;
}

int main(void)
{
    const struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    const struct itimerval soon = {.it_value.tv_usec = 50000};
    char *text = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(text, '.', 1 << 20);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    ssize_t done = write(1, text, BYTES);
    printf("\nended early: %d\n", done > 0 && done < (ssize_t)BYTES);
    return 0;
}
