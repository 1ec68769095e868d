/*
 * Device memory.
 *
 * Concept. Mappings are records in a list: which frames, at which address, with which access, cached how.
 * There are some dozens of them on any machine, made by drivers when they start, so a list is enough. A
 * request for memory that a mapping already shows in the same way shares that mapping.
 *
 * A range that overlaps a mapping of another cache kind is refused; so is RAM in any other kind than
 * write-back. What is RAM follows from the plan of the physmap (<ashlar/physmap.h>). Address spaces that map
 * device memory ask as well, and their claims are noted (mmio_claim.c).
 *
 * Locks. One spinlock, held for the whole of each operation, since mappings are made rarely. Under it those
 * of the arena, the page table, the records' caches and the frame pool are taken.
 *
 * To see inside: mmio_look(), and mmio_check(), which holds the list against the page tables.
 */
#include "mmio_internal.h"
#include "valid.h"

#include <ashlar/assert.h>
#include <ashlar/shortage.h>
#include <ashlar/string.h>

static const struct kva_purpose device_registers = KVA_PURPOSE("device registers");

const char *mmio_error_name(enum mmio_error error)
{
    static const char *const names[MMIO_ERROR_COUNT] = {
        [MMIO_OK] = "no error",
        [MMIO_EMPTY] = "0 bytes",
        [MMIO_BEYOND] = "beyond the CPU's physical addresses",
        [MMIO_BAD_ACCESS] = "device memory is for reading and writing by the kernel only",
        [MMIO_BAD_CACHE] = "no such cache kind",
        [MMIO_RAM] = "RAM, which is mapped write-back already",
        [MMIO_READ_ONLY] = "memory that nobody may write",
        [MMIO_WRITABLE] = "memory that somebody may write is never executable",
        [MMIO_CONFLICT] = "mapped already, cached in another way",
        [MMIO_NO_SPACE] = "no free addresses",
        [MMIO_NO_MEMORY] = "no memory for records or page tables",
        [MMIO_NOT_MAPPED] = "not a mapping of device memory",
    };
    return (unsigned)error < MMIO_ERROR_COUNT ? names[error] : "unknown error";
}

const char *page_cache_name(enum page_cache cache)
{
    static const char *const names[] = {
        [CACHE_WRITE_BACK] = "write-back",           [CACHE_WRITE_COMBINING] = "write-combining",
        [CACHE_UNCACHED_WEAK] = "uncached-weak",     [CACHE_UNCACHED] = "uncached",
        [CACHE_WRITE_PROTECTED] = "write-protected", [CACHE_WRITE_THROUGH] = "write-through"};
    return (unsigned)cache < ARRAY_LENGTH(names) ? names[cache] : NULL;
}

enum mmio_error mmio_init(struct mmio *mmio, const struct mmio_config *config)
{
    ASSERT(!slab_cache_in_use(config->slabs, &mmio->records)); /* else it is an instance already */
    memset(mmio, 0, sizeof *mmio);
    spinlock_init(&mmio->lock, LOCK_DEVICE_MAPPINGS, 0);
    mmio->config = *config;
    const struct slab_cache_config records = {
        .name = "device mappings", .bytes = sizeof(struct mmio_mapping), .unguarded = true};
    const struct slab_cache_config claims = {
        .name = "device claims", .bytes = sizeof(struct mmio_claim), .unguarded = true};
    if (slab_cache_init(config->slabs, &mmio->records, &records) != SLAB_OK) {
        return MMIO_NO_MEMORY;
    }
    if (slab_cache_init(config->slabs, &mmio->claims, &claims) != SLAB_OK) {
        slab_cache_destroy(&mmio->records);
        return MMIO_NO_MEMORY;
    }
    return MMIO_OK;
}

/* ---- What may be mapped ---- */

bool mmio_overlap(phys_addr_t base, uint64_t bytes, phys_addr_t other, uint64_t other_bytes)
{
    return base.raw < other.raw + other_bytes && other.raw < base.raw + bytes;
}

struct mmio_memory mmio_memory(const struct mmio *mmio, phys_addr_t base, uint64_t bytes)
{
    struct mmio_memory found = {0};
    struct physmap_plan plan = mmio->config.physmap;
    struct physmap_piece piece;
    uint64_t writable = 0;
    while (physmap_plan_next(&plan, &piece)) {
        if (mmio_overlap(base, bytes, piece.base, piece.bytes)) {
            uint64_t first = max_u64(base.raw, piece.base.raw);
            uint64_t end = min_u64(base.raw + bytes, piece.base.raw + piece.bytes);
            found.ram += end - first;
            writable += piece.writable ? end - first : 0;
        }
    }
    found.read_only = found.ram - writable;
    return found;
}

