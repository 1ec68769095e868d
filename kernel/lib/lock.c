/* The end of a deadlock (<ashlar/lock.h>). */
#include <ashlar/lock.h>

/*
 * A machine that hangs tells nobody why; a panic names the lock, and its backtrace the one who waits. The
 * holder's name would cost every lock two instructions; a function that waits and returns would cost its
 * callers the registers they save for it.
 */
void spinlock_stuck(const struct spinlock *lock)
{
    panic("deadlock: CPU %u waits for the lock at %#" PRIx64 ", which nobody releases", cpu_number(),
          (uintptr_t)lock);
}
