/* Leaves children behind: one that runs, one that sleeps. The end of who leads the terminal's session is no
 * end of them. */
#include <linux/futex.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint32_t word;

int main(void)
{
    signal(SIGHUP, SIG_IGN);
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
