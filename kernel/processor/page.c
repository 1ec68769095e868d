/*
 * Where processors begin: a frame below 1 MiB with the start-up code, and page tables that show it at its
 * physical address beside the kernel's half. A processor takes the tables' root as a 32-bit number, so it
 * lies below 4 GiB, and is a copy of one that may lie anywhere. Below 4 GiB lies, too, what it reads before
 * it switches paging on: the table of those that may come.
 *
 * No address shows the frame writable while another shows it executable: it is written through the physmap,
 * made read-only there, and only then mapped for execution.
 */
#include <ashlar/boot.h>
#include <ashlar/memory.h>
#include <ashlar/page_table.h>
#include <ashlar/string.h>

#include "internal.h"

static struct page_table tables; /* the root of these is what is copied */

static bool set_access(phys_addr_t frame, unsigned access)
{
    struct tlb_batch batch;
    tlb_batch_start(&batch, kernel_page_table());
    enum page_table_error error =
        page_table_protect(kernel_page_table(), virt_of(physmap_pointer(frame)), FRAME_BYTES,
                           access | PAGE_GLOBAL, CACHE_WRITE_BACK, &batch);
    tlb_batch_finish(&batch);
    return error == PAGE_TABLE_OK;
}

static bool make_tables(phys_addr_t frame)
{
    const struct page_table *kernel = kernel_page_table();
    if (page_table_init(&tables, kernel_frames(), kernel->access, kernel->levels, kernel->largest_level,
                        kernel_page_table()) != PAGE_TABLE_OK) {
        return false;
    }
    if (page_table_map(&tables, virt_addr(frame.raw), frame, FRAME_BYTES, PAGE_EXECUTE, CACHE_WRITE_BACK,
                       PAGE_LEVEL_4K) != PAGE_TABLE_OK) {
        page_table_destroy(&tables);
        return false;
    }
    return true;
}

static void drop_tables(phys_addr_t frame)
{
    struct tlb_batch batch;
    tlb_batch_start(&batch, &tables);
    if (page_table_unmap(&tables, virt_addr(frame.raw), FRAME_BYTES, &batch, NULL, NULL) != PAGE_TABLE_OK) {
        panic("processors: the start-up page at %#" PRIx64 " cannot be unmapped", frame.raw);
    }
    tlb_batch_finish(&batch);
    page_table_destroy(&tables);
}

/* A zeroed block below 4 GiB, which processors can reach without paging. */
static bool take_below_4g(unsigned order, enum frame_owner owner, phys_addr_t *block)
{
    const struct frame_request request = {
        .frames = 1ULL << order, .limit = GIB(4), .owner = owner, .zeroed = true};
    return frame_alloc_request(kernel_frames(), &request, block) == FRAME_OK;
}

/* The blocks are taken; writes the code and makes the tables that it begins on. */
static const char *make_code(struct startup_page *page)
{
    phys_addr_t frame = page->places.frame;
    startup_code_write(physmap_pointer(frame), &page->places);
    if (!set_access(frame, PAGE_READ)) {
        return "no memory to protect the start-up code";
    }
    if (!make_tables(frame)) {
        set_access(frame, PAGE_WRITE);
        return "no memory for page tables";
    }
    memcpy(physmap_pointer(page->places.root), physmap_pointer(tables.root), FRAME_BYTES);
    return NULL;
}

static unsigned order_for(size_t bytes)
{
    unsigned order = 0;
    while (FRAME_BYTES << order < bytes) {
        order++;
    }
    return order;
}

static const char *make_with_root(struct startup_page *page, unsigned count)
{
    page->table_order = order_for(sizeof *page->table + count * sizeof page->table->cpus[0]);
    if (!take_below_4g(page->table_order, OWNER_KERNEL, &page->places.table)) {
        return "no memory below 4 GiB for their table";
    }
    page->table = physmap_pointer(page->places.table);
    const char *missing = make_code(page);
    if (missing) {
        frame_free(kernel_frames(), page->places.table, page->table_order);
    }
    return missing;
}

static const char *make_with_frame(struct startup_page *page, unsigned count)
{
    if (!take_below_4g(0, OWNER_PAGE_TABLES, &page->places.root)) {
        return "no frame below 4 GiB";
    }
    const char *missing = make_with_root(page, count);
    if (missing) {
        frame_free(kernel_frames(), page->places.root, 0);
    }
    return missing;
}

const char *startup_page_make(struct startup_page *page, unsigned count)
{
    page->places.frame = memory_take_low(OWNER_KERNEL);
    if (page->places.frame.raw == FRAME_NONE.raw) {
        return "no frame below 1 MiB";
    }
    const char *missing = make_with_frame(page, count);
    if (missing) {
        memory_return_low(page->places.frame, OWNER_KERNEL);
    }
    return missing;
}

void startup_page_free(struct startup_page *page)
{
    phys_addr_t frame = page->places.frame;
    drop_tables(frame);
    frame_free(kernel_frames(), page->places.table, page->table_order);
    frame_free(kernel_frames(), page->places.root, 0);
    if (!set_access(frame, PAGE_WRITE)) {
        panic("processors: the start-up page at %#" PRIx64 " cannot be made writable again", frame.raw);
    }
    memory_return_low(frame, OWNER_KERNEL);
}
