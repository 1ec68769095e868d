/* Changes of lists of locks against a model; see lock_model.h. */
#include "lock_model.h"

#include <ashlar/panic.h>
#include <stdlib.h>
#include <string.h>

#define OPERATION_BYTES 3
#define RECORDS         (LOCK_MODEL_BYTES * LOCK_MODEL_OWNERS + RANGE_SPARES)

enum held { NOTHING, READS, WRITES };

static struct range records[RECORDS];
static struct range *list;
static struct range *unused;
static enum held model[LOCK_MODEL_OWNERS][LOCK_MODEL_BYTES];

#define MUST(holds)                                                                                          \
    do {                                                                                                     \
        if (!(holds)) {                                                                                      \
            panic("locks: %s", #holds);                                                                      \
        }                                                                                                    \
    } while (0)

/* Owners 0 and 1 are processes, 2 an open file, 3 an open file with a whole lock. */
static enum file_lock_kind kind_of(unsigned owner)
{
    return owner < 2 ? FILE_LOCK_PROCESS : owner == 2 ? FILE_LOCK_OPEN : FILE_LOCK_WHOLE;
}

static uint64_t last_byte(unsigned last)
{
    return last == LOCK_MODEL_BYTES - 1 ? FILE_LOCK_END : last;
}

static bool excludes(unsigned owner, unsigned other, unsigned at, bool writes)
{
    bool same_world = (kind_of(owner) == FILE_LOCK_WHOLE) == (kind_of(other) == FILE_LOCK_WHOLE);
    return owner != other && same_world &&
           (model[other][at] == WRITES || (writes && model[other][at] == READS));
}

/* Whether anybody excludes the lock, in the model. */
static bool is_excluded(unsigned owner, unsigned first, unsigned last, bool writes)
{
    for (unsigned other = 0; other < LOCK_MODEL_OWNERS; other++) {
        for (unsigned at = first; at <= last; at++) {
            if (excludes(owner, other, at, writes)) {
                return true;
            }
        }
    }
    return false;
}

/* What the list says is what the model says, and as few ranges say so as can be. */
static void compare(void)
{
    unsigned ranges = 0;
    unsigned runs = 0;
    for (const struct range *range = list; range; range = range->next, ranges++) {
        unsigned owner = (unsigned)range->lock.owner - 1;
        uint64_t last = min_u64(range->lock.last, LOCK_MODEL_BYTES - 1);
        MUST(range->lock.first <= range->lock.last && range->lock.kind == kind_of(owner));
        MUST((range->lock.last == FILE_LOCK_END) == (last == LOCK_MODEL_BYTES - 1));
        for (uint64_t at = range->lock.first; at <= last; at++) {
            MUST(model[owner][at] == (range->lock.writes ? WRITES : READS));
        }
        const struct range *next = range->next;
        MUST(!next || next->lock.owner != range->lock.owner || next->lock.first > range->lock.last);
    }
    for (unsigned owner = 0; owner < LOCK_MODEL_OWNERS; owner++) {
        for (unsigned at = 0; at < LOCK_MODEL_BYTES; at++) {
            runs += model[owner][at] != NOTHING && (at == 0 || model[owner][at] != model[owner][at - 1]);
        }
    }
    MUST(ranges == runs);
}

/* No more than so many records are given to a change: it must not want more. */
static void change(const struct file_lock *lock, bool gives)
{
    struct range *spares = unused;
    struct range *rest = unused->next->next;
    spares->next->next = NULL;
    ranges_change(&list, lock, gives, &spares);
    while (spares) {
        struct range *next = spares->next;
        spares->next = rest;
        rest = spares;
        spares = next;
    }
    unused = rest;
}

static void operate(unsigned what, unsigned owner, unsigned first, unsigned last)
{
    const struct file_lock lock = {.kind = kind_of(owner),
                                   .writes = what == 1,
                                   .first = first,
                                   .last = last_byte(last),
                                   .owner = owner + 1};
    enum held held = what == 0 ? READS : what == 1 ? WRITES : NOTHING;
    if (what == 3) {
        for (struct range *taken = ranges_take(&list, lock.kind, lock.owner), *next; taken; taken = next) {
            next = taken->next;
            taken->next = unused;
            unused = taken;
        }
        memset(model[owner], 0, sizeof model[owner]);
        return;
    }
    bool excluded = ranges_exclude(list, &lock) != NULL;
    MUST(what == 2 || excluded == is_excluded(owner, first, last, lock.writes));
    if (what != 2 && excluded) {
        return;
    }
    change(&lock, what == 2);
    for (unsigned at = first; at <= last; at++) {
        model[owner][at] = held;
    }
}

void lock_model_run(const uint8_t *bytes, size_t count)
{
    list = unused = NULL;
    memset(model, 0, sizeof model);
    for (unsigned i = 0; i < RECORDS; i++) {
        records[i].next = unused;
        unused = &records[i];
    }
    for (size_t i = 0; i + OPERATION_BYTES <= count; i += OPERATION_BYTES) {
        unsigned first = bytes[i + 1] % LOCK_MODEL_BYTES;
        unsigned last = first + bytes[i + 2] % (LOCK_MODEL_BYTES - first);
        /* All is given back seldom. */
        unsigned what = bytes[i] >> 2 == 63 ? 3 : (bytes[i] >> 2) % 3;
        operate(what, bytes[i] % LOCK_MODEL_OWNERS, first, last);
        compare();
    }
}
