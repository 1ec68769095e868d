/* Pages from the firmware, and the map of all memory; see loader.h. */
#include <ashlar/layout.h>
#include <ashlar/string.h>

#include "cpu.h"
#include "loader.h"

/* Descriptors that may appear between sizing the buffer and leaving boot services: our own allocations and
 * theirs. */
#define MAP_SLACK_DESCRIPTORS 96

bool loader_claim(struct loader *loader, phys_addr_t base, uint64_t bytes, enum memory_type type)
{
    if (loader->claim_count == LOADER_ALLOCATIONS_MAX) {
        return false;
    }
    loader->claims[loader->claim_count++] = (struct memory_claim){base, bytes, type};
    return true;
}

/*
 * Firmware in system management mode has been seen to write below this, and other CPUs can only start there.
 */
#define LOW_MEMORY_END MIB(1)

/*
 * AllocatePages, but it takes pages below LOW_MEMORY_END only if there are none elsewhere, and never the page
 * at address 0, which the kernel's map reserves and whose pointer would be NULL. What the firmware offers
 * below LOW_MEMORY_END is held until it offers something else, then given back.
 */
static EFI_STATUS allocate_somewhere(EFI_BOOT_SERVICES *boot, EFI_ALLOCATE_TYPE kind,
                                     EFI_MEMORY_TYPE firmware_type, UINTN pages, EFI_PHYSICAL_ADDRESS *base)
{
    static EFI_PHYSICAL_ADDRESS held[LOW_MEMORY_END / FRAME_BYTES]; /* one for each page there is */
    size_t count = 0;
    EFI_PHYSICAL_ADDRESS asked = *base;
    EFI_PHYSICAL_ADDRESS low = 0; /* the highest that is held */
    EFI_STATUS status = boot->AllocatePages(kind, firmware_type, pages, base);
    while (!EFI_ERROR(status) && *base < LOW_MEMORY_END && count < ARRAY_LENGTH(held)) {
        held[count++] = *base;
        low = max_u64(low, *base);
        *base = asked;
        status = boot->AllocatePages(kind, firmware_type, pages, base);
    }
    bool keep = EFI_ERROR(status) && low != 0;
    while (count-- > 0) {
        if (!keep || held[count] != low) {
            boot->FreePages(held[count], pages);
        }
    }
    if (keep) {
        *base = low;
        return EFI_SUCCESS;
    }
    return status;
}

/*
 * Where the physmap or the CPU's physical addresses end. reserve_unmapped_ram() (exit.c) makes RAM beyond it
 * reserved in the kernel's map.
 */
uint64_t physmap_limit(void)
{
    return min_u64(PHYSMAP_END - PHYSMAP_BASE, 1ULL << cpu_physical_address_bits());
}

/* Pages below `limit`, or below physmap_limit() when that is 0: the kernel reads all our pages in the
 * physmap. */
static EFI_STATUS allocate_pages(const struct loader *loader, EFI_MEMORY_TYPE firmware_type, uint64_t bytes,
                                 uint64_t limit, EFI_PHYSICAL_ADDRESS *base)
{
    EFI_BOOT_SERVICES *boot = loader->boot;
    if (limit == 0) {
        limit = physmap_limit();
        EFI_STATUS status =
            allocate_somewhere(boot, AllocateAnyPages, firmware_type, bytes / FRAME_BYTES, base);
        if (EFI_ERROR(status) || (*base < limit && bytes <= limit - *base)) {
            return status;
        }
        boot->FreePages(*base, bytes / FRAME_BYTES);
    }
    *base = limit - 1;
    return allocate_somewhere(boot, AllocateMaxAddress, firmware_type, bytes / FRAME_BYTES, base);
}

static bool allocate(struct loader *loader, EFI_MEMORY_TYPE firmware_type, uint64_t whole,
                     enum memory_type type, uint64_t limit, const char *what, phys_addr_t *base)
{
    EFI_PHYSICAL_ADDRESS address = 0;
    EFI_STATUS status = allocate_pages(loader, firmware_type, whole, limit, &address);
    if (EFI_ERROR(status)) {
        return step_fail(loader, status, "no memory for %s (%" PRIu64 " bytes): %s", what, whole,
                         efi_status_name(status));
    }
    if (!loader_claim(loader, phys_addr(address), whole, type)) {
        loader->boot->FreePages(address, whole / FRAME_BYTES);
        return step_fail(loader, EFI_OUT_OF_RESOURCES, "no entry left to remember the pages of %s", what);
    }
    memset((void *)(uintptr_t)address, 0, whole);
    *base = phys_addr(address);
    return true;
}

bool loader_allocate(struct loader *loader, uint64_t bytes, enum memory_type type, uint64_t limit,
                     const char *what, phys_addr_t *base)
{
    return allocate(loader, EfiLoaderData, align_up(bytes, FRAME_BYTES), type, limit, what, base);
}

bool loader_allocate_code(struct loader *loader, const char *what, void **page)
{
    phys_addr_t base = phys_addr(0);
    /*
     * Claimed as page tables, not as reclaimable: the page is executable, so the physmap has it read-only,
     * and the kernel must not get it as free memory before it has tables of its own.
     */
    if (!allocate(loader, EfiLoaderCode, FRAME_BYTES, MEMORY_PAGE_TABLES, GIB(4), what, &base)) {
        return false;
    }
    *page = (void *)(uintptr_t)base.raw;
    return true;
}

void loader_trim(struct loader *loader, phys_addr_t first)
{
    struct memory_claim *newest = &loader->claims[loader->claim_count - 1];
    uint64_t keep = first.raw - newest->base.raw;
    if (keep < newest->bytes &&
        !EFI_ERROR(loader->boot->FreePages(first.raw, (newest->bytes - keep) / FRAME_BYTES))) {
        newest->bytes = keep;
    }
}

