/* Where preemption comes on and another thread is wished for: see preempt_enable() in <ashlar/platform.h>. */
#include <ashlar/hooks.h>
#include <ashlar/platform.h>

/* Where interrupts are off the wish stays, and is seen later. */
__attribute__((preserve_most)) void preempt_reschedule(void)
{
    if (interrupts_enabled()) {
        kernel_hooks.reschedule();
    }
}
