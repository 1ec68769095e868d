/* What a spinlock does when it is not free (<ashlar/lock.h>). */
#include <ashlar/lock.h>

/*
 * A machine that hangs tells nobody why; a panic names the lock, and its backtrace the one who waits. The
 * holder's name would cost every lock two instructions.
 */
void spinlock_wait(struct spinlock *lock, uint32_t ticket)
{
    for (uint32_t tries = 0; atomic_load_explicit(&lock->serving, memory_order_acquire) != ticket; tries++) {
        if (tries == SPINLOCK_PATIENCE) {
            panic("deadlock: CPU %u waits for the lock at %#llx, which nobody releases", cpu_number(),
                  (unsigned long long)(uintptr_t)lock);
        }
        cpu_relax();
    }
}
