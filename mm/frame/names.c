/* Names for people: of owners, of errors, of states. */
#include "internal.h"

const char *frame_owner_name(unsigned owner)
{
#define FRAME_OWNER_TEXT(name, text) [OWNER_##name] = (text),
    static const char *const names[OWNER_COUNT] = {FRAME_OWNERS(FRAME_OWNER_TEXT)};
#undef FRAME_OWNER_TEXT
    return owner < OWNER_COUNT ? names[owner] : "unknown";
}

const char *frame_error_name(enum frame_error error)
{
    static const char *const names[FRAME_ERROR_COUNT] = {
        [FRAME_OK] = "no error",
        [FRAME_NO_MEMORY] = "out of memory",
        [FRAME_BAD_ORDER] = "impossible order or length",
        [FRAME_BAD_OWNER] = "no such owner",
        [FRAME_BAD_ALIGNMENT] = "misaligned",
        [FRAME_BAD_MAP] = "memory map is not normalised",
        [FRAME_BAD_CONFIG] = "impossible configuration",
        [FRAME_NO_ROOM] = "no usable range holds the allocator's state",
        [FRAME_NOT_MANAGED] = "not memory of this pool",
        [FRAME_RESERVED] = "reserved memory",
        [FRAME_BUSY] = "in use",
        [FRAME_NOT_ALLOCATED] = "never allocated",
        [FRAME_DOUBLE_FREE] = "double free",
        [FRAME_WRONG_ORDER] = "wrong order",
        [FRAME_WRONG_LENGTH] = "wrong length of a run",
        [FRAME_PART_OF_BLOCK] = "part of a block",
        [FRAME_PINNED] = "still pinned",
        [FRAME_IN_CHANGE] = "being changed",
        [FRAME_SHARED] = "still shared",
        [FRAME_TOO_SHARED] = "too many references",
        [FRAME_NOT_PINNED] = "not pinned",
        [FRAME_NOT_IN_CHANGE] = "not being changed",
    };
    return (unsigned)error < FRAME_ERROR_COUNT ? names[error] : "unknown error";
}

const char *frame_state_name(enum frame_state state)
{
    static const char *const names[FRAME_STATE_COUNT] = {
        [FRAME_UNKNOWN] = "never allocated", [FRAME_FREED] = "free", [FRAME_CACHED] = "free, in a magazine",
        [FRAME_ALLOCATED] = "allocated",     [FRAME_RUN] = "a run",  [FRAME_RUN_PART] = "part of a run",
    };
    return (unsigned)state < FRAME_STATE_COUNT ? names[state] : "unknown state";
}
