/* Makes more processes, one after the other, than there are numbers: those that are free again are given
 * again. */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define NUMBERS 32768

int main(void)
{
    for (int i = 0; i < NUMBERS + 100; i++) {
        pid_t child = vfork();
        if (child == 0) {
            _exit(0);
        }
        if (child < 0 || waitpid(child, NULL, 0) != child) {
            printf("process %d: %d\n", i, child);
            return 1;
        }
    }
    puts("done");
    return 0;
}
