/*
 * ACPI tables that the kernel could not read where they lie, copied for it.
 *
 * Firmware may keep tables in reserved memory, in ROM, or where its memory map says nothing; but the kernel's
 * physmap shows RAM only, and the kernel needs the tables before it can map anything else. It may also keep
 * them in memory of the boot services, which the kernel takes over. So the loader, for which the firmware
 * maps all that it uses itself, reads the tables with the parser that the kernel has, notes each stretch that
 * the parser asks for, and copies what lies in no RAM that stays as it is into memory of type
 * MEMORY_BOOT_INFO. What the tables say is not looked at here: the kernel parses them again, and makes the
 * complaints.
 */
#include <ashlar/acpi.h>
#include <ashlar/memory_type.h>
#include <ashlar/string.h>

#include "cpu.h"
#include "loader.h"

#define COPIES_MAX (ACPI_TABLES_MAX + 2) /* the tables by name, their root, and its pointer */

/* What the parser has asked for and the kernel cannot read where it lies. */
struct outside {
    struct loader *loader;              /* its `ranges` are the normalised map */
    struct boot_copy parts[COPIES_MAX]; /* `original` and `bytes` are known */
    uint32_t count;                     /* used entries */
};

/* Whether memory of this type is RAM, which the physmap shows, and nobody takes over. */
static bool stays(enum memory_type type)
{
    return memory_type_is_ram(type) && type != MEMORY_USABLE && type != MEMORY_BOOT_RECLAIMABLE;
}

/* Whether all of a range is such memory. */
static bool is_kept(const struct loader *loader, uint64_t at, uint64_t end)
{
    for (size_t i = 0; i < loader->range_count && at < end; i++) {
        const struct memory_range *range = &loader->ranges[i];
        if (stays(range->type) && at >= range->base.raw && at - range->base.raw < range->bytes) {
            at = range->base.raw + range->bytes;
        }
    }
    return at >= end;
}

/*
 * Whether the firmware's own page tables map all of a range to itself: else reading it would be a page fault.
 */
static bool is_mapped(uint64_t at, uint64_t end)
{
    phys_addr_t root = phys_addr(align_down(cr3_read(), FRAME_BYTES));
    unsigned levels = cr4_read() & CR4_LA57 ? 5 : 4;
    for (at = align_down(at, FRAME_BYTES); at < end; at += FRAME_BYTES) {
        const struct page_walk walk = page_tables_walk(root, levels, 0, virt_addr(at));
        if (walk.end != WALK_MAPPED || walk.target.raw != at) {
            return false;
        }
    }
    return true;
}

/* Notes a stretch; of one that begins where another does, the longer. False when there are too many. */
static bool note(struct outside *outside, phys_addr_t address, uint64_t bytes)
{
    for (uint32_t i = 0; i < outside->count; i++) {
        if (outside->parts[i].original.raw == address.raw) {
            outside->parts[i].bytes = max_u64(outside->parts[i].bytes, bytes);
            return true;
        }
    }
    if (outside->count == COPIES_MAX) {
        return false;
    }
    outside->parts[outside->count++] = (struct boot_copy){.original = address, .bytes = bytes};
    return true;
}

static const void *read_table(void *context, phys_addr_t address, uint64_t bytes)
{
    struct outside *outside = context;
    uint64_t end = address.raw + bytes;
    if (!is_mapped(address.raw, end) ||
        (!is_kept(outside->loader, address.raw, end) && !note(outside, address, bytes))) {
        return NULL;
    }
    return (const void *)(uintptr_t)address.raw;
}

static void ignore_complaint(void *context, const char *text)
{
    (void)context;
    (void)text;
}

/* Where the copy of each part begins, from the start of all of them; returns the length of all. */
static uint64_t lay_out(struct outside *outside)
{
    uint64_t at = align_up(outside->count * sizeof(struct boot_copy), 16);
    for (uint32_t i = 0; i < outside->count; i++) {
        outside->parts[i].copy = phys_addr(at);
        at = align_up(at + outside->parts[i].bytes, 16);
    }
    return at;
}

static bool copy_parts(struct outside *outside)
{
    struct loader *loader = outside->loader;
    struct boot_table *table = &loader->info->firmware_copies;
    phys_addr_t base;
    if (!loader_allocate(loader, lay_out(outside), MEMORY_BOOT_INFO, 0, "copies of ACPI tables", &base)) {
        return false;
    }
    for (uint32_t i = 0; i < outside->count; i++) {
        struct boot_copy *part = &outside->parts[i];
        part->copy = phys_add(base, part->copy.raw);
        memcpy((void *)(uintptr_t)part->copy.raw, (const void *)(uintptr_t)part->original.raw, part->bytes);
    }
    *table = (struct boot_table){.base = base,
                                 .bytes = outside->count * sizeof(struct boot_copy),
                                 .count = outside->count,
                                 .entry_size = sizeof(struct boot_copy)};
    memcpy((void *)(uintptr_t)base.raw, outside->parts, table->bytes);
    return true;
}

bool acpi_tables_copy(struct loader *loader)
{
    static struct acpi_info ignored; /* too large for the firmware's stack, as is the other */
    static struct outside outside;
    outside.loader = loader;
    const struct acpi_source source = {.map = read_table, .report = ignore_complaint, .context = &outside};
    acpi_parse(&ignored, &source, loader->info->firmware.acpi_rsdp);
    return outside.count == 0 || copy_parts(&outside);
}
