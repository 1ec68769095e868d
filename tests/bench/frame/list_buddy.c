/* A buddy system with linked lists; see list_buddy.h. */
#include "list_buddy.h"

#include <ashlar/lock.h>
#include <stdlib.h>
#include <string.h>

#define ORDERS 19
#define NONE   UINT32_MAX

struct record {
    uint32_t next;
    uint32_t previous;
    uint8_t order;
    bool free; /* a free block of `order` starts here */
};

static struct record *records;
static uint64_t frame_count;
static uint32_t heads[ORDERS];
static struct spinlock lock = SPINLOCK_INITIALIZER(LOCK_FRAME_POOL);

static void insert(uint32_t frame, unsigned order)
{
    struct record *record = &records[frame];
    *record = (struct record){heads[order], NONE, (uint8_t)order, true};
    if (record->next != NONE) {
        records[record->next].previous = frame;
    }
    heads[order] = frame;
}

static void unlink_block(uint32_t frame)
{
    struct record *record = &records[frame];
    if (record->next != NONE) {
        records[record->next].previous = record->previous;
    }
    if (record->previous != NONE) {
        records[record->previous].next = record->next;
    } else {
        heads[record->order] = record->next;
    }
    record->free = false;
}

void list_buddy_init(uint64_t frames)
{
    if (frames != frame_count) {
        free(records);
        records = malloc(frames * sizeof *records);
    }
    memset(records, 0, frames * sizeof *records); /* and so its memory is there before anything is timed */
    frame_count = frames;
    for (unsigned order = 0; order < ORDERS; order++) {
        heads[order] = NONE;
    }
    for (uint64_t frame = frames; frame > 0;) { /* downwards, so that the lists begin with the lowest */
        unsigned order = ORDERS - 1;
        while (frame & ((1ULL << order) - 1)) {
            order--;
        }
        frame -= 1ULL << order;
        insert((uint32_t)frame, order);
    }
}

uint64_t list_buddy_alloc(unsigned order)
{
    spinlock_acquire(&lock);
    unsigned found = order;
    while (found < ORDERS && heads[found] == NONE) {
        found++;
    }
    uint64_t frame = UINT64_MAX;
    if (found < ORDERS) {
        frame = heads[found];
        unlink_block((uint32_t)frame);
        while (found > order) {
            found--;
            insert((uint32_t)(frame + (1ULL << found)), found);
        }
    }
    spinlock_release(&lock);
    return frame;
}

void list_buddy_free(uint64_t frame, unsigned order)
{
    spinlock_acquire(&lock);
    while (order + 1 < ORDERS) {
        uint64_t buddy = frame ^ (1ULL << order);
        if (buddy >= frame_count || !records[buddy].free || records[buddy].order != order) {
            break;
        }
        unlink_block((uint32_t)buddy);
        frame &= ~(1ULL << order);
        order++;
    }
    insert((uint32_t)frame, order);
    spinlock_release(&lock);
}

uint64_t list_buddy_free_frames(unsigned order)
{
    uint64_t frames = 0;
    for (; order < ORDERS; order++) {
        for (uint32_t frame = heads[order]; frame != NONE; frame = records[frame].next) {
            frames += 1ULL << order;
        }
    }
    return frames;
}
