/*
 * The page tables the kernel starts with (docs/boot.md):
 *   identity   the loader itself, section by section, until the kernel drops it
 *   physmap    all RAM, never executable; the kernel's text and constants read-only there too
 *   image      the kernel, segment by segment
 *   stack      with an unmapped page below
 *   video      the framebuffer, write-combining
 *
 * and a second root for UEFI runtime calls. All is built before boot services end, so that a failure can be
 * reported.
 */
#include <ashlar/command_line.h>
#include <ashlar/layout.h>
#include <ashlar/memory_type.h>
#include <ashlar/physmap.h>
#include <ashlar/string.h>

#include "cpu.h"
#include "loader.h"
#include "message.h"
#include "pe_image.h"

enum {
    FIRST_CHUNK_FRAMES = 16,
    ATTRIBUTES_MAX = 4096,       /* entries of the memory attributes table; firmware has some dozens */
    ATTRIBUTES_BYTES_MAX = 4096, /* of each */
};

/*
 * Asks the firmware for more frames: twice as many as the last time, and down to one when it has not so many
 * in one piece.
 */
static bool take_chunk(struct loader *loader)
{
    /*
     * The switch to 5 levels loads CR3 in 32-bit mode: then the root, which is taken from the first chunk,
     * must lie below 4 GiB.
     */
    uint64_t limit = loader->trampoline && loader->chunk_frames == 0 ? GIB(4) : 0;
    uint64_t frames = loader->chunk_frames ? loader->chunk_frames * 2 : FIRST_CHUNK_FRAMES;
    while (!loader_allocate(loader, frames * FRAME_BYTES, MEMORY_PAGE_TABLES, limit, "page tables",
                            &loader->frames_next)) {
        if (frames == 1) {
            return false;
        }
        frames /= 2;
    }
    loader->chunk_frames = frames;
    loader->frames_left = frames;
    return true;
}

/* A frame for a page table. */
static bool take_frame(void *context, phys_addr_t *frame)
{
    struct loader *loader = context;
    if (loader->frames_left == 0 && !take_chunk(loader)) {
        return false;
    }
    *frame = loader->frames_next;
    loader->frames_next = phys_add(loader->frames_next, FRAME_BYTES);
    loader->frames_left--;
    return true;
}

/* One mapping of the plan; `what` names it in an error. */
static bool map(struct loader *loader, struct page_table_builder *tables, virt_addr_t virtual,
                phys_addr_t physical, uint64_t bytes, unsigned access, enum page_cache cache,
                const char *what)
{
    switch (page_tables_map(tables, virtual, physical, bytes, access, cache)) {
    case PAGE_TABLES_OK:
        return true;
    case PAGE_TABLES_NO_MEMORY:
        return false; /* loader_allocate() has set the error */
    case PAGE_TABLES_BAD_RANGE:
    case PAGE_TABLES_CONFLICT:
    default:
        return step_fail(loader, EFI_LOAD_ERROR,
                         "cannot map %s: %#" PRIx64 " to %#" PRIx64 ", %" PRIu64 " bytes", what, virtual.raw,
                         physical.raw, bytes);
    }
}

static bool map_loader_identity(struct loader *loader)
{
    const void *image = loader->loaded_image->ImageBase;
    uint64_t base = (uintptr_t)image;
    if (!map(loader, &loader->tables, virt_addr(base), phys_addr(base), pe_header_bytes(image), PAGE_READ,
             CACHE_WRITE_BACK, "the loader's headers")) {
        return false;
    }
    for (unsigned i = 0; i < pe_section_count(image); i++) {
        struct pe_section section = pe_section_at(image, i);
        unsigned access = (section.writable ? PAGE_WRITE : 0u) | (section.executable ? PAGE_EXECUTE : 0u);
        uint64_t address = base + section.first;
        if (!map(loader, &loader->tables, virt_addr(address), phys_addr(address), section.bytes, access,
                 CACHE_WRITE_BACK, section.name)) {
            return false;
        }
    }
    return true;
}

static bool map_trampoline(struct loader *loader)
{
    uint64_t address = (uintptr_t)loader->trampoline;
    return address == 0 || map(loader, &loader->tables, virt_addr(address), phys_addr(address), FRAME_BYTES,
                               PAGE_EXECUTE, CACHE_WRITE_BACK, "the trampoline");
}

/* Memory that is executable at some address must not be writable at another: the kernel's code and constants,
 * the loader's code, the trampoline. */
