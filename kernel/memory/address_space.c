/*
 * The kernel's own address space.
 *
 * The loader's page tables serve until the kernel has a frame pool: they do not count their entries, so no
 * table in them can be freed. Here the kernel builds its own from boot_info (docs/architecture.md has the
 * layout), loads them, and takes the loader's frames back. Nothing else is mapped than what stands here.
 *
 *   physmap        all RAM; read-only where it is executable elsewhere (<ashlar/physmap.h>)
 *   image          segment by segment, without the guard pages between the trap stacks; what is sealed
 *                  (<ashlar/sealed.h>) is read-only from here on
 *   boot stack     framebuffer
 *   descriptors    the frame pool's own tables, which change under its lock alone
 *
 * A second set of tables, for UEFI runtime calls, shares the kernel's half and has the firmware's runtime
 * regions at their physical addresses, where the firmware expects them. The arena is mapped later, by vmalloc
 * and mmio.
 */
#include <ashlar/arch/tlb.h>
#include <ashlar/boot.h>
#include <ashlar/layout.h>
#include <ashlar/memory.h>
#include <ashlar/page_table.h>
#include <ashlar/physmap.h>
#include <ashlar/sealed.h>
#include <x86/control_registers.h>
#include <x86/cpu_stacks.h>
#include <x86/cpuid.h>

#define LOG_SUBSYSTEM "memory"
#include <ashlar/log.h>
#include <ashlar/start.h>

#include "address_space.h"
#include "frames.h"

#define LOWER_HALF_BYTES ((uint64_t)1 << 47) /* what the loader maps for the firmware lies below */

static SEALED struct page_table_access physmap_access = {.path = PAGE_TABLE_PHYSMAP};
static struct page_table kernel_tables;
static struct page_table runtime_tables; /* for UEFI runtime calls; root 0 when there are none */

struct page_table *kernel_page_table(void)
{
    START_REQUIRE(START_PAGING);
    return &kernel_tables;
}

struct page_table *address_space_runtime(void)
{
    START_REQUIRE(START_PAGING);
    return runtime_tables.root.raw != 0 ? &runtime_tables : NULL;
}

struct page_table loader_tables(phys_addr_t root)
{
    physmap_access.offset = boot_info()->paging.physmap.raw;
    return (struct page_table){.root = root,
                               .lock = SPINLOCK_INITIALIZER(LOCK_PAGE_TABLE),
                               .levels = boot_info()->paging.levels,
                               .largest_level = PAGE_LEVEL_1G,
                               .access = &physmap_access};
}

/* Makes one mapping of the kernel's address space; panics when it cannot. `what` names it. */
static void map(virt_addr_t base, phys_addr_t target, uint64_t bytes, unsigned access, enum page_cache cache,
                const char *what)
{
    enum page_table_error error =
        page_table_map(&kernel_tables, base, target, bytes, access | PAGE_GLOBAL, cache, PAGE_LEVEL_1G);
    if (error != PAGE_TABLE_OK) {
        panic("memory: cannot map %s, %#" PRIx64 " to %#" PRIx64 ", %" PRIu64 " bytes: %s", what, base.raw,
              target.raw, bytes, page_table_error_name(error));
    }
}

void kernel_physmap_plan(struct physmap_plan *plan, uint64_t limit)
{
    size_t count;
    const struct memory_range *ranges = boot_memory_map(&count);
    const struct boot_kernel *kernel = &boot_info()->kernel;
    physmap_plan_start(plan, ranges, count, limit);
    for (uint32_t i = 0; i < kernel->segment_count; i++) {
        const struct boot_segment *segment = &kernel->segments[i];
        if (!segment_is_writable(segment)) {
            physmap_plan_protect(plan, segment->physical_base, segment->bytes); /* all segments fit */
        }
    }
}

static void map_physmap(const struct boot_info *info)
{
    struct physmap_plan plan;
    struct physmap_piece piece;
    kernel_physmap_plan(&plan, info->paging.physmap_bytes);
    while (physmap_plan_next(&plan, &piece)) {
        map(virt_add(info->paging.physmap, piece.base.raw), piece.base, piece.bytes,
            piece.writable ? PAGE_WRITE : PAGE_READ, CACHE_WRITE_BACK, "the physmap");
    }
}

static void map_image(const struct boot_info *info)
{
    for (uint32_t i = 0; i < info->kernel.segment_count; i++) {
        const struct boot_segment *segment = &info->kernel.segments[i];
        unsigned access = (segment_is_writable(segment) ? PAGE_WRITE : 0u) |
                          (segment->flags & BOOT_SEGMENT_EXECUTE ? PAGE_EXECUTE : 0u);
        map(segment->virtual_base, segment->physical_base, segment->bytes, access, CACHE_WRITE_BACK,
            "the kernel image");
    }
}

