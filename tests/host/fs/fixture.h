/* A tree of files on a machine of its own, whose clock counts calls, and where nobody waits unless a test
 * says how. */
#pragma once

#include "tests/host/heap/fixture.h"
#include <ashlar/file.h>

#define FS_FRAMES_MAX 4096
#define FS_NODES_MAX  4096

struct fs_fixture {
    struct heap_fixture heap;
    struct fs fs;
    struct fs_view view;    /* of user 0 */
    uint64_t free_at_start; /* frames free with an empty tree, all caches emptied */
};

extern uint64_t fs_clock;                                    /* nanoseconds; each look adds one */
extern int (*fs_wait_as)(struct fs_event *, struct mutex *); /* what waiting does; NULL: a test's mistake */
extern unsigned fs_notified;                                 /* how often anybody was */

void fs_fixture_start(struct fs_fixture *fixture);
void fs_fixture_start_limited(struct fs_fixture *fixture, uint64_t frames_max, uint64_t nodes_max);
/* Nothing is open; all that is left is destroyed, and every frame must be back. */
void fs_fixture_stop(struct fs_fixture *fixture);
/* Frames free once all caches have given back what they can. */
uint64_t fs_fixture_free(struct fs_fixture *fixture);

/* Shorthands: of the kernel's memory, at the view's working directory. */
int64_t fs_put(struct file *file, const void *from, size_t bytes);
int64_t fs_take(struct file *file, void *to, size_t bytes);
int fs_make(const struct fs_view *view, const char *name, const char *contents);
