/* Device mappings over a simulated MMU: what their tests share. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <ashlar/mmio.h>
#include <cmocka.h>

#include "vmalloc_fixture.h"

#define MMIO_DEVICE     0xfed00000ULL
#define MMIO_CODE       MIB(8) /* RAM that is read-only everywhere */
#define MMIO_CODE_BYTES KIB(64)

/* A machine with device mappings; there is one at a time. */
struct mmio_fixture {
    struct vmalloc_fixture machine;
    struct slab_pool slabs;
    struct mmio mmio;
};

extern struct mmio_fixture mmio_fixture;

void mmio_fixture_start(void);

/* All that can be checked, is. */
void mmio_fixture_check(void);
void mmio_fixture_stop(void);

/* One request; on failure *pointer is NULL. */
enum mmio_error mmio_fixture_try(uint64_t address, uint64_t bytes, unsigned access, enum page_cache cache,
                                 void **pointer);

/* One that must succeed. */
uint8_t *mmio_fixture_map(uint64_t address, uint64_t bytes, unsigned access, enum page_cache cache);

/* One that must fail and change nothing. */
enum mmio_error mmio_fixture_refusal(uint64_t address, uint64_t bytes, unsigned access,
                                     enum page_cache cache);