enum mmio_error mmio_range_check(const struct mmio *mmio, phys_addr_t *base, uint64_t *bytes,
                                 enum page_cache cache)
{
    uint64_t limit = mmio->config.table->physical_end;
    if (*bytes == 0) {
        return MMIO_EMPTY;
    }
    if (base->raw >= limit || *bytes > limit - base->raw) {
        return MMIO_BEYOND;
    }
    if (!page_cache_name(cache)) {
        return MMIO_BAD_CACHE;
    }
    uint64_t first = align_down(base->raw, FRAME_BYTES);
    *bytes = align_up(base->raw + *bytes, FRAME_BYTES) - first;
    *base = phys_addr(first);
    return MMIO_OK;
}

/* Checks a request, without regard to other mappings, and rounds it to whole frames. */
static enum mmio_error check_request(const struct mmio *mmio, const struct mmio_request *request,
                                     struct mmio_mapping *wanted)
{
    wanted->base = request->address;
    wanted->bytes = request->bytes;
    wanted->access = request->access;
    wanted->cache = request->cache;
    enum mmio_error error = mmio_range_check(mmio, &wanted->base, &wanted->bytes, wanted->cache);
    if (error != MMIO_OK) {
        return error;
    }
    if (request->access & ~(unsigned)PAGE_WRITE) {
        return MMIO_BAD_ACCESS;
    }
    bool as_ram = request->cache == CACHE_WRITE_BACK && request->access == PAGE_READ;
    return !as_ram && mmio_memory(mmio, wanted->base, wanted->bytes).ram != 0 ? MMIO_RAM : MMIO_OK;
}

/* Whether a mapping shows all that is wanted, in the same way. */
static bool serves(const struct mmio_mapping *mapping, const struct mmio_mapping *wanted)
{
    uint64_t offset = wanted->base.raw - mapping->base.raw;
    return mapping->access == wanted->access && mapping->cache == wanted->cache && offset < mapping->bytes &&
           wanted->bytes <= mapping->bytes - offset;
}

bool mmio_cached_otherwise(const struct mmio *mmio, phys_addr_t base, uint64_t bytes, enum page_cache cache)
{
    for (const struct mmio_mapping *mapping = mmio->first; mapping; mapping = mapping->next) {
        if (mapping->cache != cache && mmio_overlap(base, bytes, mapping->base, mapping->bytes)) {
            return true;
        }
    }
    for (const struct mmio_claim *claim = mmio->claimed; claim; claim = claim->next) {
        if (claim->cache != cache && mmio_overlap(base, bytes, claim->base, claim->bytes)) {
            return true;
        }
    }
    return false;
}

/* Stores the mapping that serves the request, or NULL. If a part is mapped with another cache kind, fails. */
static enum mmio_error find(const struct mmio *mmio, const struct mmio_mapping *wanted,
                            struct mmio_mapping **found) REQUIRES(mmio->lock)
{
    *found = mmio->first;
    while (*found && !serves(*found, wanted)) {
        *found = (*found)->next;
    }
    return mmio_cached_otherwise(mmio, wanted->base, wanted->bytes, wanted->cache) ? MMIO_CONFLICT : MMIO_OK;
}

/* ---- Mapping ---- */

/* A record like *from, in the list; NULL without memory. */
static struct mmio_mapping *add_record(struct mmio *mmio, const struct mmio_mapping *from)
    REQUIRES(mmio->lock)
{
    DEBUG_ASSERT(mmio_list_is_valid(mmio));
    struct mmio_mapping *mapping = slab_cache_alloc(&mmio->records);
    if (mapping) {
        *mapping = *from;
        mapping->next = mmio->first;
        mmio->first = mapping;
        mmio->count++;
    }
    return mapping;
}

static void remove_record(struct mmio *mmio, struct mmio_mapping *mapping) REQUIRES(mmio->lock)
{
    struct mmio_mapping **link = &mmio->first;
    while (*link != mapping) {
        link = &(*link)->next;
    }
    *link = mapping->next;
    mmio->count--;
    slab_cache_free(&mmio->records, mapping);
}

/* Takes addresses for a mapping, aligned to 2 MiB if its frames are, so that large pages fit. */
static enum mmio_error take_range(struct mmio *mmio, const struct kva_purpose *purpose,
                                  struct mmio_mapping *mapping) REQUIRES(mmio->lock)
{
    uint64_t large = page_level_bytes(PAGE_LEVEL_2M);
    bool is_large = mapping->bytes >= large && is_aligned(mapping->base.raw, large);
    struct kva_request request = {.bytes = mapping->bytes,
                                  .alignment = is_large ? large : 0,
                                  .guard_pages = 1,
                                  .purpose = purpose ? purpose : &device_registers,
                                  .object = mapping};
    enum kva_error error = kva_alloc(mmio->config.arena, &request, &mapping->range);
    if (error == KVA_OK) {
        mapping->where = mapping->range->base;
        return MMIO_OK;
    }
    return error == KVA_NO_MEMORY ? MMIO_NO_MEMORY : MMIO_NO_SPACE;
}

