/* Leaves children behind: one that runs, one that sleeps. */
#include <linux/futex.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint32_t word;

int main(void)
{
    if (fork() == 0) {
        prctl(PR_SET_NAME, "runs");
        for (;;) {
        }
    }
    if (fork() == 0) {
        syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
    }
    return 0;
}
