/*
 * timerfd: timers that programs wait for as for files.
 *
 * What has expired is worked out whenever somebody looks, from when the timer was to expire next and how
 * often; the kernel's timer only wakes who waits. So it need not run again before somebody has read. A moment
 * of the time of day moves when that clock is set, so all such timers are in a list then gone through.
 */
#include <ashlar/files.h>
#include <ashlar/memory.h>
#include <ashlar/string.h>
#include <ashlar/wait.h>

#include "file_calls.h"
#include "kernel/files/event.h"
#include "time.h"
#include "timer_file.h"

#define TIMER_ABSOLUTE      1U
#define TIMER_CANCEL_ON_SET 2U

struct timer_file {
    struct timer timer; /* runs on nobody's account; its owner is who holds `lock` */
    struct fs_event event;
    struct mutex lock;            /* guards what follows, but the links */
    bool is_real;                 /* its clock is the time of day */
    bool moves;                   /* `next` is a moment of the time of day */
    bool cancels;                 /* reading fails once when the time of day is set */
    uint32_t changes;             /* clock_epoch_changes() that its owner knows of */
    uint64_t next;                /* when it expires, by its clock; 0: never */
    uint64_t interval;            /* from then on; 0: once */
    uint64_t expirations;         /* that nobody has read */
    struct timer_file *following; /* in the list, as long as it is open */
    struct timer_file *preceding;
};

static struct mutex list_lock = MUTEX_INITIALIZER(LOCK_TIMER_FILES);
static struct timer_file *list GUARDED_BY(list_lock);

/* ---- The timer ---- */

static void expire(struct timer *timer)
{
    event_notify(&((struct timer_file *)timer)->event);
}

static uint64_t now_of(const struct timer_file *own)
{
    return own->moves ? clock_epoch_nanoseconds() : clock_nanoseconds();
}

/* Counts what has expired by now. */
static void settle(struct timer_file *own)
{
    uint64_t now = now_of(own);
    if (own->next == 0 || now < own->next) {
        return;
    }
    uint64_t times = own->interval != 0 ? (now - own->next) / own->interval + 1 : 1;
    own->expirations += times;
    own->next = own->interval != 0 ? own->next + times * own->interval : 0;
}

/* Has the kernel's timer wake whoever waits at the next expiry. */
static void arm(struct timer_file *own)
{
    if (own->timer.expired) {
        timer_cancel(&own->timer);
    }
    if (own->next != 0 && own->next < INT64_MAX) {
        own->timer.expired = expire;
        timer_start(&own->timer, own->moves ? clock_from_real(own->next) : own->next);
    }
}

static bool is_cancelled(const struct timer_file *own)
{
    return own->cancels && own->changes != clock_epoch_changes();
}

void timer_files_clock_set(void)
{
    mutex_acquire(&list_lock);
    for (struct timer_file *own = list; own; own = own->following) {
        mutex_acquire(&own->lock);
        if (own->moves) {
            arm(own);
        }
        mutex_release(&own->lock);
        event_notify(&own->event);
    }
    mutex_release(&list_lock);
}

/* ---- The file ---- */

static int64_t read_timer(struct file *file, struct file_buffer *buffer, uint64_t *offset)
{
    struct timer_file *own = file->own;
    uint64_t expirations = 0;
    int64_t error = 0;
    (void)offset;
    if (buffer->left < sizeof expirations) {
        return -EINVAL;
    }
    bool waits = !(atomic_load_explicit(&file->flags, memory_order_relaxed) & FILE_NO_WAIT);
    mutex_acquire(&own->lock);
    for (settle(own); error == 0 && own->expirations == 0 && !is_cancelled(own); settle(own)) {
        error = waits ? file->fs->config.wait(&own->event, &own->lock) : -EAGAIN;
    }
    if (is_cancelled(own)) {
        own->changes = clock_epoch_changes();
        own->expirations = 0;
        error = -ECANCELED;
    } else if (error == 0 || own->expirations != 0) {
        error = 0;
        expirations = own->expirations;
        own->expirations = 0;
        arm(own);
    }
    mutex_release(&own->lock);
    if (error) {
        return error;
    }
    return buffer->put(buffer, &expirations, sizeof expirations) == sizeof expirations
               ? (int64_t)sizeof expirations
               : -EFAULT;
}

static unsigned timer_ready(struct file *file)
{
    struct timer_file *own = file->own;
    mutex_acquire(&own->lock);
    settle(own);
    bool ready = own->expirations != 0 || is_cancelled(own);
    mutex_release(&own->lock);
    return ready ? FILE_READY_READ : 0;
}

static struct fs_event *timer_event(struct file *file)
{
    return &((struct timer_file *)file->own)->event;
}

static void timer_release(struct file *file)
{
    struct timer_file *own = file->own;
    mutex_acquire(&list_lock);
    *(own->preceding ? &own->preceding->following : &list) = own->following;
    if (own->following) {
        own->following->preceding = own->preceding;
    }
    mutex_release(&list_lock);
    own->next = 0;
    arm(own);
    heap_free(&kernel_heap, own);
}

