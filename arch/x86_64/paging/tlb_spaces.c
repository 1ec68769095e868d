/* Numbers of address spaces in the TLB: see <x86/tlb_spaces.h>. */
#include <ashlar/assert.h>
#include <x86/tlb_spaces.h>

static uint64_t bit_of(unsigned space)
{
    return 1ULL << space % 64;
}

/* The next free number after the one given out last: so a number is given out again as late as possible. */
static tlb_space_t take_number(struct tlb_spaces *spaces) REQUIRES(spaces->lock)
{
    spaces->used[0] |= bit_of(TLB_SPACE_KERNEL);
    for (unsigned i = 0; i < TLB_SPACE_WORDS; i++) {
        unsigned word = (spaces->next_word + i) % TLB_SPACE_WORDS;
        if (~spaces->used[word] != 0) {
            unsigned bit = (unsigned)__builtin_ctzll(~spaces->used[word]);
            spaces->used[word] |= bit_of(bit);
            spaces->next_word = bit == 63 ? word + 1 : word;
            return (tlb_space_t)(word * 64 + bit);
        }
    }
    return TLB_SPACE_KERNEL;
}

tlb_space_t tlb_spaces_alloc(struct tlb_spaces *spaces)
{
    spinlock_acquire(&spaces->lock);
    tlb_space_t space = take_number(spaces);
    spinlock_release(&spaces->lock);
    for (unsigned cpu = 0; space != TLB_SPACE_KERNEL && cpu < spaces->cpus; cpu++) {
        tlb_spaces_mark(spaces, cpu, space);
    }
    return space;
}

void tlb_spaces_free(struct tlb_spaces *spaces, tlb_space_t space)
{
    if (space == TLB_SPACE_KERNEL) {
        return;
    }
    spinlock_acquire(&spaces->lock);
    ASSERT(space < TLB_SPACES && (spaces->used[space / 64] & bit_of(space)));
    spaces->used[space / 64] &= ~bit_of(space);
    spinlock_release(&spaces->lock);
}

void tlb_spaces_mark(struct tlb_spaces *spaces, unsigned cpu, tlb_space_t space)
{
    atomic_fetch_or_explicit(&spaces->stale[cpu].numbers[space / 64], bit_of(space), memory_order_release);
}

void tlb_spaces_mark_others(struct tlb_spaces *spaces, unsigned cpu, tlb_space_t current)
{
    for (unsigned word = 0; word < TLB_SPACE_WORDS; word++) {
        uint64_t all = word == current / 64U ? ~bit_of(current) : UINT64_MAX;
        atomic_fetch_or_explicit(&spaces->stale[cpu].numbers[word], all, memory_order_release);
    }
}

bool tlb_spaces_take_stale(struct tlb_spaces *spaces, unsigned cpu, tlb_space_t space)
{
    uint64_t bit = bit_of(space);
    if (space == TLB_SPACE_KERNEL) {
        return true;
    }
    _Atomic(uint64_t) *word = &spaces->stale[cpu].numbers[space / 64];
    if (!(atomic_load_explicit(word, memory_order_acquire) & bit)) {
        return false;
    }
    atomic_fetch_and_explicit(word, ~bit, memory_order_acquire);
    return true;
}
