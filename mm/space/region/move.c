/*
 * Moving: a range of one region goes on at another address, with its pages.
 *
 *     prepare   what can fail: records, small pages in place of large ones, frames for tables
 *     hold      both ranges: who comes there by a fault waits (replace.c); so no page comes or goes any more
 *     vacate    what lies at the new place goes
 *     move      entries, a hold of VM_HOLD_PAGES pages after the other; frames and what is in them stay
 *     open      the new region; the old one goes, or stays without its pages
 *
 * A page says in its frame's note where it is shown. The note of one that was never shared names its space
 * and address, and is written anew. That of a shared one names a family and a place in it: it stays, as
 * others show the page too, and the region remembers how far it is from there now. So a moved region is a
 * relative by itself, as a copy elsewhere is. For the notes each page is visited anyway; so entries are moved
 * one by one, and not whole tables of them.
 *
 * The old translations are flushed once for VM_ROUND_PAUSES holds. Until then a CPU that remembers one uses
 * the very memory that is shown at the new address as well, of which no page can be copied or go before that
 * is open.
 */
#include <ashlar/shortage.h>
#include <ashlar/vm_move.h>

#include "mm/space/share/family.h"

/* One move on its way. */
struct moving {
    struct vm_region *from;       /* region that has what moves */
    struct vm_region *to;         /* what it becomes; in no tree before the pages are moved */
    uint64_t base;                /* of what moves: first byte */
    uint64_t end;                 /* the same: behind the last one */
    uint64_t distance;            /* new address minus old one */
    struct table_reserve reserve; /* for tables at the new place */
    unsigned pauses;              /* since the last flush */
};

/* ---- What is asked ---- */

static enum vm_error check_request(const struct vm_space *space, const struct vm_move *move)
{
    uint64_t target = move->address.raw;
    enum vm_error error = vm_range_check(space, move->from.raw, move->bytes ? move->bytes : FRAME_BYTES);
    if (error == VM_OK && move->new_bytes < move->bytes) {
        error = VM_EMPTY;
    }
    if (error == VM_OK && move->fixed) {
        error = vm_range_check(space, target, move->new_bytes);
        bool apart = target + move->new_bytes <= move->from.raw || move->from.raw + move->bytes <= target;
        error = error == VM_OK && !apart ? VM_OVERLAP : error;
    } else if (error == VM_OK &&
               (move->new_bytes == 0 || !is_aligned(move->new_bytes | target, FRAME_BYTES))) {
        error = move->new_bytes == 0 ? VM_EMPTY : VM_UNALIGNED;
    }
    return error;
}

/* Whether the region has what is to be moved, and can become as long as it shall be. */
static enum vm_error check_region(const struct vm_region *region, const struct vm_move *move)
{
    uint64_t base = move->from.raw;
    if (!region || region->base > base || vm_region_end(region) - base < move->bytes) {
        return VM_NOT_MAPPED;
    }
    bool given = region->source == VM_FRAMES || region->source == VM_DEVICE;
    if ((move->bytes == 0 && !region->shared) || (given && (move->keep || move->new_bytes != move->bytes))) {
        return VM_BAD_SOURCE;
    }
    uint64_t offset = region->offset + (base - region->base);
    return region->pager && offset + move->new_bytes < offset ? VM_WRAPS : VM_OK;
}

/* Where it goes. Large pages stay so where they lie alike. */
static enum vm_error choose_target(struct vm_space *space, const struct vm_region *region,
                                   const struct vm_move *move, uint64_t *target) REQUIRES(space->change)
{
    *target = move->address.raw;
    if (move->fixed) {
        return !move->replace && vm_range_is_taken(space, *target, move->new_bytes) ? VM_OVERLAP : VM_OK;
    }
    uint64_t inside = move->from.raw % MIB(2);
    *target = 0;
    if (region->large && move->new_bytes <= UINT64_MAX - inside) {
        *target = vm_tree_place(space, inside + move->new_bytes, 0, MIB(2), move->address.raw);
        *target += *target ? inside : 0;
    }
    if (!*target) {
        *target = vm_tree_place(space, move->new_bytes, 0, FRAME_BYTES, move->address.raw);
    }
    return *target ? VM_OK : VM_NO_ROOM;
}

/* ---- The new region ---- */

