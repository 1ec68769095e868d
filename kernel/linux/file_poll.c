/*
 * System calls that wait for several files: poll, ppoll, select, pselect6.
 *
 * All are one thing inside: a list of files with what is awaited of each. A thread enters the queue of each
 * file's event, looks at all of them, and rests until one of the queues is woken.
 */
#include <ashlar/clock.h>
#include <ashlar/files.h>
#include <ashlar/memory.h>
#include <ashlar/string.h>

#include "file_calls.h"
#define MILLISECOND 1000000ULL
#define MICROSECOND 1000ULL
#define NO_FILE     32U /* POLLNVAL */
#define ALWAYS      (FILE_READY_ERROR | FILE_READY_HANG_UP)
#define READ_BITS   (0x40U | 0x80U | FILE_READY_READ) /* POLLRDNORM, POLLRDBAND */
#define WRITE_BITS  (0x100U | 0x200U | FILE_READY_WRITE)

/* struct pollfd */
struct awaited {
    int32_t descriptor;
    uint16_t wanted;
    uint16_t ready;
};

struct polling {
    struct awaited *list;
    struct file **files;
    struct waiter *waiters;
    uint64_t count;
    unsigned entered; /* waiters that are in queues */
};

uint32_t poll_bits(unsigned ready)
{
    unsigned bits = ready & ALWAYS;
    bits |= ready & FILE_READY_READ ? READ_BITS & ~0x80U : 0;
    bits |= ready & FILE_READY_WRITE ? WRITE_BITS & ~0x200U : 0;
    return bits;
}

static uint16_t ready_bits(struct file *file, uint16_t wanted)
{
    return (uint16_t)(poll_bits(file_ready(file)) & (wanted | ALWAYS));
}

/* How many are ready. */
static int64_t look(struct polling *polling)
{
    int64_t ready = 0;
    for (uint64_t i = 0; i < polling->count; i++) {
        struct awaited *awaited = &polling->list[i];
        if (awaited->descriptor < 0) {
            awaited->ready = 0;
        } else {
            awaited->ready =
                polling->files[i] ? ready_bits(polling->files[i], awaited->wanted) : (uint16_t)NO_FILE;
        }
        ready += awaited->ready != 0;
    }
    return ready;
}

static struct wait_queue *queue_of(struct file *file)
{
    struct fs_event *event = file_event(file);
    return event ? files_event_queue(event) : NULL;
}

/* `nobody`: a queue for whoever waits for no file. */
static void enter_all(struct polling *polling, struct wait_queue *nobody)
{
    polling->entered = 0;
    wait_enter(nobody, &polling->waiters[polling->entered++], "files");
    for (uint64_t i = 0; i < polling->count; i++) {
        struct wait_queue *queue = polling->files[i] ? queue_of(polling->files[i]) : NULL;
        if (queue) {
            wait_enter(queue, &polling->waiters[polling->entered++], "files");
        }
    }
}

static void leave_all(struct polling *polling)
{
    while (polling->entered > 0) {
        wait_leave(&polling->waiters[--polling->entered]);
    }
}

/* Until one is ready, or the deadline: how many are, or -EINTR. */
static int64_t wait_for_some(struct polling *polling, uint64_t deadline)
{
    const struct wait_how how = {.deadline = deadline, .killable = true, .from_outside = true};
    struct wait_queue nobody = WAIT_QUEUE_INITIALIZER;
    for (;;) {
        enter_all(polling, &nobody);
        int64_t ready = look(polling);
        if (ready != 0 || deadline == 0) {
            leave_all(polling);
            return ready;
        }
        switch (wait_rest_any(polling->waiters, polling->entered, &how)) {
        case WAIT_KILLED:
            return -EINTR;
        case WAIT_TIMED_OUT:
            return look(polling);
        case WAIT_WOKEN:
            break;
        }
    }
}

/* ---- The list's life ---- */

static void polling_end(struct polling *polling)
{
    for (uint64_t i = 0; polling->files && i < polling->count; i++) {
        if (polling->files[i]) {
            file_put(polling->files[i]);
        }
    }
    heap_free(&kernel_heap, polling->list);
    heap_free(&kernel_heap, polling->files);
    heap_free(&kernel_heap, polling->waiters);
}

