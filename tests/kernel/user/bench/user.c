/* What user mode and system calls cost; user code is a loop in the test page. */
#include <ashlar/bench.h>
#include <ashlar/string.h>
#include <x86/user_mode.h>

#include "tests/kernel/user/page.h"

#define CALLS 1000

static const uint8_t loop[] = {
    0xb8, 0x6e, 0, 0, 0, /* 1: movl $110, %eax: the number of getppid() */
    0x0f, 0x05,          /* syscall */
    0xff, 0xcb,          /* decl %ebx */
    0x75, 0xf5,          /* jnz 1b */
    0xb8, 0x00, 0, 0, 0, /* movl $0, %eax: the end */
    0x0f, 0x05,          /* syscall */
};

static uint64_t answer(struct trap_frame *frame)
{
    if (frame->rax == 0) {
        user_mode_end(0);
    }
    return 1;
}

KERNEL_BENCH(user_syscall_entry, "user.syscall.entry")
{
    virt_addr_t page = user_page_map(USER_PAGE_CODE);
    struct trap_frame frame = user_mode_frame(page.raw, page.raw);
    frame.rbx = CALLS;
    memcpy(user_page_contents(), loop, sizeof loop);
    system_call_handler *before = system_call_set_handler(answer);
    bench_start(bench);
    user_mode_run(&frame);
    bench_stop(bench, CALLS);
    system_call_set_handler(before);
    user_page_unmap();
}
