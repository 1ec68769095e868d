/*
 * Blocks above the largest class: whole frames, described by the descriptor of their first frame alone. What
 * the owner notes there holds the length that was asked for and the heap it belongs to; the tag says how many
 * frames there are. So a block costs no record, no list and no lock. To enumerate them, the frame pool is
 * walked: only those who look do that. With the owner policy, a note leads to a record instead, which says
 * who allocated the block.
 */
#include "internal.h"
#include "mm/frame/internal.h"

/* ---- Notes ---- */

/*
 * A note: its lowest byte is a number like those of slabs, one that no cache can have. Behind it 26 bits that
 * tell the heaps on one frame pool apart, and 30 of the length, less one. Marked NOTE_TRACKED it holds the
 * address of a record, as a slab's note does.
 */
#define NOTE_LARGE          0x80
#define NOTE_TRACKED        0x08
#define NOTE_PART           0x40 /* of a further piece of a run: the number of the run's first frame */
#define NOTE_MARKS          (HEAP_LARGE_REACHED | HEAP_LARGE_SEARCHED)
#define NOTE_IDENTITY_SHIFT 8
#define NOTE_BYTES_SHIFT    34
#define NOTE_IDENTITY_MASK  ((1ULL << (NOTE_BYTES_SHIFT - NOTE_IDENTITY_SHIFT)) - 1)

_Static_assert(HEAP_BYTES_MAX == 1ULL << (64 - NOTE_BYTES_SHIFT), "every length fits into a note");
_Static_assert(((NOTE_LARGE | NOTE_TRACKED | NOTE_MARKS | NOTE_PART) & ((1 << FRAME_WORD_KIND_BITS) - 1)) ==
                   0,
               "a note is a plain word");

/* Who allocated a block, with the owner policy. */
struct heap_track {
    const struct heap *heap;   /* whose block it is */
    uint64_t bytes;            /* as asked for */
    struct slab_who allocated; /* by whom */
};

const uint32_t heap_track_bytes = sizeof(struct heap_track);

/* The heap's block of frames for CPU 0 is nobody else's: its address tells it from others, up to 1 TiB. */
void heap_large_init(struct heap *heap)
{
    uint64_t block = slab_frame_of(&heap->slabs, heap->slabs.cpu[0]).raw / SLAB_PARTS_BYTES;
    heap->large_note = (block & NOTE_IDENTITY_MASK) << NOTE_IDENTITY_SHIFT | NOTE_LARGE;
}

static struct heap_track *track_of(uint64_t note)
{
    return slab_decode((void *)note);
}

static inline uint64_t plain_note(const struct heap *heap, uint64_t bytes)
{
    return heap->large_note | (bytes - 1) << NOTE_BYTES_SHIFT;
}

/* The length in the note of a block of this heap's that is not tracked; 0 when it is none. */
static inline uint64_t plain_bytes(const struct heap *heap, uint64_t note)
{
    uint64_t identity = note & ~(~0ULL << NOTE_BYTES_SHIFT) & ~(uint64_t)NOTE_MARKS;
    return identity == heap->large_note ? (note >> NOTE_BYTES_SHIFT) + 1 : 0;
}

/* The same for all blocks of this heap's. */
static uint64_t noted_bytes(const struct heap *heap, uint64_t note)
{
    uint64_t number = note & 0xff & ~(uint64_t)NOTE_MARKS;
    if (number == (NOTE_LARGE | NOTE_TRACKED)) {
        return track_of(note)->heap == heap ? track_of(note)->bytes : 0;
    }
    return plain_bytes(heap, note);
}

/* ---- Accounts ---- */

static inline void add(_Atomic(int64_t) *account, int64_t value)
{
    atomic_store_explicit(account, atomic_load_explicit(account, memory_order_relaxed) + value,
                          memory_order_relaxed);
}

/* Books a block that came (sign 1) or goes (sign -1). */
static inline void count(struct heap *heap, int64_t sign, uint64_t frames, uint64_t bytes)
{
    preempt_disable();
    struct heap_large_count *here = &heap->large[cpu_number()];
    add(&here->blocks, sign);
    add(&here->frames, sign * (int64_t)frames);
    add(&here->bytes, sign * (int64_t)bytes);
    preempt_enable();
}

