/*
 * A machine with address spaces: physical memory with a frame pool, slab caches, a kernel's page tables, a
 * manager, and the model of the MMU watching. Accesses go through the model's TLB; what faults there goes to
 * the space, as the trap handler would do it.
 */
#pragma once

#include "tests/host/frame/fixture.h"
#include "tests/host/kva/device_claims.h"
#include "tests/host/support/mmu_model.h"
#include <ashlar/vm_space.h>

#define VM_USER_BASE 0x10000ULL
#define VM_USER_END  0x7ffffffff000ULL
#define VM_KERNEL    0xffffe00000000000ULL /* lazy range of the kernel in these tests */

struct vm_fixture {
    struct machine machine;
    struct slab_pool slabs;
    struct page_table_access physmap; /* how tables are reached */
    struct page_table kernel;         /* the kernel's tables */
    struct vm_manager manager;
    struct device_claims claims; /* what VM_DEVICE regions show */
    uint64_t free_at_start;      /* frames free before any space was made */
};

void vm_report(void *context, const struct slab_report *report);
struct vm_manager_config vm_fixture_config(struct vm_fixture *fixture, unsigned levels);
void vm_fixture_start_cpus(struct vm_fixture *fixture, uint64_t bytes, unsigned levels, unsigned cpus);
void vm_fixture_start_levels(struct vm_fixture *fixture, uint64_t bytes, unsigned levels);
void vm_fixture_start(struct vm_fixture *fixture, uint64_t bytes);
void vm_fixture_check(struct vm_fixture *fixture);

/* Frames free once all caches have given back what they can. */
uint64_t vm_fixture_free(struct vm_fixture *fixture);

/* Destroys all; every frame must be back, and the frame pool sound. */
void vm_fixture_stop(struct vm_fixture *fixture);

/* Lets the CPU use a new space's tables, under the number that they have. */
void vm_fixture_add(struct vm_space *space);
void vm_fixture_space(struct vm_fixture *fixture, struct vm_space *space, const char *name);

/* A space over a part of the kernel's half. */
void vm_fixture_kernel_space(struct vm_fixture *fixture, struct vm_space *space);
void vm_fixture_drop(struct vm_space *space);
enum vm_access vm_access_of(enum mmu_use use);

/*
 * One access by the program (or by the kernel, in a kernel space): like the CPU, and like the trap handler
 * when it faults. Returns the pointer to physical memory, or NULL with the fault's result in *fault. *fault
 * is VM_FAULT_COUNT when there was no fault.
 */
void *vm_touch(struct vm_space *space, uint64_t address, enum mmu_use use, enum vm_fault *fault);

/*
 * A pager with its pages in memory: the first PAGER_PAGES of an endless file of which page n starts with n.
 */
#define PAGER_PAGES 24

struct test_pager {
    struct vm_pager pager;
    struct frame_pool *frames;
    phys_addr_t cache[PAGER_PAGES];               /* with a reference of its own; none until asked for */
    unsigned dirtied[PAGER_PAGES];                /* times it was told so */
    bool failing;                                 /* gives nothing */
    bool keeps;                                   /* keeps a reference in cache[]: all see the same frame */
    unsigned released;                            /* calls of release */
    void (*before_get)(struct test_pager *pager); /* or NULL: what happens meanwhile */
};

phys_addr_t test_pager_get(struct vm_pager *base, uint64_t offset, bool wait);
void test_pager_start(struct test_pager *pager, struct vm_fixture *fixture);

/* Drops the pager's own frames and its first reference; no region has one any more. */
void test_pager_stop(struct test_pager *pager);
