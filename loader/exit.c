/* Leaving boot services (UEFI 2.10, 7.4.6), and completing boot_info from the final memory map. */
#include <ashlar/memory_type.h>
#include <ashlar/string.h>

#include "gap_faults.h"
#include "loader.h"
#include "message.h"

/* Each attempt may find the map changed by a firmware event; firmware that changes it for ever is broken. */
enum { EXIT_ATTEMPTS_MAX = 16 };

/*
 * Before the first attempt boot services still work: a map that outgrew its buffer is an ordinary failure.
 */
static bool read_final_map(struct loader *loader)
{
    if (firmware_map_read(loader)) {
        return true;
    }
    return step_fail(loader, loader->status,
                     "the firmware's memory map cannot be read before leaving boot services (%" PRIu64
                     " bytes of room): %s",
                     loader->map.capacity, efi_status_name(loader->status));
}

/* The descriptors with a runtime type or attribute, kept for the kernel's runtime services. */
static void copy_runtime_map(struct loader *loader)
{
    struct boot_table *out = &loader->info->runtime_map;
    const struct firmware_map *map = &loader->map;
    out->entry_size = (uint32_t)map->descriptor_size;
    for (UINTN at = 0; at + map->descriptor_size <= map->bytes; at += map->descriptor_size) {
        const EFI_MEMORY_DESCRIPTOR *entry = (const void *)((const uint8_t *)map->buffer + at);
        bool runtime = (entry->Attribute & EFI_MEMORY_RUNTIME) || entry->Type == EfiRuntimeServicesCode ||
                       entry->Type == EfiRuntimeServicesData;
        if (runtime) {
            memcpy((uint8_t *)(uintptr_t)out->base.raw + out->bytes, entry, map->descriptor_size);
            out->bytes += map->descriptor_size;
            out->count++;
        }
    }
}

static void describe_maps(struct loader *loader)
{
    struct boot_info *info = loader->info;
    info->firmware_map.bytes = loader->map.bytes;
    info->firmware_map.entry_size = (uint32_t)loader->map.descriptor_size;
    info->firmware_map.count = (uint32_t)(loader->map.bytes / loader->map.descriptor_size);
    info->memory_map.bytes = loader->range_count * sizeof(struct memory_range);
    info->memory_map.entry_size = sizeof(struct memory_range);
    info->memory_map.count = (uint32_t)loader->range_count;
}

/*
 * boot_info has room for maps as long as they might have become. Now that their lengths are known they are
 * moved together, and what is left behind them is no longer claimed: the kernel gets it like the loader's
 * other memory. So the map is normalised once more; one range can have become two.
 */
static bool pack(struct loader *loader)
{
    struct boot_info *info = loader->info;
    struct firmware_map *map = &loader->map;
    uint64_t at = align_up(info->command_line.base.raw + info->command_line.bytes, 16);
    memmove((void *)(uintptr_t)at, map->buffer, map->bytes); /* from behind the command line, and more */
    map->buffer = (void *)(uintptr_t)at;
    info->firmware_map.base = phys_addr(at);
    at = align_up(at + map->bytes, 16);
    info->runtime_map.base = phys_addr(at);
    copy_runtime_map(loader);
    at = align_up(at + info->runtime_map.bytes, 16);
    info->memory_map.base = phys_addr(at);
    loader->ranges = (struct memory_range *)(uintptr_t)at;
    loader->range_capacity = min_u64(loader->range_count + 1, loader->range_capacity);
    at += loader->range_capacity * sizeof(struct memory_range);
    struct memory_claim *claim = &loader->claims[0];
    while (claim->base.raw != loader->info_base.raw) {
        claim++;
    }
    claim->bytes = min_u64(align_up(at - claim->base.raw, FRAME_BYTES), claim->bytes);
    return memory_normalise(loader);
}

/* How many entries of the step's table, from its own entry on, are leaves as it is, or absent as it is: for
 * these no walk is needed. The tables are read by their physical addresses. */
