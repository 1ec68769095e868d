/* Which locks each CPU holds, and what they have cost; see <ashlar/lock_check.h>. */
#include <ashlar/lock.h>

#ifdef LOCKS_ARE_NOTED

static atomic_bool ended; /* a panic has begun */

void lock_checks_end(void)
{
    atomic_store_explicit(&ended, true, memory_order_relaxed);
}

bool lock_checks_have_ended(void)
{
    return atomic_load_explicit(&ended, memory_order_relaxed);
}

static const char *const rank_names[LOCK_RANKS] = {
    [LOCK_UNRANKED] = "lock without a rank",
    [LOCK_DESCRIPTORS] = "mutex of a table of descriptors",
    [LOCK_EPOLL] = "mutex of what is watched",
    [LOCK_FILE_SEEKING] = "open file's mutex",
    [LOCK_FILE_NAMES] = "mutex of a tree of names",
    [LOCK_TIMER_FILES] = "mutex of timers' list",
    [LOCK_FILE_CONTENTS] = "mutex of a file's contents",
    [LOCK_SPACE_CHANGE] = "space's change mutex",
    [LOCK_HEAP_END] = "mutex of a program's heap",
    [LOCK_DATE] = "date mutex",
    [LOCK_FILE_LOCKS] = "mutex of files' locks",
    [LOCK_PROCESSES] = "mutex of processes",
    [LOCK_FUTEX] = "futex lock",
    [LOCK_FIRMWARE] = "firmware mutex",
    [LOCK_SIGNALS] = "signals' lock",
    [LOCK_DESCRIPTOR] = "descriptors' lock",
    [LOCK_PLACES] = "lock of a process's places",
    [LOCK_FILE_NODE] = "file node's lock",
    [LOCK_FILE_PARENTS] = "lock of a tree's parents",
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
    [LOCK_THREADS] = "list of threads' lock",
    [LOCK_CONSOLE] = "console's lock",
    [LOCK_IO_APIC] = "IO-APIC lock",
    [LOCK_TIMERS] = "timers' lock",
    [LOCK_WATCHERS] = "lock of who watches a file",
    [LOCK_EPOLL_NEWS] = "lock of an epoll's news",
    [LOCK_WAIT_QUEUE] = "wait queue's lock",
    [LOCK_ENDED] = "ended threads' lock",
    [LOCK_RUN_QUEUE] = "run queue's lock",
};

const char *lock_rank_name(enum lock_rank rank)
{
    return (unsigned)rank < LOCK_RANKS ? rank_names[rank] : "lock of no known rank";
}

/* ---- What they have cost ---- */

#ifdef ASHLAR_LOCK_STATISTICS

static void set(_Atomic(uint64_t) *count, uint64_t to)
{
    atomic_store_explicit(count, to, memory_order_relaxed);
}

static uint64_t get(const _Atomic(uint64_t) *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

static void count_taken(const struct lock_order *lock)
{
    struct lock_counts *counts = &cpu_lock_counts()[lock->rank];
    set(&counts->acquisitions, get(&counts->acquisitions) + 1);
}

static void count_released(const struct lock_held *held)
{
    struct lock_counts *counts = &cpu_lock_counts()[held->lock->rank];
    uint64_t ticks = cpu_ticks() - held->since;
    if (ticks > get(&counts->hold_most)) {
        set(&counts->hold_most, ticks);
        atomic_store_explicit(&counts->hold_where, held->where, memory_order_relaxed);
    }
}

void lock_note_waited(const struct lock_order *lock)
{
    bool were_on = interrupts_disable();
    struct lock_counts *counts = &cpu_lock_counts()[lock->rank];
    set(&counts->contended, get(&counts->contended) + 1);
    interrupts_restore(were_on);
}

#else

static void count_taken(const struct lock_order *lock)
{
    (void)lock;
}

static void count_released(const struct lock_held *held)
{
    (void)held;
}

void lock_note_waited(const struct lock_order *lock)
{
    (void)lock;
}

#endif

/* ---- Which are held ---- */

/* The list that the lock is kept in: mutexes go with the thread, spinlocks stay on the CPU. */
static struct locks_held *list_for(const struct lock_order *lock)
{
    return lock->rank <= LOCK_LAST_MUTEX ? thread_locks_held() : cpu_locks_held();
}

/* Interrupts are off while the list changes: a handler's own locks come and go in between. */
void lock_note_taken_at(const struct lock_order *lock, uintptr_t where)
{
    if (lock_checks_have_ended()) {
        return;
    }
    bool were_on = interrupts_disable();
    struct locks_held *locks = list_for(lock);
    if (locks->count == LOCKS_HELD_MAX) {
        panic("lock: CPU %u holds more than %u locks", cpu_number(), LOCKS_HELD_MAX);
    }
    locks->held[locks->count] = (struct lock_held){lock, where, cpu_ticks()};
    locks->count++;
    count_taken(lock);
    interrupts_restore(were_on);
}

__attribute__((noinline)) void lock_note_taken(const struct lock_order *lock)
{
    lock_note_taken_at(lock, (uintptr_t)__builtin_return_address(0));
}

void lock_note_released(const struct lock_order *lock)
{
    if (lock_checks_have_ended()) {
        return;
    }
    bool were_on = interrupts_disable();
    struct locks_held *locks = list_for(lock);
    unsigned i = locks->count;
    while (i > 0 && locks->held[i - 1].lock != lock) {
        i--;
    }
    if (i == 0) {
        panic("lock: CPU %u releases the %s %#" PRIx64 ", which it does not hold", cpu_number(),
              lock_rank_name(lock->rank), (uintptr_t)lock);
    }
    count_released(&locks->held[i - 1]);
    for (; i < locks->count; i++) {
        locks->held[i - 1] = locks->held[i];
    }
    locks->count--;
    interrupts_restore(were_on);
}

#endif
