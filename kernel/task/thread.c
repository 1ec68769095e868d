/*
 * The life of a thread; see <ashlar/thread.h>.
 *
 * A thread is referred to by the handle of who made it, by itself until it has left its stack, and by those
 * who found it by its number. The last to let go has it freed.
 */
#include <ashlar/format.h>
#include <ashlar/heap.h>
#include <ashlar/memory.h>
#include <ashlar/platform.h>
#include <ashlar/start.h>
#include <ashlar/string.h>
#include <ashlar/text.h>
#include <x86/extended_state.h>
#include <x86/per_cpu.h>

#include "internal.h"

/* ---- Letting go ---- */

static bool let_go(struct thread *thread)
{
    return atomic_fetch_sub(&thread->references, 1) == 1;
}

void thread_put(struct thread *thread)
{
    if (let_go(thread)) {
        thread_free(thread);
    }
}

/* It has left its stack; this is the thread that came after it, interrupts off. */
static void has_left(struct thread *thread)
{
    atomic_store(&thread->gone, true);
    wake_all(&thread->joiners);
    if (let_go(thread)) {
        thread_free_later(thread);
    }
}

/* ---- Making ---- */

static void set_up(struct thread *thread, const char *name)
{
    text_join(thread->name, sizeof thread->name, name, "");
    thread->bound = THREAD_ANY_CPU;
    wait_queue_init(&thread->joiners);
    thread->left = has_left;
}

static uint64_t stack_bytes_of(const struct thread_request *request)
{
    return request->stack_bytes ? request->stack_bytes : KERNEL_STACK_BYTES;
}

static void name_stack(const struct thread *thread, char name[THREAD_NAME_BYTES + 8])
{
    text_join(name, THREAD_NAME_BYTES + 8, "thread ", thread->name);
}

static bool make_room(struct thread *thread, const struct thread_request *request)
{
    char name[THREAD_NAME_BYTES + 8];
    name_stack(thread, name);
    if (!kernel_stack_alloc(&kernel_vmalloc, &thread->stack, name, stack_bytes_of(request))) {
        return false;
    }
    if (!request->has_user_state) {
        return true;
    }
    thread->extended = heap_alloc_aligned(&kernel_heap, extended_state_bytes(), EXTENDED_STATE_ALIGN);
    if (!thread->extended) {
        kernel_stack_free(&kernel_vmalloc, &thread->stack);
        return false;
    }
    extended_state_init(thread->extended);
    return true;
}

/* A thread made of one that has ended; NULL: there is none that fits. */
static struct thread *make_of_ended(const struct thread_request *request)
{
    char name[THREAD_NAME_BYTES + 8];
    struct thread *thread =
        threads_take_over(align_up(stack_bytes_of(request), FRAME_BYTES), request->has_user_state);
    if (!thread) {
        return NULL;
    }
    void *extended = thread->extended;
    memset(thread, 0, offsetof(struct thread, stack));
    set_up(thread, request->name);
    name_stack(thread, name);
    kernel_stack_rename(&thread->stack, name);
    if (extended) {
        thread->extended = extended;
        extended_state_init(extended);
    }
    return thread;
}

static struct thread *make_new(const struct thread_request *request)
{
    struct thread *thread = heap_alloc_zeroed(&kernel_heap, sizeof *thread);
    if (!thread) {
        return NULL;
    }
    set_up(thread, request->name);
    if (!make_room(thread, request)) {
        heap_free(&kernel_heap, thread);
        return NULL;
    }
    return thread;
}

static void be_idle(struct thread *thread, unsigned cpu)
{
    thread->is_idle = true;
    thread->level = THREAD_IDLE;
    thread->cpu = cpu;
    thread->bound = cpu;
    thread->references = 1; /* for good */
}

static uint64_t idle(void *unused)
{
    (void)unused;
    threads_idle();
}

/*
 * The boot CPU's own thread is made together with the first thread that needs it: till then the first one
 * rests in its place, and a machine that needs no threads spends nothing on them.
 */
static bool idle_thread_exists(void)
{
    const struct thread_request request = {.name = "idle 0"};
    struct run_queue *queue = run_queue_of(0);
    if (queue->idle) {
        return true;
    }
    struct thread *thread = heap_alloc_zeroed(&kernel_heap, sizeof *thread);
    if (!thread) {
        return false;
    }
    set_up(thread, request.name);
    if (!make_room(thread, &request)) {
        heap_free(&kernel_heap, thread);
        return false;
    }
    be_idle(thread, 0);
    thread_set_entry(thread, idle, NULL);
    thread_list_add(thread);
    queue->idle = thread;
    return true;
}

