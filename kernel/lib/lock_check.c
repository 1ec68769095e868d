/* The order of locks, checked in debug builds; see <ashlar/lock_check.h>. */
#include <ashlar/lock.h>

#ifdef ASHLAR_DEBUG

#include <ashlar/format.h>

static atomic_bool ended; /* a panic has begun */

void lock_checks_end(void)
{
    atomic_store_explicit(&ended, true, memory_order_relaxed);
}

static const char *const rank_names[LOCK_RANKS] = {
    [LOCK_UNRANKED] = "lock without a rank",
    [LOCK_SPACE_CHANGE] = "space's change mutex",
    [LOCK_DATE] = "date mutex",
    [LOCK_FIRMWARE] = "firmware mutex",
    [LOCK_SPACE] = "space's lock",
    [LOCK_DEVICE_MAPPINGS] = "device mappings' lock",
    [LOCK_VMALLOC] = "vmalloc lock",
    [LOCK_ARENA] = "arena's lock",
    [LOCK_TABLE_SLOTS] = "table slots' lock",
    [LOCK_PAGE_TABLE] = "page table's lock",
    [LOCK_FAMILY] = "family lock",
    [LOCK_SPACE_NUMBERS] = "space numbers' lock",
    [LOCK_SLAB_POOL] = "slab pool's lock",
    [LOCK_SLAB_GUARD] = "slab guard's lock",
    [LOCK_SLAB_CACHE] = "slab cache's lock",
    [LOCK_SLAB_RECORDS] = "slab records' lock",
    [LOCK_FRAME_POOL] = "frame pool's lock",
    [LOCK_VECTORS] = "interrupt vectors' lock",
    [LOCK_CONSOLE] = "console's lock",
    [LOCK_IO_APIC] = "IO-APIC lock",
};

/* ---- What is said ---- */

#define TEXT_BYTES 128

/* "slab cache's lock 0xffff800000001234", with its key where it has one. */
static const char *name_lock(const struct lock_order *lock, char text[TEXT_BYTES])
{
    size_t length = format(text, TEXT_BYTES, "%s %#" PRIx64, rank_names[lock->rank], (uintptr_t)lock);
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

/* A mutex is waited for with preemption and interrupts on. */
static void check_may_wait(const struct lock_order *lock, const struct locks_held *locks)
{
    for (unsigned i = locks->count; i-- > 0;) {
        if (class_of(locks->held[i].lock) != LOCK_MUTEX) {
            refuse_after("where it may not wait: it holds", lock, &locks->held[i]);
        }
    }
    if (!cpu_may_wait()) {
        refuse("with preemption or interrupts off", lock);
    }
}

void lock_check_wait(const struct lock_order *lock, enum lock_class class)
{
    if (atomic_load_explicit(&ended, memory_order_relaxed)) {
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
    const struct locks_held *locks = cpu_locks_held();
    if (class == LOCK_MUTEX) {
        check_may_wait(lock, locks);
    }
    for (unsigned i = 0; i < locks->count; i++) {
        check_order(lock, &locks->held[i]);
    }
}

/* Panics if this CPU holds an irq_spinlock. */
static void check_outside_irq_spinlocks(const char *does)
{
    const struct locks_held *locks = cpu_locks_held();
    for (unsigned i = 0; i < locks->count; i++) {
        if (class_of(locks->held[i].lock) == LOCK_SPIN_IRQ) {
            refuse_to(does, &locks->held[i]);
        }
    }
}

void lock_check_log(void)
{
    if (!atomic_load_explicit(&ended, memory_order_relaxed) && !cpu_in_nmi()) {
        check_outside_irq_spinlocks("logs");
    }
}

void lock_check_allocate(void)
{
    if (atomic_load_explicit(&ended, memory_order_relaxed)) {
        return;
    }
    check_outside_irq_spinlocks("allocates or frees memory");
    if (cpu_in_interrupt()) {
        panic("lock: CPU %u allocates or frees memory in an interrupt handler: see Locks in "
              "docs/architecture.md",
              cpu_number());
    }
}

/* ---- What is kept ---- */

/* Interrupts are off while the list changes: a handler's own locks come and go in between. */
void lock_note_taken_at(const struct lock_order *lock, uintptr_t where)
{
    if (atomic_load_explicit(&ended, memory_order_relaxed)) {
        return;
    }
    bool were_on = interrupts_disable();
    struct locks_held *locks = cpu_locks_held();
    if (locks->count == LOCKS_HELD_MAX) {
        panic("lock: CPU %u holds more than %u locks", cpu_number(), LOCKS_HELD_MAX);
    }
    locks->held[locks->count] = (struct lock_held){lock, where};
    locks->count++;
    interrupts_restore(were_on);
}

__attribute__((noinline)) void lock_note_taken(const struct lock_order *lock)
{
    lock_note_taken_at(lock, (uintptr_t)__builtin_return_address(0));
}

void lock_note_released(const struct lock_order *lock)
{
    if (atomic_load_explicit(&ended, memory_order_relaxed)) {
        return;
    }
    bool were_on = interrupts_disable();
    struct locks_held *locks = cpu_locks_held();
    unsigned i = locks->count;
    while (i > 0 && locks->held[i - 1].lock != lock) {
        i--;
    }
    if (i == 0) {
        char text[TEXT_BYTES];
        panic("lock: CPU %u releases the %s, which it does not hold", cpu_number(), name_lock(lock, text));
    }
    for (; i < locks->count; i++) {
        locks->held[i - 1] = locks->held[i];
    }
    locks->count--;
    interrupts_restore(were_on);
}

#endif