void heap_large_sum(const struct heap *heap, struct heap_statistics *statistics)
{
    for (unsigned i = 0; i < heap->slabs.config.cpus; i++) {
        const struct heap_large_count *here = &heap->large[i];
        statistics->large_blocks += (uint64_t)atomic_load_explicit(&here->blocks, memory_order_relaxed);
        statistics->large_bytes += (uint64_t)atomic_load_explicit(&here->frames, memory_order_relaxed)
                                   << FRAME_SHIFT;
        statistics->large_asked += (uint64_t)atomic_load_explicit(&here->bytes, memory_order_relaxed);
    }
}

/* ---- Allocating ---- */

static inline uint64_t frames_of(uint64_t bytes)
{
    return (bytes + FRAME_BYTES - 1) >> FRAME_SHIFT;
}

/* Frames of a block: under the red zone policy, with room for that behind. */
static uint64_t frames_for(const struct heap *heap, uint64_t bytes)
{
    return frames_of(bytes + (heap->large_policy & SLAB_REDZONE ? SLAB_REDZONE_MIN : 0));
}

/* The further pieces of a run, whose length is no power of two, lead to its first frame. */
static void note_parts(struct heap *heap, uint64_t first, uint64_t frames)
{
    uint64_t at = first;
    uint64_t left = frames;
    for (;;) {
        uint64_t piece = 1ULL << frame_order_below(left);
        at += piece;
        left -= piece;
        if (left == 0) {
            return;
        }
        heap->slabs.config.frames->descriptors[at].object = slab_encode((void *)first, NOTE_PART);
    }
}

/* Notes a run in its descriptor and the accounts. */
static inline __attribute__((always_inline)) void *book_run(struct heap *heap, phys_addr_t run,
                                                            uint64_t frames, uint64_t bytes, uint64_t note)
{
    heap->slabs.config.frames->descriptors[run.raw >> FRAME_SHIFT].object = (void *)note;
    count(heap, 1, frames, bytes);
    return slab_frame_pointer(&heap->slabs, run);
}

static void *take_run(struct heap *heap, uint64_t bytes, uint64_t alignment, uint64_t note)
{
    struct frame_request request = {
        .frames = frames_for(heap, bytes), .alignment = alignment, .owner = OWNER_HEAP};
    phys_addr_t run;
    if (frame_alloc_request(heap->slabs.config.frames, &request, &run) != FRAME_OK) {
        return NULL;
    }
    note_parts(heap, run.raw >> FRAME_SHIFT, request.frames);
    return book_run(heap, run, request.frames, bytes, note);
}

static void *take_tracked_run(struct heap *heap, uint64_t bytes, uint64_t alignment, const void *caller)
{
    struct heap_track *track = slab_cache_alloc(&heap->tracks);
    if (!track) {
        return NULL;
    }
    track->heap = heap;
    track->bytes = bytes;
    slab_who_note(&heap->slabs, &track->allocated, caller);
    uint64_t note = (uintptr_t)slab_encode(track, NOTE_LARGE | NOTE_TRACKED);
    void *pointer = take_run(heap, bytes, alignment, note);
    if (!pointer) {
        slab_cache_free(&heap->tracks, track);
    }
    return pointer;
}

static void *take_virtually(struct heap *heap, uint64_t bytes, uint64_t alignment)
{
    if (!heap->virtually.alloc || alignment > FRAME_BYTES) {
        return NULL;
    }
    return heap->virtually.alloc(heap->virtually.context, bytes);
}

