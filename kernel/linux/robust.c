/* A task that ends while it holds locks: the words of its robust list say so
 * (Documentation/locking/robust-futexes). */
#include "calls.h"
#include "futex.h"
#include "tree.h"

#define LONGEST         2048 /* entries; a list may be a circle */
#define WORD_WAITERS    0x80000000U
#define WORD_OWNER_DIED 0x40000000U
#define WORD_OWNER      0x3fffffffU

/* struct robust_list_head: the first entry; from an entry to its word; the entry that is being locked or let
 * go. */
struct head {
    uint64_t first;
    int64_t offset;
    uint64_t pending;
};

/* Bit 0 of an entry's address: its lock lends priority, which nobody waits for here. */
static bool is_lending(uint64_t entry)
{
    return entry & 1;
}

static user_addr_t word_of(uint64_t entry, const struct head *head)
{
    return user_addr((entry & ~1ULL) + (uint64_t)head->offset);
}

/* Returns false where memory cannot be reached: then the list ends. */
static bool mark_dead(const struct task *task, uint64_t entry, const struct head *head, bool is_pending)
{
    user_addr_t at = word_of(entry, head);
    uint32_t value;
    if (!is_aligned(at.raw, sizeof value) || !get_user_32(&value, at)) {
        return false;
    }
    if (is_pending && value == 0 && !is_lending(entry)) {
        futex_wake_at(task->process->memory, at, 1); /* it had let go, and had not woken anybody yet */
        return true;
    }
    while ((value & WORD_OWNER) == task->number) {
        uint32_t expected = value;
        if (!compare_exchange_user_32(at, &expected, (value & WORD_WAITERS) | WORD_OWNER_DIED)) {
            return false;
        }
        if (expected == value) {
            if ((value & WORD_WAITERS) && !is_lending(entry)) {
                futex_wake_at(task->process->memory, at, 1);
            }
            return true;
        }
        value = expected;
    }
    return true;
}

void robust_list_end(const struct task *task)
{
    struct head head;
    if (task->robust_list.raw == 0 || !copy_from_user(&head, task->robust_list, sizeof head)) {
        return;
    }
    uint64_t entry = head.first;
    for (unsigned i = 0; i < LONGEST && (entry & ~1ULL) != task->robust_list.raw; i++) {
        uint64_t next;
        bool sound = get_user_64(&next, user_addr(entry & ~1ULL));
        if (entry != head.pending && !mark_dead(task, entry, &head, false)) {
            return;
        }
        if (!sound) {
            break;
        }
        entry = next;
    }
    if (head.pending != 0) {
        mark_dead(task, head.pending, &head, true);
    }
}

int64_t call_get_robust_list(const struct trap_frame *frame)
{
    uint32_t number = (uint32_t)argument_1(frame);
    tree_lock();
    const struct task *task = number == 0 ? task_current() : task_find(number);
    uint64_t list = task ? task->robust_list.raw : 0;
    int64_t error = !task ? -ESRCH : task_may_trace(task, false) ? 0 : -EPERM;
    tree_unlock();
    if (error) {
        return error;
    }
    if (!put_user_64(user_addr(argument_3(frame)), sizeof(struct head)) ||
        !put_user_64(user_addr(argument_2(frame)), list)) {
        return -EFAULT;
    }
    return 0;
}