/* Says what the new region is: it allows nothing before all pages are there. */
static void describe(const struct moving *moving, const struct vm_move *move)
{
    const struct vm_region *from = moving->from;
    struct vm_region *to = moving->to;
    vm_region_describe(to, from);
    vm_region_set_access(to, from->access, VM_NONE);
    to->base = moving->base + moving->distance;
    to->bytes = move->new_bytes;
    to->guard = 0;
    to->offset += from->pager || from->source == VM_DEVICE ? moving->base - from->base : 0;
    to->family = NULL;
    to->shift = 0;
}

/* Makes it a relative of the old one, unless all of its space is one at that distance. */
static void join_family(struct vm_space *space, const struct moving *moving) REQUIRES(space->change)
{
    const struct vm_region *from = moving->from;
    struct vm_region *to = moving->to;
    struct vm_family *family = vm_region_family(space, from);
    uint64_t shift = from->shift + moving->distance;
    bool paged = vm_region_is_private(from) || from->pager;
    if (paged && family && (from->pager || family != space->family || shift != 0)) {
        to->family = family;
        to->shift = shift;
        vm_region_join(space, to);
    }
}

/* ---- Preparing ---- */

/* Which tables the pages at the new place lie in, as far as they have been counted: by level, from 1. */
struct tables {
    uint64_t last[PAGE_LEVEL_PML5 + 1]; /* number of the last table that was counted; UINT64_MAX: none */
    uint64_t count;                     /* how many there may have to be */
};

/* Counts the tables for leaves at `level` in [base, end). */
static void count_tables(const struct vm_space *space, struct tables *tables, uint64_t base, uint64_t end,
                         unsigned level)
{
    for (; level < space->table->levels; level++) {
        uint64_t first = base >> page_level_shift(level + 1);
        uint64_t last = (end - 1) >> page_level_shift(level + 1);
        tables->count += last - first + (first != tables->last[level]);
        tables->last[level] = last;
    }
}

/* How many tables the pages may need at the new place. No page comes meanwhile. */
static uint64_t tables_needed(struct vm_space *space, struct vm_work *work, const struct moving *moving)
    REQUIRES(space->change, space->lock)
{
    struct page_translation page;
    struct tables tables = {.count = 0};
    memset(tables.last, 0xff, sizeof tables.last);
    for (uint64_t at = moving->base, next; at < moving->end; at = next) {
        vm_hold_renew(&work->hold);
        next = vm_hold_step(&work->hold, space->table, at, moving->end, &page);
        if (work->hold.slots || page.mapped) {
            count_tables(space, &tables, at + moving->distance, next + moving->distance, page.level);
        }
    }
    return tables.count;
}

/* Makes small pages of the large ones, which cannot lie at the new place as they are. */
static enum vm_error cut_large_pages(struct vm_space *space, struct vm_work *work,
                                     const struct moving *moving) REQUIRES(space->change, space->lock)
{
    struct page_translation page;
    enum vm_error error = VM_OK;
    if (is_aligned(moving->distance, MIB(2)) || !moving->from->large) {
        return VM_OK;
    }
    for (uint64_t at = moving->base, next; error == VM_OK && at < moving->end; at = next) {
        vm_hold_renew(&work->hold);
        next = vm_hold_step(&work->hold, space->table, at, moving->end, &page);
        if (page.mapped && page.level != PAGE_LEVEL_4K) {
            work->hold.left = 0;
            error = vm_page_cut(space, moving->from, at + FRAME_BYTES, &work->batch);
        }
    }
    return error;
}

/* Cuts what the ends of both ranges cut, pages and then regions; holds the one to be moved. */
static enum vm_error cut_ends(struct vm_space *space, struct vm_work *work, struct moving *moving,
                              const struct vm_move *move) REQUIRES(space->change, space->lock)
{
    uint64_t target = moving->base + moving->distance;
    enum vm_error error = vm_range_cut_pages(space, work, moving->base, moving->end);
    if (error == VM_OK && move->replace) {
        error = vm_range_cut_pages(space, work, target, target + move->new_bytes);
        if (error == VM_OK) { /* so that no fault makes a large page across the bounds any more */
            vm_range_cut_regions(space, work, target, target + move->new_bytes);
        }
    }
    if (error == VM_OK && moving->base != moving->end) {
        moving->from = vm_range_cut_regions(space, work, moving->base, moving->end);
        vm_range_hold(space, VM_HELD_SOURCE, moving->base, moving->end);
        vm_region_set_access(moving->from, moving->from->access, VM_NONE);
        error = cut_large_pages(space, work, moving);
    }
    return error;
}

