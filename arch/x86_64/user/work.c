/* What is done on the way to user mode; see kernel_hooks.user_work. */
#include <ashlar/hooks.h>
#include <ashlar/thread_types.h>
#include <x86/segments.h>

_Static_assert(offsetof(struct thread, user_work) == THREAD_USER_WORK, "the entries read it");
_Static_assert(offsetof(struct thread, in_kernel) == THREAD_IN_KERNEL, "the entries add to it");

/* Called by arch/x86_64/trap/entry.S. */
void user_mode_work(struct trap_frame *frame);
void user_mode_work(struct trap_frame *frame)
{
    kernel_hooks.user_work(frame);
}
