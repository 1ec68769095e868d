#include "virtual_fixture.h"

#include <string.h>

static void *virtual_alloc(void *context, uint64_t bytes)
{
    struct virtual_source *source = context;
    for (unsigned i = 0; i < source->count && bytes >= source->least; i++) {
        if (!source->taken[i]) {
            source->taken[i] = true;
            return source->pages[i];
        }
    }
    return NULL;
}

static bool virtual_find(void *context, const void *pointer, struct heap_virtual_block *block)
{
    struct virtual_source *source = context;
    uint64_t offset = (uintptr_t)pointer - (uintptr_t)source->pages;
    if (offset >= sizeof source->pages || !source->taken[offset / VIRTUAL_BYTES]) {
        return false;
    }
    *block = (struct heap_virtual_block){source->pages[offset / VIRTUAL_BYTES], VIRTUAL_BYTES};
    return true;
}

static bool virtual_free(void *context, void *pointer)
{
    struct virtual_source *source = context;
    struct heap_virtual_block block;
    bool found = virtual_find(context, pointer, &block) && block.pointer == pointer;
    if (found) {
        source->taken[((uintptr_t)pointer - (uintptr_t)source->pages) / VIRTUAL_BYTES] = false;
    }
    return found;
}

static void virtual_visit(void *context, bool (*visit)(void *to, const struct heap_virtual_block *block),
                          void *to)
{
    struct virtual_source *source = context;
    bool more = true;
    for (unsigned i = 0; i < VIRTUALS_MAX && more; i++) {
        struct heap_virtual_block block = {source->pages[i], VIRTUAL_BYTES};
        more = !source->taken[i] || visit(to, &block);
    }
}

void virtual_start(struct heap *heap, struct virtual_source *source, unsigned count, uint64_t least)
{
    memset(source->taken, 0, sizeof source->taken);
    source->count = count;
    source->least = least;
    heap->virtually = (struct heap_virtual){.alloc = virtual_alloc,
                                            .free = virtual_free,
                                            .find = virtual_find,
                                            .visit = virtual_visit,
                                            .context = source};
}
