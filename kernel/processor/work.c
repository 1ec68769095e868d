/* Work for all CPUs at once, or for one of them, in threads that are bound to them. */
#include <ashlar/heap.h>
#include <ashlar/platform.h>
#include <ashlar/thread.h>

#include "internal.h"

/* One CPU's part. */
struct part {
    processor_work *work;
    void *context;
    struct thread *thread; /* bound to the CPU; NULL: it has none, and takes no part */
};

static uint64_t do_part(void *argument)
{
    const struct part *part = argument;
    part->work(part->context, cpu_number());
    return 0;
}

static bool takes_part(unsigned cpu)
{
    const struct processor *processor = processor_listed(cpu);
    return atomic_load(&processor->state) == PROCESSOR_ONLINE && cpu != cpu_number();
}

static void drop(struct part *parts, unsigned count)
{
    for (unsigned cpu = 0; cpu < count; cpu++) {
        if (parts[cpu].thread) {
            thread_detach(parts[cpu].thread);
        }
    }
    heap_free(&kernel_heap, parts);
}

static struct part *make_parts(unsigned count, processor_work *work, void *context)
{
    struct part *parts = heap_alloc_zeroed(&kernel_heap, count * sizeof *parts);
    for (unsigned cpu = 0; parts && cpu < count; cpu++) {
        struct part *part = &parts[cpu];
        const struct thread_request request = {
            .name = "work", .entry = do_part, .argument = part, .level = THREAD_NORMAL, .cpu = cpu};
        *part = (struct part){work, context, NULL};
        if (takes_part(cpu) && !(part->thread = thread_create(&request))) {
            drop(parts, cpu);
            return NULL;
        }
    }
    return parts;
}

static bool run_on_all(unsigned count, processor_work *work, void *context)
{
    struct part *parts = make_parts(count, work, context);
    if (!parts) {
        return false;
    }
    for (unsigned cpu = 0; cpu < count; cpu++) {
        if (parts[cpu].thread) {
            thread_start(parts[cpu].thread);
        }
    }
    work(context, cpu_number());
    for (unsigned cpu = 0; cpu < count; cpu++) {
        if (parts[cpu].thread) {
            thread_join(parts[cpu].thread, NULL);
        }
    }
    heap_free(&kernel_heap, parts);
    return true;
}

bool processors_run(processor_work *work, void *context)
{
    if (processors_online() == 1) {
        work(context, cpu_number());
        return true;
    }
    uint32_t bound = thread_current()->bound;
    thread_bind(cpu_number());
    bool done = run_on_all(processors_count(), work, context);
    thread_bind(bound);
    return done;
}

/* The thread that does it on that CPU, not started; NULL without the CPU, or memory. */
static struct thread *thread_on(unsigned cpu, thread_entry *entry, struct part *part)
{
    const struct thread_request request = {
        .name = "work", .entry = entry, .argument = part, .level = THREAD_NORMAL, .cpu = cpu};
    bool online = cpu < processors_count() && processor_at(cpu) != NULL &&
                  atomic_load(&processor_listed(cpu)->state) == PROCESSOR_ONLINE;
    return online ? thread_create(&request) : NULL;
}

bool processor_run_on(unsigned cpu, processor_work *work, void *context)
{
    if (cpu == cpu_number() && thread_current()->bound == cpu) {
        work(context, cpu);
        return true;
    }
    struct part part = {work, context, NULL};
    part.thread = thread_on(cpu, do_part, &part);
    if (!part.thread) {
        return false;
    }
    thread_start(part.thread);
    thread_join(part.thread, NULL);
    return true;
}

static uint64_t do_part_alone(void *argument)
{
    do_part(argument);
    heap_free(&kernel_heap, argument);
    return 0;
}

bool processor_begin_on(unsigned cpu, processor_work *work, void *context)
{
    struct part *part = heap_alloc(&kernel_heap, sizeof *part);
    if (!part) {
        return false;
    }
    *part = (struct part){work, context, NULL};
    struct thread *thread = thread_on(cpu, do_part_alone, part);
    if (!thread) {
        heap_free(&kernel_heap, part);
        return false;
    }
    thread_start(thread);
    thread_detach(thread);
    return true;
}
