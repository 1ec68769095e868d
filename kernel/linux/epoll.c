/* System calls of epoll: epoll_create, epoll_create1, epoll_ctl, epoll_wait, epoll_pwait, epoll_pwait2. */
#include "epoll.h"

#include <ashlar/clock.h>
#include <ashlar/heap.h>
#include <ashlar/memory.h>
#include <ashlar/wait.h>

#include "file_calls.h"
#include "time.h"

#define LOOKS       64   /* in one hold of the mutex */
#define TOLD_FEW    16   /* that need no memory from the heap */
#define TOLD_MOST   4096 /* in one call */
#define MILLISECOND 1000000ULL

#define EXCLUSIVE_ALLOWED                                                                                    \
    (EPOLL_EXCLUSIVE | EPOLL_WAKE_UP | EPOLL_EDGE |                                                          \
     (FILE_READY_READ | FILE_READY_WRITE | FILE_READY_ERROR | FILE_READY_HANG_UP))
#define ALWAYS (FILE_READY_ERROR | FILE_READY_HANG_UP)

enum epoll_operation { EPOLL_ADD = 1, EPOLL_DELETE = 2, EPOLL_MODIFY = 3 };

/* struct epoll_event */
struct told_event {
    uint32_t events;
    uint64_t data;
} __attribute__((packed));

/* ---- Making ---- */

static int64_t create(uint32_t flags)
{
    struct fs_view view;
    struct file *file;
    if (flags & ~(uint32_t)FILE_CLOSE_ON_EXEC) {
        return -EINVAL;
    }
    struct epoll *epoll = epoll_make();
    if (!epoll) {
        return -ENOMEM;
    }
    task_view(&view);
    int64_t error = fs_special(&view, &epoll_operations, FILE_READ_WRITE, epoll, &file);
    fs_view_put(&view);
    if (error) {
        epoll_free(epoll);
        return error;
    }
    epoll->file = file;
    return file_give(file, flags & FILE_CLOSE_ON_EXEC);
}

int64_t call_epoll_create(const struct trap_frame *frame)
{
    return (int32_t)argument_1(frame) <= 0 ? -EINVAL : create(0);
}

int64_t call_epoll_create1(const struct trap_frame *frame)
{
    return create((uint32_t)argument_1(frame));
}

/* ---- Changing ---- */

/* What is to be done with one file of a set. */
struct request {
    uint32_t operation;
    uint32_t descriptor;
    struct epoll *epoll;
    struct file *file;
    struct told_event event;
};

static int64_t add(const struct request *request)
{
    struct epoll_item *item = heap_alloc_zeroed(&kernel_heap, sizeof *item);
    if (!item) {
        return -ENOMEM;
    }
    item->file = request->file;
    item->descriptor = request->descriptor;
    item->data = request->event.data;
    atomic_init(&item->events, request->event.events | ALWAYS);
    epoll_lock();
    int64_t error = epoll_find(request->epoll, request->file, request->descriptor)
                        ? -EEXIST
                        : epoll_add(request->epoll, item);
    epoll_unlock();
    if (error) {
        heap_free(&kernel_heap, item);
    }
    return error;
}

/* (epoll_lock() is held.) An exclusive one stays as it is. */
static int64_t modify(struct epoll_item *item, const struct told_event *event)
{
    if (atomic_load(&item->events) & EPOLL_EXCLUSIVE) {
        return -EINVAL;
    }
    item->data = event->data;
    atomic_store(&item->events, event->events | ALWAYS);
    epoll_look(item);
    return 0;
}

static int64_t change(const struct request *request)
{
    int64_t error = 0;
    if (request->operation == EPOLL_ADD) {
        return add(request);
    }
    epoll_lock();
    struct epoll_item *item = epoll_find(request->epoll, request->file, request->descriptor);
    if (request->operation != EPOLL_DELETE && request->operation != EPOLL_MODIFY) {
        error = -EINVAL;
    } else if (!item) {
        error = -ENOENT;
    } else if (request->operation == EPOLL_MODIFY) {
        error = modify(item, &request->event);
    } else {
        epoll_remove(item);
    }
    epoll_unlock();
    return error;
}