/* Whatever the frame pool's magazines do not serve. */
void *heap_large_alloc(struct heap *heap, uint64_t bytes, uint64_t alignment, const void *caller)
{
    if (bytes > HEAP_BYTES_MAX || slab_fail_now(&heap->slabs, &heap->large_failing)) {
        return NULL;
    }
    bytes = max_u64(bytes, 1);
    void *pointer;
    if (heap->large_policy & SLAB_OWNER) {
        pointer = take_tracked_run(heap, bytes, alignment, caller);
    } else {
        pointer = take_run(heap, bytes, alignment, plain_note(heap, bytes));
    }
    if (pointer) {
        heap_large_fill(heap, pointer, bytes, frames_for(heap, bytes));
    }
    return pointer ? pointer : take_virtually(heap, bytes, alignment);
}

/* The short way, as the fast paths of the classes are: a block of a power of two of frames. */
void *heap_alloc_large(struct heap *heap, size_t bytes)
{
    bool simple = bytes <= HEAP_BYTES_MAX && heap->large_policy == 0 &&
                  atomic_load_explicit(&heap->slabs.failing.every, memory_order_relaxed) == 0;
    if (simple) {
        uint64_t frames = frames_of(bytes);
        unsigned order = 63 - (unsigned)__builtin_clzll(frames);
        phys_addr_t block;
        if (1ULL << order == frames &&
            frame_alloc_cached(heap->slabs.config.frames, order, OWNER_HEAP, &block)) {
            return book_run(heap, block, frames, bytes, plain_note(heap, bytes));
        }
    }
    return heap_large_alloc(heap, bytes, FRAME_BYTES, __builtin_return_address(0));
}

/* ---- Freeing ---- */

static void release(struct heap *heap, struct frame_descriptor *descriptor, uint64_t bytes)
{
    struct frame_pool *pool = heap->slabs.config.frames;
    phys_addr_t run = phys_addr((uint64_t)(descriptor - pool->descriptors) << FRAME_SHIFT);
    uint64_t note = (uintptr_t)descriptor->object;
    uint32_t tag = atomic_load_explicit(&descriptor->tag, memory_order_relaxed);
    descriptor->object = NULL;
    if (note & NOTE_TRACKED) {
        slab_cache_free(&heap->tracks, track_of(note));
    }
    count(heap, -1, frames_for(heap, bytes), bytes);
    if (frame_tag_state(tag) == FRAME_ALLOCATED) {
        frame_free(pool, run, frame_tag_order(tag));
    } else {
        frame_free_run(pool, run, frames_for(heap, bytes));
    }
}

/* The descriptor of the frame at `pointer` if a block of OWNER_HEAP starts there; else NULL. */
static inline struct frame_descriptor *descriptor_at(struct heap *heap, const void *pointer)
{
    uint64_t address = (uintptr_t)pointer - heap->slabs.base;
    if (address >= heap->slabs.limit || address % FRAME_BYTES != 0) {
        return NULL;
    }
    struct frame_descriptor *descriptor = &heap->slabs.config.frames->descriptors[address >> FRAME_SHIFT];
    uint32_t tag = atomic_load_explicit(&descriptor->tag, memory_order_relaxed);
    bool is_start = frame_tag_state(tag) == FRAME_ALLOCATED || frame_tag_state(tag) == FRAME_RUN;
    return is_start && frame_descriptor_owner(descriptor) == OWNER_HEAP ? descriptor : NULL;
}

/* Frees a large block, if it is one; a damaged one is reported, and kept. */
static __attribute__((noinline)) bool free_large(struct heap *heap, void *pointer, const void *caller)
{
    struct frame_descriptor *descriptor = descriptor_at(heap, pointer);
    uint64_t bytes = descriptor ? noted_bytes(heap, (uintptr_t)descriptor->object) : 0;
    if (bytes != 0 && heap_large_leave(heap, pointer, caller)) {
        release(heap, descriptor, bytes);
    }
    return bytes != 0;
}

