/*
 * The kernel's addresses: one arena of <ashlar/kva.h> over the room that the layout gives it, and on it
 * virtual blocks (<ashlar/vmalloc.h>) and device memory (<ashlar/mmio.h>). docs/kernel-addresses.md tells how
 * they work.
 */
#include <ashlar/boot.h>
#include <ashlar/heap.h>
#include <ashlar/layout.h>
#include <ashlar/memory.h>
#include <ashlar/mmio.h>
#include <ashlar/panic.h>
#include <ashlar/start.h>
#include <ashlar/trap.h>
#include <ashlar/vmalloc.h>

#define LOG_SUBSYSTEM "memory"
#include <ashlar/log.h>

#include "kernel/kernel.h"

static struct kva_arena arena;
struct vmalloc kernel_vmalloc;
struct mmio kernel_mmio;

struct kva_arena *kernel_kva(void)
{
    START_REQUIRE(START_ADDRESSES);
    return &arena;
}

/* ---- What an address is ---- */

static const char *name_of(const struct kva_facts *facts)
{
    if (facts->state != KVA_TAKEN) {
        return "unused kernel addresses";
    }
    if (facts->place == KVA_INSIDE) {
        return facts->purpose->name;
    }
    return facts->place == KVA_GUARD_BELOW ? facts->purpose->below : facts->purpose->above;
}

/* In a panic the arena's lock may be held for ever, but nothing moves any more. */
static bool resolve(virt_addr_t address, struct memory_region *region)
{
    struct kva_facts facts;
    bool found =
        panic_active() ? kva_look_stopped(&arena, address, &facts) : kva_look(&arena, address, &facts);
    if (!found) {
        return false;
    }
    *region = (struct memory_region){facts.base, facts.bytes, name_of(&facts), facts.place != KVA_INSIDE};
    if (facts.place != KVA_INSIDE) {
        region->bytes = facts.guard_bytes;
        region->base = facts.place == KVA_GUARD_BELOW ? virt_addr(facts.base.raw - facts.guard_bytes)
                                                      : virt_add(facts.base, facts.bytes);
    }
    return true;
}

/* ---- Virtual blocks for the heap ---- */

/* Marks the heap's blocks: the heap must not free a block that somebody else got from vmalloc. */
static const struct kva_purpose heap_block = KVA_PURPOSE("virtual block of the heap");

static void *heap_block_alloc(void *context, uint64_t bytes)
{
    const struct vmalloc_request request = {.bytes = bytes, .purpose = &heap_block, .owner = OWNER_VMALLOC};
    (void)context;
    return kernel_vmalloc.arena ? vmalloc_request(&kernel_vmalloc, &request) : NULL; /* not made yet */
}

static void *heap_block_grow(void *context, void *pointer, uint64_t bytes)
{
    const struct vmalloc_request request = {.bytes = bytes, .purpose = &heap_block, .owner = OWNER_VMALLOC};
    (void)context;
    return vmalloc_grow(&kernel_vmalloc, pointer, &request);
}

static bool heap_block_free(void *context, void *pointer)
{
    (void)context;
    return kernel_vmalloc.arena && vmalloc_try_free(&kernel_vmalloc, pointer, &heap_block) == KVA_OK;
}

static bool is_heap_block(const struct kva_facts *facts)
{
    return facts->state == KVA_TAKEN && facts->purpose == &heap_block;
}

static bool heap_block_find(void *context, const void *pointer, struct heap_virtual_block *block)
{
    struct kva_facts facts;
    (void)context;
    if (!kernel_vmalloc.arena || !kva_look(&arena, virt_of(pointer), &facts) || !is_heap_block(&facts) ||
        facts.place != KVA_INSIDE) {
        return false;
    }
    *block = (struct heap_virtual_block){virt_pointer(facts.base), facts.bytes};
    return true;
}

static void heap_block_visit(void *context, bool (*visit)(void *to, const struct heap_virtual_block *block),
                             void *to)
{
    struct kva_facts facts;
    virt_addr_t at = virt_addr(0);
    bool more = kernel_vmalloc.arena != NULL;
    (void)context;
    while (more && kva_next(&arena, &at, &facts)) {
        struct heap_virtual_block block = {virt_pointer(facts.base), facts.bytes};
        more = !is_heap_block(&facts) || visit(to, &block);
    }
}

