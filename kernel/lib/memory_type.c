/* Reading the normalised memory map; see <ashlar/memory_type.h>. */
#include <ashlar/memory_type.h>

const char *memory_type_name(enum memory_type type)
{
    switch (type) {
    case MEMORY_USABLE:
        return "usable";
    case MEMORY_BOOT_RECLAIMABLE:
        return "boot-reclaimable";
    case MEMORY_BOOT_INFO:
        return "boot-info";
    case MEMORY_INITRD:
        return "initrd";
    case MEMORY_PAGE_TABLES:
        return "page-tables";
    case MEMORY_KERNEL:
        return "kernel";
    case MEMORY_PERSISTENT:
        return "persistent";
    case MEMORY_ACPI_RECLAIMABLE:
        return "acpi-reclaimable";
    case MEMORY_ACPI_NVS:
        return "acpi-nvs";
    case MEMORY_RUNTIME:
        return "runtime";
    case MEMORY_MMIO:
        return "mmio";
    case MEMORY_RESERVED:
        return "reserved";
    case MEMORY_UNUSABLE:
        return "unusable";
    case MEMORY_TYPE_COUNT:
        break;
    }
    return "unknown";
}

static uint64_t range_end(const struct memory_range *range)
{
    return range->base.raw + range->bytes;
}

/* What is wrong with a range looked at alone. */
static const char *range_fault(const struct memory_range *range)
{
    if (range->type >= MEMORY_TYPE_COUNT) {
        return "has an unknown type";
    }
    if (range->bytes == 0) {
        return "is empty";
    }
    if (!is_aligned(range->base.raw, FRAME_BYTES) || !is_aligned(range->bytes, FRAME_BYTES)) {
        return "is not page-aligned";
    }
    if (range->base.raw > PHYSICAL_END || range->bytes > PHYSICAL_END - range->base.raw) {
        return "ends beyond the physical address space";
    }
    return NULL;
}

/* What is wrong with a range that follows `before`. Both are sound when looked at alone. */
static const char *sequence_fault(const struct memory_range *before, const struct memory_range *range)
{
    if (range->base.raw < before->base.raw) {
        return "is out of order";
    }
    if (range->base.raw < range_end(before)) {
        return "overlaps the one before";
    }
    if (range->base.raw == range_end(before) && range->type == before->type) {
        return "should be merged with the one before";
    }
    return NULL;
}

const char *memory_ranges_check(const struct memory_range *ranges, size_t count, size_t *at)
{
    for (size_t i = 0; i < count; i++) {
        const char *fault = range_fault(&ranges[i]);
        if (!fault && i > 0) {
            fault = sequence_fault(&ranges[i - 1], &ranges[i]);
        }
        if (fault) {
            if (at) {
                *at = i;
            }
            return fault;
        }
    }
    return NULL;
}

uint64_t memory_ranges_totals(const struct memory_range *ranges, size_t count,
                              uint64_t totals[MEMORY_TYPE_COUNT])
{
    uint64_t sum = 0;
    for (size_t type = 0; type < MEMORY_TYPE_COUNT; type++) {
        totals[type] = 0;
    }
    for (size_t i = 0; i < count; i++) {
        totals[ranges[i].type] += ranges[i].bytes;
        sum += ranges[i].bytes;
    }
    return sum;
}

const struct memory_range *memory_ranges_find(const struct memory_range *ranges, size_t count,
                                              phys_addr_t address)
{
    /* The range sought, if there is one, is the last whose base is not above the address. */
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ranges[middle].base.raw <= address.raw) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == 0 || address.raw >= range_end(&ranges[low - 1])) {
        return NULL;
    }
    return &ranges[low - 1];
}

bool memory_ranges_are_ram(const struct memory_range *ranges, size_t count, phys_addr_t base, uint64_t bytes)
{
    uint64_t end = base.raw + bytes;
    while (base.raw < end) {
        const struct memory_range *range = memory_ranges_find(ranges, count, base);
        if (!range || !memory_type_is_ram(range->type)) {
            return false;
        }
        base.raw = range_end(range);
    }
    return true;
}
