/*
 * Blocks that become longer without a copy. A longer range of addresses is taken, the block's pages are
 * mapped there as well, and further ones behind them. Until that has succeeded nothing has happened to the
 * block; then the descriptors of its frames are made to lead to the new range, and the old one is unmapped,
 * flushed and given back. The new range is nobody's until then, so validators look at one of the two at most.
 */
#include <ashlar/assert.h>

#include "valid.h"
#include "vmalloc_internal.h"

/* Maps what is at `at` in one range at the same place of another one, too: a large page, or some small ones.
 * Returns how many bytes that were; 0 without memory for page tables. */
static uint64_t map_some(struct vmalloc *vmalloc, const struct kva_range *from, const struct kva_range *to,
                         uint64_t at)
{
    phys_addr_t frames[FRAME_BATCH];
    uint64_t count = 0;
    struct page_translation page = page_table_translate(vmalloc->table, virt_add(from->base, at));
    virt_addr_t there = virt_add(to->base, at);
    if (page.level == PAGE_LEVEL_2M) {
        uint64_t bytes = page_level_bytes(PAGE_LEVEL_2M);
        return page_table_map(vmalloc->table, there, page.target, bytes, PAGE_WRITE | PAGE_GLOBAL,
                              CACHE_WRITE_BACK, PAGE_LEVEL_2M) == PAGE_TABLE_OK
                   ? bytes
                   : 0;
    }
    while (page.mapped && page.level == PAGE_LEVEL_4K && count < FRAME_BATCH) { /* a guard page is not */
        frames[count++] = page.target;
        page = page_table_translate(vmalloc->table, virt_add(from->base, at + (count << FRAME_SHIFT)));
    }
    return page_table_map_frames(vmalloc->table, there, frames, count, PAGE_WRITE | PAGE_GLOBAL,
                                 CACHE_WRITE_BACK) == PAGE_TABLE_OK
               ? count << FRAME_SHIFT
               : 0;
}

/* Both ranges show the same frames; these lead to `heir` from now on. */
struct handing {
    struct frame_pool *frames; /* whose they are */
    struct kva_range *heir;    /* the one that stays */
};

static void hand_over(void *context, virt_addr_t base, page_table_entry_t entry, enum page_level level)
{
    const struct handing *handing = context;
    phys_addr_t frame = page_entry_leaf_address(entry, level);
    (void)base;
    frame_note_set_range(frame_descriptor(handing->frames, frame), handing->heir);
}

/* Gives up a range of which the first `mapped` bytes are mapped; of these the first `shared` to frames that
 * `heir` shows, too. */
static void give_up(struct vmalloc *vmalloc, struct kva_range *range, uint64_t mapped, uint64_t shared,
                    struct kva_range *heir)
{
    struct handing handing = {vmalloc->frames, heir};
    struct tlb_batch batch;
    phys_addr_t frames = FRAME_NONE;
    enum kva_error claimed =
        kva_claim(vmalloc->arena, range->base, range->purpose, &vmalloc_purpose_retired, &range);
    ASSERT(claimed == KVA_OK); /* nobody else uses the block */
    tlb_batch_start(&batch, vmalloc->table);
    vmalloc_unmap_each(vmalloc, range, (struct vmalloc_part){0, shared}, &batch, hand_over, &handing);
    vmalloc_unmap(vmalloc, range, (struct vmalloc_part){shared, mapped - shared}, &batch, &frames);
    tlb_batch_finish(&batch);
    vmalloc_free_frames(vmalloc->frames, frames);
    kva_release(vmalloc->arena, range);
}

/* Maps the pages of `from` in `to`, and new ones behind them; false, and `to` is given up, without memory. */
static bool map_all(struct vmalloc *vmalloc, const struct vmalloc_request *request, struct kva_range *from,
                    struct kva_range *to)
{
    uint64_t at = 0;
    uint64_t some = vmalloc_has_hope(vmalloc, to->bytes - from->bytes) ? 1 : 0;
    while (at < from->bytes && some != 0) {
        some = map_some(vmalloc, from, to, at);
        at += some;
    }
    if (at == from->bytes) {
        at = vmalloc_fill(vmalloc, request, to, at);
    }
    if (at < to->bytes) {
        give_up(vmalloc, to, at, min_u64(at, from->bytes), from);
    }
    return at == to->bytes;
}

static void *try_grow(struct vmalloc *vmalloc, const struct vmalloc_request *request, struct kva_range *from)
{
    struct kva_request wanted = {.bytes = request->bytes, .guard_pages = 1, .purpose = from->purpose};
    struct kva_range *to;
    if (vmalloc_wants_large(vmalloc, request)) {
        wanted.alignment = page_level_bytes(PAGE_LEVEL_2M);
    }
    if (kva_alloc(vmalloc->arena, &wanted, &to) != KVA_OK || !map_all(vmalloc, request, from, to)) {
        return NULL;
    }
    give_up(vmalloc, from, from->bytes, from->bytes, to);
    kva_range_set_object(to, vmalloc);
    return virt_pointer(to->base);
}

void *vmalloc_grow(struct vmalloc *vmalloc, void *block, const struct vmalloc_request *request)
{
    DEBUG_ASSERT(vmalloc_is_valid(vmalloc));
    const struct kva_purpose *purpose = request->purpose ? request->purpose : &vmalloc_purpose;
    struct kva_range *range;
    if (kva_find(vmalloc->arena, virt_of(block), &range) != KVA_OK || range->purpose != purpose ||
        range->object != vmalloc || request->bytes <= range->bytes) {
        return NULL;
    }
    void *grown = try_grow(vmalloc, request, range);
    if (!grown) { /* again, with what is retired */
        vmalloc_flush(vmalloc);
        grown = try_grow(vmalloc, request, range);
    }
    return grown;
}
