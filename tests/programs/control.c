/* What prctl() keeps and tells: for two kernels to be compared. */
#include "check.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define BAD 8L

static long control(int option, long a, long b, long c, long d)
{
    return syscall(SYS_prctl, option, a, b, c, d);
}

static void *look(void *unused)
{
    (void)unused;
    TELL_EXACT(control(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    TELL_EXACT(control(PR_GET_KEEPCAPS, 0, 0, 0, 0));
    TELL_EXACT(control(PR_GET_DUMPABLE, 0, 0, 0, 0));
    return NULL;
}

static void look_as_thread(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, look, NULL);
    pthread_join(thread, NULL);
}

static void look_as_child(void)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        look(NULL);
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

int main(void)
{
    int value = -1;
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    TELL_EXACT(control(PR_GET_DUMPABLE, 0, 0, 0, 0));
    TELL_EXACT(control(PR_SET_DUMPABLE, 2, 0, 0, 0));
    TELL_EXACT(control(PR_SET_DUMPABLE, -1, 0, 0, 0));
    TELL_EXACT(control(PR_SET_DUMPABLE, 0, 0, 0, 0));
    look_as_thread();
    look_as_child();
    TELL_EXACT(control(PR_SET_DUMPABLE, 1, 0, 0, 0));
    TELL_EXACT(control(PR_GET_DUMPABLE, 0, 0, 0, 0));
    TELL_EXACT(control(PR_GET_KEEPCAPS, 0, 0, 0, 0));
    TELL_EXACT(control(PR_SET_KEEPCAPS, 2, 0, 0, 0));
    TELL_EXACT(control(PR_SET_KEEPCAPS, 1, 0, 0, 0));
    TELL_EXACT(control(PR_GET_KEEPCAPS, 0, 0, 0, 0));
    look_as_child();
    TELL_EXACT(control(PR_SET_KEEPCAPS, 0, 0, 0, 0));
    TELL_EXACT(control(PR_CAPBSET_READ, 0, 0, 0, 0));
    TELL_EXACT(control(PR_CAPBSET_READ, 64, 0, 0, 0));
    TELL_EXACT(control(PR_CAPBSET_READ, -1, 0, 0, 0));
    TELL_EXACT(control(PR_GET_TSC, (long)&value, 0, 0, 0));
    printf("%d\n", value);
    TELL_EXACT(control(PR_GET_TSC, BAD, 0, 0, 0));
    TELL_EXACT(control(PR_SET_TSC, PR_TSC_ENABLE, 0, 0, 0));
    TELL_EXACT(control(PR_SET_TSC, 99, 0, 0, 0));
    TELL_EXACT(control(PR_GET_SECUREBITS, 0, 0, 0, 0));
    TELL_EXACT(control(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    TELL_EXACT(control(PR_GET_NO_NEW_PRIVS, 1, 0, 0, 0));
    TELL_EXACT(control(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 1));
    TELL_EXACT(control(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
    TELL_EXACT(control(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0));
    look_as_thread();
    TELL_EXACT(control(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    TELL_EXACT(control(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
    TELL_EXACT(control(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    look_as_thread();
    look_as_child();
    TELL_EXACT(control(0x7ffffff, 0, 0, 0, 0));
    return 0;
}
