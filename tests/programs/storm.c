/*
 * Random system calls with random and boundary arguments: storm SEED ROUNDS. Each round is a process of some
 * threads, which make calls of the kernel's own table (calls_of_kernel.h, made of kernel/linux/calls.h), but
 * for those that stop the machine or set its clocks, and for signals to others than themselves. All their
 * files are below a root of their own. Nothing is expected of an answer: the kernel has to stay whole, and to
 * have everything back at the end. It is for a machine that has nothing else to do: nobody runs it on the
 * Linux that builds it.
 */
#define _GNU_SOURCE
#include "chance.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROOT        "/storm"
#define THREADS     3
#define STEPS       200
#define CHILD_STEPS 20
#define END_LOOKS   100000 /* so often it looks until it says that somebody does not end */
#define IDLE_LOOKS  5000   /* and until it ends a round in which nothing happens */

struct call {
    long number;
    const char *kinds;
};

static const struct call calls[] = {
#define X(number, name, kinds) {number, kinds},
#include "calls_of_kernel.h"
#undef X
};
#define CALLS (sizeof calls / sizeof *calls)

/* Shared with the first process: calls made so far. */
static _Atomic(uint64_t) *counter;

/* ---- Calls ---- */

/* Without the C library, which would want thread-local memory. A call that makes a task of this memory, or of
 * a copy, comes back in one of the two: the other ends at once, or it goes on with less to do. */