/* The pages below the trap stacks are part of the image's data and must fault. */
static void unmap_guards(void)
{
    struct tlb_batch batch;
    virt_addr_t guard;
    tlb_batch_start(&batch, &kernel_tables);
    for (unsigned i = 0; cpu_stacks_guard_page(i, &guard); i++) {
        enum page_table_error error =
            page_table_unmap(&kernel_tables, guard, FRAME_BYTES, &batch, NULL, NULL);
        if (error != PAGE_TABLE_OK) {
            panic("memory: cannot unmap the guard page at %#" PRIx64 ": %s", guard.raw,
                  page_table_error_name(error));
        }
    }
    tlb_batch_finish(&batch);
}

/* boot_info does not give the boot stack's physical addresses, but the loader's tables have them. */
static void map_stack(const struct boot_info *info)
{
    struct page_table loader = loader_tables(info->paging.root);
    for (uint64_t at = 0; at < info->kernel.stack_bytes; at += FRAME_BYTES) {
        virt_addr_t page = virt_add(info->kernel.stack_bottom, at);
        struct page_translation found = page_table_translate(&loader, page);
        map(page, found.target, FRAME_BYTES, PAGE_WRITE, CACHE_WRITE_BACK, "the boot stack");
    }
}

static void map_video(const struct boot_info *info)
{
    const struct boot_framebuffer *video = &info->framebuffer;
    if (video->bytes != 0) {
        uint64_t first = align_down(video->physical_base.raw, FRAME_BYTES);
        uint64_t end = align_up(video->physical_base.raw + video->bytes, FRAME_BYTES);
        map(virt_addr(BOOT_VIDEO_BASE), phys_addr(first), end - first, PAGE_WRITE, CACHE_WRITE_COMBINING,
            "the framebuffer");
    }
}

/* The tables that the frame pool made for its descriptors are taken over: only the root's entry is new. */
static void lend_descriptors(const struct boot_info *info)
{
    virt_addr_t base = virt_addr(DESCRIPTORS_BASE);
    struct page_table loader = loader_tables(info->paging.root);
    struct page_walk_step steps[PAGE_WALK_STEPS_MAX];
    unsigned count = page_table_walk(&loader, &physmap_access, base, steps);
    for (unsigned i = 0; i < count; i++) {
        if (steps[i].level == PAGE_LEVEL_PML4 &&
            page_entry_kind(steps[i].entry, steps[i].level) == ENTRY_TABLE) {
            page_table_lend(&kernel_tables, base, page_entry_table_address(steps[i].entry));
            return;
        }
    }
    panic("memory: the frame pool has backed no descriptor yet");
}

/* The kernel works without runtime services: trouble here is a warning. */
static void copy_runtime(const struct boot_info *info)
{
    if (info->paging.runtime_root.raw == 0) {
        return;
    }
    struct page_table loader = loader_tables(info->paging.runtime_root);
    enum page_table_error error =
        page_table_init(&runtime_tables, kernel_frames(), &physmap_access, info->paging.levels,
                        kernel_tables.largest_level, &kernel_tables);
    if (error == PAGE_TABLE_OK) {
        error = page_table_copy(&runtime_tables, &loader, virt_addr(0), virt_addr(LOWER_HALF_BYTES - 1));
        if (error != PAGE_TABLE_OK) {
            page_table_destroy(&runtime_tables);
        }
    }
    if (error != PAGE_TABLE_OK) {
        runtime_tables.root = phys_addr(0);
        log_warning("no page tables for UEFI runtime services: %s", page_table_error_name(error));
    }
}

static void return_loader_tables(void)
{
    enum frame_error error = frame_pool_reclaim(kernel_frames(), MEMORY_PAGE_TABLES);
    if (error != FRAME_OK) {
        panic("memory: reclaiming the loader's page tables: %s", frame_error_name(error));
    }
}

void address_space_start(const struct boot_info *info)
{
    physmap_access.offset = info->paging.physmap.raw;
    enum page_level largest = info->paging.largest_page_size == GIB(1) ? PAGE_LEVEL_1G : PAGE_LEVEL_2M;
    enum page_table_error error =
        page_table_init(&kernel_tables, kernel_frames(), &physmap_access, info->paging.levels, largest, NULL);
    if (error != PAGE_TABLE_OK) {
        panic("memory: no page tables for the kernel: %s", page_table_error_name(error));
    }
    kernel_tables.physical_end = (uint64_t)1 << cpu_physical_address_bits();
    map_physmap(info);
    map_image(info);
    unmap_guards();
    map_stack(info);
    map_video(info);
    lend_descriptors(info);
    copy_runtime(info);
    cr3_write(kernel_tables.root.raw);
    memory_use_tables(kernel_tables.root);
    tlb_drop_everything(); /* the loader's entries are global and outlive the load of CR3 */
    return_loader_tables();
}