/* Of a set and a file, whether the one may be changed as the request says. */
static int64_t check(const struct file *set, const struct request *request)
{
    uint32_t events = request->operation == EPOLL_DELETE ? 0 : request->event.events;
    if (!request->file->operations->ready) {
        return -EPERM; /* always ready, as regular files are */
    }
    if (set == request->file || !file_is_epoll(set)) {
        return -EINVAL;
    }
    if ((events & EPOLL_EXCLUSIVE) &&
        (request->operation == EPOLL_MODIFY ||
         (request->operation == EPOLL_ADD &&
          (file_is_epoll(request->file) || (events & ~(uint32_t)EXCLUSIVE_ALLOWED))))) {
        return -EINVAL;
    }
    return 0;
}

int64_t call_epoll_ctl(const struct trap_frame *frame)
{
    struct request request = {.operation = (uint32_t)argument_2(frame),
                              .descriptor = (uint32_t)argument_3(frame)};
    if (request.operation != EPOLL_DELETE &&
        !copy_from_user(&request.event, user_addr(argument_4(frame)), sizeof request.event)) {
        return -EFAULT;
    }
    struct file *set = file_to_use(argument_1(frame));
    request.file = set ? file_to_use(request.descriptor) : NULL;
    int64_t error = request.file ? check(set, &request) : -EBADF;
    if (error == 0) {
        request.epoll = set->own;
        error = change(&request);
    }
    if (request.file) {
        file_put(request.file);
    }
    if (set) {
        file_put(set);
    }
    return error;
}

/* ---- Waiting ---- */

/* What is told in one call, and of whom. */
struct telling {
    struct epoll *epoll;
    uint64_t most;
    uint64_t count;
    struct told_event *events;
    struct told_item {
        const struct file *file;
        uint32_t descriptor;
        uint32_t events; /* what it asked for */
    } * items;
    struct told_event few_events[TOLD_FEW];
    struct told_item few_items[TOLD_FEW];
};

/* Room for as many as there is news of; without memory for a few. */
static void telling_begin(struct telling *telling, uint64_t most)
{
    telling->events = telling->few_events;
    telling->items = telling->few_items;
    uint64_t wanted = min_u64(min_u64(most, telling->epoll->news), TOLD_MOST);
    telling->most = min_u64(most, TOLD_FEW);
    telling->count = 0;
    if (wanted > TOLD_FEW) {
        struct told_event *events = heap_alloc(&kernel_heap, wanted * sizeof *events);
        struct told_item *items = heap_alloc(&kernel_heap, wanted * sizeof *items);
        if (events && items) {
            telling->events = events;
            telling->items = items;
            telling->most = wanted;
        } else {
            heap_free(&kernel_heap, events);
            heap_free(&kernel_heap, items);
        }
    }
}

static void telling_end(struct telling *telling)
{
    if (telling->events != telling->few_events) {
        heap_free(&kernel_heap, telling->events);
        heap_free(&kernel_heap, telling->items);
    }
}

/* Tells of the item, if it is ready. What is told of once is not asked for any more; and what is ready until
 * somebody has used it is news still. */
static void tell(struct telling *telling, struct epoll_item *item)
{
    uint32_t ready = epoll_item_ready(item);
    uint32_t events = atomic_load(&item->events);
    if (ready == 0) {
        return;
    }
    telling->events[telling->count] = (struct told_event){ready, item->data};
    telling->items[telling->count++] = (struct told_item){item->file, item->descriptor, events};
    if (events & EPOLL_ONE_SHOT) {
        atomic_store(&item->events, events & EPOLL_PRIVATE);
    } else if (!(events & EPOLL_EDGE)) {
        epoll_add_news(item);
    }
}

/* Each item is looked at once. If there is more, another one who waits has something to do. */
static void collect(struct telling *telling)
{
    struct epoll *epoll = telling->epoll;
    struct epoll_item *item;
    epoll_lock();
    uint64_t looks = epoll->news;
    while (telling->count < telling->most && looks != 0 && (item = epoll_take_news(epoll))) {
        tell(telling, item);
        if (--looks % LOOKS == 0) {
            epoll_unlock();
            epoll_lock();
        }
    }
    epoll_unlock();
    if (epoll->news != 0) {
        wake_one(&epoll->sleepers);
    }
}

