/* System calls about CPUs: which one this is, and which ones a thread may use. */
#include <ashlar/platform.h>

#include "calls.h"

/* What it says may be out of date when the program reads it. All CPUs are of one node. */
int64_t call_getcpu(const struct trap_frame *frame)
{
    uint64_t cpu = argument_1(frame);
    uint64_t node = argument_2(frame);
    return (cpu == 0 || put_user_32(user_addr(cpu), cpu_number())) &&
                   (node == 0 || put_user_32(user_addr(node), 0))
               ? 0
               : -EFAULT;
}