/* Lets the region that was to be moved go on as it was. */
static void reopen(struct vm_space *space, struct vm_work *work, struct vm_region *region)
    REQUIRES(space->change, space->lock)
{
    vm_region_set_access(region, region->access, region->access);
    vm_region_merge(space, work, region);
}

/* Joins the regions again that were cut at `at`. */
static void rejoin(struct vm_space *space, struct vm_work *work, uint64_t at)
    REQUIRES(space->change, space->lock)
{
    struct vm_region *above = vm_region_above(space, at);
    if (above && above->base == at) {
        vm_region_merge(space, work, above);
    }
}

/* All that can fail with the lock held for some of it; when it does all is as it was. */
static enum vm_error prepare(struct vm_space *space, struct vm_work *work, struct moving *moving,
                             const struct vm_move *move) REQUIRES(space->change)
{
    uint64_t tables = 0;
    vm_work_lock(space, work);
    enum vm_error error = cut_ends(space, work, moving, move);
    if (error == VM_OK) {
        tables = tables_needed(space, work, moving);
    }
    vm_work_unlock(space, work);
    if (error == VM_OK && !page_table_reserve(space->table, &moving->reserve, tables)) {
        error = VM_NO_MEMORY;
    }
    if (error != VM_OK) {
        vm_work_lock(space, work);
        vm_range_let_go(space);
        reopen(space, work, moving->from);
        if (move->replace) {
            rejoin(space, work, moving->base + moving->distance);
            rejoin(space, work, moving->base + moving->distance + move->new_bytes);
        }
        vm_work_unlock(space, work);
    }
    return error;
}

/* ---- Moving ---- */

/* Notes where a page is shown now, if it was shown at one place alone. */
static inline void note_page(struct vm_space *space, const struct vm_region *region, phys_addr_t frame,
                             uint64_t from, uint64_t to)
{
    struct frame_pool *frames = space->manager->config.frames;
    if (vm_region_is_private(region) && frame.raw != space->manager->zero_frame.raw &&
        frame_note_read(frame_descriptor(frames, frame)).raw == vm_code(space->number, from)) {
        vm_reverse_set(space, frame, to);
    }
}

/* Moves the pages of [base, end), which lie in one table before and after. */
static void move_pages(struct vm_space *space, struct vm_work *work, struct moving *moving, uint64_t base,
                       uint64_t end) REQUIRES(space->change, space->lock)
{
    page_table_entry_t moved[VM_HOLD_PAGES];
    const struct tlb_range whole = {virt_addr(moving->base), moving->end - moving->base, PAGE_LEVEL_4K};
    unsigned count = (unsigned)((end - base) >> FRAME_SHIFT);
    uint64_t to = base + moving->distance;
    if (page_table_move(space->table, virt_addr(base), virt_addr(to), count, &moving->reserve, moved, &whole,
                        &work->batch) == 0) {
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        uint64_t at = (uint64_t)i << FRAME_SHIFT;
        if (!page_entry_is_hole(moved[i])) {
            note_page(space, moving->to, page_entry_leaf_address(moved[i], PAGE_LEVEL_4K), base + at,
                      to + at);
        }
    }
}

/* The same for a step in one table, of which those at the new place may be two. */
static void move_step(struct vm_space *space, struct vm_work *work, struct moving *moving, uint64_t base,
                      uint64_t end) REQUIRES(space->change, space->lock)
{
    uint64_t to = base + moving->distance;
    uint64_t in_first = align_down(to, MIB(2)) + MIB(2) - to;
    uint64_t middle = min_u64(end, base + in_first);
    move_pages(space, work, moving, base, middle);
    /* The first part may have taken the table along: then the rest are holes. */
    if (middle < end && page_table_slot(space->table, virt_addr(middle))) {
        move_pages(space, work, moving, middle, end);
    }
}

static void move_large(struct vm_space *space, struct vm_work *work, struct moving *moving, uint64_t base)
    REQUIRES(space->change, space->lock)
{
    uint64_t to = base + moving->distance;
    page_table_entry_t leaf =
        page_table_move_large(space->table, virt_addr(base), virt_addr(to), &moving->reserve, &work->batch);
    note_page(space, moving->to, page_entry_leaf_address(leaf, PAGE_LEVEL_2M), base, to);
}