static bool polling_begin(struct polling *polling, uint64_t count)
{
    *polling = (struct polling){.list = heap_alloc(&kernel_heap, (count + 1) * sizeof *polling->list),
                                .files = heap_alloc_zeroed(&kernel_heap, (count + 1) * sizeof(void *)),
                                .waiters = heap_alloc(&kernel_heap, (count + 1) * sizeof *polling->waiters),
                                .count = count};
    if (!polling->list || !polling->files || !polling->waiters) {
        polling->count = 0;
        polling_end(polling);
        return false;
    }
    return true;
}

static void find_files(struct polling *polling)
{
    for (uint64_t i = 0; i < polling->count; i++) {
        if (polling->list[i].descriptor >= 0) {
            polling->files[i] = file_to_use((uint32_t)polling->list[i].descriptor);
        }
    }
}

/* No time at all is no deadline that a call could go on with. */
static uint64_t deadline_after(uint64_t nanoseconds)
{
    return nanoseconds == 0 ? 0 : restart_deadline(nanoseconds);
}

/* ---- poll ---- */

static int64_t poll(uint64_t list, uint64_t count, uint64_t deadline)
{
    struct polling polling;
    count = (uint32_t)count;
    if (count > process_current()->limits[LIMIT_FILES].soft || count > DESCRIPTORS_MAX) {
        return -EINVAL;
    }
    if (!polling_begin(&polling, count)) {
        return -ENOMEM;
    }
    uint64_t bytes = count * sizeof *polling.list;
    int64_t result = copy_from_user(polling.list, user_addr(list), bytes) ? 0 : -EFAULT;
    if (result == 0) {
        find_files(&polling);
        result = wait_for_some(&polling, deadline);
    }
    if (result >= 0 && !copy_to_user(user_addr(list), polling.list, bytes)) {
        result = -EFAULT;
    }
    polling_end(&polling);
    return result;
}

int64_t call_poll(const struct trap_frame *frame)
{
    int32_t wait = (int32_t)argument_3(frame);
    return poll(argument_1(frame), argument_2(frame),
                wait < 0 ? WAIT_FOREVER : deadline_after((uint64_t)wait * MILLISECOND));
}

/* A struct timespec or timeval; 0: for ever. unit: nanoseconds of its second number. */
static int64_t get_deadline(uint64_t from, uint64_t unit, uint64_t *deadline)
{
    uint64_t time[2];
    *deadline = WAIT_FOREVER;
    if (from == 0) {
        return 0;
    }
    if (!copy_from_user(time, user_addr(from), sizeof time)) {
        return -EFAULT;
    }
    if ((int64_t)time[0] < 0 || (int64_t)time[1] < 0 || (unit == 1 && time[1] >= NANOSECONDS_PER_SECOND)) {
        return -EINVAL;
    }
    uint64_t seconds = min_u64(time[0], INT64_MAX / NANOSECONDS_PER_SECOND);
    *deadline = deadline_after(seconds * NANOSECONDS_PER_SECOND + min_u64(time[1], INT64_MAX / unit) * unit);
    return 0;
}

int64_t call_ppoll(const struct trap_frame *frame)
{
    uint64_t deadline;
    int64_t error = get_deadline(argument_3(frame), 1, &deadline);
    error = error ? error : signal_mask_begin(user_addr(argument_4(frame)), argument_5(frame));
    return error ? error : signal_mask_end(poll(argument_1(frame), argument_2(frame), deadline));
}

/* ---- select ---- */

#define SETS 3

static const uint16_t set_wanted[SETS] = {FILE_READY_READ, FILE_READY_WRITE, 2 /* POLLPRI */};
static const uint16_t set_ready[SETS] = {READ_BITS | ALWAYS | NO_FILE,
                                         WRITE_BITS | FILE_READY_ERROR | NO_FILE, 2 | NO_FILE};

struct sets {
    uint64_t user[SETS]; /* addresses; 0: none */
    uint64_t bytes;
    uint8_t *bits[SETS];
};

static void sets_free(struct sets *sets)
{
    for (unsigned i = 0; i < SETS; i++) {
        heap_free(&kernel_heap, sets->bits[i]);
    }
}

