/*
 * Why a page is mapped: what each part of the kernel's layout (<ashlar/layout.h>), here called a room,
 * demands of the pages in it.
 *
 * A run of pages may lie in several rooms, or in several ranges of one. So it is judged piece by piece: each
 * rule shortens the piece to what the rule covers, and the rest is judged after it.
 */
#include <ashlar/boot.h>
#include <ashlar/layout.h>
#include <ashlar/memory.h>
#include <ashlar/mmio.h>
#include <ashlar/physmap.h>
#include <ashlar/sealed.h>
#include <ashlar/vm_kernel.h>
#include <ashlar/vmalloc.h>
#include <x86/cpu_stacks.h>

#include "internal.h"

static const char no_reason[] = "mapped without a reason";
static const char other_access[] = "another access than its room has";
static const char other_cache[] = "cached in another way than its room is";
static const char other_target[] = "shows another address than its room does";

#define DATA (PAGE_WRITE | PAGE_GLOBAL)

/* Shortens the part to where the stretch ends; false when the part does not begin inside the stretch. */
static bool clip(struct page_run *part, uint64_t base, uint64_t bytes)
{
    uint64_t offset = part->base.raw - base;
    if (offset >= bytes) {
        return false;
    }
    part->bytes = min_u64(part->bytes, bytes - offset);
    return true;
}

/* ---- Rooms that map one stretch of physical memory in one way ---- */

struct linear_room {
    uint64_t base;         /* first byte */
    uint64_t bytes;        /* length */
    uint64_t target;       /* physical address that its first byte maps */
    unsigned access;       /* enum page_access */
    enum page_cache cache; /* how it is cached */
};

static const char *linear_rule(const struct linear_room *room, const struct page_run *part)
{
    if (part->target.raw != room->target + (part->base.raw - room->base)) {
        return other_target;
    }
    if (part->access != room->access) {
        return other_access;
    }
    return part->cache == room->cache ? NULL : other_cache;
}

static bool image_room(const struct page_run *part, struct linear_room *room)
{
    const struct boot_kernel *kernel = &boot_info()->kernel;
    for (uint32_t i = 0; i < kernel->segment_count; i++) {
        const struct boot_segment *segment = &kernel->segments[i];
        unsigned access = (segment_is_writable(segment) ? PAGE_WRITE : 0u) |
                          (segment->flags & BOOT_SEGMENT_EXECUTE ? PAGE_EXECUTE : 0u) | PAGE_GLOBAL;
        *room = (struct linear_room){segment->virtual_base.raw, segment->bytes, segment->physical_base.raw,
                                     access, CACHE_WRITE_BACK};
        if (part->base.raw - room->base < room->bytes) {
            return true;
        }
    }
    return false;
}

/* The pages below the trap stacks are not mapped although the image has them. Shortens the part to one of
 * these, or to what lies before it; returns whether it is one. */
static bool is_guard(struct page_run *part)
{
    virt_addr_t guard;
    bool found = false;
    for (unsigned i = 0; !found && cpu_stacks_guard_page(i, &guard); i++) {
        uint64_t before = guard.raw - part->base.raw;
        if (before < part->bytes) {
            found = before == 0;
            part->bytes = found ? FRAME_BYTES : before;
        }
    }
    return found;
}

static bool video_room(const struct page_run *part, struct linear_room *room)
{
    const struct boot_framebuffer *video = &boot_info()->framebuffer;
    uint64_t first = align_down(video->physical_base.raw, FRAME_BYTES);
    uint64_t end = align_up(video->physical_base.raw + video->bytes, FRAME_BYTES);
    *room = (struct linear_room){BOOT_VIDEO_BASE, video->bytes == 0 ? 0 : end - first, first, DATA,
                                 CACHE_WRITE_COMBINING};
    return part->base.raw - room->base < room->bytes;
}

/* ---- The physmap: RAM, and no more of it writable than was planned ---- */

