/* The lines of a panic report about locks that a CPU holds; see <ashlar/panic.h>. */
#include <ashlar/panic.h>
#include <ashlar/platform.h>
#include <x86/per_cpu.h>

#ifdef LOCKS_ARE_NOTED

#include <ashlar/console.h>
#include <ashlar/lock_check.h>
#include <ashlar/trap.h>

/* The CPU stands still, perhaps in the midst of changing its list, and what the list names may be broken. */
static void print_held(unsigned cpu, const struct lock_held *held)
{
    struct lock_order order;
    char place[CODE_PLACE_BYTES];
    if (!memory_try_read(&order, virt_of((void *)held->lock), sizeof order)) {
        order.rank = LOCK_RANKS;
    }
    console_print("CPU %-4u holds the %s %#" PRIx64 " for %'" PRIu64 " ticks, taken at %s\n", cpu,
                  lock_rank_name(order.rank), (uintptr_t)held->lock, cpu_ticks() - held->since,
                  code_place(held->where, place));
}

void panic_print_locks_held(const struct per_cpu *cpu)
{
    const struct per_cpu *whose = cpu ? cpu : per_cpu();
    const struct locks_held *locks = &whose->locks_held;
    for (unsigned i = 0; i < locks->count && i < LOCKS_HELD_MAX; i++) {
        print_held(whose->number, &locks->held[i]);
    }
}

#endif
