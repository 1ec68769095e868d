/*
 * What an address belongs to; see <ashlar/trap.h>. Subsystems answer for their own through resolvers; the
 * rooms of the address space (<ashlar/layout.h>), the image and the boot stack are known here.
 */
#include <ashlar/boot.h>
#include <ashlar/layout.h>
#include <ashlar/trap.h>

static struct region_resolver *resolvers;

void region_resolver_add(struct region_resolver *resolver)
{
    resolver->next = resolvers;
    resolvers = resolver;
}

static bool contains(const struct memory_region *region, virt_addr_t address)
{
    return address.raw - region->base.raw < region->bytes;
}

static const char *segment_name(uint32_t flags)
{
    if (flags & BOOT_SEGMENT_EXECUTE) {
        return "kernel code";
    }
    return flags & BOOT_SEGMENT_WRITE ? "kernel data" : "kernel constants";
}

static bool resolve_image(virt_addr_t address, struct memory_region *region)
{
    const struct boot_kernel *kernel = &boot_info()->kernel;
    for (uint32_t i = 0; i < kernel->segment_count; i++) {
        const struct boot_segment *segment = &kernel->segments[i];
        *region = (struct memory_region){segment->virtual_base, segment->bytes, segment_name(segment->flags),
                                         false};
        if (contains(region, address)) {
            return true;
        }
    }
    *region = (struct memory_region){kernel->stack_bottom, kernel->stack_bytes, "boot stack", false};
    if (contains(region, address)) {
        return true;
    }
    *region = (struct memory_region){virt_addr(kernel->stack_bottom.raw - FRAME_BYTES), FRAME_BYTES,
                                     "guard page below the boot stack", true};
    return contains(region, address);
}

static bool resolve_room(virt_addr_t address, struct memory_region *region)
{
    const struct boot_paging *paging = &boot_info()->paging;
    const struct memory_region rooms[] = {
        {virt_addr(0), KIB(64), "null area", false},
        {virt_addr(0), 1ULL << 47, "user half", false},
        {paging->physmap, paging->physmap_bytes, "physmap", false},
        {virt_addr(PHYSMAP_BASE), PHYSMAP_END - PHYSMAP_BASE, "unused room around the physmap", false},
        {virt_addr(DESCRIPTORS_BASE), ARENA_BASE - DESCRIPTORS_BASE, "frame descriptors", false},
        {virt_addr(ARENA_BASE), ARENA_END - ARENA_BASE, "kernel address arena", false},
        {boot_info()->framebuffer.virtual_base, boot_info()->framebuffer.bytes, "framebuffer", false},
        {virt_addr(IMAGE_BASE), IMAGE_END - IMAGE_BASE, "unused room around the kernel image", false},
        {virt_addr(TEMPORARY_BASE), TEMPORARY_BYTES, "temporary mappings", false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rooms); i++) {
        if (contains(&rooms[i], address)) {
            *region = rooms[i];
            return true;
        }
    }
    return false;
}

bool region_find(virt_addr_t address, struct memory_region *region)
{
    for (const struct region_resolver *resolver = resolvers; resolver; resolver = resolver->next) {
        if (resolver->resolve(address, region)) {
            return true;
        }
    }
    return resolve_image(address, region) || resolve_room(address, region);
}

void region_describe(virt_addr_t address)
{
    for (const struct region_resolver *resolver = resolvers; resolver; resolver = resolver->next) {
        if (resolver->describe && resolver->describe(address)) {
            return;
        }
    }
}
