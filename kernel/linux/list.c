/* Processes as people see them; see list.h. */
#include "list.h"

#include <ashlar/string.h>

#include "tree.h"

#define TASKS_SEEN 64 /* of one process, in which to look for one that runs */

static bool is_awake(const struct thread *thread)
{
    uint32_t state = atomic_load(&thread->state);
    return state == THREAD_RUNNING || state == THREAD_READY;
}

/* (T) */
static void describe(const struct process *process, struct process_report *report)
{
    *report = (struct process_report){.number = process->number,
                                      .parent = process->parent ? process->parent->number : 0,
                                      .group = process->group->number,
                                      .tasks = process->task_count,
                                      .state = (enum process_state)process->state};
    memcpy(report->name, process->name, sizeof report->name);
    if (process->memory) {
        report->resident = process->memory->space.resident;
        report->reserved = process->memory->space.region_bytes;
    }
    unsigned seen = 0;
    for (const struct task *task = process->tasks; task && seen < TASKS_SEEN; task = task->next, seen++) {
        report->runs = report->runs || is_awake(task->thread);
        report->waits_for = atomic_load(&task->thread->waits_for);
    }
}

bool process_next(uint32_t from, struct process_report *report)
{
    tree_lock();
    const struct process *process = tree_next(from);
    if (process) {
        describe(process, report);
    }
    tree_unlock();
    return process != NULL;
}

int64_t process_kill(uint32_t number, uint32_t signal)
{
    tree_lock();
    const struct signal_information information = {.signal = (int32_t)signal};
    int64_t error = process_signal(number, &information);
    tree_unlock();
    return error;
}
