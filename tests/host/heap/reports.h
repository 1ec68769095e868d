/*
 * What the tests of slabs and heap share: one heap, two caches in it, and how a test begins and ends.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"
#include "tests/host/support/host.h"

extern struct heap_fixture fixture;
extern struct slab_cache typed;   /* "typed", 100 bytes: made by begin_typed() and begin_debug() */
extern struct slab_cache another; /* "another", alike */

void make(struct slab_cache *made, const char *name, uint32_t bytes, uint32_t alignment);

/* A heap with the size classes only. */
int begin(void **state);

/* The same with two caches, and debug rules or NULL. */
int begin_with(const char *rules);

/* A heap with the two caches. */
int begin_typed(void **state);

/* The same with debug policies. */
int begin_debug(void **state);

int end(void **state);

/* The mistake just made was reported as this one, once, about `pointer`. */
void expect(enum slab_fault fault, const void *pointer);

#define TEST(function)       cmocka_unit_test_setup_teardown(function, begin, end)
#define TYPED_TEST(function) cmocka_unit_test_setup_teardown(function, begin_typed, end)
#define DEBUG_TEST(function)                                                                                 \
    {                                                                                                        \
#function " (debug)", function, begin_debug, end, NULL                                               \
    }
