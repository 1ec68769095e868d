#include "first_fit.h"

#include <stdbool.h>
#include <stdint.h>

struct block {
    size_t bytes;       /* with this header */
    struct block *next; /* free blocks, by address */
};

#define HEADER 16 /* what lies in front of an allocated block: its length, and padding */

static struct block *first;
static char *base;
static size_t length;

void first_fit_start(void *memory, size_t bytes)
{
    base = memory;
    length = bytes;
    first = memory;
    *first = (struct block){bytes, NULL};
}

void *first_fit_alloc(size_t bytes)
{
    size_t wanted = (bytes + HEADER + 15) & ~(size_t)15;
    struct block **link = &first;
    while (*link && (*link)->bytes < wanted) {
        link = &(*link)->next;
    }
    struct block *block = *link;
    if (!block) {
        return NULL;
    }
    if (block->bytes - wanted >= 2 * HEADER) {
        struct block *rest = (struct block *)((char *)block + wanted);
        *rest = (struct block){block->bytes - wanted, block->next};
        *link = rest;
        block->bytes = wanted;
    } else {
        *link = block->next;
    }
    return (char *)block + HEADER;
}

static void merge(struct block *block)
{
    if (block->next && (char *)block + block->bytes == (char *)block->next) {
        block->bytes += block->next->bytes;
        block->next = block->next->next;
    }
}

void first_fit_free(void *pointer)
{
    struct block *block = (struct block *)((char *)pointer - HEADER);
    struct block *before = NULL;
    struct block *after = first;
    while (after && after < block) {
        before = after;
        after = after->next;
    }
    block->next = after;
    merge(block);
    if (before) {
        before->next = block;
        merge(before);
    } else {
        first = block;
    }
}

size_t first_fit_held(void)
{
    struct block *last = first;
    while (last && last->next) {
        last = last->next;
    }
    bool at_end = last && (char *)last + last->bytes == base + length;
    return at_end ? (size_t)((char *)last - base) : length;
}
