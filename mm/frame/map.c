/* What the firmware's map says of a frame, and what a type of memory means for the pool. */
#include "internal.h"

enum frame_owner frame_owner_of_type(enum memory_type type)
{
    switch (type) {
    case MEMORY_USABLE:
        return OWNER_KEPT;
    case MEMORY_BOOT_RECLAIMABLE:
        return OWNER_BOOT_RECLAIMABLE;
    case MEMORY_BOOT_INFO:
        return OWNER_BOOT_INFO;
    case MEMORY_INITRD:
        return OWNER_INITRD;
    case MEMORY_PAGE_TABLES:
        return OWNER_PAGE_TABLES;
    case MEMORY_KERNEL:
        return OWNER_KERNEL;
    case MEMORY_PERSISTENT:
        return OWNER_PERSISTENT;
    case MEMORY_ACPI_RECLAIMABLE:
        return OWNER_ACPI_RECLAIMABLE;
    case MEMORY_ACPI_NVS:
        return OWNER_ACPI_NVS;
    case MEMORY_RUNTIME:
        return OWNER_RUNTIME;
    case MEMORY_MMIO:
        return OWNER_MMIO;
    case MEMORY_RESERVED:
        return OWNER_RESERVED;
    case MEMORY_UNUSABLE:
    case MEMORY_TYPE_COUNT:
        break;
    }
    return OWNER_UNUSABLE;
}

bool frame_type_is_ram(enum memory_type type)
{
    return type <= MEMORY_KERNEL || type == MEMORY_ACPI_RECLAIMABLE;
}

const struct memory_range *frame_pool_range(const struct frame_pool *pool, uint64_t frame)
{
    uint64_t address = frame << FRAME_SHIFT;
    uint32_t low = 0;
    uint32_t high = pool->config.map_count;
    while (low < high) { /* first range that ends behind the address */
        uint32_t middle = low + (high - low) / 2;
        const struct memory_range *range = &pool->config.map[middle];
        if (range->base.raw + range->bytes <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == pool->config.map_count || pool->config.map[low].base.raw > address) {
        return NULL;
    }
    return &pool->config.map[low];
}

bool frame_is_managed(struct frame_pool *pool, uint64_t frame)
{
    const struct memory_range *range = frame < pool->frame_limit ? frame_pool_range(pool, frame) : NULL;
    if (!range || frame == 0 || !(pool->managed_types >> range->type & 1)) {
        return false;
    }
    uint64_t address = frame << FRAME_SHIFT;
    return address < pool->state_base.raw || address >= pool->state_base.raw + pool->state_bytes;
}
