/* The five ways to the kernel's page tables on the machine: see <ashlar/page_table_view.h>. */
#include <ashlar/assert.h>
#include <ashlar/boot.h>
#include <ashlar/heap.h>
#include <ashlar/layout.h>
#include <ashlar/memory.h>
#include <ashlar/page_table_view.h>
#include <ashlar/physmap.h>
#include <ashlar/vm_kernel.h>

#define OFFSET_WINDOW 0x0000400000000000ULL /* in the lower half, of tables that have nothing else there */

/* Guards the making of the slots. */
static struct spinlock temporary_lock = SPINLOCK_INITIALIZER(LOCK_TABLE_SLOTS);
/* By group of CPUs; without slots until a CPU of the group needs them, then as they are for good. */
static struct page_table_temporary *temporaries GUARDED_BY(temporary_lock);

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

#define GROUP_BYTES MIB(2) /* one table maps the slots of a group ... */
#define GROUP_CPUS  (GROUP_BYTES / (PAGE_TABLE_SLOTS * FRAME_BYTES)) /* ... of so many CPUs */

static struct page_table_temporary *all_groups(unsigned cpus) REQUIRES(temporary_lock)
{
    if (!temporaries) {
        size_t groups = (cpus + GROUP_CPUS - 1) / GROUP_CPUS;
        temporaries = heap_alloc_zeroed(&kernel_heap, groups * sizeof *temporaries);
    }
    return temporaries;
}

/* The way of a group of CPUs; NULL when there is no memory. */
static struct page_table_temporary *group_way(unsigned group) REQUIRES(temporary_lock)
{
    unsigned cpus = kernel_frames()->config.cpus;
    struct page_table_temporary *groups = all_groups(cpus);
    if (!groups || groups[group].slots) {
        return groups ? &groups[group] : NULL;
    }
    unsigned first = group * GROUP_CPUS;
    virt_addr_t base = virt_addr(TEMPORARY_BASE + group * GROUP_BYTES);
    uint64_t bytes = min_u64(cpus - first, GROUP_CPUS) * PAGE_TABLE_SLOTS * FRAME_BYTES;
    page_table_entry_t *slots;
    if (page_table_hold(kernel_page_table(), base, bytes, &slots) != PAGE_TABLE_OK) {
        return NULL;
    }
    page_table_temporary_init(&groups[group], first, base, slots, NULL, NULL);
    return &groups[group];
}

static enum page_table_error temporary_open(struct page_table_view *view)
{
    if (cpu_number() >= TEMPORARY_BYTES / GROUP_BYTES * GROUP_CPUS) {
        return PAGE_TABLE_UNREACHABLE;
    }
    spinlock_acquire(&temporary_lock);
    const struct page_table_temporary *way = group_way(cpu_number() / GROUP_CPUS);
    spinlock_release(&temporary_lock);
    if (!way) {
        return PAGE_TABLE_NO_MEMORY;
    }
    view->access = &way->access;
    return PAGE_TABLE_OK;
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