static bool protect_code(struct loader *loader, struct physmap_plan *plan)
{
    const struct boot_kernel *kernel = &loader->info->kernel;
    const void *image = loader->loaded_image->ImageBase;
    bool noted = true;
    for (unsigned i = 0; noted && i < kernel->segment_count; i++) {
        const struct boot_segment *segment = &kernel->segments[i];
        noted = (segment->flags & BOOT_SEGMENT_WRITE) ||
                physmap_plan_protect(plan, segment->physical_base, segment->bytes);
    }
    for (unsigned i = 0; noted && i < pe_section_count(image); i++) {
        struct pe_section section = pe_section_at(image, i);
        phys_addr_t base = phys_addr((uintptr_t)image + section.first);
        noted = !section.executable || physmap_plan_protect(plan, base, section.bytes);
    }
    phys_addr_t trampoline = phys_addr((uintptr_t)loader->trampoline);
    noted = noted && (trampoline.raw == 0 || physmap_plan_protect(plan, trampoline, FRAME_BYTES));
    return noted || step_fail(loader, EFI_LOAD_ERROR, "more than %u stretches of code in loader and kernel",
                              PHYSMAP_READ_ONLY_MAX);
}

static bool map_physmap(struct loader *loader)
{
    struct boot_paging *paging = &loader->info->paging;
    struct physmap_plan plan;
    struct physmap_piece piece;
    physmap_plan_start(&plan, loader->ranges, loader->range_count, physmap_limit());
    bool mapped = protect_code(loader, &plan);
    while (mapped && physmap_plan_next(&plan, &piece)) {
        unsigned access = PAGE_GLOBAL | (piece.writable ? PAGE_WRITE : PAGE_READ);
        mapped = map(loader, &loader->tables, virt_add(paging->physmap, piece.base.raw), piece.base,
                     piece.bytes, access, CACHE_WRITE_BACK, "the physmap");
        paging->physmap_bytes = piece.base.raw + piece.bytes;
    }
    return mapped;
}

/*
 * Firmware that runs out of memory may add more to its map, and give us that for page tables: then it lies
 * outside all RAM that we have mapped. The kernel reads the loader's tables through the physmap, so these
 * frames are mapped there one by one. That may take new tables, whose frames become claims of this list too.
 */
static bool map_late_claims(struct loader *loader)
{
    struct boot_paging *paging = &loader->info->paging;
    for (size_t i = 0; i < loader->claim_count; i++) {
        for (uint64_t at = 0; at < loader->claims[i].bytes; at += FRAME_BYTES) {
            phys_addr_t frame = phys_add(loader->claims[i].base, at);
            if (memory_ranges_are_ram(loader->ranges, loader->range_count, frame, FRAME_BYTES)) {
                continue;
            }
            if (!map(loader, &loader->tables, virt_add(paging->physmap, frame.raw), frame, FRAME_BYTES,
                     PAGE_WRITE | PAGE_GLOBAL, CACHE_WRITE_BACK, "memory found late")) {
                return false;
            }
            paging->physmap_bytes = max_u64(paging->physmap_bytes, frame.raw + FRAME_BYTES);
        }
    }
    return true;
}

/* Where the highest RAM ends. */
static uint64_t ram_top(const struct loader *loader)
{
    uint64_t top = 0;
    for (size_t i = 0; i < loader->range_count; i++) {
        if (memory_type_is_ram(loader->ranges[i].type)) {
            top = loader->ranges[i].base.raw + loader->ranges[i].bytes;
        }
    }
    return top;
}

/* Where the physmap begins: a random multiple of 1 GiB that leaves room for the highest RAM. */
static void place_physmap(struct loader *loader)
{
    uint64_t top = ram_top(loader);
    if (top > physmap_limit()) {
        message_warning("RAM ends at %#" PRIx64 ", but the physmap at %#" PRIx64
                        ": what lies above is not used",
                        top, physmap_limit());
        top = physmap_limit();
    }
    uint64_t slots = (PHYSMAP_END - PHYSMAP_BASE - top) / GIB(1) + 1;
    uint64_t slot = command_line_has(loader->command_line, "nokaslr") ? 0 : seed_random(loader, slots);
    loader->info->paging.physmap = virt_addr(PHYSMAP_BASE + slot * GIB(1));
}