static uint64_t entries_alike(const struct page_walk_step *step)
{
    const page_table_entry_t *table = (const page_table_entry_t *)(uintptr_t)step->table.raw;
    enum page_entry_kind kind = page_entry_kind(step->entry, step->level);
    unsigned index = step->index + 1;
    while (index < PAGE_TABLE_ENTRIES && page_entry_kind(table[index], step->level) == kind) {
        index++;
    }
    return index - step->index;
}

/* Whether the physmap has the byte at `physical`; the answer is the same up to `*end`, which is `limit` or
 * less. */
static bool is_mapped(const struct boot_paging *paging, uint64_t physical, uint64_t limit, uint64_t *end)
{
    if (physical >= paging->physmap_bytes) {
        *end = limit;
        return false;
    }
    virt_addr_t alias = virt_add(paging->physmap, physical);
    const struct page_walk walk = page_tables_walk(paging->root, paging->levels, 0, alias);
    const struct page_walk_step *last = &walk.steps[walk.step_count - 1];
    uint64_t span = page_level_bytes(last->level);
    uint64_t alike = entries_alike(last);
    *end = min_u64(align_down(alias.raw, span) + alike * span - paging->physmap.raw, limit);
    return page_entry_present(last->entry);
}

/* Claims [first, end) as reserved, if there is anything in it. */
static bool claim_run(struct loader *loader, uint64_t first, uint64_t end)
{
    if (first == end || loader_claim(loader, phys_addr(first), end - first, MEMORY_RESERVED)) {
        return true;
    }
    return step_fail(loader, EFI_OUT_OF_RESOURCES,
                     "RAM that is not mapped lies in too many places; the last begins at %#" PRIx64, first);
}

/* Claims the parts of one range of RAM that are not in the physmap. */
static bool claim_unmapped_parts(struct loader *loader, const struct memory_range *range)
{
    const struct boot_paging *paging = &loader->info->paging;
    uint64_t limit = range->base.raw + range->bytes;
    uint64_t unmapped = range->base.raw; /* start of the run that `at` ends */
    uint64_t end;
    for (uint64_t at = range->base.raw; at < limit; at = end) {
        if (is_mapped(paging, at, limit, &end)) {
            if (!claim_run(loader, unmapped, at)) {
                return false;
            }
            unmapped = end;
        }
    }
    return claim_run(loader, unmapped, limit);
}

/*
 * RAM that firmware added after the page tables were built, or that lies above all the physmap can hold, is
 * not mapped. The kernel must not touch it, so it is claimed as reserved.
 */
static bool reserve_unmapped_ram(struct loader *loader)
{
    for (size_t i = 0; i < loader->range_count; i++) {
        if (memory_type_is_ram(loader->ranges[i].type) && !claim_unmapped_parts(loader, &loader->ranges[i])) {
            return false;
        }
    }
    return true;
}

bool exit_boot_services(struct loader *loader)
{
    if (!read_final_map(loader)) {
        return false;
    }
    /* The same buffer again and again: from the first attempt on only these two calls are allowed. */
    for (unsigned attempt = 1;; attempt++) {
        EFI_STATUS status = loader->boot->ExitBootServices(loader->image_handle, loader->map.key);
        if (!EFI_ERROR(status)) {
            gap_faults_install(loader);
            message_leave_firmware();
            loader->info->exit_attempts = attempt;
            return true;
        }
        if (status != EFI_INVALID_PARAMETER || attempt == EXIT_ATTEMPTS_MAX) {
            return step_fail(loader, status, "the firmware refuses to end boot services (attempt %u): %s",
                             attempt, efi_status_name(status));
        }
        if (!firmware_map_read(loader)) {
            return step_fail(loader, loader->status,
                             "the firmware's memory map cannot be read again after attempt %u to end boot "
                             "services (%" PRIu64 " bytes of room): %s",
                             attempt, loader->map.capacity, efi_status_name(loader->status));
        }
    }
}

bool boot_info_complete(struct loader *loader)
{
    kernel_image_release(loader);
    if (!memory_normalise(loader)) {
        return false;
    }
    size_t claims = loader->claim_count;
    smbios_keep(loader);
    if (!reserve_unmapped_ram(loader) || (loader->claim_count != claims && !memory_normalise(loader))) {
        return false;
    }
    if (!pack(loader)) {
        return false;
    }
    describe_maps(loader);
    return true;
}