static const struct file_operations operations = {
    .read = read_timer, .ready = timer_ready, .event = timer_event, .release = timer_release, .stream = true};

/* ---- The calls ---- */

static void enter(struct timer_file *own)
{
    mutex_acquire(&list_lock);
    own->following = list;
    if (list) {
        list->preceding = own;
    }
    list = own;
    mutex_release(&list_lock);
}

int64_t call_timerfd_create(const struct trap_frame *frame)
{
    uint32_t clock = (uint32_t)argument_1(frame);
    uint32_t flags = (uint32_t)argument_2(frame);
    struct fs_view view;
    struct file *file;
    if ((flags & ~(uint32_t)(FILE_CLOSE_ON_EXEC | FILE_NO_WAIT)) ||
        (clock != CLOCK_REAL && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOT_TIME)) {
        return -EINVAL;
    }
    struct timer_file *own = heap_alloc_zeroed(&kernel_heap, sizeof *own);
    if (!own) {
        return -ENOMEM;
    }
    mutex_init(&own->lock, LOCK_FILE_CONTENTS, 0);
    own->is_real = clock == CLOCK_REAL;
    own->changes = clock_epoch_changes();
    task_view(&view);
    int64_t error = fs_special(&view, &operations, FILE_READ_WRITE | (flags & FILE_NO_WAIT), own, &file);
    fs_view_put(&view);
    if (error) {
        heap_free(&kernel_heap, own);
        return error;
    }
    enter(own);
    return file_give(file, flags & FILE_CLOSE_ON_EXEC);
}

/* What is left to the next expiry, and how often it comes after that. The caller holds the lock. */
static struct user_timer left_of(const struct timer_file *own)
{
    uint64_t now = now_of(own);
    return (struct user_timer){.interval = time_from_nanoseconds(own->interval),
                               .left = time_from_nanoseconds(own->next > now ? own->next - now : 0)};
}

static int64_t change(struct timer_file *own, const struct user_timer *setting, uint32_t flags,
                      struct user_timer *before)
{
    uint64_t value = time_to_nanoseconds(&setting->left);
    bool absolute = flags & TIMER_ABSOLUTE;
    mutex_acquire(&own->lock);
    settle(own);
    *before = left_of(own);
    own->expirations = 0;
    own->interval = time_to_nanoseconds(&setting->interval);
    own->moves = own->is_real && absolute;
    own->cancels = own->moves && (flags & TIMER_CANCEL_ON_SET);
    uint64_t base = absolute ? 0 : clock_nanoseconds();
    own->next = value == 0 ? 0 : value >= INT64_MAX - base ? (uint64_t)INT64_MAX : base + value;
    arm(own);
    bool cancelled = value != 0 && is_cancelled(own);
    own->changes = cancelled ? clock_epoch_changes() : own->changes;
    mutex_release(&own->lock);
    event_notify(&own->event);
    return cancelled ? -ECANCELED : 0;
}

/* Its own, of a descriptor's file; *file with a reference. 0, -EBADF or -EINVAL. */
static int64_t find(uint64_t descriptor, struct file **file, struct timer_file **own)
{
    *file = file_of(descriptor);
    if (!*file) {
        return -EBADF;
    }
    if ((*file)->operations != &operations) {
        file_put(*file);
        return -EINVAL;
    }
    *own = (*file)->own;
    return 0;
}

int64_t call_timerfd_settime(const struct trap_frame *frame)
{
    struct user_timer setting;
    struct user_timer before;
    struct file *file;
    struct timer_file *own;
    uint32_t flags = (uint32_t)argument_2(frame);
    uint64_t to = argument_4(frame);
    if (!copy_from_user(&setting, user_addr(argument_3(frame)), sizeof setting)) {
        return -EFAULT;
    }
    if ((flags & ~(TIMER_ABSOLUTE | TIMER_CANCEL_ON_SET)) || !time_is_sound(&setting.left) ||
        !time_is_sound(&setting.interval)) {
        return -EINVAL;
    }
    int64_t error = find(argument_1(frame), &file, &own);
    if (error) {
        return error;
    }
    error = change(own, &setting, flags, &before);
    file_put(file);
    return error || to == 0 || copy_to_user(user_addr(to), &before, sizeof before) ? error : -EFAULT;
}

int64_t call_timerfd_gettime(const struct trap_frame *frame)
{
    struct file *file;
    struct timer_file *own;
    int64_t error = find(argument_1(frame), &file, &own);
    if (error) {
        return error;
    }
    mutex_acquire(&own->lock);
    settle(own);
    struct user_timer left = left_of(own);
    arm(own);
    mutex_release(&own->lock);
    file_put(file);
    return copy_to_user(user_addr(argument_2(frame)), &left, sizeof left) ? 0 : -EFAULT;
}
