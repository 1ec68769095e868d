/* A thousand processes at once, each with a page of its own, which end in an order that nobody chooses. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES 1000

static int own;

int main(void)
{
    int gate[2], there[2];
    if (pipe(gate) != 0 || pipe(there) != 0) {
        return 1;
    }
    for (int i = 0; i < PROCESSES; i++) {
        pid_t child = fork();
        if (child < 0) {
            perror("fork");
            return 1;
        }
        if (child == 0) {
            char byte = 'x';
            close(gate[1]);
            own = i;
            (void)!write(there[1], &byte, 1);
            (void)!read(gate[0], &byte, 1); /* ends when the gate opens */
            _exit(own % 100);
        }
    }
    int arrived = 0;
    for (char byte; arrived < PROCESSES && read(there[0], &byte, 1) == 1; arrived++) {
    }
    close(gate[1]);
    int ended = 0, sum = 0, status;
    while (wait(&status) > 0) {
        ended++;
        sum += WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    }
    if (sum != PROCESSES / 100 * 4950) {
        printf("the sum of their numbers is %d\n", sum);
    }
    printf("%d at once, and %d ended\n", arrived, ended);
    return 0;
}