static bool map_kernel(struct loader *loader)
{
    const struct boot_kernel *kernel = &loader->info->kernel;
    for (unsigned i = 0; i < kernel->segment_count; i++) {
        const struct boot_segment *segment = &kernel->segments[i];
        unsigned access = PAGE_GLOBAL | (segment->flags & BOOT_SEGMENT_WRITE ? PAGE_WRITE : 0u) |
                          (segment->flags & BOOT_SEGMENT_EXECUTE ? PAGE_EXECUTE : 0u);
        if (!map(loader, &loader->tables, segment->virtual_base, segment->physical_base, segment->bytes,
                 access, CACHE_WRITE_BACK, "the kernel image")) {
            return false;
        }
    }
    return map(loader, &loader->tables, kernel->stack_bottom, phys_addr((uintptr_t)loader->stack_memory),
               kernel->stack_bytes, PAGE_WRITE | PAGE_GLOBAL, CACHE_WRITE_BACK, "the boot stack");
}

static bool map_video(struct loader *loader)
{
    const struct boot_framebuffer *video = &loader->info->framebuffer;
    uint64_t first = align_down(video->physical_base.raw, FRAME_BYTES);
    uint64_t end = align_up(video->physical_base.raw + video->bytes, FRAME_BYTES);
    if (video->bytes == 0) {
        return true;
    }
    return map(loader, &loader->tables, virt_addr(BOOT_VIDEO_BASE), phys_addr(first), end - first,
               PAGE_WRITE | PAGE_GLOBAL, CACHE_WRITE_COMBINING, "the framebuffer");
}

/*
 * Whether all of [base, end) belongs to the firmware for good: then the physmap has no writable alias of it.
 */
static bool is_firmware_memory(const struct loader *loader, uint64_t base, uint64_t end)
{
    for (size_t i = 0; i < loader->range_count && base < end; i++) {
        const struct memory_range *range = &loader->ranges[i];
        uint64_t end_of_range = range->base.raw + range->bytes;
        if (base >= range->base.raw && base < end_of_range && range->type >= MEMORY_RUNTIME) {
            base = end_of_range;
        }
    }
    return base >= end;
}

/*
 * The attributes table can be older than the memory map, which may give the region another type. For data
 * that is accepted. For code it is not: the physmap could have a writable alias of it.
 */
static bool map_runtime_region(struct loader *loader, const EFI_MEMORY_DESCRIPTOR *region, unsigned access,
                               enum page_cache cache)
{
    uint64_t base = region->PhysicalStart;
    uint64_t pages = region->NumberOfPages;
    if (base >= PHYSICAL_END || pages > (PHYSICAL_END - base) / FRAME_BYTES ||
        ((access & PAGE_EXECUTE) && !is_firmware_memory(loader, base, base + pages * FRAME_BYTES))) {
        return step_fail(loader, EFI_UNSUPPORTED,
                         "the firmware's memory map has no UEFI runtime region %#" PRIx64 ", %" PRIu64
                         " pages",
                         base, pages);
    }
    return map(loader, &loader->runtime, virt_addr(base), phys_addr(base), pages * FRAME_BYTES, access, cache,
               "a UEFI runtime region");
}

/* One part of a runtime region. What the table lets be both written and executed is mapped writable only. */
static bool map_runtime_part(struct loader *loader, const EFI_MEMORY_DESCRIPTOR *part)
{
    bool writable = !(part->Attribute & EFI_MEMORY_RO);
    bool executable = !(part->Attribute & EFI_MEMORY_XP);
    if (!(part->Attribute & EFI_MEMORY_RUNTIME) || part->NumberOfPages == 0) {
        return true;
    }
    unsigned access = (writable ? PAGE_WRITE : 0u) | (executable && !writable ? PAGE_EXECUTE : 0u);
    return map_runtime_region(loader, part, access, CACHE_WRITE_BACK);
}

static bool map_runtime_parts(struct loader *loader, const struct memory_attributes_table *table)
{
    for (UINT32 i = 0; i < table->entries; i++) {
        if (!map_runtime_part(loader, (const EFI_MEMORY_DESCRIPTOR *)(table->descriptors +
                                                                      (size_t)i * table->descriptor_size))) {
            return false;
        }
    }
    return true;
}