/* The short way of the commonest blocks; false when it is not to be had. */
static inline __attribute__((always_inline)) bool free_block(struct heap *heap,
                                                             struct frame_descriptor *descriptor)
{
    struct frame_pool *pool = heap->slabs.config.frames;
    uint64_t bytes = plain_bytes(heap, (uintptr_t)descriptor->object);
    phys_addr_t block = phys_addr((uint64_t)(descriptor - pool->descriptors) << FRAME_SHIFT);
    unsigned order = frame_tag_order(atomic_load_explicit(&descriptor->tag, memory_order_relaxed));
    /* The tag of a run differs. */
    if (bytes == 0 || heap->large_policy != 0 || !frame_free_cached(pool, block, order)) {
        return false;
    }
    count(heap, -1, 1ULL << order, bytes);
    return true;
}

/* Large blocks come first: what is not one has time. */
static inline __attribute__((always_inline)) void free_any(struct heap *heap, void *pointer,
                                                           const void *caller)
{
    struct frame_descriptor *descriptor = descriptor_at(heap, pointer);
    if (descriptor && (free_block(heap, descriptor) || free_large(heap, pointer, caller))) {
        return;
    }
    heap_free_other(heap, pointer, caller);
}

void heap_free_for(struct heap *heap, void *pointer, const void *caller)
{
    free_any(heap, pointer, caller);
}

void heap_free_slow(struct heap *heap, void *pointer)
{
    free_any(heap, pointer, __builtin_return_address(0));
}

/* ---- Resizing ---- */

bool heap_large_resize(struct heap *heap, void *pointer, uint64_t bytes, const void *caller)
{
    struct frame_descriptor *descriptor = descriptor_at(heap, pointer);
    uint64_t note = (uintptr_t)descriptor->object;
    uint64_t before = noted_bytes(heap, note);
    if (frames_for(heap, bytes) != frames_for(heap, before)) {
        return false;
    }
    if (!heap_large_stretch(heap, pointer, bytes, caller)) {
        return true;
    }
    if (note & NOTE_TRACKED) {
        track_of(note)->bytes = bytes;
    } else {
        descriptor->object = (void *)plain_note(heap, bytes);
    }
    preempt_disable();
    add(&heap->large[cpu_number()].bytes, (int64_t)(bytes - before));
    preempt_enable();
    return true;
}

/* ---- Looking ---- */

/* Fills *large if a frame lies in the first piece of a large block of this heap; whether it does. */
static bool describe(const struct heap *heap, const struct frame_facts *facts, struct heap_large *large)
{
    uint64_t note = (uintptr_t)facts->object;
    bool allocated = facts->managed && (facts->state == FRAME_ALLOCATED || facts->state == FRAME_RUN);
    uint64_t bytes = allocated && facts->owner == OWNER_HEAP ? noted_bytes(heap, note) : 0;
    if (bytes == 0) {
        return false;
    }
    *large = (struct heap_large){.pointer = slab_frame_pointer(&heap->slabs, facts->block),
                                 .bytes = bytes,
                                 .frames = frames_for(heap, bytes),
                                 .allocated = note & NOTE_TRACKED ? &track_of(note)->allocated : NULL,
                                 .marks = (uint32_t)(note & (HEAP_LARGE_REACHED | HEAP_LARGE_SEARCHED))};
    return true;
}

bool heap_large_find(struct heap *heap, const void *pointer, struct heap_large *large)
{
    struct frame_pool *pool = heap->slabs.config.frames;
    struct frame_facts facts;
    uint64_t address = (uintptr_t)pointer - heap->slabs.base;
    if (address >= heap->slabs.limit) {
        return false;
    }
    frame_pool_look(pool, phys_addr(address), &facts);
    if (facts.managed && facts.state == FRAME_RUN_PART && facts.owner == OWNER_HEAP &&
        slab_encoded_number(facts.object) == NOTE_PART) {
        frame_pool_look(pool, phys_addr((uintptr_t)slab_decode(facts.object) << FRAME_SHIFT), &facts);
    }
    return describe(heap, &facts, large);
}

void heap_large_mark(struct heap *heap, const struct heap_large *large, uint32_t marks)
{
    phys_addr_t frame = slab_frame_of(&heap->slabs, large->pointer);
    struct frame_descriptor *descriptor = frame_descriptor(heap->slabs.config.frames, frame);
    uint64_t note = (uintptr_t)descriptor->object & ~(uint64_t)(HEAP_LARGE_REACHED | HEAP_LARGE_SEARCHED);
    descriptor->object = (void *)(note | marks);
}

