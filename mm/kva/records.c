/*
 * The arena's own memory: frames of the pool, and records cut from them. One frame whose records are all free
 * is kept; further ones go back to the pool.
 */
#include "internal.h"

void *kva_frame_take(struct kva_arena *arena)
{
    phys_addr_t frame = frame_alloc(arena->frames, 0, OWNER_KVA);
    return frame.raw == 0 ? NULL : frame_pointer(arena->frames, frame);
}

void kva_frame_give(struct kva_arena *arena, void *frame)
{
    frame_free(arena->frames, phys_addr((uintptr_t)frame - arena->frames->config.backing.base), 0);
}

static void link_page(struct kva_memory *memory, struct kva_record_page *page)
{
    page->next = memory->partial;
    page->previous = NULL;
    if (page->next) {
        page->next->previous = page;
    }
    memory->partial = page;
}

static void unlink_page(struct kva_memory *memory, struct kva_record_page *page)
{
    if (page->previous) {
        page->previous->next = page->next;
    } else {
        memory->partial = page->next;
    }
    if (page->next) {
        page->next->previous = page->previous;
    }
}

static struct kva_record_page *add_page(struct kva_arena *arena) REQUIRES(arena->lock)
{
    struct kva_record_page *page = kva_frame_take(arena);
    if (!page) {
        return NULL;
    }
    struct kva_range *records = (struct kva_range *)(page + 1);
    page->free = NULL;
    page->used = 0;
    for (unsigned i = KVA_RECORDS_PER_PAGE; i-- > 0;) {
        records[i].next = page->free;
        page->free = &records[i];
    }
    link_page(&arena->memory, page);
    arena->memory.record_frames++;
    arena->memory.unused_frames++;
    return page;
}

struct kva_range *kva_record_take(struct kva_arena *arena)
{
    struct kva_memory *memory = &arena->memory;
    struct kva_record_page *page = memory->partial ? memory->partial : add_page(arena);
    if (!page) {
        return NULL;
    }
    struct kva_range *record = page->free;
    page->free = record->next;
    memory->unused_frames -= page->used == 0;
    page->used++;
    memory->records++;
    if (!page->free) {
        unlink_page(memory, page);
    }
    return record;
}

void kva_record_give(struct kva_arena *arena, struct kva_range *range)
{
    struct kva_memory *memory = &arena->memory;
    struct kva_record_page *page = (struct kva_record_page *)align_down((uintptr_t)range, FRAME_BYTES);
    if (!page->free) {
        link_page(memory, page);
    }
    range->state = KVA_FREE; /* for kva_look_stopped(), which takes no lock */
    range->next = page->free;
    page->free = range;
    page->used--;
    memory->records--;
    if (page->used > 0) {
        return;
    }
    if (memory->unused_frames == 0) {
        memory->unused_frames = 1;
        return;
    }
    unlink_page(memory, page);
    memory->record_frames--;
    kva_frame_give(arena, page);
}
