/*
 * Leaving a thread and going on with another; sleeping and waking. docs/threads.md tells the whole.
 *
 * A thread belongs to the run queue of one CPU, and its state changes only with that queue's lock held. The
 * lock is held over the switch, too: taken by the thread that leaves, released by the one that goes on, on
 * the same CPU. So whoever gets the lock finds the thread off its stack, if it is not the one that runs
 * there.
 */
#include <ashlar/assert.h>
#include <ashlar/clock.h>
#include <ashlar/platform.h>

#include "internal.h"

static void lock(struct run_queue *queue) NO_LOCK_ANALYSIS
{
    irq_spinlock_acquire(&queue->lock);
}

static void unlock(struct run_queue *queue) NO_LOCK_ANALYSIS
{
    irq_spinlock_release(&queue->lock);
}

static void set_state(struct thread *thread, enum thread_state state)
{
    atomic_store_explicit(&thread->state, (uint32_t)state, memory_order_relaxed);
}

static bool is(const struct thread *thread, enum thread_state state)
{
    return atomic_load_explicit(&thread->state, memory_order_relaxed) == (uint32_t)state;
}

/* ---- Into a queue ---- */

/* Into a queue: the thread waits, or is new, and both its queue and this one are locked. */
static void make_ready(struct thread *thread, struct run_queue *queue)
{
    atomic_store(&queue->wakes, atomic_load_explicit(&queue->wakes, memory_order_relaxed) + 1);
    queue->hopeless -= thread->hopeless;
    thread->hopeless = false;
    set_state(thread, THREAD_READY);
    atomic_store_explicit(&thread->cpu, queue->cpu, memory_order_relaxed);
    run_queue_add(queue, thread, false);
    tell_cpu(queue);
    tell_idle(queue, thread);
}

/* Locks the queue that the thread belongs to and the one that it had best go to; it may change both until
 * then. */
static struct run_queue *lock_for(struct thread *thread, struct run_queue **wanted)
{
    for (;;) {
        struct run_queue *queue = run_queue_of(atomic_load_explicit(&thread->cpu, memory_order_relaxed));
        *wanted = run_queue_of(cpu_for(thread));
        lock_both(queue, *wanted);
        if (atomic_load_explicit(&thread->cpu, memory_order_relaxed) == queue->cpu &&
            may_run_on(thread, (*wanted)->cpu)) {
            return queue;
        }
        unlock_both(queue, *wanted);
    }
}

/* A thread that had to leave its CPU is off its stack, and can be let go where it may run. Until then nobody
 * else makes it ready. */
static void move_on(struct thread *thread)
{
    struct run_queue *wanted;
    struct run_queue *queue = lock_for(thread, &wanted);
    thread->moves = false;
    make_ready(thread, wanted);
    unlock_both(queue, wanted);
}

/* ---- The switch ---- */

/* The last part of a switch, by the thread that goes on: on this CPU its queue's lock is held. */
static void finish_switch(void)
{
    struct run_queue *queue = run_queue_here();
    struct thread *left = queue->left;
    queue->left = NULL;
    if (run_queue_wants(queue, false)) {
        slice_begin(true);
    }
    bool ended = left && is(left, THREAD_ENDED);
    bool moves = left && left->moves;
    unlock(queue);
    if (ended) {
        left->left(left);
    } else if (moves) {
        move_on(left);
    }
}

/* What runs next. A CPU without a thread of its own rests in the place of its first one, which waits. */
static struct thread *choose(struct run_queue *queue)
{
    struct thread *next;
    while (!(next = run_queue_first(queue)) && !queue->idle) {
        atomic_store_explicit(&queue->look, false, memory_order_relaxed);
        unlock(queue);
        panic_if_nobody_is_left();
        rest_here(queue);
        lock(queue);
    }
    if (!next) {
        return queue->idle;
    }
    run_queue_remove(queue, next);
    return next;
}

/* The thread that runs here has got another state, or is in the queue again. Interrupts are off, and the
 * queue is locked; afterwards it is not. Returns when the thread goes on. */
static void leave(struct run_queue *queue)
{
    struct thread *self = queue->current;
    struct thread *next = choose(queue);
    wish_over();
    atomic_store_explicit(&queue->look, false, memory_order_relaxed);
    set_state(next, THREAD_RUNNING);
    if (next != self) {
        queue->current = next;
        queue->left = self;
        change_thread(self, next);
    }
    finish_switch();
}

/* Who runs here next lets it go on where it may. Its queue is locked. */
static void has_to_move(struct thread *self)
{
    self->moves = true;
    set_state(self, THREAD_WAITING);
}

/* Lets others go first; whoever has to make room for a higher level goes on before all others of its own. */
static void let_others(bool yields)
{
    bool were_on = interrupts_disable();
    struct run_queue *queue = run_queue_here();
    struct thread *self = queue->current;
    lock(queue);
    set_state(self, THREAD_READY);
    if (!may_run_on(self, queue->cpu)) {
        has_to_move(self);
    } else if (!self->is_idle) {
        run_queue_add(queue, self, !yields && run_queue_wants(queue, true));
        tell_idle(queue, self);
    }
    leave(queue);
    interrupts_restore(were_on);
}

