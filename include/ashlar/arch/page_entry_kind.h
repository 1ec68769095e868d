/*
 * What an entry of a page table is. The CPU knows two kinds, present and not present, and leaves all but one
 * bit of the latter to the system; what the system makes of them stands here and nowhere else.
 *
 * Who has to decide what becomes of an entry switches on its kind and names every kind, without a default:
 * then a kind that is added does not compile until every reader has said what it does with one. Who only goes
 * down compares with ENTRY_TABLE, who only fills holes asks page_entry_is_hole(), and who wants to know what
 * the CPU can use asks page_entry_present(): a kind that is added changes none of these answers.
 *
 *                    63..52      51..12               11..9       8   7..1        0
 *                                                     tag         G               P
 *     table          as in page_table_entry.h                                     1
 *     leaf           as in page_table_entry.h                                     1
 *     inaccessible   the leaf's  the leaf's           the leaf's  1   the leaf's  0
 *     swapped        0           the slot, inverted   1           0   0           0
 *     held           0           0                    7           0   0           0
 *     absent         0           0                    0           0   0           0
 *
 * The tags 2 to 6 are free for kinds to come.
 */
#pragma once

#include <ashlar/arch/page_table_entry.h>

enum page_entry_kind {
    ENTRY_ABSENT,       /* a hole */
    ENTRY_TABLE,        /* names the next lower table */
    ENTRY_LEAF,         /* maps memory */
    ENTRY_INACCESSIBLE, /* a leaf that is kept but hidden from the CPU, so that nobody reaches its memory */
    ENTRY_SWAPPED,      /* the page is on disk, in a slot; level 1 only */
    ENTRY_HELD,         /* no hole: somebody maps there by hand (page_table_hold()); level 1 only */
};

/* The kind's name for people: "absent", "table", "leaf", "inaccessible", "swapped" or "held". */
const char *page_entry_kind_name(enum page_entry_kind kind);

/* Whether nothing is there and nothing is kept: the entry may be filled. */
static inline bool page_entry_is_hole(page_table_entry_t entry)
{
    return entry.raw == 0;
}

/* Numbers in PAGE_ENTRY_SOFTWARE_LOW that tell apart what is neither present nor a leaf. */
#define PAGE_ENTRY_TAG_SWAPPED (1ULL << 9)
#define PAGE_ENTRY_TAG_HELD    (7ULL << 9)

/*
 * The kind of an entry in a table at `level`. One that is none of these is taken for absent, though it is not
 * 0: page_table_check() finds it.
 */
static inline __attribute__((always_inline)) enum page_entry_kind page_entry_kind(page_table_entry_t entry,
                                                                                  unsigned level)
{
    bool leaf = level == PAGE_LEVEL_4K || (level <= PAGE_LEVEL_1G && (entry.raw & PAGE_ENTRY_LARGE));
    if (page_entry_present(entry)) {
        return leaf ? ENTRY_LEAF : ENTRY_TABLE;
    }
    if (entry.raw & PAGE_ENTRY_GLOBAL) {
        return leaf ? ENTRY_INACCESSIBLE : ENTRY_ABSENT;
    }
    uint64_t tag = level == PAGE_LEVEL_4K ? entry.raw & PAGE_ENTRY_SOFTWARE_LOW : 0;
    if (tag == PAGE_ENTRY_TAG_SWAPPED) {
        return ENTRY_SWAPPED;
    }
    return tag == PAGE_ENTRY_TAG_HELD ? ENTRY_HELD : ENTRY_ABSENT;
}

/*
 * The entry of a 4 KiB page that lies on disk, in slot `slot`: any number of 32 bits, which is 16 TiB, and as
 * many as the header of a Linux swap area can count.
 *
 * A CPU with the flaw called L1TF reads ahead through entries that are not present: data at the physical
 * address they seem to name, if it is in the first cache, can be learnt from how long things take. So the
 * number is stored inverted, in the place of the address. The upper eight bits of that are ones then, and an
 * entry names an address at the very end of what the format can express, where no memory is. A CPU with the
 * flaw compares fewer bits, 36 to 46 of them: its memory must lie below the middle of that, and the slots in
 * use below 2^(bits - 13), so that the highest bit which is compared is a one as well. Whoever gives slots
 * out sees to that.
 */
static inline page_table_entry_t page_entry_swapped(uint32_t slot)
{
    uint64_t inverted = ~((uint64_t)slot << FRAME_SHIFT) & PAGE_ENTRY_ADDRESS;
    return (page_table_entry_t){inverted | PAGE_ENTRY_TAG_SWAPPED};
}

/* The slot of a swapped entry. */
static inline uint32_t page_entry_slot(page_table_entry_t swapped)
{
    return (uint32_t)(~swapped.raw >> FRAME_SHIFT);
}

/* An absent entry that is nevertheless taken: its page is somebody's to map (page_table_hold()). */
static inline page_table_entry_t page_entry_held(void)
{
    return (page_table_entry_t){PAGE_ENTRY_TAG_HELD};
}
