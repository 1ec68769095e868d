/*
 * Guarded slots of the kernel's heap (<ashlar/slab_guard.h>): addresses from the kernel's arena, whose pages
 * are mapped, each to a frame of its own, only while an object lives in them. A panic report about a page
 * fault there says which object was missed.
 */
#include <ashlar/assert.h>
#include <ashlar/console.h>
#include <ashlar/format.h>
#include <ashlar/heap.h>
#include <ashlar/kva.h>
#include <ashlar/memory.h>
#include <ashlar/page_table.h>
#include <ashlar/slab_guard.h>
#include <ashlar/symbols.h>
#include <ashlar/trap.h>

#define LOG_SUBSYSTEM "heap"
#include <ashlar/log.h>

#include "kernel/kernel.h"

#define SLOTS 64  /* objects that can live there at once, each with a frame of its own */
#define EVERY 256 /* slow operations from one sample to the next: costs well below one instruction a call */

static struct slab_guard guard;

/* Maps a frame at the page, for as long as an object lives in it. Takes only a frame that is free at once,
 * without reclaim: this runs inside the heap. */
static bool show(void *context, void *page)
{
    (void)context;
    const struct frame_request request = {.frames = 1, .owner = OWNER_SLABS, .try_only = true};
    phys_addr_t frame;
    if (frame_alloc_request(kernel_frames(), &request, &frame) != FRAME_OK) {
        return false;
    }
    enum page_table_error error = page_table_map(kernel_page_table(), virt_of(page), frame, FRAME_BYTES,
                                                 PAGE_WRITE | PAGE_GLOBAL, CACHE_WRITE_BACK, PAGE_LEVEL_4K);
    if (error != PAGE_TABLE_OK) {
        frame_free(kernel_frames(), frame, 0);
    }
    return error == PAGE_TABLE_OK;
}

static void hide(void *context, void *page)
{
    (void)context;
    struct tlb_batch batch;
    phys_addr_t frame;
    tlb_batch_start(&batch, kernel_page_table());
    enum page_table_error error =
        page_table_unmap_frames(kernel_page_table(), virt_of(page), 1, &batch, &frame);
    ASSERT(error == PAGE_TABLE_OK); /* it was shown */
    tlb_batch_finish(&batch);
    frame_free(kernel_frames(), frame, 0);
}

/* ---- What an address is ---- */

static const char *symbol_of(const struct slab_who *who, char text[SYMBOL_TEXT_BYTES])
{
    return who && who->stack[0] ? symbol_text(virt_of(who->stack[0]), false, text) : "nobody known";
}

/* The stacks of who allocated and who freed, a line each: a report must fit a screen. */
static void print_stack(const char *what, const struct slab_who *who)
{
    char text[SYMBOL_TEXT_BYTES];
    if (!who) {
        return;
    }
    console_print("%s at tick %" PRIu64 " on CPU %u:", what, who->ticks, who->cpu);
    for (unsigned i = 0; i < SLAB_STACK_DEPTH && who->stack[i]; i++) {
        struct symbol symbol;
        bool named = symbol_find(virt_of(who->stack[i]), &symbol);
        console_print("%s%s", i == 0 ? " " : " < ",
                      named ? symbol.name : symbol_text(virt_of(who->stack[i]), true, text));
    }
    console_print("\n");
}

static bool describe(virt_addr_t address)
{
    struct slab_report report;
    if (!slab_guard_explain(&guard, virt_pointer(address), &report)) {
        return false;
    }
    console_print("object:  %#" PRIx64 ", %s, offset %" PRId64 " of the access; %s\n",
                  (uintptr_t)report.object, report.cache ? report.cache->name : "?", report.offset,
                  slab_fault_name(report.fault));
    print_stack("allocated", report.allocated);
    print_stack("freed", report.freed);
    return true;
}

/* Called while the machine panics: the text stays where it is. */
static bool resolve(virt_addr_t address, struct memory_region *region)
{
    static char text[2 * SYMBOL_TEXT_BYTES + 64];
    char allocated[SYMBOL_TEXT_BYTES];
    char freed[SYMBOL_TEXT_BYTES];
    struct slab_report report;
    if (!slab_guard_explain(&guard, virt_pointer(address), &report)) {
        return false;
    }
    bool live = report.fault == SLAB_ACCESS_OUTSIDE;
    format(text, sizeof text, "%s of %s, allocated by %s%s%s", live ? "guarded object" : "freed object",
           report.cache ? report.cache->name : "a cache that is gone", symbol_of(report.allocated, allocated),
           live ? "" : ", freed by ", live ? "" : symbol_of(report.freed, freed));
    uint64_t page = align_down(address.raw, FRAME_BYTES);
    bool between = (page - (uintptr_t)guard.config.base) / FRAME_BYTES % 2 == 0;
    *region = (struct memory_region){virt_addr(page), FRAME_BYTES, text, between};
    if (!between && report.offset >= 0) {
        region->base = virt_of(report.object);
    }
    return true;
}

/* ---- Start ---- */

void heap_guard_start(void)
{
    static const struct kva_purpose purpose = KVA_PURPOSE("guarded heap slots");
    static struct region_resolver resolver = {.resolve = resolve, .describe = describe};
    const struct kva_request request = {.bytes = (2 * SLOTS + 1) * FRAME_BYTES, .purpose = &purpose};
    struct kva_range *range;
    enum kva_error error = kva_alloc(kernel_kva(), &request, &range);
    if (error != KVA_OK) {
        log_warning("no guarded slots: %s", kva_error_name(error));
        return;
    }
    const struct slab_guard_config config = {.base = virt_pointer(range->base),
                                             .slots = SLOTS,
                                             .every = EVERY,
                                             .show = show,
                                             .hide = hide,
                                             .shown_bytes = FRAME_BYTES};
    if (slab_guard_start(&guard, &kernel_heap.slabs, &config) != SLAB_OK) {
        panic("heap: guarded slots at %#" PRIx64 " are refused", range->base.raw);
    }
    region_resolver_add(&resolver);
}
