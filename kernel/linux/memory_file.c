/* A program's file in memory; see memory_file.h. */
#include "memory_file.h"

#include <ashlar/heap.h>
#include <ashlar/memory.h>
#include <ashlar/string.h>

#define LARGEST MIB(64)

static struct memory_file *of_pager(struct vm_pager *pager)
{
    return (struct memory_file *)((uint8_t *)pager - offsetof(struct memory_file, pager));
}

static phys_addr_t get_page(struct vm_pager *pager, uint64_t offset, bool wait)
{
    struct memory_file *file = of_pager(pager);
    uint64_t index = offset / FRAME_BYTES;
    (void)wait;
    if (index >= file->frame_count || frame_try_get(kernel_frames(), file->frames[index]) != FRAME_OK) {
        return phys_addr(0);
    }
    return file->frames[index];
}

static bool read_bytes(struct program_file *program, void *to, uint64_t offset, size_t bytes)
{
    struct memory_file *file = (struct memory_file *)program;
    for (size_t done = 0; done < bytes;) {
        uint64_t at = offset + done;
        size_t part = (size_t)min_u64(bytes - done, FRAME_BYTES - at % FRAME_BYTES);
        const uint8_t *page = memory_file_page(file, align_down(at, FRAME_BYTES));
        memcpy((uint8_t *)to + done, page + at % FRAME_BYTES, part);
        done += part;
    }
    return true;
}

void *memory_file_page(struct memory_file *file, uint64_t offset)
{
    return frame_pointer(kernel_frames(), file->frames[offset / FRAME_BYTES]);
}

int memory_file_create(struct memory_file *file, const char *name, uint64_t bytes)
{
    uint64_t wanted = align_up(bytes, FRAME_BYTES) / FRAME_BYTES;
    if (bytes > LARGEST) {
        return -EFBIG;
    }
    *file = (struct memory_file){
        .file = {.name = name, .bytes = bytes, .pager = &file->pager, .read = read_bytes},
        .pager = {.get = get_page, .references = 1},
        .frames = heap_alloc(&kernel_heap, (wanted + 1) * sizeof(phys_addr_t))};
    while (file->frames && file->frame_count < wanted) {
        phys_addr_t frame = frame_alloc_zeroed(kernel_frames(), OWNER_CACHE);
        if (frame.raw == 0) {
            break;
        }
        frame_note_clear(frame_descriptor(kernel_frames(), frame));
        file->frames[file->frame_count++] = frame;
    }
    if (!file->frames || file->frame_count < wanted) {
        memory_file_destroy(file);
        return -ENOMEM;
    }
    return 0;
}

void memory_file_destroy(struct memory_file *file)
{
    vm_pager_put(&file->pager);
    for (uint64_t i = 0; i < file->frame_count; i++) {
        frame_free(kernel_frames(), file->frames[i], 0);
    }
    heap_free(&kernel_heap, file->frames);
    file->frames = NULL;
    file->frame_count = 0;
}
