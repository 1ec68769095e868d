#include "model.h"

#include <string.h>

#define MODEL_SLOTS 128

enum arena_model_page {
    PAGE_FREE,
    PAGE_INSIDE,
    PAGE_BELOW,
    PAGE_ABOVE,
};

struct arena_model_entry {
    uint8_t what;  /* enum arena_model_page */
    uint8_t first; /* the first page of a range */
    uint16_t slot; /* whose */
};

struct arena_model_range {
    uint64_t page;   /* first page behind the lower guards */
    uint64_t pages;  /* without guards; 0 when the slot is empty */
    uint64_t guards; /* on each side */
};

struct kva_fixture arena_model_fixture;
static struct arena_model_entry arena_model_pages[MODEL_PAGES_MAX];
static struct arena_model_range arena_model_slots[MODEL_SLOTS];
static uint64_t arena_model_page_count;
static bool arena_model_starved;

static uint64_t arena_model_address(uint64_t page)
{
    return arena_model_fixture.arena.base.raw + page * FRAME_BYTES;
}

static bool arena_model_is_free(uint64_t first, uint64_t count)
{
    if (first + count > arena_model_page_count) {
        return false;
    }
    for (uint64_t page = first; page < first + count; page++) {
        if (arena_model_pages[page].what != PAGE_FREE) {
            return false;
        }
    }
    return true;
}

/* Whether any place in the arena would do. */
static bool arena_model_has_room(uint64_t pages, uint64_t guards, uint64_t alignment)
{
    uint64_t run = 0; /* free pages up to here */
    for (uint64_t end = 1; end <= arena_model_page_count; end++) {
        run = arena_model_pages[end - 1].what == PAGE_FREE ? run + 1 : 0;
        bool aligned =
            end >= pages + guards && is_aligned(arena_model_address(end - guards - pages), alignment);
        if (run >= pages + 2 * guards && aligned) {
            return true;
        }
    }
    return false;
}

static void arena_model_paint(const struct arena_model_range *range, unsigned slot, bool taken)
{
    uint64_t first = range->page - range->guards;
    uint64_t end = range->page + range->pages + range->guards;
    for (uint64_t page = first; page < end; page++) {
        enum arena_model_page what = page < range->page                  ? PAGE_BELOW
                                     : page < range->page + range->pages ? PAGE_INSIDE
                                                                         : PAGE_ABOVE;
        arena_model_pages[page] =
            (struct arena_model_entry){taken ? what : PAGE_FREE, page == range->page, (uint16_t)slot};
    }
}

static void arena_model_release(unsigned slot)
{
    struct arena_model_range *range = &arena_model_slots[slot];
    if (range->pages == 0) {
        return;
    }
    enum kva_error error = kva_free(&arena_model_fixture.arena, virt_addr(arena_model_address(range->page)));
    if (error != KVA_OK) {
        panic("rightful free: %s", kva_error_name(error));
    }
    arena_model_paint(range, slot, false);
    range->pages = 0;
}

static void arena_model_allocate(unsigned slot, uint64_t pages, uint64_t guards, uint64_t alignment)
{
    enum kva_error error;
    arena_model_release(slot);
    struct kva_range *got = kva_take(&arena_model_fixture, pages * FRAME_BYTES - (pages & 7), alignment,
                                     (uint32_t)guards, &error);
    if (!got) {
        bool room = arena_model_has_room(pages, guards, alignment);
        bool right = error == KVA_NO_SPACE ? !room : error == KVA_NO_MEMORY && room && arena_model_starved;
        if (!right && !(error == KVA_BAD_SIZE && pages > arena_model_page_count)) {
            panic("%" PRIu64 " pages, %" PRIu64 " guards, alignment %#" PRIx64 ": %s", pages, guards,
                  alignment, kva_error_name(error));
        }
        return;
    }
    uint64_t page = (got->base.raw - arena_model_fixture.arena.base.raw) / FRAME_BYTES;
    if (got->bytes != pages * FRAME_BYTES || !is_aligned(got->base.raw, alignment) || page < guards ||
        !arena_model_is_free(page - guards, pages + 2 * guards)) {
        panic("bad range at page %" PRIu64 ": %" PRIu64 " pages, %" PRIu64 " guards", page, pages, guards);
    }
    arena_model_slots[slot] = (struct arena_model_range){page, pages, guards};
    arena_model_paint(&arena_model_slots[slot], slot, true);
}

/* Frees an address that may be anything; what is right is freed, what is wrong must be named. */
static void arena_model_free_any(uint64_t page, uint64_t offset)
{
    uint64_t address = arena_model_address(page) + offset;
    if (page >= arena_model_page_count) {
        if (kva_free(&arena_model_fixture.arena, virt_addr(address)) != KVA_FOREIGN) {
            panic("a foreign address was not noticed");
        }
        return;
    }
    const struct arena_model_entry *entry = &arena_model_pages[page];
    if (entry->what == PAGE_INSIDE && entry->first && offset == 0) {
        arena_model_release(entry->slot);
        return;
    }
    enum kva_error expected = entry->what == PAGE_FREE ? KVA_NOT_ALLOCATED : KVA_INTERIOR;
    enum kva_error error = kva_free(&arena_model_fixture.arena, virt_addr(address));
    if (error != expected) {
        panic("page %" PRIu64 ": %s", page, kva_error_name(error));
    }
}

