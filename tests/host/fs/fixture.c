#include "fixture.h"

#include <string.h>

uint64_t fs_clock;
int (*fs_wait_as)(struct fs_event *, struct mutex *);
unsigned fs_notified;

static uint64_t now(void)
{
    return ++fs_clock;
}

static void fill_random(void *to, size_t bytes)
{
    memset(to, 0x5a, bytes);
}

static int wait_as(struct fs_event *event, struct mutex *held)
{
    if (!fs_wait_as) {
        panic("somebody waits");
    }
    return fs_wait_as(event, held);
}

static void notify(struct fs_event *event, unsigned ready)
{
    (void)ready;
    (void)event;
    fs_notified++;
}

void fs_fixture_start_limited(struct fs_fixture *fixture, uint64_t frames_max, uint64_t nodes_max)
{
    memset(&fixture->fs, 0, sizeof fixture->fs);
    fs_wait_as = NULL;
    if (fixture_start(&fixture->heap, HEAP_MACHINE_BYTES, 1, NULL) != SLAB_OK) {
        panic("no heap");
    }
    const struct fs_config config = {.frames = &fixture->heap.machine.pool,
                                     .heap = &fixture->heap.heap,
                                     .owner = OWNER_CACHE,
                                     .frames_max = frames_max,
                                     .nodes_max = nodes_max,
                                     .seed = 0x5eed,
                                     .now = now,
                                     .random = fill_random,
                                     .wait = wait_as,
                                     .notify = notify};
    if (fs_init(&fixture->fs, &config) != 0) {
        panic("no tree");
    }
    fs_view_root(&fixture->fs, &fixture->view);
    fixture->free_at_start = fs_fixture_free(fixture);
}

void fs_fixture_start(struct fs_fixture *fixture)
{
    fs_fixture_start_limited(fixture, FS_FRAMES_MAX, FS_NODES_MAX);
}

uint64_t fs_fixture_free(struct fs_fixture *fixture)
{
    slab_reap(&fixture->heap.heap.slabs);
    return frame_pool_free(&fixture->heap.machine.pool);
}

void fs_fixture_stop(struct fs_fixture *fixture)
{
    struct frame_ledger ledger;
    fs_view_put(&fixture->view);
    fs_destroy(&fixture->fs);
    frame_pool_ledger(&fixture->heap.machine.pool, &ledger);
    if (ledger.owner_bytes[OWNER_CACHE] != 0) {
        panic("%" PRIu64 " bytes of files are left", ledger.owner_bytes[OWNER_CACHE]);
    }
    fixture_check(&fixture->heap);
    fixture_stop(&fixture->heap);
    if (fixture->heap.reports != 0) {
        panic("the heap reports a mistake");
    }
}

int64_t fs_put(struct file *file, const void *from, size_t bytes)
{
    struct file_memory memory;
    return file_write(file, file_memory(&memory, (void *)(uintptr_t)from, bytes));
}

int64_t fs_take(struct file *file, void *to, size_t bytes)
{
    struct file_memory memory;
    return file_read(file, file_memory(&memory, to, bytes));
}

int fs_make(const struct fs_view *view, const char *name, const char *contents)
{
    struct file *file;
    int error = fs_open(view, NULL, name, FILE_CREATE | FILE_WRITE_ONLY | FILE_TRUNCATE, 0644, &file);
    if (error == 0) {
        int64_t done = fs_put(file, contents, strlen(contents));
        error = done < 0 ? (int)done : 0;
        file_put(file);
    }
    return error;
}
