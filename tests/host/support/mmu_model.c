/* The model of the MMU: its walk, its cache, and the check; see mmu_model.h. */
#include "mmu_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct mmu_tlb only_tlb; /* of all tests but those of several CPUs */
struct mmu_model mmu = {.tlb = &only_tlb};

_Noreturn void mmu_model_fail(const char *what, uint64_t address, uint64_t found)
{
    fprintf(stderr, "mmu model: %s: address %#" PRIx64 ", %#" PRIx64 "\n", what, address, found);
    abort();
}

/* ---- The cache ---- */

static bool same(const struct cached *a, const struct cached *b)
{
    return a->base == b->base && a->target == b->target && a->space == b->space && a->level == b->level &&
           a->pat == b->pat && a->table == b->table && a->write == b->write && a->execute == b->execute &&
           a->user == b->user && a->global == b->global && a->dirty == b->dirty;
}

bool mmu_frame_is_allocated(uint64_t frame)
{
    struct frame_facts facts;
    if (!mmu.pool) {
        return false;
    }
    frame_pool_look(mmu.pool, phys_addr(frame), &facts);
    return facts.managed &&
           (facts.state == FRAME_ALLOCATED || facts.state == FRAME_RUN || facts.state == FRAME_RUN_PART);
}

/* Where the chain begins of what is cached for an address at a level. */
static uint32_t *chain_of(uint64_t address, unsigned level)
{
    uint64_t page = address / SPAN(level) * 8 + level;
    return &mmu.tlb->chains[(page ^ page >> 12) % CHAINS];
}

static bool is_cached(const struct cached *entry)
{
    uint32_t i = *chain_of(entry->base, entry->level);
    while (i != NO_PLACE && !same(&mmu.tlb->cache[i], entry)) {
        i = mmu.tlb->cache[i].next;
    }
    return i != NO_PLACE;
}

/* Puts an entry that is not cached yet at the end; there is room. */
static void cache_put(const struct cached *entry)
{
    uint32_t *chain = chain_of(entry->base, entry->level);
    mmu.tlb->cache[mmu.tlb->count] = *entry;
    mmu.tlb->cache[mmu.tlb->count].next = *chain;
    *chain = (uint32_t)mmu.tlb->count++;
}

static void forget_chains(struct mmu_tlb *tlb)
{
    memset(tlb->chains, 0xff, sizeof tlb->chains);
}

void mmu_tlb_start(struct mmu_tlb *tlb)
{
    tlb->count = 0; /* its memory serves again */
    forget_chains(tlb);
}

void mmu_cache_drop(bool (*drop)(const struct cached *, const void *), const void *context)
{
    uint64_t before = mmu.tlb->count;
    uint64_t first = 0;
    while (first < before && !drop(&mmu.tlb->cache[first], context)) {
        first++;
    }
    if (first == before) {
        return;
    }
    mmu.tlb->count = 0;
    forget_chains(mmu.tlb);
    for (uint64_t i = 0; i < before; i++) {
        struct cached entry = mmu.tlb->cache[i];
        if (!drop(&entry, context)) {
            cache_put(&entry); /* at i or before it */
        }
    }
}

static void cache_add(const struct cached *entry)
{
    if (is_cached(entry)) {
        return;
    }
    if (mmu.tlb->count == mmu.tlb->capacity) {
        mmu.tlb->capacity = mmu.tlb->capacity ? mmu.tlb->capacity * 2 : 1024;
        mmu.tlb->cache = realloc(mmu.tlb->cache, mmu.tlb->capacity * sizeof *mmu.tlb->cache);
    }
    struct cached owned = *entry;
    owned.owned = mmu_frame_is_allocated(entry->target);
    cache_put(&owned);
}

void mmu_model_start(void *memory, uint64_t bytes, struct frame_pool *pool)
{
    memset(&mmu, 0, sizeof mmu);
    mmu.tlb = &only_tlb;
    mmu_tlb_start(mmu.tlb);
    mmu.memory = memory;
    mmu.bytes = bytes;
    mmu.pool = pool;
}

struct mmu_counts mmu_model_counts(void)
{
    return mmu.counts;
}

void mmu_model_at_flush(void (*meanwhile)(void))
{
    mmu.at_flush = meanwhile;
}

uint64_t mmu_model_cached(void)
{
    return mmu.tlb->count;
}

/* ---- The walk ---- */

