#include "hoard.h"

struct hoard hoard;

/* As the kernel does it, where all other CPUs rest. */
static bool collect(void *context)
{
    (void)context;
    bool frames_there = frame_pool_others_hold(hoard.frames);
    if (!frames_there && !slab_others_hold(hoard.slabs)) {
        return false;
    }
    hoard.collections++;
    for (unsigned cpu = 0; cpu < hoard.frames->config.cpus; cpu++) {
        if (cpu != host_cpu) {
            slab_drain_cpu(hoard.slabs, cpu);
            frame_pool_drain_cpu(hoard.frames, cpu);
        }
    }
    return slab_reap(hoard.slabs) > 0 || frames_there;
}

void hoard_start(struct frame_pool *frames, struct slab_pool *slabs)
{
    const struct slab_cache_config config = {.name = "others", .bytes = HOARD_BYTES};
    hoard = (struct hoard){.frames = frames, .slabs = slabs};
    if (slab_cache_init(slabs, &hoard.cache, &config) != SLAB_OK) {
        panic("no cache");
    }
}

void hoard_stop(void)
{
    slab_cache_destroy(&hoard.cache);
}

static void use_objects(void)
{
    void *objects[HOARD_OBJECTS];
    for (unsigned i = 0; i < HOARD_OBJECTS; i++) {
        objects[i] = slab_cache_alloc(&hoard.cache);
    }
    for (unsigned i = 0; i < HOARD_OBJECTS; i++) {
        slab_cache_free(&hoard.cache, objects[i]);
    }
}

void hoard_all(enum keeper keeper)
{
    hoard.frames->config.collect = NULL;
    phys_addr_t frame;
    if (keeper == KEEPS_OBJECTS) {
        host_cpu = 1;
        use_objects();
        host_cpu = 0;
    } else {
        slab_drain_cpu(hoard.slabs, 1);
    }
    frame_pool_drain_cpu(hoard.frames, 1);
    while ((frame = frame_alloc(hoard.frames, 0, OWNER_TEST)).raw != 0) {
        hoard.taken[hoard.count++] = frame;
    }
    host_cpu = 1;
    for (unsigned i = 0; keeper == KEEPS_FRAMES && i < HOARD_KEPT; i++) {
        frame_free(hoard.frames, hoard.taken[--hoard.count], 0);
    }
    host_cpu = 0;
    hoard.collections = 0;
}

void hoard_reach(void)
{
    hoard.frames->config.collect = collect;
}

void hoard_give_back(void)
{
    hoard.frames->config.collect = NULL;
    while (hoard.count > 0) {
        frame_free(hoard.frames, hoard.taken[--hoard.count], 0);
    }
}
