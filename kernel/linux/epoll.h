/*
 * Sets of files of which programs are told what is ready.
 *
 * An item is a file under the number that it was added by; it holds no reference, and leaves with the file.
 * What happens to a file only notes the item as news, and wakes one who waits; whoever wants to be told looks
 * at the news, and asks each file what it is ready for. One mutex guards the items of all sets, since sets
 * may be in sets; a notice does not need it.
 */
#pragma once

#include <ashlar/file.h>

#include "kernel/files/event.h"

/* include/uapi/linux/eventpoll.h, beside what poll() knows. */
enum epoll_flag {
    EPOLL_EXCLUSIVE = 1U << 28,
    EPOLL_WAKE_UP = 1U << 29, /* of no meaning here, and allowed */
    EPOLL_ONE_SHOT = 1U << 30,
};
#define EPOLL_EDGE    (1U << 31)
#define EPOLL_PRIVATE (EPOLL_EXCLUSIVE | EPOLL_WAKE_UP | EPOLL_ONE_SHOT | EPOLL_EDGE)

struct epoll_item {
    struct event_watcher watcher; /* the first */
    struct epoll *epoll;
    struct file *file;
    uint32_t descriptor;
    _Atomic(uint32_t) events; /* that are asked for, and enum epoll_flag */
    uint64_t data;            /* the program's */
    struct epoll_item *next;  /* in its bucket */
    struct epoll_item *next_of_file;
    struct epoll_item *previous_of_file;
    struct epoll_item *next_news; /* guarded by the set's `lock`, as are the next two */
    struct epoll_item *previous_news;
    bool is_news;
};

struct epoll {
    struct fs_event event;      /* there is news: for poll(), and for sets that this one is in */
    struct wait_queue sleepers; /* in epoll_wait(): one is woken at a time */
    struct irq_spinlock lock;   /* guards the news */
    struct epoll_item *first;   /* of the news, the oldest */
    struct epoll_item *last;
    _Atomic(uint64_t) news;      /* how many */
    struct file *file;           /* that it is */
    struct epoll_item **buckets; /* by descriptor */
    uint64_t bucket_count;       /* a power of two */
    uint64_t items;              /* how many */
    uint64_t sets;               /* of these, how many are sets themselves */
    uint64_t visit;              /* the last look at how sets are nested that came here, */
    unsigned levels;             /* and what it found: levels of sets below, or above */
};

extern const struct file_operations epoll_operations;

static inline bool file_is_epoll(const struct file *file)
{
    return file->operations == &epoll_operations;
}

/* An empty set, without its file. NULL: there is no memory. */
struct epoll *epoll_make(void);
void epoll_free(struct epoll *epoll);

/* The one mutex. What follows is called with it held. */
void epoll_lock(void);
void epoll_unlock(void);

/* The item of that file by that number, or NULL. */
struct epoll_item *epoll_find(struct epoll *epoll, const struct file *file, uint32_t descriptor);

/* Adds an item of the caller's, with file, number, events and data set, and looks whether it is ready.
 * -ENOMEM, or -ELOOP: a set in itself, or more than five in each other. */
int epoll_add(struct epoll *epoll, struct epoll_item *item);

/* Takes it out and frees it. */
void epoll_remove(struct epoll_item *item);

/* What the item's file is ready for, of what is asked for. */
uint32_t epoll_item_ready(const struct epoll_item *item);

/* Notes it as news and wakes, if it is ready. */
void epoll_look(struct epoll_item *item);

/* Notes it as news; takes the oldest of the news out, or NULL. */
void epoll_add_news(struct epoll_item *item);
struct epoll_item *epoll_take_news(struct epoll *epoll);