/* Makes a mapping: record, addresses, page tables. */
static enum mmio_error add_mapping(struct mmio *mmio, const struct mmio_mapping *wanted,
                                   const struct kva_purpose *purpose, struct mmio_mapping **added)
    REQUIRES(mmio->lock)
{
    struct mmio_mapping *mapping = add_record(mmio, wanted);
    if (!mapping) {
        return MMIO_NO_MEMORY;
    }
    enum mmio_error error = take_range(mmio, purpose, mapping);
    if (error == MMIO_OK &&
        page_table_map(mmio->config.table, mapping->where, mapping->base, mapping->bytes,
                       mapping->access | PAGE_GLOBAL, mapping->cache, PAGE_LEVEL_2M) != PAGE_TABLE_OK) {
        kva_release(mmio->config.arena, mapping->range);
        error = MMIO_NO_MEMORY;
    }
    if (error != MMIO_OK) {
        remove_record(mmio, mapping);
        return error;
    }
    *added = mapping;
    return MMIO_OK;
}

static enum mmio_error map_once(struct mmio *mmio, const struct mmio_request *request,
                                const struct mmio_mapping *wanted, void **pointer)
{
    struct mmio_mapping *mapping;
    spinlock_acquire(&mmio->lock);
    enum mmio_error error = find(mmio, wanted, &mapping);
    if (error == MMIO_OK && !mapping) {
        error = add_mapping(mmio, wanted, request->purpose, &mapping);
    }
    if (error == MMIO_OK) {
        mapping->users += !request->stays;
        mapping->stays |= request->stays;
        *pointer = virt_pointer(virt_add(mapping->where, request->address.raw - mapping->base.raw));
    }
    spinlock_release(&mmio->lock);
    return error;
}

enum mmio_error mmio_map(struct mmio *mmio, const struct mmio_request *request, void **pointer)
{
    DEBUG_ASSERT(mmio_is_valid(mmio));
    VALIDATE_AT_RANDOM(mmio, mmio_check, mmio);
    struct mmio_mapping wanted = {.users = 0};
    enum mmio_error error = check_request(mmio, request, &wanted);
    if (error != MMIO_OK) {
        return error;
    }
    return COLLECTING(mmio->config.table->frames, MMIO_NO_MEMORY, map_once(mmio, request, &wanted, pointer));
}

/* ---- Unmapping ---- */

/* Undoes a mapping. Cannot fail: it goes as a whole, so no large page has to be split. */
static void unmap(struct mmio *mmio, struct mmio_mapping *mapping) REQUIRES(mmio->lock)
{
    struct tlb_batch batch;
    tlb_batch_start(&batch, mmio->config.table);
    enum page_table_error error =
        page_table_unmap(mmio->config.table, mapping->where, mapping->bytes, &batch, NULL, NULL);
    tlb_batch_finish(&batch);
    ASSERT(error == PAGE_TABLE_OK);
    kva_release(mmio->config.arena, mapping->range);
    remove_record(mmio, mapping);
}

/* The mapping at an address, or NULL. */
static struct mmio_mapping *find_at(const struct mmio *mmio, virt_addr_t where) REQUIRES(mmio->lock)
{
    struct mmio_mapping *mapping = mmio->first;
    while (mapping && where.raw - mapping->where.raw >= mapping->bytes) {
        mapping = mapping->next;
    }
    return mapping;
}

enum mmio_error mmio_unmap(struct mmio *mmio, const void *pointer)
{
    DEBUG_ASSERT(mmio_is_valid(mmio));
    VALIDATE_AT_RANDOM(mmio, mmio_check, mmio);
    spinlock_acquire(&mmio->lock);
    struct mmio_mapping *mapping = find_at(mmio, virt_of(pointer));
    bool found = mapping && mapping->users > 0;
    if (found && --mapping->users == 0 && !mapping->stays) {
        unmap(mmio, mapping);
    }
    spinlock_release(&mmio->lock);
    return found ? MMIO_OK : MMIO_NOT_MAPPED;
}

static enum mmio_error adopt_once(struct mmio *mmio, const struct mmio_mapping *known)
{
    struct mmio_mapping *same;
    spinlock_acquire(&mmio->lock);
    enum mmio_error error = find(mmio, known, &same);
    if (error == MMIO_OK && !add_record(mmio, known)) {
        error = MMIO_NO_MEMORY;
    }
    spinlock_release(&mmio->lock);
    return error;
}

