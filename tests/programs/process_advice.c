/* process_madvise: advice for the memory of others, for two kernels to be compared. */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define PAGE      4096UL
#define WILL_NEED 3
#define DONT_NEED 4
#define COLD      20
#define PAGE_OUT  21
#define PARTS     1024

static struct iovec parts[PARTS + 1];
static char *memory; /* of 8 pages, of which the fifth is not there */

static long advise(int process, const void *list, size_t count, int advice, unsigned flags)
{
    return syscall(440, process, list, count, advice, flags);
}

static void part(int place, char *base, size_t bytes)
{
    parts[place] = (struct iovec){base, bytes};
}

static void errors(int process, int file)
{
    part(0, memory, PAGE);
    part(1, memory + PAGE, PAGE);
    TELL(advise(process, parts, 1, COLD, 1));
    TELL(advise(process, parts, PARTS + 1, COLD, 0));
    TELL(advise(process, (void *)8, 1, COLD, 0));
    TELL(advise(-1, (void *)8, 1, COLD, 0));
    TELL(advise(-1, parts, 1, COLD, 0));
    TELL(advise(-1, parts, 1, 99, 0));
    TELL(advise(file, parts, 1, COLD, 0));
    TELL(advise(process, parts, 1, 99, 0));
    TELL(advise(process, parts, 1, -1, 0));
    TELL(advise(process, parts, 1, DONT_NEED, 0));
    TELL(advise(process, parts, 0, DONT_NEED, 0));
    TELL(advise(process, parts, 0, COLD, 0));
    TELL(advise(process, NULL, 0, COLD, 0));
    TELL(advise(-1, NULL, 0, COLD, 0));
    part(1, memory, -1UL);
    TELL(advise(process, parts, 2, COLD, 0));
    part(1, (char *)0xffffffff80000000, PAGE);
    TELL(advise(process, parts, 2, COLD, 0));
    part(0, memory + 1, PAGE);
    TELL(advise(process, parts, 1, COLD, 0));
}

static void advice(int process)
{
    static const int kinds[] = {WILL_NEED, COLD, PAGE_OUT};
    for (int i = 0; i < 3; i++) {
        part(0, memory, 2 * PAGE);
        part(1, memory + 5 * PAGE, 100);
        part(2, memory, 0);
        part(3, memory + 3 * PAGE, PAGE);
        TELL_EXACT(advise(process, parts, 4, kinds[i], 0));
        part(2, memory + 1, 0);
        TELL_EXACT(advise(process, parts, 4, kinds[i], 0));
        part(2, memory + 3 * PAGE, 2 * PAGE); /* into the hole */
        TELL_EXACT(advise(process, parts, 4, kinds[i], 0));
        part(0, memory + 4 * PAGE, PAGE);
        TELL_EXACT(advise(process, parts, 4, kinds[i], 0));
        part(0, memory + 7 * PAGE, PAGE); /* that is locked */
        TELL_EXACT(advise(process, parts, 4, kinds[i], 0));
    }
    for (int i = 0; i < PARTS; i++) {
        part(i, memory, PAGE);
    }
    TELL_EXACT(advise(process, parts, PARTS, COLD, 0));
}

/* What the others do not allow, one allows oneself. */
static void self(void)
{
    int process = (int)syscall(SYS_pidfd_open, getpid(), 0);
    memory[0] = memory[PAGE] = memory[2 * PAGE] = 7;
    part(0, memory, PAGE);
    part(1, memory + 2 * PAGE, PAGE);
    TELL_EXACT(advise(process, parts, 2, DONT_NEED, 0));
    printf("of three: %d %d %d\n", memory[0], memory[PAGE], memory[2 * PAGE]);
    part(1, memory + 4 * PAGE, PAGE);
    TELL_EXACT(advise(process, parts, 2, COLD, 0));
    TELL_EXACT(advise(process, parts, 0, 99, 0));
    TELL_EXACT(advise(process, parts, 1, 99, 0));
    close(process);
}

/* Whoever is not root advises nobody but himself: into root's memory he may not look, and for others of his
 * own he would have to be allowed to change priorities. */
static void by_a_user(int of_root)
{
    fflush(stdout);
    if (fork() == 0) {
        part(0, memory, PAGE);
        setresuid(1000, 1000, 1000);
        prctl(PR_SET_DUMPABLE, 1);
        TELL(advise(of_root, parts, 1, COLD, 0));
        pid_t child = fork();
        if (child == 0) {
            for (;;) {
                pause();
            }
        }
        int process = (int)syscall(SYS_pidfd_open, child, 0);
        TELL(advise(process, parts, 1, COLD, 0));
        TELL(advise(process, parts, 1, DONT_NEED, 0));
        process = (int)syscall(SYS_pidfd_open, getpid(), 0);
        TELL_EXACT(advise(process, parts, 1, COLD, 0));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        _exit(0);
    }
    wait(NULL);
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    memory = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(memory, 1, 8 * PAGE);
    munmap(memory + 4 * PAGE, PAGE);
    int ready[2];
    if (pipe(ready) != 0) {
        return 1;
    }
    pid_t child = fork();
    if (child == 0) {
        (void)!write(ready[1], "", mlock(memory + 7 * PAGE, PAGE) == 0);
        for (;;) {
            pause();
        }
    }
    char byte;
    (void)!read(ready[0], &byte, 1);
    int process = (int)syscall(SYS_pidfd_open, child, 0);
    int file = open("/proc/self/exe", O_RDONLY);
    errors(process, file);
    advice(process);
    self();
    by_a_user(process);
    kill(child, SIGKILL);
    siginfo_t information;
    waitid(P_PID, (id_t)child, &information, WEXITED | WNOWAIT);
    part(0, memory, PAGE);
    TELL(advise(process, parts, 1, COLD, 0));
    waitpid(child, NULL, 0);
    TELL(advise(process, parts, 1, COLD, 0));
    return 0;
}
