/* getrusage, times, and what they tell; see usage.h. */
#include "usage.h"

#include <ashlar/clock.h>
#include <ashlar/string.h>

#include "calls.h"
#include "time.h"
#include "tree.h"

#define CLOCK_TICK 10000000ULL /* nanoseconds: 100 each second, as AT_CLKTCK says */

enum usage_of { USAGE_CHILDREN = -1, USAGE_SELF = 0, USAGE_THREAD = 1 };

/* struct rusage */
struct resources {
    struct user_time user_time; /* in microseconds */
    struct user_time system_time;
    uint64_t peak; /* KiB */
    uint64_t unused0[3];
    uint64_t faults;       /* without reading from a disk */
    uint64_t large_faults; /* with it */
    uint64_t unused1[8];
};

_Static_assert(sizeof(struct resources) == 144, "Linux's struct rusage on x86-64");

void usage_add(struct usage *to, const struct usage *from)
{
    to->ticks += from->ticks;
    to->kernel_ticks += from->kernel_ticks;
    to->peak = max_u64(to->peak, from->peak);
    to->tables = max_u64(to->tables, from->tables);
    for (unsigned i = 0; i < VM_FAULT_COUNT; i++) {
        to->faults[i] += from->faults[i];
    }
}

struct thread_times process_times(const struct process *process)
{
    struct thread_times sum = {.all = process->usage.ticks, .kernel = process->usage.kernel_ticks};
    for (const struct task *task = process->tasks; task; task = task->next) {
        struct thread_times times = thread_times(task->thread);
        sum.all += times.all;
        sum.kernel += times.kernel;
    }
    return sum;
}

static struct user_time to_microseconds(uint64_t ticks)
{
    return time_in_microseconds(clock_ticks_to_nanoseconds(ticks));
}

bool usage_put(user_addr_t to, const struct usage *usage)
{
    struct resources resources;
    memset(&resources, 0, sizeof resources);
    resources.user_time = to_microseconds(usage->ticks - usage->kernel_ticks);
    resources.system_time = to_microseconds(usage->kernel_ticks);
    resources.peak = usage->peak * (FRAME_BYTES >> 10);
    for (unsigned i = 0; i < VM_FAULT_NO_REGION; i++) {
        resources.faults += usage->faults[i];
    }
    return to.raw == 0 || copy_to_user(to, &resources, sizeof resources);
}

/* ---- The calls ---- */

/* (T) What the memory of a process that runs adds to what went before. */
static void add_memory(struct usage *usage, const struct memory *memory)
{
    usage->peak = max_u64(usage->peak, max_u64(memory->peak, memory->space.resident));
    for (unsigned i = 0; i < VM_FAULT_COUNT; i++) {
        usage->faults[i] += memory->space.faults[i];
    }
}

static void set_times(struct usage *usage, struct thread_times times)
{
    usage->ticks = times.all;
    usage->kernel_ticks = times.kernel;
}

/* (T) */
static struct usage usage_of(int32_t who)
{
    const struct process *process = process_current();
    struct usage usage = who == USAGE_CHILDREN ? process->children_usage : process->usage;
    if (who == USAGE_CHILDREN) {
        return usage;
    }
    add_memory(&usage, process->memory);
    if (who == USAGE_THREAD) {
        set_times(&usage, thread_times(thread_current()));
        memset(usage.faults, 0, sizeof usage.faults);
        usage.faults[0] = thread_current()->faults.resolved;
    } else {
        set_times(&usage, process_times(process));
    }
    return usage;
}

int64_t call_getrusage(const struct trap_frame *frame)
{
    int32_t who = (int32_t)argument_1(frame);
    user_addr_t to = user_addr(argument_2(frame));
    if (who != USAGE_CHILDREN && who != USAGE_SELF && who != USAGE_THREAD) {
        return -EINVAL;
    }
    tree_lock();
    struct usage usage = usage_of(who);
    tree_unlock();
    return to.raw != 0 && usage_put(to, &usage) ? 0 : -EFAULT;
}

static uint64_t to_clock_ticks(uint64_t ticks)
{
    return clock_ticks_to_nanoseconds(ticks) / CLOCK_TICK;
}

/* struct tms: user and system time, and those of children that were waited for. */
int64_t call_times(const struct trap_frame *frame)
{
    user_addr_t to = user_addr(argument_1(frame));
    const struct process *process = process_current();
    tree_lock();
    struct thread_times own = process_times(process);
    struct thread_times children = {process->children_usage.ticks, process->children_usage.kernel_ticks};
    tree_unlock();
    const uint64_t times[4] = {to_clock_ticks(own.all - own.kernel), to_clock_ticks(own.kernel),
                               to_clock_ticks(children.all - children.kernel),
                               to_clock_ticks(children.kernel)};
    if (to.raw != 0 && !copy_to_user(to, times, sizeof times)) {
        return -EFAULT;
    }
    return (int64_t)(clock_nanoseconds() / CLOCK_TICK);
}
