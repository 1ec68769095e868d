/* What comes to a program in other ways than by the structures of calls is its own, too: registers, frames of
 * signals, the first stack, new memory, and text below /proc; see told.h. */
#include "told.h"

#include <ctype.h>
#include <elf.h>
#include <stddef.h>
#include <sys/wait.h>
#include <ucontext.h>

#define STACK_BYTES (64 * PAGE)
#define REGISTERS   12

extern char **environ;

/* ---- Registers ---- */

static const uint64_t marks[REGISTERS] = {0x1111111111111111, 0x2222222222222222, 0x3333333333333333,
                                          0x4444444444444444, 0x5555555555555555, 0x6666666666666666,
                                          0x7777777777777777, 0x0888888888888888, 0x0999999999999999,
                                          0x0aaaaaaaaaaaaaaa, 0x0bbbbbbbbbbbbbbb, 0x0ccccccccccccccc};

/*
 * Makes a call with marks in all registers that are no argument of it, vectors among them; stores what they
 * hold afterwards: RDI, RSI, RDX, R10, R8, R9, RBX, R12 to R15, RCX, and R11. The first three marks are the
 * arguments.
 */
static long call_marked(long number, const uint64_t arguments[3], uint64_t after[REGISTERS + 1],
                        uint64_t vectors[32])
{
    static uint64_t in[REGISTERS];
    memcpy(in, marks, sizeof in);
    memcpy(in, arguments, 3 * sizeof *arguments);
    long answer = number;
    __asm__ volatile(
        "push %%rbp\n push %%rbx\n push %[after]\n push %[vectors]\n"
        "movq $0x5a5a5a5a, %%rbx\n"
        "movq %%rbx, %%xmm0\n movdqa %%xmm0, %%xmm1\n movdqa %%xmm0, %%xmm7\n movdqa %%xmm0, %%xmm15\n"
        "movq 24(%[in]), %%r10\n movq 32(%[in]), %%r8\n movq 40(%[in]), %%r9\n"
        "movq 48(%[in]), %%rbx\n movq 56(%[in]), %%r12\n movq 64(%[in]), %%r13\n"
        "movq 72(%[in]), %%r14\n movq 80(%[in]), %%r15\n"
        "movq 8(%[in]), %%rsi\n movq 16(%[in]), %%rdx\n movq 0(%[in]), %%rdi\n"
        "syscall\n"
        "pop %%rbp\n"
        "movdqu %%xmm0, (%%rbp)\n movdqu %%xmm1, 16(%%rbp)\n movdqu %%xmm7, 32(%%rbp)\n"
        "movdqu %%xmm15, 48(%%rbp)\n movdqu %%xmm3, 64(%%rbp)\n"
        "pop %%rbp\n"
        "movq %%rdi, (%%rbp)\n movq %%rsi, 8(%%rbp)\n movq %%rdx, 16(%%rbp)\n movq %%r10, 24(%%rbp)\n"
        "movq %%r8, 32(%%rbp)\n movq %%r9, 40(%%rbp)\n movq %%rbx, 48(%%rbp)\n movq %%r12, 56(%%rbp)\n"
        "movq %%r13, 64(%%rbp)\n movq %%r14, 72(%%rbp)\n movq %%r15, 80(%%rbp)\n movq %%rcx, 88(%%rbp)\n"
        "movq %%r11, 96(%%rbp)\n"
        "pop %%rbx\n pop %%rbp\n"
        : "+a"(answer)
        : [in] "D"(in), [after] "S"(after), [vectors] "d"(vectors)
        : "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0", "xmm1", "xmm7", "xmm15",
          "memory");
    return answer;
}

static void look_at_registers(const char *name, long number, uint64_t first, uint64_t second, uint64_t third)
{
    const uint64_t arguments[3] = {first, second, third};
    uint64_t after[REGISTERS + 1] = {0}, vectors[32] = {0};
    dirty(0x77);
    call_marked(number, arguments, after, vectors);
    for (unsigned i = 0; i < REGISTERS - 1; i++) {
        if (after[i] != (i < 3 ? arguments[i] : marks[i])) {
            mistake(name, "a register that was changed", i, after[i]);
        }
    }
    for (unsigned i = 0; i < 8; i += 2) {
        if (vectors[i] != 0x5a5a5a5a || vectors[i + 1] != 0) {
            mistake(name, "a vector register that was changed", i, vectors[i]);
        }
    }
    look_for_addresses(name, after, sizeof after);
    look_for_addresses(name, vectors, sizeof vectors);
    printf("%s: registers\n", name);
}

