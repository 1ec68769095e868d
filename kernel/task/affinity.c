/*
 * Which CPUs may run a thread. A thread that may run everywhere has no set; one that was given a set keeps
 * its words until it is freed, as those who guess where it had best run read them without a lock. They change
 * with the lock of the thread's run queue held (Q).
 */
#include <ashlar/cpu_request.h>
#include <ashlar/cpu_set.h>
#include <ashlar/heap.h>
#include <ashlar/memory.h>
#include <ashlar/platform.h>

#include "internal.h"

static bool has_set(struct thread *thread)
{
    if (atomic_load_explicit(&thread->allowed, memory_order_acquire)) {
        return true;
    }
    size_t bytes = cpu_set_words(cpus_present()) * sizeof(uint64_t);
    _Atomic(uint64_t) *words = heap_alloc(&kernel_heap, bytes);
    _Atomic(uint64_t) *none = NULL;
    if (!words) {
        return false;
    }
    for (unsigned i = 0; i < bytes / sizeof *words; i++) {
        atomic_init(&words[i], UINT64_MAX);
    }
    if (!atomic_compare_exchange_strong(&thread->allowed, &none, words)) {
        heap_free(&kernel_heap, (void *)words); /* another thread was faster */
    }
    return true;
}

/* Words that go into a thread's set, with the lock of its run queue held. */
static void store(struct thread *thread, const void *words)
{
    _Atomic(uint64_t) *to = atomic_load_explicit(&thread->allowed, memory_order_relaxed);
    for (unsigned i = 0; i < cpu_set_words(cpus_present()); i++) {
        atomic_store_explicit(&to[i], ((const uint64_t *)words)[i], memory_order_relaxed);
    }
}

bool thread_allow_cpus(struct thread *thread, const uint64_t *words)
{
    if (!has_set(thread)) {
        return false;
    }
    bool were_on = interrupts_disable();
    thread_change_place(thread, store, words);
    interrupts_restore(were_on);
    if (thread == thread_current() && !thread_may_use(thread, cpu_number())) {
        thread_yield();
    }
    return true;
}

/* Where the words of a set go that is copied. */
struct copy {
    _Atomic(uint64_t) *to;
};

/* The same lock is held: so all words are of one moment, and some CPU is among them. */
static void load(struct thread *from, const void *context)
{
    const struct copy *copy = context;
    const _Atomic(uint64_t) *words = atomic_load_explicit(&from->allowed, memory_order_relaxed);
    for (unsigned i = 0; i < cpu_set_words(cpus_present()); i++) {
        atomic_store_explicit(&copy->to[i], atomic_load_explicit(&words[i], memory_order_relaxed),
                              memory_order_relaxed);
    }
}

bool thread_copy_cpus(struct thread *to, struct thread *from)
{
    if (!atomic_load_explicit(&from->allowed, memory_order_acquire)) {
        return true;
    }
    if (!has_set(to)) {
        return false;
    }
    const struct copy copy = {atomic_load_explicit(&to->allowed, memory_order_relaxed)};
    bool were_on = interrupts_disable();
    thread_change_place(from, load, &copy);
    interrupts_restore(were_on);
    return true;
}
