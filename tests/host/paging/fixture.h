/*
 * A machine with page tables: physical memory with a frame pool over it, the model of the MMU watching, and a
 * kernel's set of tables. Every operation of a test goes between tables_before() and tables_after(), which
 * let the CPU read ahead all it can and then hold its caches against the tables.
 */
#pragma once

#include "tests/host/frame/fixture.h"
#include "tests/host/support/mmu_model.h"

struct tables {
    struct machine machine;
    struct page_table_access physmap; /* direct */
    struct page_table kernel;
    struct tlb_batch batch; /* of the operation under way, on `kernel` */
};

void tables_make(struct tables *tables, uint64_t bytes, unsigned levels, enum page_level largest);

/* The same for a machine of several CPUs. */
void tables_make_for(struct tables *tables, unsigned cpus, uint64_t bytes, unsigned levels,
                     enum page_level largest);
void tables_check(struct page_table *table);
void tables_before(struct tables *tables);
void tables_after(struct tables *tables);
enum page_table_error tables_map(struct tables *tables, uint64_t base, uint64_t target, uint64_t bytes,
                                 unsigned access, enum page_level largest);
enum page_table_error tables_unmap(struct tables *tables, uint64_t base, uint64_t bytes);
enum page_table_error tables_protect(struct tables *tables, uint64_t base, uint64_t bytes, unsigned access);

/* Destroys everything; the pool's books balance, and no frame is left with page tables. */
void tables_destroy(struct tables *tables);
