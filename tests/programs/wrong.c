/* Does what its argument names, and should not come back from it. */
#include "check.h"

#include <stdlib.h>

static char data[64];

static int deep(volatile char *above, int levels)
{
    volatile char room[4096];
    room[0] = above[0];
    return levels ? deep(room, levels - 1) + room[1] : 0;
}

static void jump(void *to)
{
    ((void (*)(void))to)();
}

/* Two numbers that nobody has, the first one twice: the error, which is always the same. */
static int unknown(void)
{
    long answers[3] = {syscall(400), syscall(0x7fffffff), syscall(400)};
    if (answers[0] != -1 || answers[1] != -1 || answers[2] != -1) {
        return 1;
    }
    printf("%d\n", errno);
    return 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "null")) {
        *(volatile int *)NULL = 1;
    } else if (!strcmp(what, "kernel")) {
        return *(volatile int *)0xffff800000000000;
    } else if (!strcmp(what, "far")) {
        return *(volatile int *)0x1234567890abcdef;
    } else if (!strcmp(what, "code")) {
        *(volatile char *)main = 1;
    } else if (!strcmp(what, "stack")) {
        return deep(data, 1 << 20);
    } else if (!strcmp(what, "execute")) {
        jump(data);
    } else if (!strcmp(what, "divide")) {
        __asm__ volatile("xorl %%ecx, %%ecx; divl %%ecx" : : : "eax", "ecx", "edx");
    } else if (!strcmp(what, "undefined")) {
        __asm__ volatile("ud2");
    } else if (!strcmp(what, "breakpoint")) {
        __asm__ volatile("int3");
    } else if (!strcmp(what, "step")) {
        __asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; nop" : : : "memory", "cc");
    } else if (!strcmp(what, "privileged")) {
        __asm__ volatile("hlt");
    } else if (!strcmp(what, "interrupt")) {
        __asm__ volatile("int $0x80" : : "a"(1));
    } else if (!strcmp(what, "return")) {
        jump((void *)0x7ffffffffff0);
    } else if (!strcmp(what, "unknown")) {
        return unknown();
    }
    return 1;
}