static const char *physmap_rule(struct page_run *part)
{
    const struct boot_paging *paging = &boot_info()->paging;
    struct physmap_plan plan;
    struct physmap_piece piece;
    if (part->target.raw != part->base.raw - paging->physmap.raw) {
        return other_target;
    }
    kernel_physmap_plan(&plan, paging->physmap_bytes);
    while (physmap_plan_next(&plan, &piece)) {
        if (clip(part, paging->physmap.raw + piece.base.raw, piece.bytes)) {
            const struct linear_room room = {paging->physmap.raw, paging->physmap_bytes, 0,
                                             piece.writable ? DATA : PAGE_GLOBAL, CACHE_WRITE_BACK};
            return linear_rule(&room, part);
        }
    }
    return no_reason;
}

/* ---- Frames of RAM, which have an owner ---- */

/*
 * Whether all frames that the part shows are in use, by `owner` or, for OWNER_COUNT, by any but the user. The
 * kernel's image and boot stack are no frames of the pool's.
 */
static const char *frames_rule(const struct page_run *part, enum frame_owner owner)
{
    for (uint64_t at = 0; at < part->bytes; at += FRAME_BYTES) {
        struct frame_facts facts;
        frame_pool_look(kernel_frames(), phys_add(part->target, at), &facts);
        bool fixed = !facts.managed && owner == OWNER_KERNEL;
        if (!fixed && (!facts.managed || facts.state < FRAME_ALLOCATED)) {
            return "shows memory that nobody has allocated";
        }
        if (owner == OWNER_COUNT ? facts.owner == OWNER_USER : facts.owner != owner) {
            return "shows memory that belongs to somebody else";
        }
    }
    return NULL;
}

static const char *data_rule(const struct page_run *part, enum frame_owner owner)
{
    if (part->access != DATA) {
        return other_access;
    }
    return part->cache == CACHE_WRITE_BACK ? frames_rule(part, owner) : other_cache;
}

/* ---- The arena: ranges that are taken, for devices or for memory ---- */

/* The device mapping at the part's address. */
static bool device_room(const struct page_run *part, struct linear_room *room)
{
    struct mmio_mapping mapping;
    if (!mmio_find(&kernel_mmio, part->base, &mapping)) {
        return false;
    }
    *room = (struct linear_room){mapping.where.raw, mapping.bytes, mapping.base.raw,
                                 mapping.access | PAGE_GLOBAL, mapping.cache};
    return true;
}

static const char *arena_rule(struct page_run *part)
{
    struct kva_facts facts;
    struct linear_room room;
    bool taken = kva_look(kernel_kva(), part->base, &facts) && facts.state == KVA_TAKEN &&
                 facts.place == KVA_INSIDE && facts.purpose != &vmalloc_purpose_retired &&
                 clip(part, facts.base.raw, facts.bytes);
    if (!taken) {
        return no_reason;
    }
    if (device_room(part, &room)) {
        clip(part, room.base, room.bytes);
        return linear_rule(&room, part);
    }
    return data_rule(part, OWNER_COUNT);
}

/* ---- Regions of a space ---- */

/* How much a page of the region may allow: what is shared is written to only after a fault. */
static unsigned page_access(unsigned access, bool user)
{
    unsigned page = (access & VM_WRITE ? PAGE_WRITE : 0u) | (access & VM_EXECUTE ? PAGE_EXECUTE : 0u);
    return page | (user ? PAGE_USER : PAGE_GLOBAL);
}

static const char *region_rule(struct vm_space *space, struct page_run *part)
{
    struct vm_region_facts region;
    if (!vm_space_find(space, part->base, &region) || region.source == VM_NOTHING) {
        return no_reason;
    }
    clip(part, region.base.raw, region.bytes);
    if (part->access & ~page_access(region.access, space->user) &&
        part->access & ~page_access(region.before, space->user)) {
        return "another access than its region has";
    }
    if (region.source == VM_DEVICE &&
        part->target.raw != region.offset + (part->base.raw - region.base.raw)) {
        return "shows another address than its region does";
    }
    return part->cache == region.cache ? NULL : "cached in another way than its region is";
}

/* ---- The firmware's own, in the tables for runtime calls: where the firmware knows it ---- */

