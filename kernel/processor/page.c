/*
 * Where processors begin: a frame below 1 MiB with the start-up code, and page tables that show it at its
 * physical address beside the kernel's half. A processor takes the tables' root as a 32-bit number, so it
 * lies below 4 GiB, and is a copy of one that may lie anywhere.
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

/* The frame is taken; makes the rest. */
static const char *make_rest(struct startup_page *page)
{
    const struct frame_request low = {.frames = 1, .limit = GIB(4), .owner = OWNER_PAGE_TABLES};
    if (frame_alloc_request(kernel_frames(), &low, &page->root) != FRAME_OK) {
        return "no frame below 4 GiB";
    }
    startup_code_write(physmap_pointer(page->frame), page->frame, page->root);
    if (!set_access(page->frame, PAGE_READ)) {
        frame_free(kernel_frames(), page->root, 0);
        return "no memory to protect the start-up code";
    }
    if (!make_tables(page->frame)) {
        set_access(page->frame, PAGE_WRITE);
        frame_free(kernel_frames(), page->root, 0);
        return "no memory for page tables";
    }
    memcpy(physmap_pointer(page->root), physmap_pointer(tables.root), FRAME_BYTES);
    return NULL;
}

const char *startup_page_make(struct startup_page *page)
{
    page->frame = memory_take_low(OWNER_KERNEL);
    if (page->frame.raw == FRAME_NONE.raw) {
        return "no frame below 1 MiB";
    }
    const char *missing = make_rest(page);
    if (missing) {
        memory_return_low(page->frame, OWNER_KERNEL);
    }
    return missing;
}

void startup_page_free(struct startup_page *page)
{
    drop_tables(page->frame);
    frame_free(kernel_frames(), page->root, 0);
    if (!set_access(page->frame, PAGE_WRITE)) {
        panic("processors: the start-up page at %#" PRIx64 " cannot be made writable again", page->frame.raw);
    }
    memory_return_low(page->frame, OWNER_KERNEL);
}
