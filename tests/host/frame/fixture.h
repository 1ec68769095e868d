/*
 * A machine for tests of the frame pool: physical memory that is reserved but not there until it is touched,
 * so that 960 GiB cost nothing; a virtual array of descriptors; a backing that uses up page-table frames as
 * the kernel would, one for each new 2 MiB of descriptors.
 */
#pragma once

#include <ashlar/frame.h>

#define MACHINE_RANGES_MAX 64
#define MACHINE_PAGES_MAX  64

struct machine {
    uint64_t bytes;                              /* of physical address space */
    void *memory;                                /* physical address 0 */
    struct frame_descriptor *descriptors;        /* of frame 0 */
    uint64_t last_table;                         /* 2 MiB of descriptors that has a page table */
    uint64_t pages_mapped;                       /* calls of the backing */
    uint64_t pages[MACHINE_PAGES_MAX];           /* what it mapped in the last ones; a frame each */
    struct memory_range map[MACHINE_RANGES_MAX]; /* the map given to the pool */
    uint32_t map_count;
    struct frame_pool pool;
};

/* A machine of `bytes` of address space without a map. */
void machine_make(struct machine *machine, uint64_t bytes);
void machine_destroy(struct machine *machine);

/*
 * From now on the memory of a destroyed machine serves the next one of the same size, and holds what was
 * written to it: for fuzz targets, which would else spend their time on asking for memory. For one thread.
 */
void machine_keep_memory(void);
void machine_range(struct machine *machine, uint64_t base, uint64_t bytes, enum memory_type type);
struct frame_config machine_config(struct machine *machine, unsigned cpus, const struct frame_policy *policy);

/* The map of a small PC, of every kind of memory something, and some beyond 4 GiB. */
void machine_make_pc(struct machine *machine);

/* Whether frame_pool_check() finds nothing; says what it found. */
bool machine_is_sound(struct machine *machine);

/* Makes the machine's pool from its map. */
enum frame_error machine_start(struct machine *machine, unsigned cpus, const struct frame_policy *policy);