static void all_registers(void)
{
    static unsigned char room[ROOM];
    look_at_registers("getppid", SYS_getppid, 1, 2, 3);
    look_at_registers("read", SYS_read, 99, (uint64_t)room, ROOM);
    look_at_registers("uname", SYS_uname, (uint64_t)room, 2, 3);
    look_at_registers("unknown", 510, 1, 2, 3);
    look_at_registers("beyond", -1L, 1, 2, 3);
    look_at_registers("sched_yield", SYS_sched_yield, 1, 2, 3);
    look_at_registers("mmap", SYS_mmap, 0x320000000000, PAGE, 3);
    look_at_registers("stat", SYS_stat, (uint64_t) "/", (uint64_t)room, 3);
    look_at_registers("getdents64", SYS_getdents64, 99, (uint64_t)room, ROOM);
    look_at_registers("kill", SYS_kill, 0x7fffffff, 0, 0);
    look_at_registers("nanosleep", SYS_nanosleep, (uint64_t) & (struct timespec){0, 1000}, 0, 0);
}

/* A new program's registers are 0, and its vectors too: the child looks at what clone() left it. */
static void vectors_of_child(void)
{
    int status = 0;
    dirty(0x77);
    pid_t child = fork();
    if (child == 0) {
        uint64_t vectors[2] = {1, 1};
        __asm__ volatile("movdqu %%xmm9, %0" : "=m"(vectors));
        look_for_addresses("fork", vectors, sizeof vectors);
        _exit(mistakes != 0);
    }
    waitpid(child, &status, 0);
    printf("fork: %d\n", status);
}

/* ---- Frames of signals ---- */

static char *alternate;
static volatile char *forbidden; /* to be written to, until a fault allows it */
static unsigned char frames[2][STACK_BYTES];
static unsigned frame; /* which of the two is taken */
static char *lowest;   /* of the handler's stack: below it is what the handler itself has written */

__attribute__((noinline)) static void handler(int signal, siginfo_t *told, void *context)
{
    lowest = (char *)__builtin_frame_address(0) + 8; /* where the address lies to which it returns */
    memcpy(frames[frame], alternate, STACK_BYTES);
    look_for_addresses("siginfo", told, sizeof *told);
    look_for_addresses("ucontext", context, sizeof(ucontext_t));
    if (signal == SIGSEGV) {
        mprotect((void *)forbidden, PAGE, PROT_READ | PROT_WRITE);
    }
}

/* So that what the program itself has in its vector registers is in no frame. Those from 16 on are the C
 * library's, where there are so many. */
static void clear_vectors(void)
{
    __builtin_cpu_init();
    __asm__ volatile(".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
                     "xorps %%xmm\\n, %%xmm\\n\n.endr"
                     :
                     :
                     : "memory");
    if (__builtin_cpu_supports("avx")) {
        __asm__ volatile("vzeroall" : : : "memory");
    }
    if (__builtin_cpu_supports("avx512f")) {
        __asm__ volatile(".irp n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31\n"
                         "vpxorq %%zmm\\n, %%zmm\\n, %%zmm\\n\n.endr"
                         :
                         :
                         : "memory");
    }
}

static void send_frame(int signal, unsigned number, unsigned char poison, unsigned char dirt)
{
    memset(alternate, poison, STACK_BYTES);
    dirty(dirt);
    frame = number;
    clear_vectors();
    if (signal == SIGSEGV) {
        mprotect((void *)forbidden, PAGE, PROT_NONE);
        *forbidden = 1;
    } else if (signal == SIGTRAP) {
        __asm__ volatile("int3");
    } else {
        syscall(SYS_tkill, getpid(), signal);
    }
}

/* What differs between the two frames, of the same signal at the same place, is what lay in the kernel. */
static void look_at_frames(const char *name, int signal)
{
    static const unsigned char poisons[2] = {0x11, 0xee};
    send_frame(signal, 0, poisons[0], 0x77);
    send_frame(signal, 1, poisons[1], 0xc3);
    size_t from = (size_t)(lowest - alternate);
    for (size_t i = from; i < STACK_BYTES; i++) {
        unsigned char one = frames[0][i], other = frames[1][i];
        bool untouched = one == poisons[0] && other == poisons[1];
        bool register_of_caller = i - from - 8 >= offsetof(ucontext_t, uc_mcontext) &&
                                  i - from - 8 < offsetof(ucontext_t, uc_mcontext) + sizeof(gregset_t);
        if (one != other && !untouched && !register_of_caller) {
            mistake(name, "a byte of a frame", i - from, (uint64_t)one << 8 | other);
        }
    }
    look_for_addresses(name, frames[0] + from, STACK_BYTES - from);
    printf("%s: a frame\n", name);
}

static void signal_frames(void)
{
    alternate = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t stack = {.ss_sp = alternate, .ss_size = STACK_BYTES};
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    sigaltstack(&stack, NULL);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGRTMIN + 3, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGTRAP, &action, NULL);
    forbidden = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    look_at_frames("SIGUSR1", SIGUSR1);
    look_at_frames("a signal in real time", SIGRTMIN + 3);
    look_at_frames("SIGSEGV", SIGSEGV);
    look_at_frames("SIGTRAP", SIGTRAP);
}

/* ---- Memory ---- */

