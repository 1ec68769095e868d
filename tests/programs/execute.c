/* execve and posix_spawn: what each answers, for two kernels to be compared. It executes itself. */
#include "check.h"

#include <pthread.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#define SELF "/proc/self/exe"

static char *const environment[] = {"ONE=1", "TWO=", NULL};

static int wait_for(pid_t child)
{
    int status = -1;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* What the executed program says: its arguments and environment. */
static int told(int count, char **arguments)
{
    char name[16];
    extern char **environ;
    printf("executed:");
    for (int i = 0; i < count; i++) {
        printf(" %s", arguments[i]);
    }
    for (char **variable = environ; *variable; variable++) {
        printf(" [%s]", *variable);
    }
    prctl(PR_GET_NAME, name);
    printf(" %s %s %d\n", name, (char *)getauxval(AT_EXECFN), getpid() == (int)syscall(SYS_gettid));
    return 21;
}

static void errors(void)
{
    static char *const arguments[] = {"x", NULL};
    static char long_name[5000];
    memset(long_name, 'a', sizeof long_name - 1);
    TELL(execve("/no such file", arguments, environment));
    TELL(execve("/no such folder/file", arguments, environment));
    TELL(execve("", arguments, environment));
    TELL(execve("/", arguments, environment));
    TELL(execve(long_name, arguments, environment));
    TELL(syscall(SYS_execve, 1, arguments, environment));
    TELL(syscall(SYS_execve, SELF, 1, environment));
    TELL(syscall(SYS_execve, SELF, arguments, 1));
    char *const bad[] = {(char *)1, NULL};
    TELL(execve(SELF, bad, environment));
    static char large[200000];
    memset(large, 'b', sizeof large - 1);
    char *const too_long[] = {"x", large, NULL};
    TELL(execve(SELF, too_long, environment));
}

static void executed(void)
{
    pid_t child = fork();
    if (child == 0) {
        char *const arguments[] = {"program", "tell", "two words", "", "last", NULL};
        execve(SELF, arguments, environment);
        _exit(1);
    }
    printf("after fork: %d\n", wait_for(child));
    child = vfork();
    if (child == 0) {
        char *const arguments[] = {"program", "tell", NULL};
        execve(SELF, arguments, NULL);
        _exit(1);
    }
    printf("after vfork: %d\n", wait_for(child));
    char *const spawned[] = {"program", "tell", "spawned", NULL};
    int error = posix_spawn(&child, SELF, NULL, NULL, spawned, environment);
    int status = wait_for(child);
    printf("posix_spawn: %d, spawned: %d\n", error, status);
    printf("posix_spawn of nothing: %d\n", posix_spawn(&child, "/nothing", NULL, NULL, spawned, environment));
}

static void *stay(void *unused)
{
    (void)unused;
    for (;;) {
    }
}

static void *execute(void *unused)
{
    char *const arguments[] = {"program", "tell", "by a thread", NULL};
    execve(SELF, arguments, environment);
    return unused;
}

/* The other threads end, and the one that executes gets the first one's number. */
static void with_threads(void)
{
    pid_t child = fork();
    if (child == 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, stay, NULL);
        pthread_create(&thread, NULL, execute, NULL);
        stay(NULL);
    }
    printf("with threads: %d\n", wait_for(child));
}

/* Each executes the next; a failed one changes nothing. */
static int count_down(int left)
{
    char number[16];
    if (left == 0) {
        return 22;
    }
    snprintf(number, sizeof number, "%d", left - 1);
    char *const arguments[] = {"program", "down", number, NULL};
    execve("/nothing", arguments, environment);
    execve(SELF, arguments, environment);
    return 1;
}

int main(int count, char **arguments)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    if (count > 1 && strcmp(arguments[1], "tell") == 0) {
        return told(count, arguments);
    }
    if (count > 2 && strcmp(arguments[1], "down") == 0) {
        return count_down(atoi(arguments[2]));
    }
    if (count > 2 && strcmp(arguments[1], "go") == 0) {
        TELL(execve(arguments[2], arguments + 2, environment));
        return 23;
    }
    errors();
    executed();
    with_threads();
    pid_t child = fork();
    if (child == 0) {
        exit(count_down(50));
    }
    printf("50 times: %d\n", wait_for(child));
    return 0;
}