const char *page_reason_firmware(const struct page_run *run)
{
    size_t count;
    const struct memory_range *map = boot_memory_map(&count);
    if (run->target.raw != run->base.raw) {
        return other_target;
    }
    if (run->access & ~(unsigned)(PAGE_WRITE | PAGE_EXECUTE)) {
        return other_access;
    }
    for (size_t i = 0; i < count; i++) {
        bool kernels = map[i].type < MEMORY_RUNTIME && map[i].type != MEMORY_ACPI_NVS;
        if (kernels && run->target.raw < map[i].base.raw + map[i].bytes &&
            map[i].base.raw < run->target.raw + run->bytes) {
            return "shows memory that belongs to somebody else";
        }
    }
    return NULL;
}

/* ---- All ---- */

static const char *kernel_rule(struct page_run *part)
{
    const struct boot_info *info = boot_info();
    struct linear_room room;
    if (clip(part, info->paging.physmap.raw, info->paging.physmap_bytes)) {
        return physmap_rule(part);
    }
    if (clip(part, DESCRIPTORS_BASE, ARENA_BASE - DESCRIPTORS_BASE)) {
        return data_rule(part, OWNER_DESCRIPTORS);
    }
    if (clip(part, ARENA_BASE, ARENA_END - ARENA_BASE)) {
        return arena_rule(part);
    }
    if (clip(part, LAZY_BASE, LAZY_END - LAZY_BASE)) {
        return region_rule(kernel_lazy_space(), part);
    }
    if (clip(part, info->kernel.stack_bottom.raw, info->kernel.stack_bytes)) {
        return data_rule(part, OWNER_KERNEL);
    }
    if (image_room(part, &room) || video_room(part, &room)) {
        clip(part, room.base, room.bytes);
        return is_guard(part) ? no_reason : linear_rule(&room, part);
    }
    return no_reason; /* temporary mappings too: there should be none while the audit runs */
}

/* What is left of the run behind its first `done` bytes. */
static struct page_run rest_of(const struct page_run *run, uint64_t done)
{
    struct page_run part = *run;
    part.base = virt_add(run->base, done);
    part.target = phys_add(run->target, done);
    part.bytes = run->bytes - done;
    return part;
}

static const char *each_part(struct page_run *run, struct vm_space *space)
{
    const char *broken = NULL;
    struct page_run part = *run;
    for (uint64_t done = 0; !broken && done < run->bytes; done += part.bytes) {
        part = rest_of(run, done);
        broken = space ? region_rule(space, &part) : kernel_rule(&part);
    }
    *run = broken ? part : *run;
    return broken;
}

const char *page_reason_kernel(struct page_run *run)
{
    return each_part(run, NULL);
}

const char *page_reason_space(struct vm_space *space, struct page_run *run)
{
    return each_part(run, space);
}

const char *page_reason_frames(struct vm_space *space, struct page_run *run)
{
    struct page_run page = *run;
    page.bytes = page_level_bytes(run->level);
    bool inside = run->base.raw >= space->base && run->base.raw < space->end;
    for (uint64_t done = 0; inside && done < run->bytes; done += page.bytes) {
        struct vm_region_facts region;
        page.base = virt_add(run->base, done);
        page.target = phys_add(run->target, done);
        bool frames = vm_space_find(space, page.base, &region) && region.source != VM_DEVICE;
        if (frames && !vm_space_has_given(space, page.base, page.target, page.access & PAGE_WRITE)) {
            *run = page;
            return "shows memory that its region has not got";
        }
    }
    return NULL;
}

const char *page_reason_writable(const struct page_run *run)
{
    const struct boot_kernel *kernel = &boot_info()->kernel;
    for (uint32_t i = 0; i < kernel->segment_count && (run->access & PAGE_WRITE); i++) {
        const struct boot_segment *segment = &kernel->segments[i];
        if (!segment_is_writable(segment) && run->target.raw < segment->physical_base.raw + segment->bytes &&
            segment->physical_base.raw < run->target.raw + run->bytes) {
            return "writable, though the kernel's image has it read-only";
        }
    }
    return NULL;
}