/* Device registers the runtime services use are in the memory map, not in the attributes table. */
static bool map_runtime_devices(struct loader *loader)
{
    const uint8_t *at = loader->map.buffer;
    const uint8_t *end = at + loader->map.bytes;
    for (; at + sizeof(EFI_MEMORY_DESCRIPTOR) <= end; at += loader->map.descriptor_size) {
        const EFI_MEMORY_DESCRIPTOR *entry = (const EFI_MEMORY_DESCRIPTOR *)at;
        bool device = entry->Type == EfiMemoryMappedIO || entry->Type == EfiMemoryMappedIOPortSpace;
        if (device && (entry->Attribute & EFI_MEMORY_RUNTIME) && entry->NumberOfPages != 0 &&
            !map_runtime_region(loader, entry, PAGE_WRITE, CACHE_UNCACHED)) {
            return false;
        }
    }
    return true;
}

static void share_kernel_half(const struct loader *loader)
{
    const page_table_entry_t *from = (const page_table_entry_t *)(uintptr_t)loader->tables.root.raw;
    page_table_entry_t *to = (page_table_entry_t *)(uintptr_t)loader->runtime.root.raw;
    memcpy(to + PAGE_TABLE_ENTRIES / 2, from + PAGE_TABLE_ENTRIES / 2, PAGE_TABLE_ENTRIES / 2 * sizeof *to);
}

/*
 * The root for UEFI runtime calls: runtime regions at their physical addresses, where the firmware expects
 * them, and the kernel's half. Without the memory attributes table code and data of the firmware cannot be
 * told apart, and no page is made both writable and executable, so then there is no such root. The kernel
 * works without runtime services, so trouble here is a warning.
 */
static void build_runtime(struct loader *loader)
{
    EFI_GUID guid = MEMORY_ATTRIBUTES_TABLE_GUID;
    const struct memory_attributes_table *table = firmware_table(loader, &guid);
    if (!table) {
        message_warning(
            "the firmware has no memory attributes table; UEFI runtime services will not be used");
        return;
    }
    if (table->descriptor_size < sizeof(EFI_MEMORY_DESCRIPTOR) ||
        table->descriptor_size > ATTRIBUTES_BYTES_MAX || table->entries > ATTRIBUTES_MAX) {
        message_warning("the firmware's memory attributes table has %u entries of %u bytes; UEFI runtime "
                        "services will not be used",
                        table->entries, table->descriptor_size);
        return;
    }
    loader->runtime = loader->tables;
    if (page_tables_init(&loader->runtime) == PAGE_TABLES_OK && map_runtime_parts(loader, table) &&
        map_runtime_devices(loader)) {
        share_kernel_half(loader);
        loader->info->paging.runtime_root = loader->runtime.root;
    } else {
        message_warning("%s; UEFI runtime services will not be used", loader->error.text);
    }
}

/* Chooses 4 or 5 levels: 5 where firmware has them on, or the CPU can and the command line says la57=on. */
static bool choose_levels(struct loader *loader)
{
    char wish[8] = "";
    bool asked = command_line_get(loader->command_line, "la57", wish, sizeof wish) && strcmp(wish, "on") == 0;
    loader->five_levels_now = cr4_read() & CR4_LA57;
    loader->five_levels = loader->five_levels_now || (asked && cpu_has_la57());
    if (asked && !loader->five_levels) {
        message_warning("la57=on: the CPU has no 5-level paging; 4 levels are used");
    }
    if (!loader->five_levels || loader->five_levels_now) {
        return true;
    }
    return loader_allocate_code(loader, "the switch to 5-level paging", &loader->trampoline);
}

static bool builder_init(struct loader *loader)
{
    struct boot_paging *paging = &loader->info->paging;
    loader->tables = (struct page_table_builder){
        .levels = loader->five_levels ? 5 : 4,
        .largest_level = cpu_has_gigabyte_pages() ? PAGE_LEVEL_1G : PAGE_LEVEL_2M,
        .take_frame = take_frame,
        .context = loader,
    };
    paging->levels = loader->tables.levels;
    paging->largest_page_size = (uint32_t)page_level_bytes(loader->tables.largest_level);
    return page_tables_init(&loader->tables) == PAGE_TABLES_OK;
}

bool address_space_build(struct loader *loader)
{
    if (!choose_levels(loader) || !builder_init(loader)) {
        return false;
    }
    place_physmap(loader);
    if (!map_loader_identity(loader) || !map_trampoline(loader) || !map_physmap(loader) ||
        !map_kernel(loader) || !map_video(loader)) {
        return false;
    }
    build_runtime(loader);
    if (!map_late_claims(loader)) {
        return false;
    }
    loader_trim(loader, loader->frames_next);
    loader->info->paging.root = loader->tables.root;
    return true;
}
