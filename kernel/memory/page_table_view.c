/* The five ways to the kernel's page tables on the machine: see <ashlar/page_table_view.h>. */
#include <ashlar/assert.h>
#include <ashlar/boot.h>
#include <ashlar/layout.h>
#include <ashlar/memory.h>
#include <ashlar/page_table_view.h>
#include <ashlar/physmap.h>
#include <ashlar/vm_kernel.h>

#define OFFSET_WINDOW 0x0000400000000000ULL /* in the lower half, of tables that have nothing else there */

static struct page_table_temporary temporary;
/* Guards the making of the slots. */
static struct spinlock temporary_lock = SPINLOCK_INITIALIZER(LOCK_TABLE_SLOTS);

/* ---- Windows: all RAM in the lower half of tables of their own, as the physmap has it ---- */

static enum page_table_error map_ram(struct page_table *space, uint64_t offset)
{
    struct physmap_plan plan;
    struct physmap_piece piece;
    enum page_table_error error = PAGE_TABLE_OK;
    kernel_physmap_plan(&plan, boot_info()->paging.physmap_bytes);
    while (error == PAGE_TABLE_OK && physmap_plan_next(&plan, &piece)) {
        error = page_table_map(space, virt_addr(piece.base.raw + offset), piece.base, piece.bytes,
                               piece.writable ? PAGE_WRITE : PAGE_READ, CACHE_WRITE_BACK, PAGE_LEVEL_1G);
    }
    return error;
}

static void window_drop(struct page_table *space)
{
    struct tlb_batch batch;
    tlb_batch_start(&batch, space);
    enum page_table_error error = page_table_unmap(space, virt_addr(0), 1ULL << 47, &batch, NULL, NULL);
    ASSERT(error == PAGE_TABLE_OK);
    tlb_batch_finish(&batch);
    page_table_destroy(space);
}

static enum page_table_error window_make(struct page_table_view *view, uint64_t offset)
{
    struct page_table *kernel = kernel_page_table();
    enum page_table_error error = page_table_init(&view->space, kernel->frames, kernel->access,
                                                  kernel->levels, kernel->largest_level, kernel);
    if (error != PAGE_TABLE_OK) {
        return error;
    }
    error = map_ram(&view->space, offset);
    if (error != PAGE_TABLE_OK) {
        window_drop(&view->space);
        return error;
    }
    view->window = (struct page_table_access){.path = view->path, .offset = offset};
    view->access = &view->window;
    return PAGE_TABLE_OK;
}

/* ---- Temporary: slots for every CPU above the image, made when they are first needed ---- */

#define TEMPORARY_CPUS (TEMPORARY_BYTES / (PAGE_TABLE_SLOTS * FRAME_BYTES)) /* those after them have none */

static enum page_table_error temporary_open(struct page_table_view *view)
{
    page_table_entry_t *slots;
    enum page_table_error error = PAGE_TABLE_OK;
    if (cpu_number() >= TEMPORARY_CPUS) {
        return PAGE_TABLE_UNREACHABLE;
    }
    spinlock_acquire(&temporary_lock);
    if (!temporary.slots) {
        error = page_table_hold(
            kernel_page_table(), virt_addr(TEMPORARY_BASE),
            min_u64(kernel_frames()->config.cpus, TEMPORARY_CPUS) * PAGE_TABLE_SLOTS * FRAME_BYTES, &slots);
        if (error == PAGE_TABLE_OK) {
            page_table_temporary_init(&temporary, virt_addr(TEMPORARY_BASE), slots, NULL, NULL);
        }
    }
    spinlock_release(&temporary_lock);
    view->access = &temporary.access;
    return error;
}

/* ---- All ---- */

static bool is_window(enum page_table_path path)
{
    return path == PAGE_TABLE_IDENTITY || path == PAGE_TABLE_OFFSET;
}

/* A user space has no recursive entry, and another lower half than a window: so none is loaded meanwhile. */
enum page_table_error page_table_view_open(struct page_table_view *view, enum page_table_path path)
{
    *view = (struct page_table_view){.path = path, .access = kernel_page_table()->access};
    enum page_table_error error = PAGE_TABLE_OK;
    if (is_window(path)) {
        error = window_make(view, path == PAGE_TABLE_OFFSET ? OFFSET_WINDOW : 0);
    } else if (path == PAGE_TABLE_TEMPORARY) {
        error = temporary_open(view);
    } else if (path == PAGE_TABLE_RECURSIVE) {
        page_table_make_recursive(kernel_page_table(), RECURSIVE_SLOT);
        page_table_recursive_init(&view->recursive, kernel_page_table(), NULL, NULL);
        view->access = &view->recursive.access;
    }
    if (error != PAGE_TABLE_OK) {
        return error;
    }
    preempt_disable();
    view->user = per_cpu()->space;
    if (view->user) {
        vm_space_enter(view->user); /* nobody may destroy it before it is loaded again */
    }
    space_load(NULL);
    if (is_window(path)) {
        tlb_load(&view->space);
    }
    return PAGE_TABLE_OK;
}

void page_table_view_close(struct page_table_view *view)
{
    if (view->path == PAGE_TABLE_RECURSIVE) {
        page_table_end_recursive(kernel_page_table());
    }
    space_load(view->user);
    if (view->user) {
        vm_space_leave(view->user);
    }
    preempt_enable();
    if (is_window(view->path)) {
        window_drop(&view->space);
    }
}
