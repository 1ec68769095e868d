/* The places of a process: root, working directory, umask; see descriptors.h. */
#include <ashlar/files.h>
#include <ashlar/memory.h>
#include <stdatomic.h>

#include "descriptors.h"

#define MASK_AT_START 022U

struct places {
    _Atomic(uint32_t) references;
    struct spinlock lock; /* guards the view */
    struct fs_view view;
};

static struct places *make(void)
{
    struct places *places = heap_alloc_zeroed(&kernel_heap, sizeof *places);
    if (places) {
        atomic_init(&places->references, 1);
        spinlock_init(&places->lock, LOCK_PLACES, 0);
    }
    return places;
}

struct places *places_create(void)
{
    struct places *places = make();
    if (places) {
        fs_view_root(kernel_files(), &places->view);
        places->view.mask = MASK_AT_START;
    }
    return places;
}

struct places *places_copy(struct places *places)
{
    struct places *copy = make();
    if (copy) {
        places_view(places, &copy->view);
    }
    return copy;
}

struct places *places_get(struct places *places)
{
    atomic_fetch_add(&places->references, 1);
    return places;
}

void places_put(struct places *places)
{
    if (atomic_fetch_sub(&places->references, 1) == 1) {
        fs_view_put(&places->view);
        heap_free(&kernel_heap, places);
    }
}

void places_view(struct places *places, struct fs_view *view)
{
    spinlock_acquire(&places->lock);
    *view = places->view;
    path_get(view->root);
    path_get(view->here);
    spinlock_release(&places->lock);
}

static void exchange(struct places *places, struct path *place, struct path path)
{
    spinlock_acquire(&places->lock);
    struct path before = *place;
    *place = path;
    spinlock_release(&places->lock);
    path_put(before);
}

void places_set_here(struct places *places, struct path path)
{
    exchange(places, &places->view.here, path);
}

void places_set_root(struct places *places, struct path path)
{
    exchange(places, &places->view.root, path);
}

uint32_t places_set_mask(struct places *places, uint32_t mask)
{
    spinlock_acquire(&places->lock);
    uint32_t before = places->view.mask;
    places->view.mask = mask & 0777;
    spinlock_release(&places->lock);
    return before;
}
