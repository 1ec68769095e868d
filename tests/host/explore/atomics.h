/*
 * Included before everything else in explored sources: their atomic operations on words become steps of the
 * explorer, which decides who goes on after each. A store waits in its CPU's store buffer, as on the machine;
 * a locked instruction empties the buffer first, and so is a fence (SDM volume 3, 8.2.2).
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

uint64_t explore_load(const void *word);
void explore_store(void *word, uint64_t value);
uint64_t explore_add(void *word, uint64_t value);
uint64_t explore_or(void *word, uint64_t value);
uint64_t explore_and(void *word, uint64_t value);

/* What a compiler might make of the first two without a lock prefix: for mutants. */
uint64_t explore_add_unlocked(void *word, uint64_t value);
uint64_t explore_or_unlocked(void *word, uint64_t value);

#undef atomic_load
#undef atomic_load_explicit
#undef atomic_store_explicit
#undef atomic_fetch_add
#undef atomic_fetch_or
#undef atomic_fetch_and

#define atomic_load(word)                         explore_load((const void *)(word))
#define atomic_load_explicit(word, order)         explore_load((const void *)(word))
#define atomic_store_explicit(word, value, order) explore_store((void *)(word), (uint64_t)(value))
#define atomic_fetch_add(word, value)             explore_add((void *)(word), (uint64_t)(value))
#define atomic_fetch_or(word, value)              explore_or((void *)(word), (uint64_t)(value))
#define atomic_fetch_and(word, value)             explore_and((void *)(word), (uint64_t)(value))