enum mmio_error mmio_adopt(struct mmio *mmio, phys_addr_t address, virt_addr_t where, uint64_t bytes,
                           unsigned access, enum page_cache cache)
{
    DEBUG_ASSERT(mmio_is_valid(mmio));
    const struct mmio_mapping known = {
        .base = address, .bytes = bytes, .where = where, .access = access, .cache = cache, .stays = true};
    return COLLECTING(mmio->config.table->frames, MMIO_NO_MEMORY, adopt_once(mmio, &known));
}

static void drop_claims(struct mmio *mmio) REQUIRES(mmio->lock)
{
    while (mmio->claimed) {
        struct mmio_claim *claim = mmio->claimed;
        mmio->claimed = claim->next;
        slab_cache_free(&mmio->claims, claim);
    }
}

void mmio_destroy(struct mmio *mmio)
{
    DEBUG_ASSERT(mmio_is_valid(mmio));
    spinlock_acquire(&mmio->lock);
    while (mmio->first) {
        if (mmio->first->range) {
            unmap(mmio, mmio->first);
        } else {
            remove_record(mmio, mmio->first);
        }
    }
    drop_claims(mmio);
    spinlock_release(&mmio->lock);
    slab_cache_destroy(&mmio->records);
    slab_cache_destroy(&mmio->claims);
}

/* ---- Seeing inside ---- */

bool mmio_find(struct mmio *mmio, virt_addr_t where, struct mmio_mapping *mapping)
{
    DEBUG_ASSERT(mmio_is_valid(mmio));
    spinlock_acquire(&mmio->lock);
    const struct mmio_mapping *found = find_at(mmio, where);
    if (found) {
        *mapping = *found;
    }
    spinlock_release(&mmio->lock);
    return found != NULL;
}

bool mmio_look(struct mmio *mmio, uint64_t index, struct mmio_mapping *mapping)
{
    DEBUG_ASSERT(mmio_is_valid(mmio));
    spinlock_acquire(&mmio->lock);
    const struct mmio_mapping *at = mmio->first;
    while (at && index-- > 0) {
        at = at->next;
    }
    if (at) {
        *mapping = *at;
    }
    spinlock_release(&mmio->lock);
    return at != NULL;
}

static bool complain(struct mmio_problem *problem, const char *what, virt_addr_t where, uint64_t found,
                     uint64_t expected)
{
    *problem = (struct mmio_problem){what, where, found, expected};
    return false;
}

static bool check_page(const struct page_table *table, const struct mmio_mapping *mapping, uint64_t at,
                       struct mmio_problem *problem)
{
    virt_addr_t page = virt_add(mapping->where, at);
    struct page_translation found = page_table_translate(table, page);
    if (!found.mapped || found.target.raw != mapping->base.raw + at) {
        return complain(problem, "a page leads elsewhere", page, found.target.raw, mapping->base.raw + at);
    }
    if ((found.access & (PAGE_WRITE | PAGE_EXECUTE)) != mapping->access) {
        return complain(problem, "access of a page", page, found.access, mapping->access);
    }
    return found.cache == mapping->cache ||
           complain(problem, "cache kind of a page", page, found.cache, mapping->cache);
}

static bool check_mapping(const struct mmio *mmio, const struct mmio_mapping *mapping,
                          struct mmio_problem *problem) REQUIRES(mmio->lock)
{
    struct mmio_mapping *same;
    if (mapping->users == 0 && !mapping->stays) {
        return complain(problem, "a mapping without users", mapping->where, 0, 1);
    }
    if (find(mmio, mapping, &same) != MMIO_OK) {
        return complain(problem, "frames mapped in two ways", mapping->where, mapping->base.raw, 0);
    }
    for (uint64_t at = 0; at < mapping->bytes; at += FRAME_BYTES) {
        if (!check_page(mmio->config.table, mapping, at, problem)) {
            return false;
        }
    }
    return true;
}

bool mmio_check(struct mmio *mmio, struct mmio_problem *problem)
{
    DEBUG_ASSERT(mmio_is_valid(mmio));
    uint64_t count = 0;
    bool sound = true;
    spinlock_acquire(&mmio->lock);
    for (const struct mmio_mapping *mapping = mmio->first; mapping && sound; mapping = mapping->next) {
        sound = check_mapping(mmio, mapping, problem);
        count++;
    }
    for (const struct mmio_claim *claim = mmio->claimed; claim && sound; claim = claim->next) {
        if (mmio_cached_otherwise(mmio, claim->base, claim->bytes, claim->cache)) {
            sound = complain(problem, "frames claimed in two ways", virt_addr(0), claim->base.raw, 0);
        }
    }
    if (sound && count != mmio->count) {
        sound = complain(problem, "count of mappings", virt_addr(0), mmio->count, count);
    }
    spinlock_release(&mmio->lock);
    return sound;
}
