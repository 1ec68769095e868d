/* See <ashlar/boot.h>. */
#include <ashlar/boot.h>
#include <ashlar/memory_type.h>
#include <ashlar/sealed.h>

static SEALED const struct boot_info *handed_over;

const char *boot_info_check(const struct boot_info *info)
{
    if (info->magic != BOOT_INFO_MAGIC) {
        return "boot_info has the wrong magic: this kernel was not started by Ashlar's loader";
    }
    if (info->version != BOOT_INFO_VERSION) {
        return "boot_info has another version than this kernel understands";
    }
    if (info->size < sizeof(struct boot_info)) {
        return "boot_info is shorter than this kernel needs";
    }
    return NULL;
}

void boot_info_keep(const struct boot_info *info)
{
    handed_over = info;
}

const struct boot_info *boot_info(void)
{
    return handed_over;
}

void *physmap_pointer(phys_addr_t address)
{
    return virt_pointer(virt_add(handed_over->paging.physmap, address.raw));
}

const struct memory_range *boot_memory_map(size_t *count)
{
    *count = handed_over->memory_map.count;
    return physmap_pointer(handed_over->memory_map.base);
}

bool boot_info_holds(phys_addr_t base, uint64_t bytes)
{
    size_t count;
    const struct memory_range *map = boot_memory_map(&count);
    const struct memory_range *range = memory_ranges_find(map, count, base);
    return range && range->type == MEMORY_BOOT_INFO && bytes <= range->bytes - (base.raw - range->base.raw);
}

const char *boot_command_line(void)
{
    return physmap_pointer(handed_over->command_line.base);
}