static uint64_t *entry_at(uint64_t table, unsigned index)
{
    if (table % 4096 != 0 || table >= mmu.bytes) {
        mmu_model_fail("a table lies outside of memory", 0, table);
    }
    return (uint64_t *)(mmu.memory + table) + index;
}

static unsigned index_of(uint64_t address, unsigned level)
{
    return (unsigned)(address / SPAN(level) % 512);
}

static bool canonical(uint64_t address, unsigned levels)
{
    uint64_t upper = address >> (levels * 9 + 11);
    return upper == 0 || upper == UINT64_MAX >> (levels * 9 + 11);
}

/* Bits that must be 0, tables 4-15 to 4-20, with 52 physical address bits. */
static bool reserved(uint64_t entry, unsigned level)
{
    if (level >= 4) {
        return entry & 0x80;
    }
    if (level == 3 && (entry & 0x80)) {
        return entry & 0x3fffe000;
    }
    return level == 2 && (entry & 0x80) && (entry & 0x1fe000);
}

static void walk_leaf(struct mmu_walk *walk, uint64_t entry, uint64_t address)
{
    uint64_t offset = address % SPAN(walk->level);
    walk->page = (entry & 0x000ffffffffff000) - (entry & 0x000ffffffffff000) % SPAN(walk->level);
    walk->target = walk->page + offset;
    walk->global = entry & 0x100;
    unsigned pat_bit = walk->level == 1 ? 7 : 12;
    walk->pat = (unsigned)((entry >> 3 & 1) | (entry >> 4 & 1) << 1 | (entry >> pat_bit & 1) << 2);
}

struct mmu_walk mmu_model_walk(const struct page_table *table, uint64_t address)
{
    struct mmu_walk walk = {.write = true, .execute = true, .user = true, .level = table->levels};
    if (!canonical(address, table->levels)) {
        walk.result = MMU_NON_CANONICAL;
        return walk;
    }
    uint64_t at = table->root.raw;
    for (;; walk.level--) {
        uint64_t entry = *entry_at(at, index_of(address, walk.level));
        walk.tables[walk.level] = at;
        walk.entries[walk.level] = entry;
        if (!(entry & 1)) {
            walk.result = MMU_NOT_PRESENT;
            return walk;
        }
        if (reserved(entry, walk.level)) {
            walk.result = MMU_RESERVED;
            return walk;
        }
        walk.write &= (entry & 2) != 0;
        walk.user &= (entry & 4) != 0;
        walk.execute &= !(entry >> 63);
        if (walk.level == 1 || (walk.level <= 3 && (entry & 0x80))) {
            walk_leaf(&walk, entry, address);
            return walk;
        }
        at = entry & 0x000ffffffffff000;
    }
}

/* ---- What the CPU does with a walk ---- */

/* Under which tag the CPU caches what it finds in the tables; all that may be used have one. */
static uint64_t tag_of(const struct page_table *table)
{
    for (unsigned i = 0; i < MMU_SPACES_MAX; i++) {
        if (mmu.spaces[i] == table) {
            return mmu.tags[i];
        }
    }
    return table->space;
}

/* Caches all entries the walk went through, which sets their accessed bits (4.8, 4.10.2.3, 4.10.3). */
static void cache_walk(const struct page_table *table, const struct mmu_walk *walk, uint64_t address,
                       bool dirty)
{
    for (unsigned level = table->levels; level >= walk->level; level--) {
        uint64_t *entry = entry_at(walk->tables[level], index_of(address, level));
        bool leaf = level == walk->level;
        *entry |= 0x20 | (leaf && dirty ? 0x40 : 0);
        struct cached cached = {
            .base = address - address % SPAN(level),
            .target = leaf ? walk->page : (*entry & 0x000ffffffffff000),
            .space = tag_of(table),
            .level = (uint8_t)level,
            .table = !leaf,
        };
        if (leaf) {
            cached.pat = (uint8_t)walk->pat;
            cached.write = walk->write;
            cached.execute = walk->execute;
            cached.user = walk->user;
            cached.global = walk->global;
            cached.dirty = *entry & 0x40;
        }
        cache_add(&cached);
    }
}

static enum mmu_result rights(bool write, bool execute, bool user_page, enum mmu_use use, bool user)
{
    if ((user && !user_page) || (use == MMU_WRITE && !write) || (use == MMU_EXECUTE && !execute)) {
        return MMU_PROTECTION;
    }
    return MMU_OK;
}

/* Whether a cached translation serves the access; one that would need its dirty bit set does not. */
static bool serves(const struct cached *entry, const struct page_table *table, uint64_t address,
                   enum mmu_use use)
{
    return !entry->table && (entry->global || entry->space == tag_of(table)) &&
           address - entry->base < SPAN(entry->level) && (use != MMU_WRITE || entry->dirty);
}

