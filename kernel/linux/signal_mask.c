/* Masks of signals; see signals.h. */
#include "process.h"

uint64_t signals_for(const struct task *task)
{
    uint64_t pending =
        signal_queue_set(&task->signals.pending) | signal_queue_set(&task->process->signals.pending);
    return pending & ~atomic_load(&task->signals.mask);
}

/* Whoever sends adds the signal first and looks at the mask then; here it is the other way round: so one of
 * the two sees what the other has done. */
void signal_mask_set(uint64_t mask)
{
    struct task *task = task_current();
    atomic_store(&task->signals.mask, mask & ~SIGNALS_UNMASKABLE);
    if (signals_for(task) != 0) {
        thread_interrupt(task->thread);
    }
}

int64_t signal_mask_begin(user_addr_t at, uint64_t bytes)
{
    struct task_signals *signals = &task_current()->signals;
    uint64_t mask;
    if (at.raw == 0) {
        return 0;
    }
    if (bytes != sizeof mask) {
        return -EINVAL;
    }
    if (!get_user_64(&mask, at)) {
        return -EFAULT;
    }
    signals->saved_mask = signals->mask;
    signals->restores_mask = true;
    signal_mask_set(mask);
    return 0;
}

/* After an interruption the signal has to come with the call's mask. The work on the way to user mode is
 * certain then. */
int64_t signal_mask_end(int64_t result)
{
    struct task *task = task_current();
    if (task->signals.restores_mask && result != -EINTR) {
        task->signals.restores_mask = false;
        signal_mask_set(task->signals.saved_mask);
    }
    return result;
}
