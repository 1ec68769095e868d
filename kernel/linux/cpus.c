/* System calls about CPUs: which one this is, which ones a task may use, and what they see of memory. */
#include <ashlar/cpu_request.h>
#include <ashlar/cpu_set.h>
#include <ashlar/heap.h>
#include <ashlar/memory.h>
#include <ashlar/platform.h>
#include <ashlar/string.h>

#include "calls.h"
#include "tree.h"

/* What it says may be out of date when the program reads it. All CPUs are of one node. */
int64_t call_getcpu(const struct trap_frame *frame)
{
    uint64_t cpu = argument_1(frame);
    uint64_t node = argument_2(frame);
    return (cpu == 0 || put_user_32(user_addr(cpu), cpu_number())) &&
                   (node == 0 || put_user_32(user_addr(node), 0))
               ? 0
               : -EFAULT;
}

/* ---- Which CPUs a task may use ---- */

static unsigned word_count(void)
{
    return cpu_set_words(cpus_present());
}

static bool is_online(unsigned cpu)
{
    return !cpus_are_several() || cpu_set_has(cpus_online(), cpu);
}

/* Whether one of them is online. */
static bool some_are_online(const uint64_t *words)
{
    for (unsigned cpu = 0; cpu < cpus_present(); cpu++) {
        if ((words[cpu / CPU_SET_WORD_BITS] & cpu_set_bit(cpu)) && is_online(cpu)) {
            return true;
        }
    }
    return false;
}

/* (T) 0: the calling one. */
static struct task *meant(uint32_t number)
{
    return number == 0 ? task_current() : task_find(number);
}

static int64_t set_affinity(uint32_t number, const uint64_t *words)
{
    if (!some_are_online(words)) {
        return -EINVAL;
    }
    tree_lock();
    const struct task *task = meant(number);
    int64_t error = -ESRCH;
    if (task && !rights_may_schedule(&task_current()->credentials->rights, &task->credentials->rights)) {
        error = -EPERM;
    } else if (task) {
        error = thread_allow_cpus(task->thread, words) ? 0 : -ENOMEM;
    }
    tree_unlock();
    return error;
}

/* What the program gives is cut or filled with zeros to as many CPUs as there are. */
int64_t call_sched_setaffinity(const struct trap_frame *frame)
{
    uint64_t bytes = word_count() * sizeof(uint64_t);
    uint64_t *words = heap_alloc_zeroed(&kernel_heap, bytes);
    if (!words) {
        return -ENOMEM;
    }
    int64_t error = -EFAULT;
    if (copy_from_user(words, user_addr(argument_3(frame)), min_u64((uint32_t)argument_2(frame), bytes))) {
        error = set_affinity((uint32_t)argument_1(frame), words);
    }
    heap_free(&kernel_heap, words);
    return error;
}

static void get_affinity(const struct thread *thread, uint64_t *words)
{
    for (unsigned cpu = 0; cpu < cpus_present(); cpu++) {
        if (is_online(cpu) && thread_may_use(thread, cpu)) {
            words[cpu / CPU_SET_WORD_BITS] |= cpu_set_bit(cpu);
        }
    }
}

/* Answers how many bytes it has written. */
int64_t call_sched_getaffinity(const struct trap_frame *frame)
{
    uint64_t room = (uint32_t)argument_2(frame);
    uint64_t bytes = word_count() * sizeof(uint64_t);
    if (room * 8 < cpus_present() || room % sizeof(uint64_t) != 0) {
        return -EINVAL;
    }
    uint64_t *words = heap_alloc_zeroed(&kernel_heap, bytes);
    if (!words) {
        return -ENOMEM;
    }
    tree_lock();
    const struct task *task = meant((uint32_t)argument_1(frame));
    if (task) {
        get_affinity(task->thread, words);
    }
    tree_unlock();
    int64_t answer = !task                                                      ? -ESRCH
                     : copy_to_user(user_addr(argument_3(frame)), words, bytes) ? (int64_t)bytes
                                                                                : -EFAULT;
    heap_free(&kernel_heap, words);
    return answer;
}

/* ---- Barriers ---- */

enum barrier_command {
    BARRIER_QUERY = 0,
    BARRIER_GLOBAL = 1,
    BARRIER_PRIVATE = 8,
    BARRIER_REGISTER_PRIVATE = 16,
};

/* An interrupt, and the return from it, are a full barrier (SDM volume 3, 8.3). */
static void be_a_barrier(const void *context)
{
    (void)context;
}

/* Whoever runs a task of the program has a full barrier between the call's beginning and its end: who begins
 * to run one only now has had one in the switch. */
static void barrier_on_all(void)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (cpus_are_several()) {
        preempt_disable();
        cpu_request_send(NULL, be_a_barrier, NULL);
        cpu_request_wait();
        preempt_enable();
    }
}

int64_t call_membarrier(const struct trap_frame *frame)
{
    struct memory *memory = process_current()->memory;
    if ((uint32_t)argument_2(frame) != 0) {
        return -EINVAL;
    }
    switch ((uint32_t)argument_1(frame)) {
    case BARRIER_QUERY:
        return BARRIER_GLOBAL | BARRIER_PRIVATE | BARRIER_REGISTER_PRIVATE;
    case BARRIER_GLOBAL:
        barrier_on_all();
        return 0;
    case BARRIER_PRIVATE:
        if (!memory->barriers) {
            return -EPERM;
        }
        barrier_on_all();
        return 0;
    case BARRIER_REGISTER_PRIVATE:
        memory->barriers = true;
        return 0;
    default:
        return -EINVAL;
    }
}
