/*
 * Tables of numbers: who has which, for spaces and for families. A table grows by a frame at a time and keeps
 * its frames, so that an entry stays where it is; free numbers form a list through their entries. All of it
 * is guarded by the manager's lock.
 */
#include "internal.h"

#define NUMBER_FREE 1ULL /* the entry is a link in the list of free numbers */

static uint64_t link_to(uint32_t number)
{
    return 2 * (uint64_t)number | NUMBER_FREE;
}

union vm_number *vm_numbers_entry(struct vm_numbers *numbers, uint32_t number)
{
    return &numbers->chunks[number / VM_NUMBERS_CHUNK][number % VM_NUMBERS_CHUNK];
}

uint64_t vm_numbers_word(struct vm_numbers *numbers, uint32_t number)
{
    if (number >= numbers->limit) {
        return 0;
    }
    uint64_t word = vm_numbers_entry(numbers, number)->word;
    return word & NUMBER_FREE ? 0 : word;
}

/* Makes room for VM_NUMBERS_CHUNK more numbers, all free. */
static enum vm_error grow(struct vm_manager *manager, struct vm_numbers *numbers, uint32_t most)
{
    if (numbers->limit >= most) {
        return VM_TOO_MANY;
    }
    phys_addr_t frame = frame_alloc(manager->config.frames, 0, OWNER_POOL);
    if (frame.raw == 0) {
        return VM_NO_MEMORY;
    }
    uint32_t first = numbers->limit;
    numbers->chunks[first / VM_NUMBERS_CHUNK] = frame_pointer(manager->config.frames, frame);
    numbers->limit += VM_NUMBERS_CHUNK;
    for (uint32_t number = first; number < numbers->limit; number++) {
        vm_numbers_entry(numbers, number)->word = link_to(number + 1);
    }
    numbers->free = first;
    return VM_OK;
}

_Static_assert(VM_NUMBERS_CHUNK * sizeof(union vm_number) == FRAME_BYTES, "a chunk of a table is a frame");

enum vm_error vm_numbers_take(struct vm_manager *manager, struct vm_numbers *numbers, uint32_t most,
                              union vm_number whose, uint32_t *number)
{
    enum vm_error error = numbers->free == numbers->limit ? grow(manager, numbers, most) : VM_OK;
    if (error == VM_OK) {
        *number = numbers->free;
        union vm_number *entry = vm_numbers_entry(numbers, *number);
        numbers->free = (uint32_t)(entry->word / 2);
        *entry = whose;
        numbers->count++;
    }
    return error;
}

void vm_numbers_return(struct vm_numbers *numbers, uint32_t number)
{
    vm_numbers_entry(numbers, number)->word = link_to(numbers->free);
    numbers->free = number;
    numbers->count--;
}

void vm_numbers_destroy(struct vm_manager *manager, struct vm_numbers *numbers)
{
    struct frame_pool *frames = manager->config.frames;
    for (uint32_t first = 0; first < numbers->limit; first += VM_NUMBERS_CHUNK) {
        uintptr_t chunk = (uintptr_t)numbers->chunks[first / VM_NUMBERS_CHUNK];
        frame_free(frames, phys_addr(chunk - frames->config.backing.base), 0);
    }
}