/* Lets others in when it is time, and flushes what waits when that has been so often. */
static void take_turns(struct vm_work *work, struct moving *moving)
{
    if (vm_hold_renew(&work->hold) && ++moving->pauses == VM_ROUND_PAUSES) {
        tlb_batch_finish(&work->batch);
        moving->pauses = 0;
    }
}

static void move_all(struct vm_space *space, struct vm_work *work, struct moving *moving)
    REQUIRES(space->change, space->lock)
{
    struct page_translation page;
    work->hold.defers = true;
    for (uint64_t at = moving->base, next; at < moving->end; at = next) {
        take_turns(work, moving);
        next = vm_hold_step(&work->hold, space->table, at, moving->end, &page);
        if (work->hold.slots) {
            move_step(space, work, moving, at, next);
        } else if (page.mapped) {
            move_large(space, work, moving, at);
        }
    }
    tlb_batch_finish(&work->batch);
    work->hold.defers = false;
}

/* The new region is there, and the old one has no pages: it goes, or stays so. */
static void open_regions(struct vm_space *space, struct vm_work *work, const struct moving *moving,
                         const struct vm_move *move) REQUIRES(space->change, space->lock)
{
    struct vm_region *from = moving->from;
    vm_region_set_access(moving->to, moving->to->access, moving->to->access);
    if (move->bytes != 0 && !move->keep) {
        vm_tree_remove(space, from);
        vm_region_set_access(from, from->access, from->access);
        vm_region_bury(work, from);
    } else if (move->bytes != 0) {
        vm_region_count(space, from, 0 - from->bytes);
        from->marks = (uint8_t)(from->marks & ~(unsigned)VM_LOCKED); /* that has moved along */
        vm_region_count(space, from, from->bytes);
        reopen(space, work, from);
    }
    vm_region_merge(space, work, moving->to);
    vm_range_let_go(space);
}

/* Nothing fails any more. */
static void carry_out(struct vm_space *space, struct vm_work *work, struct moving *moving,
                      const struct vm_move *move) REQUIRES(space->change)
{
    uint64_t target = moving->base + moving->distance;
    vm_region_use_as(moving->to, moving->from);
    join_family(space, moving);
    vm_work_lock(space, work);
    if (move->replace) {
        vm_range_vacate(space, work, target, target + move->new_bytes);
    }
    vm_range_hold(space, VM_HELD_TARGET, target, target + move->new_bytes);
    vm_tree_insert(space, moving->to);
    if (move->bytes != 0) {
        move_all(space, work, moving);
    }
    open_regions(space, work, moving, move);
    vm_work_unlock(space, work);
    page_table_unreserve(space->table, &moving->reserve);
}

/* ---- All of it ---- */

static enum vm_error try_move(struct vm_space *space, struct vm_work *work, const struct vm_move *move,
                              virt_addr_t *address) REQUIRES(space->change)
{
    struct moving moving = {.base = move->from.raw, .end = move->from.raw + move->bytes};
    uint64_t target;
    moving.from = vm_region_above(space, moving.base);
    enum vm_error error = check_region(moving.from, move);
    if (error == VM_OK) {
        error = choose_target(space, moving.from, move, &target);
    }
    if (error != VM_OK) {
        return error;
    }
    moving.distance = target - moving.base;
    moving.to = vm_work_spare(work);
    describe(&moving, move);
    if (!vm_device_claim(space, moving.to, target, move->new_bytes, moving.to->access)) {
        error = VM_CONFLICT;
    } else {
        error = prepare(space, work, &moving, move);
        if (error != VM_OK) {
            vm_device_release(space, moving.to, target, move->new_bytes, moving.to->access);
        }
    }
    if (error != VM_OK) {
        slab_cache_free(&space->manager->regions, moving.to);
        return error;
    }
    carry_out(space, work, &moving, move);
    *address = virt_addr(target);
    return VM_OK;
}

static enum vm_error move_once(struct vm_space *space, const struct vm_move *move, virt_addr_t *address)
{
    struct vm_work work;
    enum vm_error error = check_request(space, move);
    if (error != VM_OK) {
        return error;
    }
    if (!vm_work_begin(space, &work, VM_SPARES_MAX)) {
        return VM_NO_MEMORY;
    }
    error = try_move(space, &work, move, address);
    vm_work_end(space, &work);
    return error;
}

enum vm_error vm_space_move(struct vm_space *space, const struct vm_move *move, virt_addr_t *address)
{
    return COLLECTING(space->manager->config.frames, VM_NO_MEMORY, move_once(space, move, address));
}
