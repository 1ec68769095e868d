/* Signals of faults: what a handler is told, and what its frame holds and gives back; frames that lie;
 * alternate stacks. What has no handler, or is masked, ends the process. Left out is what QEMU's CPU does not
 * have: alignment checks, exceptions of SSE, and the refusal of a bad MXCSR. */
#include "check.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>

#define PAGE 4096

static sigjmp_buf back;
static siginfo_t told;
static unsigned long told_vector;
static unsigned long told_error;
static char *page;

static void leaves(int signal, siginfo_t *information, void *context)
{
    const ucontext_t *frame = context;
    (void)signal;
    told = *information;
    told_vector = (unsigned long)frame->uc_mcontext.gregs[REG_TRAPNO];
    told_error = (unsigned long)frame->uc_mcontext.gregs[REG_ERR];
    siglongjmp(back, 1);
}

static void set(int signal, void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO};
    sigaction(signal, &action, NULL);
}

/* ---- What is told ---- */

static char text[16] = "not code";
static void *instruction;

static void null(void)
{
    *(volatile int *)0x10 = 1;
}
static void no_page(void)
{
    *(volatile char *)(page + 3 * PAGE) = 1;
}
static void only_read(void)
{
    *(volatile char *)page = 1;
}
static void no_access(void)
{
    (void)*(volatile char *)(page + PAGE + 5);
}
static void kernel(void)
{
    (void)*(volatile char *)0xffff800000000000;
}
static void far(void)
{
    (void)*(volatile char *)0x1234567890abcdef;
}
static void data(void)
{
    ((void (*)(void))(void *)text)();
}
static void privileged(void)
{
    __asm__ volatile("hlt");
}
static void breakpoint(void)
{
    __asm__ volatile("int3");
}
static void past_end(void)
{
    (void)*(volatile char *)(page + 2 * PAGE);
}

static void divide(void)
{
    __asm__ volatile(
        "leaq 1f(%%rip), %%rax; movq %%rax, %0; xorl %%ecx, %%ecx; movl $1, %%eax; cltd\n1: divl %%ecx"
        : "=m"(instruction)
        :
        : "eax", "ecx", "edx");
}

static void undefined(void)
{
    __asm__ volatile("leaq 1f(%%rip), %%rax; movq %%rax, %0\n1: ud2" : "=m"(instruction) : : "rax");
}

static void step(void)
{
    __asm__ volatile("leaq 1f(%%rip), %%rax; movq %%rax, %0; pushfq; orl $0x100, (%%rsp); popfq; nop\n1: nop"
                     : "=m"(instruction)
                     :
                     : "rax", "memory", "cc");
}

static void float_invalid(void)
{
    unsigned short control = 0x37e;
    __asm__ volatile("fninit; fldcw %0; fldz; fldz; fdivrp; fwait" : : "m"(control));
}

static void fault(const char *name, void (*function)(void), const void *address)
{
    memset(&told, 0, sizeof told);
    instruction = NULL;
    if (sigsetjmp(back, 1) == 0) {
        function();
        printf("%s: nothing\n", name);
        return;
    }
    __asm__ volatile("pushfq; andl $~0x40100, (%%rsp); popfq; fninit" : : : "memory", "cc");
    __asm__ volatile("ldmxcsr %0" : : "m"((unsigned){0x1f80}));
    printf("%s: signal %d code %d at what is expected %d, vector %lu, error %lu\n", name, told.si_signo,
           told.si_code, told.si_addr == (address ? address : instruction), told_vector, told_error);
}