struct thread *thread_create(const struct thread_request *request)
{
    START_REQUIRE(START_ADDRESSES);
    if (!idle_thread_exists()) {
        return NULL;
    }
    struct thread *thread = make_of_ended(request);
    thread = thread ? thread : make_new(request);
    if (!thread) {
        return NULL;
    }
    thread_set_entry(thread, request->entry, request->argument);
    thread->level = request->level;
    thread->bound = request->cpu;
    thread->cpu = cpu_number();
    thread->references = 2;
    thread_list_add(thread);
    return thread;
}

struct thread *thread_run(const char *name, thread_entry *entry, void *argument)
{
    const struct thread_request request = {
        .name = name, .entry = entry, .argument = argument, .level = THREAD_NORMAL, .cpu = THREAD_ANY_CPU};
    struct thread *thread = thread_create(&request);
    if (thread) {
        thread_start(thread);
    }
    return thread;
}

/* ---- Those that are not made but found ---- */

static void run_already(struct thread *thread, struct per_cpu *cpu)
{
    run_queue_init(&cpu->queue, cpu->number);
    cpu->queue.current = thread;
    cpu->thread = thread;
    thread->state = THREAD_RUNNING;
    thread->cpu = cpu->number;
    thread->bound = cpu->number;
    thread->references = 1;
}

void threads_start(void)
{
    struct thread *self = thread_current();
    set_up(self, "main");
    self->level = THREAD_NORMAL;
    self->runs_since = cpu_ticks();
    run_already(self, per_cpu());
    per_cpu()->queue.live = 1;
    thread_list_add(self);
    machine_start(threads_slice_over);
}

void thread_make_idle(struct thread *thread, struct per_cpu *cpu)
{
    char name[THREAD_NAME_BYTES];
    format(name, sizeof name, "idle %u", cpu->number);
    set_up(thread, name);
    run_already(thread, cpu);
    be_idle(thread, cpu->number);
    cpu->queue.idle = thread;
}

void threads_enter(void)
{
    struct thread *self = thread_current();
    self->runs_since = cpu_ticks();
    thread_list_add(self);
}

/* ---- Waiting for the end ---- */

static enum wait_result join(struct thread *thread, uint64_t *value, struct wait_how how)
{
    enum wait_result result =
        WAIT_UNTIL(&thread->joiners, atomic_load(&thread->gone), "the end of a thread", how);
    if (result == WAIT_WOKEN) {
        if (value) {
            *value = thread->value;
        }
        thread_put(thread);
    }
    return result;
}

enum wait_result thread_join(struct thread *thread, uint64_t *value)
{
    return join(thread, value, WAIT_PATIENTLY);
}

enum wait_result thread_join_killable(struct thread *thread, uint64_t *value)
{
    return join(thread, value, WAIT_KILLABLY);
}

void thread_detach(struct thread *thread)
{
    if (atomic_load(&thread->state) == THREAD_NEW) {
        let_go(thread); /* its own */
    }
    thread_put(thread);
}

/* ---- Killing ---- */

/* One that does not run now, or has moved meanwhile, comes through the kernel before it is in user mode
 * again, and looks at user_work there. */
static void interrupt_user_mode(const struct thread *thread)
{
    preempt_disable();
    unsigned cpu = atomic_load(&thread->cpu);
    if (thread->extended && atomic_load(&thread->state) == THREAD_RUNNING && cpu != cpu_number()) {
        look_there(cpu);
    }
    preempt_enable();
}

void thread_kill(struct thread *thread)
{
    atomic_store(&thread->killed, true);
    atomic_fetch_or(&thread->user_work, THREAD_WORK_KILLED);
    thread_wake(thread);
    interrupt_user_mode(thread);
    thread_offer();
}

/* The calling thread looks by itself, on its way to user mode or when it next waits. */
void thread_interrupt(struct thread *thread)
{
    if (atomic_fetch_or(&thread->user_work, THREAD_WORK_SIGNAL) & THREAD_WORK_SIGNAL ||
        thread == thread_current()) {
        return;
    }
    thread_wake(thread);
    interrupt_user_mode(thread);
    thread_offer();
}