const struct heap_virtual heap_virtual_blocks = {.alloc = heap_block_alloc,
                                                 .grow = heap_block_grow,
                                                 .free = heap_block_free,
                                                 .find = heap_block_find,
                                                 .visit = heap_block_visit};

void addresses_each_block(void (*visit)(void *context, const void *base, uint64_t bytes), void *context)
{
    struct kva_facts facts;
    virt_addr_t at = virt_addr(0);
    while (kva_next(&arena, &at, &facts)) {
        if (facts.state == KVA_TAKEN && facts.object == &kernel_vmalloc && facts.purpose != &heap_block) {
            visit(context, virt_pointer(facts.base), facts.bytes);
        }
    }
}

/* ---- Device memory ---- */

void *device_map(phys_addr_t address, uint64_t bytes, unsigned access, enum page_cache cache,
                 const struct kva_purpose *purpose)
{
    START_REQUIRE(START_ADDRESSES);
    const struct mmio_request request = {address, bytes, access, cache, purpose, .stays = true};
    void *pointer;
    enum mmio_error error = mmio_map(&kernel_mmio, &request, &pointer);
    if (error != MMIO_OK) {
        log_warning("%s at %#" PRIx64 ", %" PRIu64 " bytes: %s", purpose ? purpose->name : "device memory",
                    address.raw, bytes, mmio_error_name(error));
        return NULL;
    }
    return pointer;
}

/* The framebuffer is mapped outside the arena, since text is shown before there is an arena. */
static void adopt_framebuffer(const struct boot_info *info)
{
    const struct boot_framebuffer *video = &info->framebuffer;
    uint64_t first = align_down(video->physical_base.raw, FRAME_BYTES);
    uint64_t end = align_up(video->physical_base.raw + video->bytes, FRAME_BYTES);
    if (video->bytes == 0) {
        return;
    }
    enum mmio_error error = mmio_adopt(&kernel_mmio, phys_addr(first), virt_addr(BOOT_VIDEO_BASE),
                                       end - first, PAGE_WRITE, CACHE_WRITE_COMBINING);
    if (error != MMIO_OK) {
        log_warning("framebuffer at %#" PRIx64 ": %s", first, mmio_error_name(error));
    }
}

/*
 * The devices that the firmware's services use, mapped in the tables for UEFI calls only: claimed for good.
 */
static void claim_runtime_devices(void)
{
    struct page_runs walk;
    struct page_run run;
    if (!address_space_runtime()) {
        return;
    }
    page_runs_start(&walk, address_space_runtime(), virt_addr(0), page_table_lower_end(kernel_page_table()));
    while (page_runs_next(&walk, &run)) {
        enum mmio_error error = run.cache == CACHE_WRITE_BACK
                                    ? MMIO_OK
                                    : mmio_claim(&kernel_mmio, run.target, run.bytes, run.access, run.cache);
        if (error != MMIO_OK) {
            log_warning("UEFI runtime device at %#" PRIx64 ", %" PRIu64 " bytes: %s", run.target.raw,
                        run.bytes, mmio_error_name(error));
        }
    }
}

static void start_mmio(const struct boot_info *info)
{
    struct mmio_config config = {.arena = &arena, .table = kernel_page_table(), .slabs = &kernel_heap.slabs};
    kernel_physmap_plan(&config.physmap, kernel_page_table()->physical_end);
    enum mmio_error error = mmio_init(&kernel_mmio, &config);
    if (error != MMIO_OK) {
        panic("device memory: %s", mmio_error_name(error));
    }
    adopt_framebuffer(info);
    claim_runtime_devices();
}

void addresses_start(const struct boot_info *info)
{
    static struct region_resolver resolver = {.resolve = resolve};
    enum kva_error error = kva_init(&arena, virt_addr(ARENA_BASE), ARENA_END - ARENA_BASE, kernel_frames());
    if (error != KVA_OK) {
        panic("kernel addresses: %s", kva_error_name(error));
    }
    region_resolver_add(&resolver);
    vmalloc_init(&kernel_vmalloc, &arena, kernel_page_table(), kernel_frames());
    start_mmio(info);
}
