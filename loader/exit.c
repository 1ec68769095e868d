/* Leaving boot services (UEFI 2.10, 7.4.6), and completing boot_info from the map that then is final. */
#include <ashlar/string.h>

#include "loader.h"
#include "message.h"

/* Each attempt may find the map changed by a firmware event; firmware that changes it for ever is broken. */
enum { EXIT_ATTEMPTS_MAX = 16 };

/* Before the first attempt everything is still allowed: a map that outgrew its buffer is an ordinary failure.
 */
static bool read_final_map(struct loader *loader)
{
    if (firmware_map_read(loader)) {
        return true;
    }
    return step_fail(
        loader, loader->status,
        "the firmware's memory map cannot be read before leaving boot services (%llu bytes of room): %s",
        (unsigned long long)loader->map.capacity, efi_status_name(loader->status));
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
    copy_runtime_map(loader);
}

static bool is_in_physmap(const struct boot_paging *paging, const struct memory_range *range)
{
    struct page_walk_step steps[5];
    virt_addr_t alias = virt_add(paging->physmap, range->base.raw);
    unsigned count = page_tables_walk(paging->root, paging->levels, 0, alias, steps);
    return page_entry_present(steps[count - 1].entry);
}

/* Joins ranges that touch and have one type, as the map's contract asks. */
static void merge_ranges(struct loader *loader)
{
    struct memory_range *ranges = loader->ranges;
    size_t kept = 0;
    for (size_t i = 1; i < loader->range_count; i++) {
        struct memory_range *last = &ranges[kept];
        if (ranges[i].type == last->type && last->base.raw + last->bytes == ranges[i].base.raw) {
            last->bytes += ranges[i].bytes;
        } else {
            ranges[++kept] = ranges[i];
        }
    }
    loader->range_count = loader->range_count ? kept + 1 : 0;
}

/*
 * RAM that firmware added after the page tables were built is not in the physmap. The kernel must not touch
 * it, so it is reserved in its map; none is lost on firmware that keeps its promises.
 */
static void reserve_unmapped_ram(struct loader *loader)
{
    for (size_t i = 0; i < loader->range_count; i++) {
        struct memory_range *range = &loader->ranges[i];
        if (range->type < MEMORY_MMIO && !is_in_physmap(&loader->info->paging, range)) {
            range->type = MEMORY_RESERVED;
        }
    }
    merge_ranges(loader);
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
                             "services (%llu bytes of room): %s",
                             attempt, (unsigned long long)loader->map.capacity,
                             efi_status_name(loader->status));
        }
    }
}

bool boot_info_complete(struct loader *loader)
{
    if (!memory_normalise(loader)) {
        return false;
    }
    reserve_unmapped_ram(loader);
    describe_maps(loader);
    return true;
}
