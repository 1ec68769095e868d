/*
 * A set of CPUs, as long as the processors present: one bit for each number below `cpus`. Its owner gives the
 * words it lies in, as many as cpu_set_words() says, so nothing is sized by a greatest number of CPUs.
 *
 * All functions may be called on any CPU at any time, NMI handlers included, and take no lock. Adding and
 * removing are single locked instructions, and so full fences: what the caller read or wrote before is done
 * before, what it reads or writes afterwards is done afterwards (SDM volume 3, 8.2.2). A walk over a set that
 * others change meanwhile sees each CPU as it was at the moment when its word was read.
 */
#pragma once

#include <ashlar/assert.h>
#include <ashlar/types.h>
#include <stdatomic.h>

#define CPU_SET_WORD_BITS 64

struct cpu_set {
    _Atomic(uint64_t) *words; /* the owner's: CPU n is bit n % 64 of word n / 64 */
    unsigned cpus;            /* CPUs 0 .. cpus - 1 can be in it */
};

/* How many words a set for `cpus` CPUs takes. */
static inline unsigned cpu_set_words(unsigned cpus)
{
    return (cpus + CPU_SET_WORD_BITS - 1) / CPU_SET_WORD_BITS;
}

/* Makes `set` an empty one for CPUs 0 .. cpus - 1, which lies in `words` from now on. */
static inline void cpu_set_init(struct cpu_set *set, _Atomic(uint64_t) *words, unsigned cpus)
{
    *set = (struct cpu_set){words, cpus};
    for (unsigned i = 0; i < cpu_set_words(cpus); i++) {
        atomic_init(&words[i], 0);
    }
}

static inline _Atomic(uint64_t) *cpu_set_word(const struct cpu_set *set, unsigned cpu)
{
    DEBUG_ASSERT(cpu < set->cpus);
    return &set->words[cpu / CPU_SET_WORD_BITS];
}

static inline uint64_t cpu_set_bit(unsigned cpu)
{
    return 1ULL << cpu % CPU_SET_WORD_BITS;
}

/* Puts `cpu` in; true when it was not in it. */
static inline bool cpu_set_add(struct cpu_set *set, unsigned cpu)
{
    uint64_t before = atomic_fetch_or(cpu_set_word(set, cpu), cpu_set_bit(cpu));
    return !(before & cpu_set_bit(cpu));
}

/* Takes `cpu` out; true when it was in it. */
static inline bool cpu_set_remove(struct cpu_set *set, unsigned cpu)
{
    uint64_t before = atomic_fetch_and(cpu_set_word(set, cpu), ~cpu_set_bit(cpu));
    return before & cpu_set_bit(cpu);
}

/* Whether `cpu` is in the set now. */
static inline bool cpu_set_has(const struct cpu_set *set, unsigned cpu)
{
    return atomic_load_explicit(cpu_set_word(set, cpu), memory_order_acquire) & cpu_set_bit(cpu);
}

/*
 * The first CPU in the set whose number is `from` or above; set->cpus when there is none. To visit all:
 *
 *     for (unsigned cpu = cpu_set_next(set, 0); cpu < set->cpus; cpu = cpu_set_next(set, cpu + 1))
 */
static inline unsigned cpu_set_next(const struct cpu_set *set, unsigned from)
{
    for (unsigned first = from; first < set->cpus; first += CPU_SET_WORD_BITS - first % CPU_SET_WORD_BITS) {
        uint64_t word = atomic_load_explicit(cpu_set_word(set, first), memory_order_acquire);
        word >>= first % CPU_SET_WORD_BITS;
        if (word != 0) {
            return first + (unsigned)__builtin_ctzll(word);
        }
    }
    return set->cpus;
}

/* How many CPUs are in the set. */
static inline unsigned cpu_set_count(const struct cpu_set *set)
{
    unsigned count = 0;
    for (unsigned i = 0; i < cpu_set_words(set->cpus); i++) {
        count += (unsigned)__builtin_popcountll(atomic_load_explicit(&set->words[i], memory_order_acquire));
    }
    return count;
}
