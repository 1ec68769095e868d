/* The order of locks, checked in debug builds; see <ashlar/lock_check.h>. */
#include <ashlar/lock.h>

#ifdef ASHLAR_DEBUG

#include <ashlar/format.h>

/* ---- What is said ---- */

#define TEXT_BYTES 128

/* "slab cache's lock 0xffff800000001234", with its key where it has one. */
static const char *name_lock(const struct lock_order *lock, char text[TEXT_BYTES])
{
    size_t length = format(text, TEXT_BYTES, "%s %#" PRIx64, lock_rank_name(lock->rank), (uintptr_t)lock);
    if (lock->key != 0) {
        format(text + length, TEXT_BYTES - length, " (key %" PRIu64 ")", lock->key);
    }
    return text;
}

_Noreturn static void refuse(const char *what, const struct lock_order *lock)
{
    char text[TEXT_BYTES];
    panic("lock: CPU %u waits for the %s %s: see Locks in docs/architecture.md", cpu_number(),
          name_lock(lock, text), what);
}

/* The same, where it is a lock that is held that forbids it. */
_Noreturn static void refuse_after(const char *what, const struct lock_order *lock,
                                   const struct lock_held *held)
{
    char text[TEXT_BYTES];
    char other[TEXT_BYTES];
    char place[CODE_PLACE_BYTES];
    panic("lock: CPU %u waits for the %s %s the %s, taken at %s: see Locks in docs/architecture.md",
          cpu_number(), name_lock(lock, text), what, name_lock(held->lock, other),
          code_place(held->where, place));
}

/* An irq_spinlock is held, or a handler runs: then some things are not done. */
_Noreturn static void refuse_to(const char *does, const struct lock_held *held)
{
    char text[TEXT_BYTES];
    char place[CODE_PLACE_BYTES];
    panic("lock: CPU %u %s while it holds the %s, taken at %s: see Locks in docs/architecture.md",
          cpu_number(), does, name_lock(held->lock, text), code_place(held->where, place));
}

/* ---- What is checked ---- */

static enum lock_class class_of(const struct lock_order *lock)
{
    if (lock->rank > LOCK_LAST_SPINLOCK) {
        return LOCK_SPIN_IRQ;
    }
    return lock->rank > LOCK_LAST_MUTEX ? LOCK_SPIN : LOCK_MUTEX;
}

static void check_order(const struct lock_order *lock, const struct lock_held *held)
{
    const struct lock_order *other = held->lock;
    if (other == lock) {
        refuse_after("a second time: it holds", lock, held);
    }
    if (other->rank > lock->rank || (other->rank == lock->rank && other->key >= lock->key)) {
        refuse_after("in the wrong order: it holds", lock, held);
    }
}

/* The spinlocks that this thread holds. While preemption and interrupts are on it holds none, and may go to
 * another CPU at any moment; else it stays on this one, whose list it is. */
static const struct locks_held *spinlocks_held(void)
{
    static const struct locks_held none;
    return cpu_may_wait() && interrupts_enabled() ? &none : cpu_locks_held();
}

/* A mutex is waited for with preemption and interrupts on. */
static void check_may_wait(const struct lock_order *lock)
{
    const struct locks_held *locks = spinlocks_held();
    if (locks->count != 0) {
        refuse_after("where it may not wait: it holds", lock, &locks->held[locks->count - 1]);
    }
    if (!cpu_may_wait()) {
        refuse("with preemption or interrupts off", lock);
    }
}

static void check_order_after(const struct lock_order *lock, const struct locks_held *locks)
{
    for (unsigned i = 0; i < locks->count; i++) {
        check_order(lock, &locks->held[i]);
    }
}

void lock_check_wait(const struct lock_order *lock, enum lock_class class)
{
    if (lock_checks_have_ended()) {
        return;
    }
    if (lock->rank == LOCK_UNRANKED) {
        refuse("which was never initialised", lock);
    }
    if (class_of(lock) != class) {
        refuse("which has the rank of another class", lock);
    }
    if (class != LOCK_SPIN_IRQ && cpu_in_interrupt()) {
        refuse("in an interrupt handler, which takes irq_spinlocks only", lock);
    }
    if (class == LOCK_MUTEX) {
        check_may_wait(lock);
    }
    check_order_after(lock, thread_locks_held());
    check_order_after(lock, spinlocks_held());
}

void lock_check_sleep(void)
{
    if (lock_checks_have_ended()) {
        return;
    }
    const struct locks_held *locks = spinlocks_held();
    if (locks->count != 0) {
        refuse_to("sleeps", &locks->held[locks->count - 1]);
    }
    if (!cpu_may_wait() || cpu_in_interrupt()) {
        panic("lock: CPU %u sleeps with preemption or interrupts off: see Locks in docs/architecture.md",
              cpu_number());
    }
}

/* Panics if this CPU holds an irq_spinlock. */
static void check_outside_irq_spinlocks(const char *does)
{
    const struct locks_held *locks = spinlocks_held();
    for (unsigned i = 0; i < locks->count; i++) {
        if (class_of(locks->held[i].lock) == LOCK_SPIN_IRQ) {
            refuse_to(does, &locks->held[i]);
        }
    }
}

void lock_check_log(void)
{
    if (!lock_checks_have_ended() && !cpu_in_nmi()) {
        check_outside_irq_spinlocks("logs");
    }
}

void lock_check_allocate(void)
{
    if (lock_checks_have_ended()) {
        return;
    }
    check_outside_irq_spinlocks("allocates or frees memory");
    if (cpu_in_interrupt()) {
        panic("lock: CPU %u allocates or frees memory in an interrupt handler: see Locks in "
              "docs/architecture.md",
              cpu_number());
    }
}

#endif