/* Visits the blocks in one range of the memory map; whether `visit` never returned false. */
static bool visit_range(struct heap *heap, const struct memory_range *range,
                        bool (*visit)(void *context, const struct heap_large *large), void *context)
{
    bool more = true;
    uint64_t end = range->base.raw + range->bytes;
    for (uint64_t address = range->base.raw; address < end && more;) {
        struct frame_facts facts;
        struct heap_large large;
        frame_pool_look(heap->slabs.config.frames, phys_addr(address), &facts);
        uint64_t next = facts.managed ? facts.block.raw + (FRAME_BYTES << facts.order) : 0;
        /* A block may reach into the next range of the map: it is met where it starts. */
        if (facts.block.raw == address && describe(heap, &facts, &large)) {
            next = facts.block.raw + (large.frames << FRAME_SHIFT);
            more = visit(context, &large);
        }
        address = max_u64(next, address + FRAME_BYTES);
    }
    return more;
}

bool heap_large_visit(struct heap *heap, bool (*visit)(void *context, const struct heap_large *large),
                      void *context)
{
    const struct frame_config *config = &heap->slabs.config.frames->config;
    struct heap_statistics statistics = {0};
    heap_large_sum(heap, &statistics);
    bool more = true;
    for (uint32_t i = 0; i < config->map_count && statistics.large_blocks > 0 && more; i++) {
        if (frame_type_is_ram(config->map[i].type)) {
            more = visit_range(heap, &config->map[i], visit, context);
        }
    }
    return more;
}

/* The check of all blocks. */
struct inspection {
    struct heap *heap;            /* whose they are */
    struct heap_statistics found; /* large_... are counted */
    struct slab_problem *problem; /* what was wrong first; problem->what is NULL so far */
};

static bool inspect(void *context, const struct heap_large *large)
{
    struct inspection *inspection = context;
    struct slab_report report;
    inspection->found.large_blocks++;
    inspection->found.large_bytes += large->frames << FRAME_SHIFT;
    inspection->found.large_asked += large->bytes;
    if (!inspection->problem->what && !heap_large_examine(inspection->heap, large, &report)) {
        *inspection->problem = (struct slab_problem){slab_fault_name(report.fault), NULL, large->pointer,
                                                     report.found, report.expected};
    }
    return true;
}

bool heap_large_check(struct heap *heap, struct slab_problem *problem)
{
    struct inspection inspection = {.heap = heap, .problem = problem};
    struct heap_statistics counted = {0};
    *problem = (struct slab_problem){.what = NULL};
    heap_large_visit(heap, inspect, &inspection);
    heap_large_sum(heap, &counted);
    struct heap_statistics found = inspection.found;
    if (problem->what) {
        return false;
    }
    if (found.large_blocks != counted.large_blocks) {
        *problem = (struct slab_problem){"count of large blocks", NULL, heap, counted.large_blocks,
                                         found.large_blocks};
    } else if (found.large_bytes != counted.large_bytes) {
        *problem = (struct slab_problem){"frames of large blocks", NULL, heap, counted.large_bytes,
                                         found.large_bytes};
    } else if (found.large_asked != counted.large_asked) {
        *problem = (struct slab_problem){"bytes of large blocks", NULL, heap, counted.large_asked,
                                         found.large_asked};
    }
    return !problem->what;
}

static bool free_found(void *context, const struct heap_large *large)
{
    struct heap *heap = context;
    free_large(heap, large->pointer, NULL);
    return true;
}

void heap_large_destroy(struct heap *heap)
{
    struct heap_statistics statistics = {0};
    heap_large_sum(heap, &statistics);
    heap_large_visit(heap, free_found, heap);
    if (statistics.large_blocks > 0) {
        struct slab_report report = {
            .fault = SLAB_LIVE_AT_DESTROY, .pointer = heap, .found = statistics.large_blocks};
        slab_report(&heap->slabs, &report);
    }
}