static const struct cached *cache_find(const struct page_table *table, uint64_t address, enum mmu_use use)
{
    for (unsigned level = PAGE_LEVEL_4K; level <= PAGE_LEVEL_1G; level++) {
        for (uint32_t i = *chain_of(address, level); i != NO_PLACE; i = mmu.tlb->cache[i].next) {
            if (serves(&mmu.tlb->cache[i], table, address, use)) {
                return &mmu.tlb->cache[i];
            }
        }
    }
    return NULL;
}

enum mmu_result mmu_model_access(const struct page_table *table, uint64_t address, enum mmu_use use,
                                 bool user, uint64_t *target)
{
    const struct cached *hit = cache_find(table, address, use);
    if (hit && rights(hit->write, hit->execute, hit->user, use, user) == MMU_OK) {
        *target = hit->target + address % SPAN(hit->level);
        return MMU_OK;
    }
    struct mmu_walk walk = mmu_model_walk(table, address);
    if (walk.result != MMU_OK) {
        return walk.result;
    }
    enum mmu_result result = rights(walk.write, walk.execute, walk.user, use, user);
    if (result == MMU_OK) {
        cache_walk(table, &walk, address, use == MMU_WRITE);
        *target = walk.target;
    }
    return result;
}

void *mmu_model_pointer(const struct page_table *table, uint64_t address, enum mmu_use use)
{
    uint64_t target = 0;
    if (mmu_model_access(table, address, use, false, &target) != MMU_OK || target >= mmu.bytes) {
        mmu_model_fail("the kernel's access faults", address, target);
    }
    return mmu.memory + target;
}

/* ---- Reading ahead ---- */

static void fill_table(const struct page_table *table, uint64_t at, unsigned level, uint64_t base)
{
    for (unsigned i = 0; i < 512; i++) {
        uint64_t entry = *entry_at(at, i);
        uint64_t address = base + i * SPAN(level);
        bool names_root = level == table->levels && (entry & 0x000ffffffffff000) == table->root.raw;
        if (!(entry & 1) || names_root) {
            continue;
        }
        if (level == table->levels && i >= 256) {
            address |= UINT64_MAX << (level * 9 + 11);
        }
        if (level > 1 && !(level <= 3 && (entry & 0x80))) {
            fill_table(table, entry & 0x000ffffffffff000, level - 1, address);
            struct cached cached = {.base = address,
                                    .target = entry & 0x000ffffffffff000,
                                    .space = tag_of(table),
                                    .level = (uint8_t)level,
                                    .table = true};
            *entry_at(at, i) |= 0x20;
            cache_add(&cached);
            continue;
        }
        struct mmu_walk walk = mmu_model_walk(table, address);
        if (walk.result == MMU_OK) {
            cache_walk(table, &walk, address, false);
        }
    }
}

void mmu_model_add(struct page_table *table)
{
    for (unsigned i = 0; i < MMU_SPACES_MAX; i++) {
        if (!mmu.spaces[i]) {
            mmu.spaces[i] = table;
            mmu.tags[i] = table->space;
            return;
        }
    }
    mmu_model_fail("too many spaces", 0, MMU_SPACES_MAX);
}

static bool of_space(const struct cached *entry, const void *context)
{
    return !entry->global && entry->space == *(const uint64_t *)context;
}

void mmu_model_remove(struct page_table *table)
{
    for (unsigned i = 0; i < MMU_SPACES_MAX; i++) {
        if (mmu.spaces[i] == table) {
            mmu.spaces[i] = NULL;
            mmu_cache_drop(of_space, &table->space);
            return;
        }
    }
    mmu_model_fail("no such space", 0, table->space);
}

void mmu_model_fill(void)
{
    for (unsigned i = 0; i < MMU_SPACES_MAX; i++) {
        if (mmu.spaces[i]) {
            fill_table(mmu.spaces[i], mmu.spaces[i]->root.raw, mmu.spaces[i]->levels, 0);
        }
    }
}

/* The model looks at the frame pool, which has a lock, too. */
static void fill_between(void)
{
    host_meanwhile = NULL;
    mmu_model_fill();
    host_meanwhile = fill_between;
}

void mmu_model_fill_between(bool on)
{
    host_meanwhile = on ? fill_between : NULL;
}

void mmu_model_fill_after_flush(bool on)
{
    mmu.fill_after_flush = on;
}

