/* Signals that are pending; see queue.h. */
#include "queue.h"

static uint32_t number_of(const struct signal_record *record)
{
    return (uint32_t)record->information.signal;
}

/* The link that leads to the first record of the signal, or the end of the list. */
static struct signal_record **link_of(struct signal_queue *queue, uint32_t signal)
{
    struct signal_record **link = &queue->first;
    while (*link && number_of(*link) != signal) {
        link = &(*link)->next;
    }
    return link;
}

static void append(struct signal_queue *queue, struct signal_record *record)
{
    struct signal_record **link = link_of(queue, number_of(record));
    record->next = NULL;
    record->after = NULL;
    record->last = record;
    record->is_queued = true;
    if (*link) {
        (*link)->last->after = record;
        (*link)->last = record;
    } else {
        *link = record;
    }
}

bool signal_queue_add(struct signal_queue *queue, uint32_t signal, struct signal_record *record)
{
    uint64_t set = signal_queue_set(queue);
    if (signal < SIGNAL_REALTIME && (set & SIGNAL_BIT(signal))) {
        return false;
    }
    if (record) {
        record->information.signal = (int32_t)signal;
        append(queue, record);
    }
    atomic_store(&queue->set, set | SIGNAL_BIT(signal));
    return true;
}

/* Takes the record out that the link leads to; whether it was the last of its signal. */
static bool take_first(struct signal_record **link)
{
    struct signal_record *record = *link;
    struct signal_record *after = record->after;
    if (after) {
        after->next = record->next;
        after->last = record->last;
    }
    *link = after ? after : record->next;
    record->is_queued = false;
    record->after = NULL;
    return !after;
}

uint32_t signal_queue_take(struct signal_queue *queue, uint64_t allowed,
                           struct signal_information *information, struct signal_record **taken)
{
    uint64_t set = signal_queue_set(queue);
    *taken = NULL;
    if (!(set & allowed)) {
        return 0;
    }
    uint32_t signal = signal_first(set & allowed);
    struct signal_record **link = link_of(queue, signal);
    struct signal_record *record = *link;
    bool gone = true;
    if (record) {
        *information = record->information;
        record->overrun_taken = record->information.timer.overrun;
        gone = take_first(link);
        *taken = record->is_owned ? NULL : record;
    } else {
        *information = (struct signal_information){.signal = (int32_t)signal, .code = CODE_USER};
    }
    if (gone) {
        atomic_store(&queue->set, set & ~SIGNAL_BIT(signal));
    }
    return signal;
}

struct signal_record *signal_queue_remove(struct signal_queue *queue, uint64_t set)
{
    struct signal_record *removed = NULL;
    struct signal_record **link = &queue->first;
    while (*link) {
        struct signal_record *record = *link;
        if (set & SIGNAL_BIT(number_of(record))) {
            *link = record->next;
            record->last->after = removed;
            removed = record;
        } else {
            link = &record->next;
        }
    }
    atomic_store(&queue->set, signal_queue_set(queue) & ~set);
    return removed;
}