static void faults(void)
{
    const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    for (unsigned i = 0; i < 5; i++) {
        set(signals[i], leaves, 0);
    }
    int file = open("/tmp/faults", O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (file < 0) {
        mkdir("/tmp", 0777);
        file = open("/tmp/faults", O_RDWR | O_CREAT | O_TRUNC, 0600);
    }
    page = mmap(NULL, 4 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(page + PAGE, PAGE, PROT_NONE);
    mmap(page + 2 * PAGE, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, file, 0);
    munmap(page + 3 * PAGE, PAGE);
    unlink("/tmp/faults");
    fault("null", null, (void *)0x10);
    fault("no page", no_page, page + 3 * PAGE);
    fault("only read", only_read, page);
    fault("no access", no_access, page + PAGE + 5);
    fault("kernel", kernel, (void *)0xffff800000000000);
    fault("far", far, NULL);
    fault("data", data, text);
    fault("privileged", privileged, NULL);
    fault("breakpoint", breakpoint, NULL);
    fault("past the end", past_end, page + 2 * PAGE);
    fault("divide", divide, NULL);
    fault("undefined", undefined, NULL);
    fault("step", step, NULL);
    fault("floating invalid", float_invalid, told.si_addr);
}

/* ---- A page that a handler opens ---- */

static void opens(int signal, siginfo_t *information, void *context)
{
    (void)signal;
    (void)context;
    mprotect((void *)((unsigned long)information->si_addr & ~(PAGE - 1UL)), PAGE, PROT_READ | PROT_WRITE);
}

static void opened(void)
{
    set(SIGSEGV, opens, 0);
    for (int i = 0; i < 100; i++) {
        mprotect(page, PAGE, PROT_READ);
        page[i] = (char)i;
    }
    printf("opened: %d\n", page[99]);
}

/* ---- The frame ---- */

static void changes(int signal, siginfo_t *information, void *context)
{
    ucontext_t *frame = context;
    unsigned char *vectors = (unsigned char *)frame->uc_mcontext.fpregs;
    unsigned *note = (unsigned *)(vectors + 464);
    (void)signal;
    (void)information;
    printf("vectors aligned %d, magic %x, end %x, sizes fit %d\n", ((unsigned long)vectors & 63) == 0,
           note[0], *(unsigned *)(vectors + note[4]), note[1] == note[4] + 4);
    printf("flags %lx, mask %d, link %d\n", frame->uc_flags & 6, (int)(frame->uc_sigmask.__val[0] & 1),
           frame->uc_link == NULL);
    frame->uc_mcontext.gregs[REG_RBX] = 0x1111;
    frame->uc_mcontext.gregs[REG_R15] = 0x2222;
    frame->uc_mcontext.gregs[REG_RCX] = 0x3333;
    frame->uc_mcontext.gregs[REG_R11] = 0x4444;
    memset(vectors + 160, 0x5a, 16); /* XMM0 */
    __asm__ volatile("pxor %%xmm0, %%xmm0; pxor %%xmm1, %%xmm1; fninit; fldpi" : : : "xmm0", "xmm1");
}

/* The signal comes while this call runs: all registers but RAX, RCX and R11 are as they were. */
static void frame(void)
{
    unsigned long rbx;
    unsigned long r15;
    unsigned long rcx;
    unsigned long r11;
    unsigned char xmm[2][16];
    unsigned long seven[2] = {7, 7};
    set(SIGUSR1, changes, 0);
    __asm__ volatile("movdqu %6, %%xmm1; fninit; fld1\n"
                     "movl $7, %%ebx; movl $7, %%r15d; syscall\n"
                     "movq %%rbx, %0; movq %%r15, %1; movq %%rcx, %2; movq %%r11, %3\n"
                     "movdqu %%xmm0, %4; movdqu %%xmm1, %5"
                     : "=m"(rbx), "=m"(r15), "=m"(rcx), "=m"(r11), "=m"(xmm[0]), "=m"(xmm[1])
                     : "m"(seven), "a"(SYS_kill), "D"(getpid()), "S"(SIGUSR1)
                     : "rbx", "r15", "rcx", "r11", "memory", "xmm0", "xmm1");
    double one;
    __asm__ volatile("fstpl %0" : "=m"(one));
    printf("rbx %lx r15 %lx rcx %lx r11 %lx xmm0 %x xmm1 %x x87 %g\n", rbx, r15, rcx, r11, xmm[0][3],
           xmm[1][0], one);
}

__attribute__((noinline)) static unsigned long uses_red_zone(void)
{
    unsigned long sum = 0;
    __asm__ volatile("movq $0x77, -8(%%rsp); movq $0x88, -128(%%rsp); movl $39, %%eax; syscall\n"
                     "movl %%eax, %%edi; movl $10, %%esi; movl $62, %%eax; syscall\n"
                     "movq -8(%%rsp), %0; addq -128(%%rsp), %0"
                     : "=r"(sum)
                     :
                     : "rax", "rcx", "r11", "rdi", "rsi", "memory");
    return sum;
}

/* ---- Frames that lie: each in a process of its own ---- */

static int lie;

static void lies(int signal, siginfo_t *information, void *context)
{
    ucontext_t *frame = context;
    unsigned char *vectors = (unsigned char *)frame->uc_mcontext.fpregs;
    (void)signal;
    (void)information;
    greg_t *registers = frame->uc_mcontext.gregs;
    unsigned short *segments = (unsigned short *)&registers[REG_CSGSFS];
    switch (lie) {
    case 0:
        registers[REG_RIP] = (greg_t)0x8000000000000000;
        break;
    case 1:
        registers[REG_RIP] = (greg_t)0xffffffff80000000;
        break;
    case 2:
        segments[0] = 0x08;
        break; /* the kernel's code */
    case 3:
        segments[0] = 0;
        break;
    case 4:
        segments[3] = 0x10;
        break; /* the kernel's data */
    case 5:
        segments[3] = 0xfff8;
        break;
    case 6:
        registers[REG_EFL] = (greg_t)0xffffffffffffffff & ~0x40100LL;
        break;
    case 7:
        *(unsigned *)(vectors + 464 + 4) = 0;
        break; /* less than XSAVE takes, it says */
    case 8:
        memset(vectors + 512, 0xff, 64);
        break; /* the header of XSAVE */
    case 9:
        memset(vectors + 520, 0xff, 8);
        break;
    case 10:
        frame->uc_mcontext.fpregs = (void *)((char *)vectors + 8);
        break;
    case 11:
        frame->uc_mcontext.fpregs = (void *)0xffff800000000000;
        break;
    case 12:
        frame->uc_mcontext.fpregs = (void *)0x1000;
        break;
    case 13:
        frame->uc_mcontext.fpregs = NULL;
        break;
    case 14:
        *(unsigned *)(vectors + 464) = 0;
        break; /* no XSAVE, it says */
    case 15:
        *(unsigned *)(vectors + 464 + 16) = 0xffffffff;
        break;
    case 16:
        registers[REG_RSP] = (greg_t)0xffff800000000000;
        break;
    case 17:
        registers[REG_EFL] &= ~0x202LL;
        break; /* without IF */
    case 18:
        frame->uc_stack.ss_flags = 77;
        frame->uc_stack.ss_size = 1;
        break;
    case 19:
        memset(&frame->uc_sigmask, 0xff, 8);
        break;
    case 20:
        registers[REG_EFL] |= 0x3000;
        break; /* IOPL */
    default:
        break;
    }
}

static void masked(int signal)
{
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, signal);
    sigprocmask(SIG_BLOCK, &mask, NULL);
}

static void end_of(const char *what, int number, pid_t child)
{
    int status = -1;
    waitpid(child, &status, 0);
    printf("%s %d: exit %d signal %d\n", what, number, WIFEXITED(status) ? WEXITSTATUS(status) : -1,
           WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

static void hostile(void)
{
    for (lie = 0; lie <= 20; lie++) {
        pid_t child = fork();
        if (child == 0) {
            unsigned long flags;
            signal(SIGSEGV, SIG_DFL);
            set(SIGUSR1, lies, 0);
            raise(SIGUSR1);
            __asm__ volatile("pushfq; popq %0" : "=r"(flags));
            _exit((int)(flags >> 9 & 0xf)); /* IF, DF, OF, IOPL */
        }
        end_of("lie", lie, child);
    }
    for (int i = 0; i < 4; i++) {
        pid_t child = fork();
        if (child == 0) {
            signal(SIGSEGV, SIG_DFL);
            unsigned long at = i == 0 ? 8 : i == 1 ? 0xffff800000000008 : i == 2 ? 0x7ffffffff000 : 0;
            __asm__ volatile("movq %0, %%rsp; movl $15, %%eax; syscall; ud2" : : "r"(at) : "memory", "rax");
        }
        end_of("frame", i, child);
    }
}

/* A handler for SIGSEGV sees what a lie led to. */
static void lie_caught(void)
{
    for (lie = 0; lie <= 5; lie++) {
        if (lie != 1) {
            set(SIGSEGV, leaves, 0);
            set(SIGUSR1, lies, 0);
            if (sigsetjmp(back, 1) == 0) {
                raise(SIGUSR1);
                printf("lie %d: nothing\n", lie);
            } else {
                printf("lie %d: caught %d\n", lie, told.si_signo);
            }
        }
    }
}

/* ---- Without a handler, or masked ---- */

static void ends(void)
{
    for (int i = 0; i < 6; i++) {
        pid_t child = fork();
        if (child == 0) {
            signal(SIGSEGV, i == 0 ? SIG_DFL : i == 1 ? SIG_IGN : (void (*)(int))(void *)leaves);
            if (i == 2) {
                masked(SIGSEGV);
            }
            if (i == 3) { /* no stack for a handler */
                __asm__ volatile("movq $64, %%rsp; movq (%%rsp), %%rax" : : : "memory");
            }
            if (i == 4) { /* no code for a handler */
                signal(SIGSEGV, (void (*)(int))0x8000000000000000);
            }
            if (i == 5) { /* nowhere to return to */
                struct {
                    void *handler;
                    unsigned long flags;
                    void *restorer;
                    unsigned long mask;
                } action = {leaves, 0, 0, 0};
                syscall(SYS_rt_sigaction, SIGSEGV, &action, NULL, 8);
            }
            null();
            _exit(0);
        }
        end_of("end", i, child);
    }
}

/* ---- Alternate stacks ---- */

static char room[4 * PAGE] __attribute__((aligned(16)));
static volatile int on_it;
static volatile int state;
static volatile int error;

static void looks(int signal, siginfo_t *information, void *context)
{
    stack_t stack;
    char here;
    (void)information;
    (void)context;
    on_it = &here >= room && &here < room + sizeof room;
    sigaltstack(NULL, &stack);
    state = stack.ss_flags;
    stack.ss_flags = 0;
    error = sigaltstack(&stack, NULL) == 0 ? 0 : errno;
    if (signal == SIGSEGV) {
        siglongjmp(back, 1);
    }
}

static int deep(volatile char *above, int levels)
{
    volatile char more[PAGE];
    more[0] = above[0];
    return levels ? deep(more, levels - 1) + more[1] : 0;
}

static void stacks(void)
{
    stack_t stack = {.ss_sp = room, .ss_size = sizeof room};
    stack_t before;
    stack_t bad = {.ss_sp = room, .ss_size = 2047};
    TELL(sigaltstack(&bad, NULL));
    bad = (stack_t){.ss_sp = room, .ss_size = sizeof room, .ss_flags = 4};
    TELL(sigaltstack(&bad, NULL));
    TELL(syscall(SYS_sigaltstack, 8, 0));
    TELL(syscall(SYS_sigaltstack, 0, 8));
    TELL(sigaltstack(NULL, &before));
    printf("none: %d %zu\n", before.ss_flags, before.ss_size);
    TELL(sigaltstack(&stack, NULL));
    TELL(sigaltstack(NULL, &before));
    printf("set: %d %zu %d\n", before.ss_flags, before.ss_size, before.ss_sp == room);
    set(SIGUSR1, looks, 0);
    raise(SIGUSR1);
    printf("not on it: %d %d %d\n", on_it, state, error);
    set(SIGUSR1, looks, SA_ONSTACK);
    raise(SIGUSR1);
    printf("on it: %d %d %d\n", on_it, state, error);
    set(SIGSEGV, looks, SA_ONSTACK);
    if (sigsetjmp(back, 1) == 0) {
        deep(room, 1 << 20);
    }
    printf("a stack that is full: %d %d %d\n", on_it, state, error);
    stack.ss_flags = (int)(1U << 31);
    TELL(sigaltstack(&stack, NULL));
    raise(SIGUSR1);
    printf("disarmed: %d %d %d\n", on_it, state, error);
    TELL(sigaltstack(NULL, &before));
    printf("armed again: %x %zu\n", (unsigned)before.ss_flags, before.ss_size);
    stack.ss_flags = SS_DISABLE;
    TELL(sigaltstack(&stack, &before));
    TELL(sigaltstack(NULL, &before));
    printf("none: %d %zu\n", before.ss_flags, before.ss_size);
}

/* A call's number is the lower half of its register. */
static void number(void)
{
    long answer = 0xffffffff00000000 | SYS_getpid;
    __asm__ volatile("syscall" : "+a"(answer) : : "rcx", "r11", "memory");
    printf("number with an upper half: %d\n", answer == getpid());
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    number();
    faults();
    opened();
    frame();
    set(SIGUSR1, looks, 0);
    printf("red zone: %lx\n", uses_red_zone());
    hostile();
    lie_caught();
    ends();
    stacks();
    return 0;
}
