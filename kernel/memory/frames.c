/*
 * The kernel's frame pool: where the memory map, the physmap and the array of descriptors come together. How
 * the pool works is in mm/frame/pool.c and docs/physical.md.
 */
#include <ashlar/boot.h>
#include <ashlar/command_line.h>
#include <ashlar/heap.h>
#include <ashlar/layout.h>
#include <ashlar/memory.h>
#include <ashlar/page_build.h>
#include <ashlar/processor.h>
#include <ashlar/start.h>
#include <ashlar/string.h>
#include <ashlar/world.h>
#include <x86/control_registers.h>
#include <x86/interrupt.h>

#define LOG_SUBSYSTEM "memory"
#include <ashlar/log.h>

#include "frames.h"

#define LOW_MEMORY_END MIB(1) /* firmware in system management mode has been seen to write below it */

static struct frame_pool frames;
static phys_addr_t root; /* of the tables in force: the loader's, then the kernel's own */

struct frame_pool *kernel_frames(void)
{
    START_REQUIRE(START_FRAMES);
    return &frames;
}

/* Frames for page tables, as map_descriptors() gets them. */
struct given_tables {
    const phys_addr_t *frames;
    unsigned used; /* of them, from the first on */
};

static page_table_entry_t *entry_of(const struct page_walk_step *step)
{
    return frame_pointer(&frames, page_walk_entry_at(step));
}

static bool read_entry(void *context, virt_addr_t address, struct page_walk_step *step)
{
    (void)context;
    (void)address;
    step->entry = *entry_of(step);
    return true;
}

static bool make_table(void *context, virt_addr_t address, struct page_walk_step *step)
{
    struct given_tables *given = context;
    phys_addr_t table = given->frames[given->used++];
    (void)address;
    memset(frame_pointer(&frames, table), 0, FRAME_BYTES);
    step->entry = page_entry_table(table, false);
    *entry_of(step) = step->entry;
    return true;
}

/*
 * Maps a page of descriptors in the page tables in force. Only absent entries become present, which no TLB
 * holds (Intel SDM volume 3, 4.10.2.3): nothing to flush, on any CPU.
 */
static unsigned map_descriptors(void *context, void *page, phys_addr_t frame, const phys_addr_t *tables)
{
    const struct boot_paging *paging = context;
    struct given_tables given = {.frames = tables};
    const struct page_walk_step step =
        page_build_way(read_entry, make_table, &given, root, paging->levels, virt_of(page), PAGE_LEVEL_4K);
    DEBUG_ASSERT(step.level == PAGE_LEVEL_4K); /* nothing but tables is on the way */
    *entry_of(&step) = page_entry_leaf(frame, PAGE_LEVEL_4K, PAGE_WRITE | PAGE_GLOBAL, CACHE_WRITE_BACK);
    return given.used;
}

static exception_handler *next_handler; /* of page faults */

/*
 * If the fault is on a frame descriptor that is not mapped, the cause is a mistaken free: then it is named.
 */
static bool explain_page_fault(struct trap_frame *frame)
{
    if (!trap_from_user(frame)) {
        frame_pool_explain_fault(&frames, cr2_read());
    }
    return next_handler && next_handler(frame);
}

void memory_ledger(struct frame_ledger *ledger)
{
    world_stop();
    frame_pool_ledger(&frames, ledger);
    world_resume();
}

uint64_t memory_free_frames(void)
{
    world_stop();
    uint64_t count = frame_pool_free(&frames);
    world_resume();
    return count;
}

void memory_use_tables(phys_addr_t new_root)
{
    root = new_root;
}

/* Takes all free memory below 1 MiB out of ordinary use: only memory_take_low() gives it. */
static void keep_low(void)
{
    struct frame_request request = {
        .frames = 1, .limit = LOW_MEMORY_END, .owner = OWNER_KEPT, .try_only = true};
    phys_addr_t frame;
    while (frame_alloc_request(&frames, &request, &frame) == FRAME_OK) {
    }
}

phys_addr_t memory_take_low(enum frame_owner owner)
{
    START_REQUIRE(START_FRAMES);
    for (uint64_t at = 0; at < LOW_MEMORY_END; at += FRAME_BYTES) {
        if (frame_change_owner(&frames, phys_addr(at), OWNER_KEPT, owner) == FRAME_OK) {
            return phys_addr(at);
        }
    }
    return FRAME_NONE;
}

void memory_return_low(phys_addr_t frame, enum frame_owner owner)
{
    enum frame_error error = frame.raw < LOW_MEMORY_END
                                 ? frame_change_owner(&frames, frame, owner, OWNER_KEPT)
                                 : FRAME_NOT_MANAGED;
    if (error != FRAME_OK) {
        panic("memory: %#" PRIx64 " of %s is no low memory to be returned: %s", frame.raw,
              frame_owner_name(owner), frame_error_name(error));
    }
}

/* The policy that the command line asks for. */
static const struct frame_policy *chosen_policy(void)
{
    char name[8];
    bool bitmap =
        command_line_get(boot_command_line(), "frames", name, sizeof name) && strcmp(name, "bitmap") == 0;
    return bitmap ? &frame_policy_bitmap : &frame_policy_buddy;
}

void memory_start(const struct boot_info *info)
{
    size_t count;
    const struct memory_range *map = boot_memory_map(&count);
    const struct frame_config config = {
        .map = map,
        .map_count = (uint32_t)count,
        .cpus = processors_count(),
        .policy = chosen_policy(),
        .backing =
            {
                .base = info->paging.physmap.raw,
                .descriptors = virt_pointer(virt_addr(DESCRIPTORS_BASE)),
                .map = map_descriptors,
                .context = (void *)&info->paging,
            },
    };
    root = info->paging.root;
    enum frame_error error = frame_pool_init(&frames, &config);
    if (error != FRAME_OK) {
        panic("memory: no pool of frames from the memory map of %zu ranges: %s", count,
              frame_error_name(error));
    }
    keep_low();
    next_handler = exception_set_handler(EXCEPTION_PAGE_FAULT, explain_page_fault);
}

void memory_reclaim_boot(void)
{
    enum frame_error error = frame_pool_reclaim(&frames, MEMORY_BOOT_RECLAIMABLE);
    if (error != FRAME_OK) {
        panic("memory: reclaiming boot memory: %s", frame_error_name(error));
    }
    keep_low();
    log_info("%" PRIu64 " MiB free", (frame_pool_free(&frames) << FRAME_SHIFT >> 20));
}
