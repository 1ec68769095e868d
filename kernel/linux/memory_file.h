/* A program's file that lies in memory: frames of its own, which spaces share. */
#pragma once

#include "process.h"

struct memory_file {
    struct program_file file; /* what program_run() gets */
    struct vm_pager pager;
    uint64_t frame_count;
    phys_addr_t *frames;
};

/* Makes a file of `bytes` zero bytes. Returns 0, -ENOMEM or -EFBIG. `name` stays where it is. */
int memory_file_create(struct memory_file *file, const char *name, uint64_t bytes);

/* The kernel's view of the page that begins at `offset`, to fill it. */
void *memory_file_page(struct memory_file *file, uint64_t offset);

/* Returns its memory. No space shows it any more. */
void memory_file_destroy(struct memory_file *file);