static void look_at_new(const char *name, const void *memory, size_t length)
{
    const uint64_t *words = memory;
    for (size_t i = 0; i < length / 8; i++) {
        if (words[i] != 0) {
            mistake(name, "a word in new memory", i * 8, words[i]);
        }
    }
    printf("%s: zeros\n", name);
}

static void *map(size_t length, int flags, int file)
{
    return mmap(NULL, length, PROT_READ | PROT_WRITE, flags, file, 0);
}

/* Frames that were a pipe's, a file's, a stack's, and a process's. */
static void dirty_frames(void)
{
    static unsigned char bytes[16 * PAGE];
    memset(bytes, 0x77, sizeof bytes);
    int file = memfd_create("dirt", 0);
    for (int i = 0; i < 32; i++) {
        write(file, bytes, sizeof bytes);
    }
    close(file);
    pid_t child = fork();
    if (child == 0) {
        memset(bytes, 0x66, sizeof bytes);
        char *more = map(sizeof bytes, MAP_PRIVATE | MAP_ANONYMOUS, -1);
        memset(more, 0x55, sizeof bytes);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    dirty(0x77);
}

static void new_memory(void)
{
    size_t length = 600 * PAGE;
    dirty_frames();
    look_at_new("private", map(length, MAP_PRIVATE | MAP_ANONYMOUS, -1), length);
    dirty_frames();
    look_at_new("populated", map(length, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1), length);
    dirty_frames();
    look_at_new("shared", map(length, MAP_SHARED | MAP_ANONYMOUS, -1), length);
    dirty_frames();
    char *end = sbrk((intptr_t)length);
    look_at_new("heap", end + (-(uintptr_t)end & 7), length - 8);
    int file = memfd_create("holes", 0);
    pwrite(file, "text", 4, 300 * (long)PAGE + 8);
    ftruncate(file, 300 * (long)PAGE + 8);
    ftruncate(file, (long)length);
    dirty_frames();
    look_at_new("a file with holes", map(length, MAP_PRIVATE, file), length);
    char *grown = map(length, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    dirty_frames();
    madvise(grown, length, MADV_DONTNEED);
    look_at_new("emptied", grown, length);
}

/* From the stack pointer's page to where the strings of the environment end; and below it, new pages. */
static void first_stack(void)
{
    const char *last = environ[0] ? environ[0] : (const char *)environ;
    for (char **at = environ; *at; at++) {
        last = *at + strlen(*at);
    }
    uintptr_t from = (uintptr_t)environ & -PAGE;
    look_for_addresses("the first stack", (void *)from, (size_t)((uintptr_t)last - from));
    uint64_t *auxiliary = (uint64_t *)environ;
    while (*auxiliary++) {
    }
    for (; auxiliary[0] != AT_NULL; auxiliary += 2) {
        if (is_kernel_address(auxiliary[1]) || is_kernel_address(auxiliary[0])) {
            mistake("the auxiliary vector", "a kernel address", auxiliary[0], auxiliary[1]);
        }
    }
    printf("the first stack\n");
}

/* ---- Text ---- */

/* Numbers of the kernel's, in either base; a system call page that Linux shows there has no secret. */
static void look_at_text(const char *path)
{
    static char text[1 << 16];
    int file = open(path, O_RDONLY);
    long got = read(file, text, sizeof text - 1);
    close(file);
    text[got > 0 ? got : 0] = 0;
    for (char *at = text; *at;) {
        char *end;
        if (!isalnum((unsigned char)*at)) {
            at++; /* a line between two numbers is no sign */
            continue;
        }
        uint64_t decimal = strtoull(at, &end, 10);
        uint64_t hexadecimal = end == at ? 0 : strtoull(at, NULL, 16);
        hexadecimal = end == at && strchr("abcdef", *at) ? strtoull(at, &end, 16) : hexadecimal;
        bool known = hexadecimal >= 0xffffffffff600000 && hexadecimal <= 0xffffffffff601000;
        if (!known && (is_kernel_address(decimal) || is_kernel_address(hexadecimal))) {
            mistake(path, "a kernel address", (size_t)(at - text), hexadecimal);
        }
        at = end > at ? end : at + 1;
    }
    printf("%s\n", path);
}

int main(void)
{
    static const char *const paths[] = {
        "/proc/self/maps",   "/proc/self/smaps", "/proc/self/stat", "/proc/self/statm", "/proc/self/status",
        "/proc/self/limits", "/proc/meminfo",    "/proc/vmstat",    "/proc/stat",       "/proc/cpuinfo",
        "/proc/buddyinfo",   "/proc/slabinfo",   "/proc/version",   "/proc/cmdline",    "/proc/self/auxv"};
    first_stack();
    all_registers();
    vectors_of_child();
    signal_frames();
    new_memory();
    for (unsigned i = 0; i < sizeof paths / sizeof *paths; i++) {
        look_at_text(paths[i]);
    }
    printf("%u mistakes\n", mistakes);
    return 0;
}
