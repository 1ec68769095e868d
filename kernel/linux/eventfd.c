/* eventfd: a number in the kernel that is written to by adding, and read by taking all of it, or 1. */
#include <ashlar/heap.h>
#include <ashlar/memory.h>

#include "file_calls.h"
#include "kernel/files/event.h"

#define EVENT_SEMAPHORE 1U
#define COUNT_MOST      (UINT64_MAX - 1)

struct event_file {
    struct mutex lock; /* guards `count` */
    struct fs_event event;
    uint64_t count;
    bool is_semaphore; /* reads take 1 */
};

/* Waits for a change, with the lock let go. */
static int wait_for_change(struct file *file, struct event_file *own)
{
    bool waits = !(atomic_load_explicit(&file->flags, memory_order_relaxed) & FILE_NO_WAIT);
    return waits ? file->fs->config.wait(&own->event, &own->lock) : -EAGAIN;
}

static int64_t event_read(struct file *file, struct file_buffer *buffer, uint64_t *offset)
{
    struct event_file *own = file->own;
    uint64_t value = 0;
    int64_t error = 0;
    (void)offset;
    if (buffer->left < sizeof value) {
        return -EINVAL;
    }
    mutex_acquire(&own->lock);
    while (error == 0 && own->count == 0) {
        error = wait_for_change(file, own);
    }
    if (own->count != 0) {
        error = 0;
        value = own->is_semaphore ? 1 : own->count;
        own->count -= value;
        event_notify_ready(&own->event, FILE_READY_WRITE);
    }
    mutex_release(&own->lock);
    if (error) {
        return error;
    }
    return buffer->put(buffer, &value, sizeof value) == sizeof value ? (int64_t)sizeof value : -EFAULT;
}

static int64_t event_write(struct file *file, struct file_buffer *buffer, uint64_t *offset)
{
    struct event_file *own = file->own;
    uint64_t value;
    int64_t error = 0;
    (void)offset;
    if (buffer->left < sizeof value) {
        return -EINVAL;
    }
    if (buffer->take(buffer, &value, sizeof value) != sizeof value) {
        return -EFAULT;
    }
    if (value > COUNT_MOST) {
        return -EINVAL;
    }
    mutex_acquire(&own->lock);
    while (error == 0 && value > COUNT_MOST - own->count) {
        error = wait_for_change(file, own);
    }
    if (value <= COUNT_MOST - own->count) {
        error = 0;
        own->count += value;
        event_notify_ready(&own->event, FILE_READY_READ);
    }
    mutex_release(&own->lock);
    return error ? error : (int64_t)sizeof value;
}

static unsigned event_ready(struct file *file)
{
    struct event_file *own = file->own;
    mutex_acquire(&own->lock);
    unsigned ready = (own->count != 0 ? (unsigned)FILE_READY_READ : 0u) |
                     (own->count < COUNT_MOST ? (unsigned)FILE_READY_WRITE : 0u);
    mutex_release(&own->lock);
    return ready;
}

static struct fs_event *event_event(struct file *file)
{
    return &((struct event_file *)file->own)->event;
}

static void event_release(struct file *file)
{
    heap_free(&kernel_heap, file->own);
}

static const struct file_operations operations = {.read = event_read,
                                                  .write = event_write,
                                                  .ready = event_ready,
                                                  .event = event_event,
                                                  .release = event_release,
                                                  .stream = true,
                                                  .seeks_nowhere = true};

static int64_t create(uint64_t count, uint32_t flags)
{
    struct fs_view view;
    struct file *file;
    if (flags & ~(uint32_t)(EVENT_SEMAPHORE | FILE_CLOSE_ON_EXEC | FILE_NO_WAIT)) {
        return -EINVAL;
    }
    struct event_file *own = heap_alloc_zeroed(&kernel_heap, sizeof *own);
    if (!own) {
        return -ENOMEM;
    }
    mutex_init(&own->lock, LOCK_FILE_CONTENTS, 0);
    own->count = (uint32_t)count;
    own->is_semaphore = flags & EVENT_SEMAPHORE;
    task_view(&view);
    int64_t error = fs_special(&view, &operations, FILE_READ_WRITE | (flags & FILE_NO_WAIT), own, &file);
    fs_view_put(&view);
    if (error) {
        heap_free(&kernel_heap, own);
        return error;
    }
    return file_give(file, flags & FILE_CLOSE_ON_EXEC);
}

int64_t call_eventfd(const struct trap_frame *frame)
{
    return create(argument_1(frame), 0);
}

int64_t call_eventfd2(const struct trap_frame *frame)
{
    return create(argument_1(frame), (uint32_t)argument_2(frame));
}