/* ---- The check ---- */

/* Whether a cached translation allows nothing that the tables do not, anywhere in its page. */
static bool translation_agrees(const struct page_table *table, const struct cached *entry)
{
    for (uint64_t offset = 0; offset < SPAN(entry->level);) {
        struct mmu_walk walk = mmu_model_walk(table, entry->base + offset);
        if (walk.result != MMU_OK || walk.target != entry->target + offset || walk.pat != entry->pat ||
            (entry->write && !walk.write) || (entry->execute && !walk.execute) ||
            (entry->user && !walk.user) || (entry->global && !walk.global)) {
            return false;
        }
        uint64_t leaf = walk.entries[walk.level];
        if (!(leaf & 0x20) || (entry->dirty && !(leaf & 0x40))) {
            return false;
        }
        offset += walk.level < entry->level ? SPAN(walk.level) : SPAN(entry->level);
    }
    return true;
}

/* Whether a cached paging-structure entry still names the table that the tables name. */
static bool structure_agrees(const struct page_table *table, const struct cached *entry)
{
    struct mmu_walk walk = mmu_model_walk(table, entry->base);
    uint64_t now = walk.entries[entry->level];
    return walk.level <= entry->level && (now & 1) && !(entry->level <= 3 && (now & 0x80)) &&
           (now & 0x000ffffffffff000) == entry->target;
}

/* Where tables appear as pages: whoever looks there drops what is cached first. */
static bool in_recursive_room(const struct page_table *table, const struct cached *entry)
{
    return table->recursive_slot != 0 && index_of(entry->base, table->levels) == table->recursive_slot;
}

bool mmu_cached_is_stale(const struct cached *entry)
{
    for (unsigned i = 0; i < MMU_SPACES_MAX; i++) {
        const struct page_table *table = mmu.spaces[i];
        if (table && !in_recursive_room(table, entry) && (entry->global || entry->space == mmu.tags[i]) &&
            !in_recursive_room(table, entry) &&
            !(entry->table ? structure_agrees(table, entry) : translation_agrees(table, entry))) {
            return true;
        }
    }
    return false;
}

/* Whether any part of a cached page has another translation now. */
static bool translation_is_other(const struct page_table *table, const struct cached *entry)
{
    for (uint64_t offset = 0; offset < SPAN(entry->level);) {
        struct mmu_walk walk = mmu_model_walk(table, entry->base + offset);
        if (walk.result == MMU_OK &&
            (walk.target != entry->target + offset || walk.pat != entry->pat || walk.level != entry->level)) {
            return true;
        }
        offset += walk.level < entry->level ? SPAN(walk.level) : SPAN(entry->level);
    }
    return false;
}

/* Whether a cached paging-structure entry is another one now, or a page. */
static bool structure_is_other(const struct page_table *table, const struct cached *entry)
{
    struct mmu_walk walk = mmu_model_walk(table, entry->base);
    return walk.level <= entry->level && (walk.entries[entry->level] & 1) && !structure_agrees(table, entry);
}

bool mmu_cached_is_replaced(const struct cached *entry)
{
    for (unsigned i = 0; i < MMU_SPACES_MAX; i++) {
        const struct page_table *table = mmu.spaces[i];
        if (table && (entry->global || entry->space == mmu.tags[i]) && !in_recursive_room(table, entry) &&
            (entry->table ? structure_is_other(table, entry) : translation_is_other(table, entry))) {
            return true;
        }
    }
    return false;
}

void mmu_model_check_beside(uint64_t base, uint64_t end)
{
    for (uint64_t i = 0; i < mmu.tlb->count; i++) {
        const struct cached *entry = &mmu.tlb->cache[i];
        bool inside = entry->base >= base && entry->base + SPAN(entry->level) <= end;
        bool kept = !entry->owned || mmu_frame_is_allocated(entry->target);
        if (!(inside && kept) && mmu_cached_is_stale(entry)) {
            mmu_model_fail(entry->table ? "a stale table is cached" : "a stale translation is cached",
                           entry->base, entry->target);
        }
    }
}

bool mmu_model_writes_unseen(phys_addr_t frame)
{
    for (uint64_t i = 0; i < mmu.tlb->count; i++) {
        const struct cached *entry = &mmu.tlb->cache[i];
        if (!entry->table && entry->write && entry->dirty && frame.raw - entry->target < SPAN(entry->level) &&
            mmu_cached_is_stale(entry)) {
            return true;
        }
    }
    return false;
}