static int64_t sets_get(struct sets *sets)
{
    int64_t error = 0;
    for (unsigned i = 0; i < SETS; i++) {
        sets->bits[i] = heap_alloc_zeroed(&kernel_heap, sets->bytes + 1);
        error = sets->bits[i] ? error : -ENOMEM;
    }
    for (unsigned i = 0; i < SETS && error == 0; i++) {
        if (sets->user[i] && !copy_from_user(sets->bits[i], user_addr(sets->user[i]), sets->bytes)) {
            error = -EFAULT;
        }
    }
    if (error) {
        sets_free(sets);
    }
    return error;
}

static uint16_t wanted_of(const struct sets *sets, uint64_t descriptor)
{
    uint16_t wanted = 0;
    for (unsigned i = 0; i < SETS; i++) {
        wanted |= sets->bits[i][descriptor / 8] >> descriptor % 8 & 1 ? set_wanted[i] : 0;
    }
    return wanted;
}

/* From bits to the list. -EBADF: one of them is no open file. */
static int64_t make_list(struct polling *polling, const struct sets *sets, uint64_t count)
{
    polling->count = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint16_t wanted = wanted_of(sets, i);
        if (wanted != 0) {
            if (descriptor_flag(process_current()->files, i) < 0) {
                return -EBADF;
            }
            polling->files[polling->count] = file_to_use(i);
            polling->list[polling->count++] = (struct awaited){(int32_t)i, wanted, 0};
        }
    }
    return 0;
}

/* From the list to bits; returns how many. */
static int64_t make_bits(const struct polling *polling, struct sets *sets)
{
    int64_t count = 0;
    for (unsigned set = 0; set < SETS; set++) {
        memset(sets->bits[set], 0, sets->bytes);
        for (uint64_t i = 0; i < polling->count; i++) {
            const struct awaited *awaited = &polling->list[i];
            if ((awaited->wanted & set_wanted[set]) && (awaited->ready & set_ready[set])) {
                sets->bits[set][awaited->descriptor / 8] |= (uint8_t)(1 << awaited->descriptor % 8);
                count++;
            }
        }
    }
    return count;
}

static int64_t put_bits(const struct sets *sets)
{
    for (unsigned i = 0; i < SETS; i++) {
        if (sets->user[i] && !copy_to_user(user_addr(sets->user[i]), sets->bits[i], sets->bytes)) {
            return -EFAULT;
        }
    }
    return 0;
}

static int64_t select(const struct trap_frame *frame, uint64_t deadline)
{
    struct polling polling;
    int64_t asked = (int32_t)argument_1(frame);
    if (asked < 0) {
        return -EINVAL;
    }
    uint64_t count = min_u64((uint64_t)asked, DESCRIPTORS_MAX);
    struct sets sets = {.user = {argument_2(frame), argument_3(frame), argument_4(frame)},
                        .bytes = align_up(count, 64) / 8};
    int64_t result = sets_get(&sets);
    if (result) {
        return result;
    }
    if (!polling_begin(&polling, count)) {
        sets_free(&sets);
        return -ENOMEM;
    }
    result = make_list(&polling, &sets, count);
    result = result ? result : wait_for_some(&polling, deadline);
    if (result >= 0) {
        result = make_bits(&polling, &sets);
        result = put_bits(&sets) ? -EFAULT : result;
    }
    polling_end(&polling);
    sets_free(&sets);
    return result;
}

/* What is left of the time is not written back: no program may rely on it (select(2)). */
int64_t call_select(const struct trap_frame *frame)
{
    uint64_t deadline;
    int64_t error = get_deadline(argument_5(frame), MICROSECOND, &deadline);
    return error ? error : select(frame, deadline);
}

/* The sixth argument is the address of two: a mask's address, and its length. */
int64_t call_pselect6(const struct trap_frame *frame)
{
    uint64_t mask[2] = {0, 0};
    uint64_t deadline;
    user_addr_t sixth = user_addr(argument_6(frame));
    if (sixth.raw != 0 && !copy_from_user(mask, sixth, sizeof mask)) {
        return -EFAULT;
    }
    int64_t error = get_deadline(argument_5(frame), 1, &deadline);
    error = error ? error : signal_mask_begin(user_addr(mask[0]), mask[1]);
    return error ? error : signal_mask_end(select(frame, deadline));
}
