/*
 * The audit of the kernel's page tables: see <ashlar/page_audit.h>.
 *
 * Two passes over all leaves. The first notes which physical memory is executable, and which is not cached
 * the usual way: there is little of either. The second holds every leaf against its room and against these.
 */
#include <ashlar/boot.h>
#include <ashlar/layout.h>
#include <ashlar/memory.h>
#include <ashlar/page_audit.h>
#include <ashlar/sealed.h>

#define ANY_CACHE 0xffU

/* A stretch of virtual memory in which things are mapped for one reason. */
struct room {
    uint64_t base;    /* first byte */
    uint64_t bytes;   /* length */
    unsigned allowed; /* access that a mapping may have */
    unsigned needed;  /* and must have */
    unsigned cache;   /* enum page_cache, or ANY_CACHE */
};

static bool room_holds(const struct room *room, uint64_t base, uint64_t bytes)
{
    return base >= room->base && base - room->base < room->bytes &&
           bytes <= room->bytes - (base - room->base);
}

static struct room segment_room(const struct boot_segment *segment)
{
    bool writable = (segment->flags & BOOT_SEGMENT_WRITE) && !is_sealed(segment->virtual_base);
    unsigned access = (writable ? PAGE_WRITE : 0u) |
                      (segment->flags & BOOT_SEGMENT_EXECUTE ? PAGE_EXECUTE : 0u) | PAGE_GLOBAL;
    return (struct room){segment->virtual_base.raw, segment->bytes, access, access, CACHE_WRITE_BACK};
}

/* Finds the room that the leaf lies in as a whole. */
static bool room_find(uint64_t base, uint64_t bytes, struct room *found)
{
    const struct boot_info *info = boot_info();
    const unsigned data = PAGE_WRITE | PAGE_GLOBAL;
    const struct room rooms[] = {
        {info->paging.physmap.raw, info->paging.physmap_bytes, data, PAGE_GLOBAL, CACHE_WRITE_BACK},
        {DESCRIPTORS_BASE, ARENA_BASE - DESCRIPTORS_BASE, data, data, CACHE_WRITE_BACK},
        {ARENA_BASE, ARENA_END - ARENA_BASE, PAGE_ACCESS_ALL & ~PAGE_USER, 0, ANY_CACHE},
        {LAZY_BASE, LAZY_END - LAZY_BASE, data, 0, CACHE_WRITE_BACK},
        {info->kernel.stack_bottom.raw, info->kernel.stack_bytes, data, data, CACHE_WRITE_BACK},
        {BOOT_VIDEO_BASE, align_up(info->framebuffer.bytes + FRAME_BYTES, FRAME_BYTES), data, data,
         CACHE_WRITE_COMBINING},
        {TEMPORARY_BASE, TEMPORARY_BYTES, data, 0, CACHE_WRITE_BACK},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rooms); i++) {
        if (room_holds(&rooms[i], base, bytes)) {
            *found = rooms[i];
            return true;
        }
    }
    for (uint32_t i = 0; i < info->kernel.segment_count; i++) {
        *found = segment_room(&info->kernel.segments[i]);
        if (room_holds(found, base, bytes)) {
            return true;
        }
    }
    return false;
}

/* ---- The first pass ---- */

/* Adds a stretch, to the last one where it continues that. Full: false. */
static bool note_range(struct page_audit_range *ranges, unsigned *count, struct page_audit_range range)
{
    if (*count != 0 && ranges[*count - 1].end == range.base && ranges[*count - 1].cache == range.cache) {
        ranges[*count - 1].end = range.end;
        return true;
    }
    if (*count == PAGE_AUDIT_RANGES) {
        return false;
    }
    ranges[(*count)++] = range;
    return true;
}

static void complain(struct page_audit *audit, const char *what, virt_addr_t address, phys_addr_t target,
                     page_table_entry_t entry)
{
    if (audit->problems++ == 0) {
        audit->what = what;
        audit->address = address;
        audit->target = target;
        audit->entry = entry;
    }
}

static void note_leaf(void *context, virt_addr_t base, page_table_entry_t entry, enum page_level level)
{
    struct page_audit *audit = context;
    phys_addr_t target = page_entry_leaf_address(entry, level);
    struct page_audit_range range = {target.raw, target.raw + page_level_bytes(level),
                                     page_entry_cache(entry, level)};
    bool noted = true;
    if (page_entry_access(entry) & PAGE_EXECUTE) {
        noted = note_range(audit->executable, &audit->executable_count, range);
    }
    if (range.cache != CACHE_WRITE_BACK) {
        noted &= note_range(audit->special, &audit->special_count, range);
    }
    if (!noted) {
        complain(audit, "more special mappings than the audit can compare", base, target, entry);
    }
}

/* ---- The second ---- */

static bool overlaps(const struct page_audit_range *range, uint64_t base, uint64_t bytes)
{
    return base < range->end && range->base < base + bytes;
}

static bool is_executable(const struct page_audit *audit, uint64_t base, uint64_t bytes)
{
    for (unsigned i = 0; i < audit->executable_count; i++) {
        if (overlaps(&audit->executable[i], base, bytes)) {
            return true;
        }
    }
    return false;
}

static bool cached_otherwise(const struct page_audit *audit, uint64_t base, uint64_t bytes,
                             enum page_cache cache)
{
    for (unsigned i = 0; i < audit->special_count; i++) {
        if (overlaps(&audit->special[i], base, bytes) && audit->special[i].cache != cache) {
            return true;
        }
    }
    return false;
}

/* The rule that a leaf breaks; NULL for none. */
static const char *broken_rule(const struct page_audit *audit, virt_addr_t base, page_table_entry_t entry,
                               enum page_level level)
{
    struct room room;
    unsigned access = page_entry_access(entry);
    uint64_t bytes = page_level_bytes(level);
    phys_addr_t target = page_entry_leaf_address(entry, level);
    enum page_cache cache = page_entry_cache(entry, level);
    if (!room_find(base.raw, bytes, &room)) {
        return "mapped without a reason";
    }
    if ((access & ~room.allowed) || (access & room.needed) != room.needed) {
        return "another access than its room has";
    }
    if (room.cache != ANY_CACHE && cache != (enum page_cache)room.cache) {
        return "cached in another way than its room is";
    }
    if ((access & PAGE_WRITE) && is_executable(audit, target.raw, bytes)) {
        return "writable, and executable by this or another address";
    }
    if (cached_otherwise(audit, target.raw, bytes, cache)) {
        return "cached in another way at another address";
    }
    return NULL;
}

static void judge_leaf(void *context, virt_addr_t base, page_table_entry_t entry, enum page_level level)
{
    struct page_audit *audit = context;
    const char *what = broken_rule(audit, base, entry, level);
    audit->leaves++;
    audit->bytes += page_level_bytes(level);
    if (what) {
        complain(audit, what, base, page_entry_leaf_address(entry, level), entry);
    }
}

static void each_leaf(struct page_audit *audit, page_table_visitor *visit)
{
    struct page_table *table = kernel_page_table();
    uint64_t half = 1ULL << (page_level_shift(table->levels + 1) - 1);
    page_table_each(table, virt_addr(0), half, visit, audit);
    page_table_each(table, virt_addr(0 - half), half, visit, audit);
}

bool page_audit(struct page_audit *audit)
{
    *audit = (struct page_audit){0};
    each_leaf(audit, note_leaf);
    each_leaf(audit, judge_leaf);
    return audit->problems == 0;
}
