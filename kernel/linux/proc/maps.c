/*
 * Files of a process that tell of its memory page by page: maps, smaps, pagemap.
 *
 * Regions come and go while a program reads. So the cursor is an address: a line tells of the lowest region
 * that ends above it, and of that only what lies above it. No stretch is told twice, and none that is there
 * all the time is left out.
 */
#include <ashlar/memory.h>
#include <ashlar/string.h>
#include <ashlar/thread.h>

#include "regions.h"

#define WORD       sizeof(uint64_t)
#define WORDS_EACH 64 /* of pagemap, before the process is looked at again */

static struct map_line line_of(const struct proc_region *named)
{
    const struct vm_region_facts *region = &named->facts;
    return (struct map_line){.base = named->base,
                             .end = named->end,
                             .access = region->access,
                             .shared = region->shared,
                             .offset = region->pager ? region->offset + (named->base - region->base.raw) : 0,
                             .node = named->node,
                             .name = named->name};
}

static int tell(const struct proc_what *what, struct proc_text *text, uint64_t *cursor, bool with_counts)
{
    struct proc_facts facts;
    struct proc_region named;
    struct vm_counts counts;
    int result = proc_look(what, &facts);
    if (result) {
        return result;
    }
    result = proc_region_begin(&facts, *cursor, &named);
    if (result == 1) {
        struct map_line line = line_of(&named);
        text_map(text, &line);
        if (with_counts) {
            vm_space_count(facts.space, virt_addr(line.base), line.end - line.base, &counts);
            text_map_counts(text, &line, &counts, named.facts.source == VM_STACK);
        }
        *cursor = named.end;
    }
    proc_region_end(&named);
    proc_let_go(&facts);
    return result;
}

int proc_maps(const struct proc_what *what, struct proc_text *text, uint64_t *cursor)
{
    return tell(what, text, cursor, false);
}

int proc_smaps(const struct proc_what *what, struct proc_text *text, uint64_t *cursor)
{
    return tell(what, text, cursor, true);
}

/* ---- pagemap: a word for each page of the address space ---- */

/* shows_frame: also where in memory the page lies. */
static uint64_t word_of(struct vm_space *space, uint64_t address, bool shows_frame)
{
    struct vm_look look;
    struct vm_counts counts;
    vm_space_look(space, virt_addr(address), &look);
    if (!look.found) {
        return 0;
    }
    vm_space_count(space, virt_addr(address), FRAME_BYTES, &counts);
    bool present = look.mapped.mapped && counts.device == 0 && counts.swapped == 0;
    bool file = present && counts.resident != 0 && counts.anonymous == 0;
    return pagemap_word(present, counts.swapped != 0, file, present && counts.alone != 0,
                        shows_frame ? look.mapped.target.raw >> FRAME_SHIFT : 0);
}

/* Fills words for pages from `page` on; returns how many there are, 0 behind the last one, and of a process
 * that has ended. */
static int64_t words_of(const struct proc_what *what, uint64_t page, uint64_t words[WORDS_EACH],
                        uint64_t count)
{
    struct proc_facts facts;
    if (proc_look(what, &facts) != 0) {
        return 0;
    }
    bool shows_frames = task_may(CAPABILITY_ADMIN);
    uint64_t end = USER_END >> FRAME_SHIFT;
    count = facts.space && page < end ? min_u64(min_u64(count, WORDS_EACH), end - page) : 0;
    for (uint64_t i = 0; i < count; i++) {
        words[i] = word_of(facts.space, (page + i) << FRAME_SHIFT, shows_frames);
    }
    proc_let_go(&facts);
    return (int64_t)count;
}

int64_t proc_pagemap_read(const struct proc_what *what, struct file_buffer *buffer, uint64_t *offset)
{
    uint64_t words[WORDS_EACH];
    int64_t done = 0;
    if (*offset % WORD || buffer->left % WORD) {
        return -EINVAL;
    }
    while (buffer->left != 0 && !thread_killed()) {
        int64_t count = words_of(what, *offset / WORD, words, buffer->left / WORD);
        if (count == 0) {
            break;
        }
        size_t put = buffer->put(buffer, words, (size_t)count * WORD);
        done += (int64_t)put;
        *offset += put;
        if (put < (size_t)count * WORD) {
            return done != 0 ? done : -EFAULT;
        }
    }
    return done;
}
