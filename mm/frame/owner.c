/* Handing an allocated block from one owner to another. */
#include "internal.h"

enum frame_error frame_change_owner(struct frame_pool *pool, phys_addr_t block, enum frame_owner from,
                                    enum frame_owner to)
{
    uint32_t tag;
    uint32_t owner = from;
    if ((unsigned)to >= OWNER_COUNT) {
        return FRAME_BAD_OWNER;
    }
    enum frame_error error = frame_find_start(pool, block, &tag);
    if (error != FRAME_OK) {
        return error;
    }
    if (frame_tag_state(tag) != FRAME_ALLOCATED) {
        return FRAME_WRONG_LENGTH;
    }
    if (!atomic_compare_exchange_strong_explicit(&frame_descriptor(pool, block)->owner, &owner, to,
                                                 memory_order_acq_rel, memory_order_relaxed)) {
        return FRAME_BUSY;
    }
    frame_book(pool, from, -((int64_t)1 << frame_tag_order(tag)));
    frame_book(pool, to, (int64_t)1 << frame_tag_order(tag));
    return FRAME_OK;
}
