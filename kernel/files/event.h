/*
 * How the kernel's tree of files waits, and how it tells those who watch files.
 *
 * A thread that waits for an event sleeps in its wait queue (files_event_queue() of <ashlar/files.h>). Who
 * watches one has entered a record, and is told at once, by whoever notifies: epoll.
 */
#pragma once

#include <ashlar/fs.h>

/* See `wait` and `notify` of struct fs_config. A wait ends with -EINTR when its thread is killed. */
int event_wait(struct fs_event *event, struct mutex *held);
void event_notify_ready(struct fs_event *event, unsigned ready);

/* The same, where anything may be ready now. */
void event_notify(struct fs_event *event);

struct event_watcher {
    /*
     * Something has happened, and `ready` may be news (enum file_ready, or'ed). Called with a spinlock held
     * and interrupts off: only notes, and wakes. Returns whether a thread was woken that will see to it;
     * *further: another event to be notified then, or NULL.
     */
    bool (*notice)(struct event_watcher *watcher, unsigned ready, struct fs_event **further);
    bool exclusive; /* it need not be told when another exclusive one that came earlier has woken a thread */
    struct event_watcher *next;
    struct event_watcher *previous;
    uint64_t ticket; /* in the order of the list */
    uint32_t busy;   /* those who are telling it */
};

/* Enters a watcher, of which `notice` and `exclusive` are set. Who looks at the file afterwards misses
 * nothing. */
void event_watch(struct fs_event *event, struct event_watcher *watcher);

/* Takes it out: it is told no more when this returns. The caller may wait, and holds nothing that a notice
 * needs. */
void event_unwatch(struct fs_event *event, struct event_watcher *watcher);

/* Whether somebody sleeps for the event, or watches it. */
bool event_is_awaited(struct fs_event *event);
