/*
 * The end of a thread's memory. A thread cannot free the stack that it runs on, and who finds it gone may
 * have interrupts off; so a thread that nobody waits for is put on a list. The next that makes a thread takes
 * one of them over if it is of the right kind, since a stack is dear to map and to unmap, and frees the
 * others, as does a CPU that has nothing to do.
 */
#include <ashlar/heap.h>
#include <ashlar/kernel_stack.h>
#include <ashlar/memory.h>
#include <ashlar/platform.h>

#include "internal.h"

static struct irq_spinlock ended_lock = IRQ_SPINLOCK_INITIALIZER(LOCK_ENDED);
static struct thread *_Atomic ended; /* linked by `next`; written with the lock held */

void thread_free(struct thread *thread)
{
    thread_list_remove(thread);
    if (thread->stack.bytes != 0) {
        kernel_stack_free(&kernel_vmalloc, &thread->stack);
    }
    heap_free(&kernel_heap, thread->extended);
    heap_free(&kernel_heap, (void *)atomic_load(&thread->allowed));
    heap_free(&kernel_heap, thread);
}

void thread_free_later(struct thread *thread)
{
    irq_spinlock_acquire(&ended_lock);
    thread->next = atomic_load_explicit(&ended, memory_order_relaxed);
    atomic_store_explicit(&ended, thread, memory_order_relaxed);
    irq_spinlock_release(&ended_lock);
}

static struct thread *take_one(void)
{
    irq_spinlock_acquire(&ended_lock);
    struct thread *thread = atomic_load_explicit(&ended, memory_order_relaxed);
    if (thread) {
        atomic_store_explicit(&ended, thread->next, memory_order_relaxed);
    }
    irq_spinlock_release(&ended_lock);
    return thread;
}

struct thread *threads_take_over(uint64_t stack_bytes, bool has_user_state)
{
    struct thread *thread = NULL;
    while (atomic_load_explicit(&ended, memory_order_relaxed) && (thread = take_one()) != NULL) {
        if (thread->stack.bytes == stack_bytes && (thread->extended != NULL) == has_user_state) {
            thread_list_remove(thread);
            heap_free(&kernel_heap, (void *)atomic_load(&thread->allowed));
            break;
        }
        thread_free(thread);
        thread = NULL;
    }
    threads_free_ended();
    return thread;
}

void threads_free_ended(void)
{
    struct thread *thread;
    while (atomic_load_explicit(&ended, memory_order_relaxed) && (thread = take_one()) != NULL) {
        thread_free(thread);
    }
}