void loader_free_all(struct loader *loader)
{
    code_page_restore(loader);
    while (loader->claim_count > 0) {
        struct memory_claim *newest = &loader->claims[--loader->claim_count];
        if (newest->bytes != 0) {
            loader->boot->FreePages(newest->base.raw, newest->bytes / FRAME_BYTES);
        }
    }
}

bool firmware_map_read(struct loader *loader)
{
    struct firmware_map *map = &loader->map;
    map->bytes = map->capacity;
    loader->status = loader->boot->GetMemoryMap(&map->bytes, map->buffer, &map->key, &map->descriptor_size,
                                                &map->descriptor_version);
    return !EFI_ERROR(loader->status);
}

/* Asks how large the map is now: a call without a buffer must return "buffer too small" and the size. */
static bool firmware_map_measure(struct loader *loader, UINTN *bytes, UINTN *descriptor_size)
{
    UINTN key;
    UINT32 version;
    *bytes = 0;
    EFI_STATUS status = loader->boot->GetMemoryMap(bytes, NULL, &key, descriptor_size, &version);
    if (status != EFI_BUFFER_TOO_SMALL) {
        return step_fail(loader, EFI_ERROR(status) ? status : EFI_DEVICE_ERROR,
                         "the firmware does not tell the size of its memory map: %s",
                         efi_status_name(status));
    }
    if (*descriptor_size < sizeof(EFI_MEMORY_DESCRIPTOR) || *descriptor_size > 4096 || *bytes == 0 ||
        *bytes > MIB(64)) {
        return step_fail(loader, EFI_UNSUPPORTED,
                         "the firmware's memory map has descriptors of %" PRIu64 " bytes, %" PRIu64 " in all",
                         *descriptor_size, *bytes);
    }
    return true;
}

/* The parts of the boot_info memory, in order; each starts at a multiple of 16. */
struct boot_info_parts {
    uint64_t command_line, ranges, map, runtime_map; /* offsets in bytes */
    uint64_t end;                                    /* length of all */
};

static struct boot_info_parts boot_info_lay_out(uint64_t map_bytes, size_t range_capacity)
{
    struct boot_info_parts parts;
    parts.command_line = align_up(sizeof(struct boot_info), 16);
    parts.ranges = parts.command_line + COMMAND_LINE_BYTES;
    parts.map = align_up(parts.ranges + range_capacity * sizeof(struct memory_range), 16);
    parts.runtime_map = align_up(parts.map + map_bytes, 16);
    parts.end = parts.runtime_map + map_bytes;
    return parts;
}

static void boot_info_point(struct loader *loader, const struct boot_info_parts *parts)
{
    struct boot_info *info = (struct boot_info *)(uintptr_t)loader->info_base.raw;
    uint64_t base = loader->info_base.raw;
    *info = (struct boot_info){.magic = BOOT_INFO_MAGIC, .version = BOOT_INFO_VERSION, .size = sizeof *info};
    loader->info = info;
    loader->command_line = (char *)(uintptr_t)(base + parts->command_line);
    loader->ranges = (struct memory_range *)(uintptr_t)(base + parts->ranges);
    loader->map.buffer = (void *)(uintptr_t)(base + parts->map);
    info->command_line.base = phys_addr(base + parts->command_line);
    info->memory_map.base = phys_addr(base + parts->ranges);
    info->firmware_map.base = phys_addr(base + parts->map);
    info->runtime_map.base = phys_addr(base + parts->runtime_map);
}

bool boot_info_allocate(struct loader *loader)
{
    UINTN bytes;
    UINTN descriptor_size;
    if (!firmware_map_measure(loader, &bytes, &descriptor_size)) {
        return false;
    }
    size_t descriptors = bytes / descriptor_size + MAP_SLACK_DESCRIPTORS;
    loader->map.capacity = descriptors * descriptor_size;
    loader->range_capacity = memory_map_range_limit(descriptors, LOADER_ALLOCATIONS_MAX);
    struct boot_info_parts parts = boot_info_lay_out(loader->map.capacity, loader->range_capacity);
    if (!loader_allocate(loader, parts.end, MEMORY_BOOT_INFO, 0, "boot information", &loader->info_base)) {
        return false;
    }
    boot_info_point(loader, &parts);
    phys_addr_t workspace = phys_addr(0);
    loader->workspace_bytes = memory_map_workspace_bytes(descriptors, LOADER_ALLOCATIONS_MAX);
    if (!loader_allocate(loader, loader->workspace_bytes, MEMORY_BOOT_RECLAIMABLE, 0,
                         "sorting the memory map", &workspace)) {
        return false;
    }
    loader->workspace = (void *)(uintptr_t)workspace.raw;
    return true;
}

bool memory_survey(struct loader *loader)
{
    if (!firmware_map_read(loader)) {
        return step_fail(loader, loader->status, "the firmware's memory map cannot be read: %s",
                         efi_status_name(loader->status));
    }
    return memory_normalise(loader);
}

bool memory_normalise(struct loader *loader)
{
    const struct memory_map_input input = {
        .descriptors = loader->map.buffer,
        .bytes = loader->map.bytes,
        .descriptor_size = loader->map.descriptor_size,
        .claims = loader->claims,
        .claim_count = loader->claim_count,
    };
    if (!memory_map_check_cache(&input, &loader->error) ||
        !memory_map_normalise(&input, loader->workspace, loader->workspace_bytes, loader->ranges,
                              loader->range_capacity, &loader->range_count, &loader->error)) {
        loader->status = EFI_UNSUPPORTED;
        return false;
    }
    return true;
}