/* The program's memory did not take what it was to be told: all of it is news again. */
static void take_back(struct telling *telling)
{
    for (uint64_t i = 0; i < telling->count; i++) {
        epoll_lock();
        struct epoll_item *item =
            epoll_find(telling->epoll, telling->items[i].file, telling->items[i].descriptor);
        if (item) {
            uint32_t asked = telling->items[i].events;
            uint32_t spent = asked & EPOLL_PRIVATE;
            if (asked & EPOLL_ONE_SHOT) { /* unless somebody has changed it meanwhile */
                atomic_compare_exchange_strong(&item->events, &spent, asked);
            }
            epoll_look(item);
        }
        epoll_unlock();
    }
}

/* Tells what is ready now: how many, or -EFAULT. */
static int64_t tell_now(struct epoll *epoll, user_addr_t to, uint64_t most)
{
    struct telling telling = {.epoll = epoll};
    telling_begin(&telling, most);
    collect(&telling);
    int64_t result = (int64_t)telling.count;
    if (!copy_to_user(to, telling.events, telling.count * sizeof *telling.events)) {
        take_back(&telling);
        result = -EFAULT;
    }
    telling_end(&telling);
    return result;
}

/* deadline 0: does not wait. */
static int64_t wait_for_news(struct epoll *epoll, user_addr_t to, uint64_t most, uint64_t deadline)
{
    const struct wait_how how = {.deadline = deadline, .killable = true, .from_outside = true};
    for (;;) {
        int64_t count = tell_now(epoll, to, most);
        if (count != 0 || deadline == 0) {
            return count;
        }
        switch (WAIT_UNTIL(&epoll->sleepers, atomic_load(&epoll->news) != 0, "events", how)) {
        case WAIT_KILLED:
            return -EINTR;
        case WAIT_TIMED_OUT:
            return tell_now(epoll, to, most);
        case WAIT_WOKEN:
            break;
        }
    }
}

static int64_t wait(const struct trap_frame *frame, uint64_t deadline)
{
    user_addr_t to = user_addr(argument_2(frame));
    int32_t most = (int32_t)argument_3(frame);
    if (most <= 0 || (uint64_t)most > INT32_MAX / sizeof(struct told_event)) {
        return -EINVAL;
    }
    if (!user_range_is_sound(to, (uint64_t)most * sizeof(struct told_event))) {
        return -EFAULT;
    }
    struct file *set = file_to_use(argument_1(frame));
    if (!set) {
        return -EBADF;
    }
    int64_t result = file_is_epoll(set) ? wait_for_news(set->own, to, (uint64_t)most, deadline) : -EINVAL;
    file_put(set);
    return result;
}

static uint64_t deadline_after(uint64_t nanoseconds)
{
    uint64_t now = clock_nanoseconds();
    return nanoseconds == 0 ? 0 : nanoseconds < WAIT_FOREVER - now ? now + nanoseconds : WAIT_FOREVER;
}

static uint64_t deadline_of(uint64_t milliseconds)
{
    int32_t time = (int32_t)milliseconds;
    return time < 0 ? WAIT_FOREVER : deadline_after((uint64_t)time * MILLISECOND);
}

int64_t call_epoll_wait(const struct trap_frame *frame)
{
    return wait(frame, deadline_of(argument_4(frame)));
}

/* The fifth argument and the sixth: a mask for the time of the call. */
static int64_t wait_with_mask(const struct trap_frame *frame, uint64_t deadline)
{
    int64_t error = signal_mask_begin(user_addr(argument_5(frame)), argument_6(frame));
    return error ? error : signal_mask_end(wait(frame, deadline));
}

int64_t call_epoll_pwait(const struct trap_frame *frame)
{
    return wait_with_mask(frame, deadline_of(argument_4(frame)));
}

int64_t call_epoll_pwait2(const struct trap_frame *frame)
{
    uint64_t nanoseconds;
    uint64_t deadline = WAIT_FOREVER;
    user_addr_t from = user_addr(argument_4(frame));
    if (from.raw != 0) {
        int64_t error = time_get(&nanoseconds, from);
        if (error) {
            return error;
        }
        deadline = deadline_after(nanoseconds);
    }
    return wait_with_mask(frame, deadline);
}