static long raw_call(long number, const uint64_t *arguments)
{
    register uint64_t r10 __asm__("r10") = arguments[3];
    register uint64_t r8 __asm__("r8") = arguments[4];
    register uint64_t r9 __asm__("r9") = arguments[5];
    long answer;
    __asm__ volatile("syscall"
                     : "=a"(answer)
                     : "0"(number), "D"(arguments[0]), "S"(arguments[1]), "d"(arguments[2]), "r"(r10),
                       "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return answer;
}

/* The new task ends without touching its stack, which may be anywhere, or the one that the old task goes on
 * with. */
static long raw_clone(long number, const uint64_t *arguments)
{
    register uint64_t r10 __asm__("r10") = arguments[3];
    register uint64_t r8 __asm__("r8") = arguments[4];
    long answer;
    __asm__ volatile("syscall\n\ttest %%rax, %%rax\n\tjnz 1f\n\tmov $60, %%eax\n\tsyscall\n\tud2\n1:"
                     : "=a"(answer)
                     : "0"(number), "D"(arguments[0]), "S"(arguments[1]), "d"(arguments[2]), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory", "cc");
    return answer;
}

static _Noreturn void leave(long number)
{
    const uint64_t none[6] = {0};
    for (;;) {
        raw_call(number, none);
    }
}

/* Whether the number has no place in a storm: it sets clocks or stops the machine. */
static bool is_left_out(long number)
{
    return number == SYS_settimeofday || number == SYS_clock_settime || number == SYS_reboot ||
           number == SYS_adjtimex || number == SYS_clock_adjtime || number == SYS_sethostname ||
           number == SYS_setdomainname || number == SYS_swapon || number == SYS_swapoff;
}

/* What is special about some calls: who is meant by a number, and that memory is changed where nobody lives.
 */
static void aim(uint64_t *chance, long number, uint64_t *arguments)
{
    const uint64_t none[6] = {0};
    switch (number) {
    case SYS_tgkill:
    case SYS_rt_tgsigqueueinfo:
        arguments[1] = (uint64_t)raw_call(SYS_gettid, none);
        /* fallthrough */
    case SYS_kill:
    case SYS_rt_sigqueueinfo:
    case SYS_prlimit64:
    case SYS_process_vm_readv:
    case SYS_process_vm_writev:
    case SYS_pidfd_open:
    case SYS_sched_setaffinity:
        arguments[0] = (uint64_t)raw_call(SYS_getpid, none);
        break;
    case SYS_tkill:
        arguments[0] = (uint64_t)raw_call(SYS_gettid, none);
        break;
    case SYS_prctl:
        if (below(chance, 2) == 0) { /* names of memory */
            arguments[0] = 0x53564d61;
            arguments[1] = 0;
            arguments[2] = WINDOW + below(chance, WINDOW_PAGES) * PAGE;
            arguments[3] = below(chance, 64) * PAGE;
            arguments[4] = any_name(chance);
        }
        break;
    case SYS_splice:
    case SYS_copy_file_range:
        arguments[1] = below(chance, 2) == 0 ? 0 : arguments[1]; /* at the positions of the files */
        arguments[3] = below(chance, 2) == 0 ? 0 : arguments[3];
        arguments[5] = below(chance, 4) == 0 ? arguments[5] : 0;
        break;
    case SYS_tee:
    case SYS_vmsplice:
        arguments[3] &= below(chance, 4) == 0 ? -1UL : 15;
        break;
    case SYS_setpriority:
        arguments[0] = arguments[1] = 0;
        break;
    case SYS_mknod:
    case SYS_mknodat:
        arguments[number == SYS_mknod ? 2 : 3] = makedev(1, below(chance, 12)); /* never the console */
        break;
    case SYS_mmap:
        arguments[3] = below(chance, 4) == 0
                           ? arguments[3]
                           : MAP_ANONYMOUS | (1 + below(chance, 2)) | (arguments[3] & 0x1f0);
        arguments[2] &= below(chance, 8) == 0 ? -1UL : 7;
        /* fallthrough */
    case SYS_munmap:
    case SYS_mprotect:
    case SYS_madvise:
    case SYS_mremap:
    case SYS_msync:
    case SYS_mincore:
    case SYS_mlock:
    case SYS_mlock2:
    case SYS_munlock:
        if (below(chance, 64) != 0) {
            arguments[0] = WINDOW + below(chance, WINDOW_PAGES) * PAGE + (below(chance, 16) == 0);
            arguments[1] =
                below(chance, 20) == 0 ? arguments[1] : below(chance, 64) * PAGE + (below(chance, 8) == 0);
        }
        break;
    default:
        break;
    }
}

static uint64_t any_of_kind(uint64_t *chance, char kind)
{
    switch (kind) {
    case 'd':
        return any_descriptor(chance);
    case 's':
        return any_name(chance);
    case 'p':
        return any_address(chance);
    case 'x':
        return any_bits(chance);
    default:
        return any_number(chance);
    }
}

static bool makes_a_task(long number)
{
    return number == SYS_clone || number == SYS_clone3 || number == SYS_vfork;
}

/* Calls that end the caller, or may keep it for ever, are made more rarely. */
static bool is_rare(long number)
{
    return number == SYS_exit || number == SYS_exit_group || number == SYS_execve || number == SYS_pause ||
           number == SYS_rt_sigsuspend || number == SYS_kill || number == SYS_tkill || number == SYS_tgkill ||
           number == SYS_rt_sigreturn || number == SYS_execveat || number == SYS_close_range ||
           number == SYS_brk || number == SYS_fork || number == SYS_clone || number == SYS_clone3 ||
           number == SYS_vfork || number == SYS_chroot;
}

static void one_call(uint64_t *chance, unsigned *left)
{
    const struct call *call = &calls[below(chance, CALLS)];
    long number = below(chance, 200) == 0 ? (long)any_number(chance) : call->number;
    if (is_left_out(number) || (is_rare(number) && below(chance, 12) != 0)) {
        return;
    }
    uint64_t arguments[6];
    size_t kinds = strlen(call->kinds);
    for (size_t i = 0; i < 6; i++) {
        arguments[i] = any_of_kind(chance, i < kinds && below(chance, 30) != 0 ? call->kinds[i] : 'n');
    }
    aim(chance, number, arguments);
    if (makes_a_task(number)) {
        raw_clone(number, arguments);
    } else if (raw_call(number, arguments) == 0 && number == SYS_fork) {
        *left = *left < CHILD_STEPS ? *left / 2 : CHILD_STEPS;
        next(chance);
    }
}

static void storm(uint64_t chance)
{
    for (unsigned left = STEPS; left > 0; left--) {
        if (below(&chance, 4) == 0) {
            fill(&chance);
        }
        one_call(&chance, &left);
        atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
    }
}

/* ---- Rounds ---- */

static void *thread(void *chance)
{
    storm((uint64_t)chance);
    leave(SYS_exit);
}

/* The memory, files and descriptors that a round begins with. */
static void prepare(void)
{
    int protection = PROT_READ | PROT_WRITE;
    mmap((void *)ARENA, ARENA_BYTES, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    mmap((void *)(ARENA + ARENA_BYTES + PAGE), PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
         0);
    mmap((void *)WINDOW, 64 * PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    int file = open("/file", O_RDWR | O_CREAT, 0600);
    if (ftruncate(file, 20 * PAGE) == 0) {
        mmap((void *)(WINDOW + 128 * PAGE), 16 * PAGE, protection, MAP_SHARED | MAP_FIXED, file, PAGE);
        mmap((void *)(WINDOW + 160 * PAGE), 16 * PAGE, protection, MAP_PRIVATE | MAP_FIXED, file, 0);
    }
    int ends[2];
    if (pipe(ends) == 0) {
        fcntl(ends[0], F_SETFL, O_NONBLOCK);
    }
    open("/", O_RDONLY | O_DIRECTORY);
    open("/dev/zero", O_RDWR);
    mkdir("d", 0700);
}

/* A round's child may have the first process for its parent, and send it any signal when it ends. */
static void block_signals(uint64_t mask)
{
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof mask);
}

static _Noreturn void round_of(uint64_t seed)
{
    setpgid(0, 0);
    block_signals(0);
    if (chroot(ROOT) != 0 || chdir("/") != 0) {
        _exit(1);
    }
    for (int descriptor = 0; descriptor < 3; descriptor++) {
        close(descriptor);
        open("/dev/null", O_RDWR);
    }
    prepare();
    uint64_t chance = seed * 0x9e3779b97f4a7c15ULL + 1;
    for (int i = 1; i < THREADS; i++) {
        pthread_t started;
        pthread_create(&started, NULL, thread, (void *)(next(&chance) | 1));
    }
    storm(next(&chance) | 1);
    leave(SYS_exit_group);
}

/* Waits for a round; one in which nothing happens any longer, as all of it waits, is ended. */
static void see_it_end(pid_t process)
{
    uint64_t before = 0;
    for (unsigned idle = 0; waitpid(process, NULL, WNOHANG) == 0; idle++) {
        uint64_t now = atomic_load(counter);
        if (now != before) {
            idle = 0;
        }
        if (idle == IDLE_LOOKS) {
            kill(process, SIGKILL);
        }
        before = now;
        sched_yield();
    }
}

/* Ends everybody that there is besides the first process and this one. Returns whether they did end. */
static bool end_all(void)
{
    unsigned looks = 0;
    while (kill(-1, SIGKILL) == 0 && looks++ < END_LOOKS) {
        while (waitpid(-1, NULL, WNOHANG | __WALL) > 0) {
        }
        sched_yield();
    }
    return looks <= END_LOOKS;
}

/* ---- Files ---- */

static void make_root(void)
{
    mkdir(ROOT, 0700);
    mkdir(ROOT "/dev", 0700);
    mknod(ROOT "/dev/null", S_IFCHR | 0666, makedev(1, 3));
    mknod(ROOT "/dev/zero", S_IFCHR | 0666, makedev(1, 5));
    mknod(ROOT "/dev/full", S_IFCHR | 0666, makedev(1, 7));
    mkfifo(ROOT "/pipe", 0600);
    int from = open("/proc/self/exe", O_RDONLY), to = open(ROOT "/self", O_WRONLY | O_CREAT, 0755);
    while (sendfile(to, from, NULL, 1UL << 20) > 0) {
    }
    close(from);
    close(to);
}

/* Takes away a folder's entries; what lies in folders below goes to the top first, so that depth is no
 * matter. */
static void remove_root(void)
{
    unsigned moved = 0;
    bool again = chdir(ROOT) == 0;
    while (again) {
        DIR *top = opendir(".");
        again = false;
        for (struct dirent *entry; (entry = readdir(top));) {
            if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
                unlink(entry->d_name) == 0) {
                continue;
            }
            again = true;
            chmod(entry->d_name, 0700);
            DIR *inner = opendir(entry->d_name);
            for (struct dirent *child; inner && (child = readdir(inner));) {
                char from[600], to[32];
                snprintf(from, sizeof from, "%s/%s", entry->d_name, child->d_name);
                snprintf(to, sizeof to, "moved%u", moved++);
                (void)rename(from, to);
            }
            closedir(inner);
            rmdir(entry->d_name);
        }
        closedir(top);
    }
    (void)!chdir("/");
    rmdir(ROOT);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        return 2; /* a round may have executed it with anything */
    }
    uint64_t seed = strtoull(argv[1], NULL, 0);
    uint64_t rounds = strtoull(argv[2], NULL, 0);
    int shared = memfd_create("counter", 0);
    if (ftruncate(shared, sizeof *counter) != 0) {
        return 1;
    }
    counter = mmap(NULL, sizeof *counter, PROT_READ | PROT_WRITE, MAP_SHARED, shared, 0);
    close(shared);
    make_root();
    block_signals(-1UL);
    for (uint64_t i = 0; i < rounds; i++) {
        pid_t process = fork();
        if (process == 0) {
            round_of(seed + i);
        }
        if (process > 0) {
            see_it_end(process);
        }
        if (!end_all()) {
            printf("storm: somebody of seed %lu does not end\n", (unsigned long)(seed + i));
            return 1;
        }
    }
    remove_root();
    printf("storm: %lu calls\n", (unsigned long)atomic_load(counter));
    return 0;
}