void thread_preempt(void)
{
    let_others(false);
}

void thread_yield(void)
{
    LOCK_CHECK_SLEEP();
    let_others(true);
}

/* ---- Sleeping and waking ---- */

void thread_note_wait(const char *what, uint64_t on)
{
    struct thread *self = thread_current();
    atomic_store_explicit(&self->waits_on, on, memory_order_relaxed);
    atomic_store_explicit(&self->waits_since, what ? clock_nanoseconds() : 0, memory_order_relaxed);
    atomic_store_explicit(&self->waits_for, what, memory_order_relaxed);
}

void thread_park(bool hopeless)
{
    LOCK_CHECK_SLEEP();
    bool were_on = interrupts_disable();
    struct run_queue *queue = run_queue_here();
    struct thread *self = queue->current;
    lock(queue);
    if (self->wake_pending) {
        self->wake_pending = false;
        unlock(queue);
    } else {
        self->hopeless = hopeless;
        queue->hopeless += hopeless;
        set_state(self, THREAD_WAITING);
        leave(queue);
    }
    interrupts_restore(were_on);
}

void thread_wake(struct thread *thread)
{
    bool were_on = interrupts_disable();
    struct run_queue *wanted;
    struct run_queue *queue = lock_for(thread, &wanted);
    if (is(thread, THREAD_WAITING) && !thread->moves) {
        make_ready(thread, wanted);
    } else {
        thread->wake_pending = true;
    }
    unlock_both(queue, wanted);
    interrupts_restore(were_on);
}

/* Who is in a handler need do nothing: the interrupt's end looks. Where interrupts are off, one comes as soon
 * as they are on. */
void thread_offer(void)
{
    if (cpu_in_interrupt()) {
        return;
    }
    if (interrupts_enabled()) {
        preempt_disable();
        preempt_enable();
    } else if (wish_is_here()) {
        look_here_soon();
    }
}

void threads_look(void)
{
    struct run_queue *queue = run_queue_here();
    if (!atomic_load_explicit(&queue->look, memory_order_relaxed)) {
        return; /* the interrupt came for something else; or the queue has been looked at since */
    }
    lock(queue);
    if (run_queue_wants(queue, true) || !may_run_on(queue->current, queue->cpu)) {
        wish_here();
    } else if (run_queue_wants(queue, false)) {
        slice_begin(false);
    }
    unlock(queue);
}

/* In the interrupt of the timer. */
void threads_slice_over(void)
{
    struct run_queue *queue = run_queue_here();
    lock(queue);
    if (run_queue_wants(queue, false)) {
        wish_here();
    }
    unlock(queue);
}

/* ---- The first moment of a thread, and the last ---- */

void thread_exit(uint64_t value)
{
    LOCK_CHECK_SLEEP();
    interrupts_disable();
    struct run_queue *queue = run_queue_here();
    struct thread *self = queue->current;
    ASSERT(!self->is_idle && self->stack.bytes != 0 && self->locks.mutexes == 0);
    self->value = value;
    lock(queue);
    queue->live--;
    set_state(self, THREAD_ENDED);
    leave(queue);
    panic("thread %" PRIu64 " goes on after its end", self->number);
}

static void begin(void)
{
    finish_switch();
    interrupts_restore(true);
    struct thread *self = thread_current();
    thread_exit(self->entry(self->argument));
}

void thread_set_entry(struct thread *thread, thread_entry *entry, void *argument)
{
    thread->entry = entry;
    thread->argument = argument;
    prepare_thread(thread, begin);
}

void thread_start(struct thread *thread)
{
    bool were_on = interrupts_disable();
    struct run_queue *wanted;
    struct run_queue *queue = lock_for(thread, &wanted);
    wanted->live++;
    make_ready(thread, wanted);
    unlock_both(queue, wanted);
    interrupts_restore(were_on);
    thread_offer();
}

void thread_bind(uint32_t cpu)
{
    LOCK_CHECK_SLEEP();
    struct thread *self = thread_current();
    bool were_on = interrupts_disable();
    struct run_queue *queue = run_queue_here();
    lock(queue);
    atomic_store_explicit(&self->bound, cpu, memory_order_relaxed);
    if (cpu == THREAD_ANY_CPU || cpu == queue->cpu) {
        unlock(queue);
    } else {
        has_to_move(self);
        leave(queue);
    }
    interrupts_restore(were_on);
}

void thread_change_place(struct thread *thread, void (*change)(struct thread *thread, const void *context),
                         const void *context)
{
    struct run_queue *wanted;
    struct run_queue *queue = lock_for(thread, &wanted);
    change(thread, context);
    unlock_both(queue, wanted);
    queue = lock_for(thread, &wanted);
    if (is(thread, THREAD_READY) && !may_run_on(thread, queue->cpu)) {
        run_queue_remove(queue, thread);
        atomic_store_explicit(&thread->cpu, wanted->cpu, memory_order_relaxed);
        run_queue_add(wanted, thread, false);
        tell_cpu(wanted);
    } else if (is(thread, THREAD_RUNNING) && !may_run_on(thread, queue->cpu) && thread != thread_current()) {
        tell(queue);
    }
    unlock_both(queue, wanted);
}
