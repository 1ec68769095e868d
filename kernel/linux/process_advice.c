/*
 * process_madvise: advice for the memory of a process that one has as a file. For another one only such that
 * no program can see the effect of; for oneself any.
 *
 * The other's space is held for one part at a time, so that it never waits long to end.
 */
#include "file_calls.h"
#include "memory_calls.h"
#include "pidfd.h"

/* Gives it to one part; NULL: to none, and only looks whether it may be given. 0 or an error. */
static int64_t advise(uint64_t descriptor, const struct user_part *part, uint32_t advice)
{
    struct vm_space *space;
    int64_t error = pidfd_space(descriptor, &space);
    if (error) {
        return error;
    }
    bool own = space == &process_current()->memory->space;
    error = !own && !advice_is_for_others(advice) ? -EINVAL : own || task_may(CAPABILITY_NICE) ? 0 : -EPERM;
    if (error == 0 && part) {
        error = memory_advise(space, part->base, part->bytes, advice);
    }
    vm_space_put(space);
    return error;
}

/* The bytes that got it, up to the first error; or that. Of parts of no bytes only the first is looked at, as
 * Linux does. */
static int64_t advise_parts(const struct user_buffer *parts, uint64_t descriptor, uint32_t advice)
{
    int64_t done = 0;
    int64_t error = parts->buffer.left == 0 ? advise(descriptor, NULL, advice) : 0;
    for (uint64_t i = 0; error == 0 && i < parts->count && (uint64_t)done < parts->buffer.left; i++) {
        const struct user_part *part = &parts->parts[i];
        error = i > 0 && part->bytes == 0 ? 0 : advise(descriptor, part, advice);
        done += error ? 0 : (int64_t)part->bytes;
    }
    return done ? done : error;
}

int64_t call_process_madvise(const struct trap_frame *frame)
{
    struct user_buffer parts;
    if ((uint32_t)argument_5(frame) != 0) {
        return -EINVAL;
    }
    int64_t result = user_buffer_begin_parts(&parts, argument_2(frame), argument_3(frame));
    if (result == 0) {
        result = advise_parts(&parts, argument_1(frame), (uint32_t)argument_4(frame));
        user_buffer_end(&parts);
    }
    return result;
}