static void arena_model_look(uint64_t page)
{
    static const enum kva_place places[] = {
        [PAGE_INSIDE] = KVA_INSIDE, [PAGE_BELOW] = KVA_GUARD_BELOW, [PAGE_ABOVE] = KVA_GUARD_ABOVE};
    struct kva_facts facts;
    bool inside = kva_look(&arena_model_fixture.arena, virt_addr(arena_model_address(page) + 5), &facts);
    if (page >= arena_model_page_count) {
        if (inside) {
            panic("a look outside the arena found something");
        }
        return;
    }
    const struct arena_model_entry *entry = &arena_model_pages[page];
    const struct arena_model_range *range = &arena_model_slots[entry->slot];
    bool right = inside && (facts.state == KVA_TAKEN) == (entry->what != PAGE_FREE);
    if (right && entry->what != PAGE_FREE) {
        right = facts.place == places[entry->what] && facts.base.raw == arena_model_address(range->page) &&
                facts.bytes == range->pages * FRAME_BYTES &&
                facts.guard_bytes == range->guards * FRAME_BYTES && facts.purpose == &kva_test_purpose &&
                facts.object == &arena_model_fixture;
    }
    if (!right) {
        panic("a look at page %" PRIu64 " is wrong", page);
    }
}

/* The walk meets every range once, and its sums are those of the statistics. */
static void arena_model_walk(void)
{
    virt_addr_t at = virt_addr(0);
    struct kva_facts facts;
    struct kva_statistics statistics;
    uint64_t taken = 0;
    uint64_t bytes = 0;
    uint64_t all = 0;
    while (kva_next(&arena_model_fixture.arena, &at, &facts)) {
        taken += facts.state == KVA_TAKEN;
        bytes += facts.state == KVA_TAKEN ? facts.bytes : 0;
        all += facts.bytes + 2 * facts.guard_bytes;
    }
    kva_statistics(&arena_model_fixture.arena, &statistics);
    if (taken != statistics.taken_ranges || bytes != statistics.taken_bytes ||
        all != arena_model_fixture.arena.bytes || all != statistics.bytes ||
        statistics.taken_bytes + statistics.guard_bytes + statistics.held_bytes + statistics.free_bytes !=
            all) {
        panic("the walk and the statistics differ");
    }
}

void arena_model_operate(uint8_t operation, uint8_t a, uint8_t b, uint8_t c)
{
    static const uint16_t units[] = {1, 1, 3, 16};
    unsigned slot = a % MODEL_SLOTS;
    uint64_t pages = 1 + (uint64_t)(b & 63) * units[b >> 6];
    uint64_t page = ((uint64_t)b << 8 | c) % (arena_model_page_count + 3);
    switch (operation % 16) {
    case 0:
    case 1:
    case 2:
    case 3:
        arena_model_allocate(slot, 1 + b % 20, c & 1, FRAME_BYTES);
        break;
    case 4:
    case 5:
        arena_model_allocate(slot, pages, c & 3, FRAME_BYTES);
        break;
    case 6:
        arena_model_allocate(slot, pages, c & 3, FRAME_BYTES << (c >> 4));
        break;
    case 7:
        arena_model_free_any(page, c % 3 == 0 ? 8 : 0);
        break;
    case 8:
        arena_model_look(page);
        break;
    case 9:
        if (c % 32 == 0) {
            kva_reap(&arena_model_fixture.arena);
        } else if (c % 32 == 1) {
            kva_fixture_check(&arena_model_fixture);
            arena_model_walk();
        } else if (c % 32 < 6) { /* memory comes and goes */
            arena_model_starved = c % 32 < 4;
            kva_starve(&arena_model_fixture, arena_model_starved ? b % 4 : KVA_FRAMES_MAX);
        }
        break;
    default:
        arena_model_release(slot);
    }
}

void arena_model_start(uint64_t base, uint64_t pages)
{
    memset(arena_model_pages, 0, sizeof arena_model_pages);
    memset(arena_model_slots, 0, sizeof arena_model_slots);
    arena_model_page_count = pages;
    arena_model_starved = false;
    kva_fixture_start(&arena_model_fixture, base, pages * FRAME_BYTES);
}

void arena_model_stop(void)
{
    uint64_t live = 0;
    for (unsigned slot = 0; slot < MODEL_SLOTS; slot++) { /* half of them are left to the arena's end */
        if (slot % 2) {
            arena_model_release(slot);
        }
        live += arena_model_slots[slot].pages != 0;
    }
    arena_model_walk();
    kva_fixture_stop(&arena_model_fixture, live);
}

uint64_t arena_model_base(unsigned number, uint64_t pages)
{
    const uint64_t bases[] = {0xffffd00000000000,         0x1000,
                              0xffffd00000001000,         0x7ffffffff000 - 0x123000,
                              -(pages + 1) * FRAME_BYTES, 0};
    return bases[number % ARRAY_LENGTH(bases)];
}
