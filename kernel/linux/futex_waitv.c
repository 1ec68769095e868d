/*
 * futex_waitv: sleeping for several words at once (include/uapi/linux/futex.h). What a call takes of the
 * kernel's memory is bounded: WORDS_MAX words, for as long as it sleeps.
 */
#include <ashlar/clock.h>
#include <ashlar/heap.h>

#include "calls.h"
#include "futex.h"
#include "time.h"

#define WORDS_MAX     128  /* FUTEX_WAITV_MAX */
#define WAITV_SIZE_32 2U   /* FUTEX2_SIZE_U32; words of other sizes are not there on Linux either */
#define WAITV_PRIVATE 128U /* FUTEX2_PRIVATE */

/* struct futex_waitv */
struct user_word {
    uint64_t value;
    uint64_t address;
    uint32_t flags;
    uint32_t reserved;
};

/* A moment by one of two clocks; at 0: none. */
static int64_t get_deadline(user_addr_t at, uint32_t clock, uint64_t *deadline)
{
    uint64_t moment;
    *deadline = WAIT_FOREVER;
    if (at.raw == 0) {
        return 0;
    }
    if (clock != CLOCK_REAL && clock != CLOCK_MONOTONIC) {
        return -EINVAL;
    }
    int64_t error = time_get(&moment, at);
    if (!error && moment < INT64_MAX) {
        *deadline = clock == CLOCK_REAL ? clock_from_real(moment) : moment;
    }
    return error;
}

/* All are read before the first address is looked at. */
static int64_t get_words(struct futex_word *words, bool *are_private, uint64_t from, uint32_t count)
{
    struct user_word word;
    for (uint32_t i = 0; i < count; i++) {
        if (!copy_from_user(&word, user_addr(from + i * sizeof word), sizeof word)) {
            return -EFAULT;
        }
        if ((word.flags & ~WAITV_PRIVATE) != WAITV_SIZE_32 || word.reserved != 0 || word.value > UINT32_MAX) {
            return -EINVAL;
        }
        words[i].at = user_addr(word.address);
        words[i].value = (uint32_t)word.value;
        are_private[i] = word.flags & WAITV_PRIVATE;
    }
    for (uint32_t i = 0; i < count; i++) {
        int64_t error = futex_key_of(process_current()->memory, words[i].at, are_private[i], &words[i].key);
        if (error) {
            return error;
        }
    }
    return 0;
}

int64_t call_futex_waitv(const struct trap_frame *frame)
{
    bool are_private[WORDS_MAX];
    uint64_t from = argument_1(frame);
    uint32_t count = (uint32_t)argument_2(frame);
    uint64_t deadline;
    if ((uint32_t)argument_3(frame) != 0 || count == 0 || count > WORDS_MAX || from == 0) {
        return -EINVAL;
    }
    int64_t error = get_deadline(user_addr(argument_4(frame)), (uint32_t)argument_5(frame), &deadline);
    if (error) {
        return error;
    }
    struct futex_word *words = heap_alloc(&kernel_heap, count * sizeof *words);
    if (!words) {
        return -ENOMEM;
    }
    error = get_words(words, are_private, from, count);
    error = error ? error : futex_wait_any(words, count, deadline);
    heap_free(&kernel_heap, words);
    return error;
}
