/*
 * Records: the allocator's own small structures, cut from single frames. A page's free records are linked
 * through their first word. One page without a record in use is kept; others go back to the frame pool. A new
 * page gives a record under the hold of the lock that enters it, so there is never a second one.
 */
#include "internal.h"

static uint32_t records_per_page(const struct slab_records *records)
{
    return (uint32_t)((FRAME_BYTES - sizeof(struct slab_record_page)) / records->bytes);
}

static void link_page(struct slab_records *records, struct slab_record_page *page)
{
    page->next = records->partial;
    page->previous = NULL;
    if (page->next) {
        page->next->previous = page;
    }
    records->partial = page;
}

static void unlink_page(struct slab_records *records, struct slab_record_page *page)
{
    if (page->previous) {
        page->previous->next = page->next;
    } else {
        records->partial = page->next;
    }
    if (page->next) {
        page->next->previous = page->previous;
    }
}

/* A page of free records, in no list; NULL when there is no memory. */
static struct slab_record_page *new_page(struct slab_pool *pool, const struct slab_records *records)
{
    phys_addr_t frame = frame_alloc(pool->config.frames, 0, OWNER_SLABS);
    if (frame.raw == 0) {
        return NULL;
    }
    struct slab_record_page *page = slab_frame_pointer(pool, frame);
    page->free = NULL;
    page->used = 0;
    for (uint32_t i = records_per_page(records); i-- > 0;) {
        void **record = (void **)((char *)(page + 1) + (uint64_t)i * records->bytes);
        *record = page->free;
        page->free = record;
    }
    return page;
}

/* A record of a page with room; NULL when there is none. */
static void *take_record(struct slab_records *records)
{
    struct slab_record_page *page = records->partial;
    void **record = page ? page->free : NULL;
    if (!record) {
        return NULL;
    }
    page->free = *record;
    records->unused = records->unused == page ? NULL : records->unused;
    page->used++;
    records->used++;
    if (!page->free) {
        unlink_page(records, page);
    }
    return record;
}

void *slab_record_alloc(struct slab_pool *pool, struct slab_records *records)
{
    spinlock_acquire(&pool->records_lock);
    void *record = take_record(records);
    spinlock_release(&pool->records_lock);
    if (record) {
        return record;
    }
    /* Without the lock: a frame pool that has run out comes back here to reap. */
    struct slab_record_page *page = new_page(pool, records);
    spinlock_acquire(&pool->records_lock);
    if (page) {
        link_page(records, page);
        records->pages++;
    }
    record = take_record(records);
    spinlock_release(&pool->records_lock);
    return record;
}

void slab_record_free(struct slab_pool *pool, struct slab_records *records, void *record)
{
    struct slab_record_page *page =
        (struct slab_record_page *)(pool->base + align_down((uintptr_t)record - pool->base, FRAME_BYTES));
    spinlock_acquire(&pool->records_lock);
    if (!page->free) {
        link_page(records, page);
    }
    *(void **)record = page->free;
    page->free = record;
    page->used--;
    records->used--;
    bool unused = page->used == 0 && records->unused;
    if (unused) {
        unlink_page(records, page);
        records->pages--;
    } else if (page->used == 0) {
        records->unused = page;
    }
    spinlock_release(&pool->records_lock);
    if (unused) {
        frame_free(pool->config.frames, slab_frame_of(pool, page), 0);
    }
}

uint64_t slab_records_release(struct slab_pool *pool, struct slab_records *records)
{
    spinlock_acquire(&pool->records_lock);
    struct slab_record_page *page = records->unused;
    if (page) {
        unlink_page(records, page);
        records->pages--;
        records->unused = NULL;
    }
    spinlock_release(&pool->records_lock);
    if (!page) {
        return 0;
    }
    frame_free(pool->config.frames, slab_frame_of(pool, page), 0);
    return 1;
}

/* ---- The validator ---- */

static uint64_t free_records(const struct slab_record_page *page, uint64_t most)
{
    uint64_t count = 0;
    for (void *const *record = page->free; record && count <= most; record = *record) {
        count++;
    }
    return count;
}

bool slab_records_check(const struct slab_records *records, struct slab_problem *problem)
{
    uint64_t per_page = records_per_page(records);
    uint64_t partial = 0;
    uint64_t unused = 0;
    uint64_t used = 0;
    const struct slab_record_page *previous = NULL;
    for (const struct slab_record_page *page = records->partial; page; page = page->next) {
        if (page->previous != previous || ++partial > records->pages) {
            *problem =
                (struct slab_problem){"links of pages of records", NULL, page, partial, records->pages};
            return false;
        }
        uint64_t free = free_records(page, per_page);
        if (page->used + free != per_page) {
            *problem = (struct slab_problem){"records of a page", NULL, page, page->used + free, per_page};
            return false;
        }
        unused += page->used == 0;
        used += page->used;
        previous = page;
    }
    if (unused != (records->unused != NULL)) {
        *problem = (struct slab_problem){"unused pages of records", NULL, records->unused,
                                         records->unused != NULL, unused};
        return false;
    }
    used += (records->pages - partial) * per_page;
    if (used != records->used) {
        *problem = (struct slab_problem){"records in pages", NULL, records, records->used, used};
        return false;
    }
    return true;
}
