/*
 * From a frame to the pages that show it, and who may show the same page: what the files of mm/space/ share
 * of share/family.c and share/reverse.c.
 */
#pragma once

#include "mm/space/internal.h"

/* ---- share/family.c: who may show the same page ---- */

/* The last chunk's numbers are nobody's: one of them is in the notes of given frames. */
#define VM_FAMILIES_MAX (VM_NUMBERS_MAX - VM_NUMBERS_CHUNK)

struct vm_family {
    struct vm_manager *manager;
    struct spinlock lock;         /* guards the ring, and the bounds of its regions */
    struct vm_relative ring;      /* begins and ends here */
    _Atomic(uint32_t) references; /* of relatives, of a pager, and of those who look */
    uint32_t number;              /* in the manager's table */
    uint64_t serial;              /* from 1; no other one ever has it */
};

/* Makes a family with no relatives, to which the caller has a reference. Fails with VM_NO_MEMORY or
 * VM_TOO_MANY. */
enum vm_error vm_family_make(struct vm_manager *manager, struct vm_family **made) EXCLUDES(manager->lock);

/* The family of that number and a reference to it, or NULL. */
struct vm_family *vm_family_get(struct vm_manager *manager, uint32_t number) EXCLUDES(manager->lock);

/* Returns a reference; the last one ends the family. */
void vm_family_put(struct vm_family *family) EXCLUDES(family->lock);

/* Puts a relative before another one of the ring, or takes it out; the family's lock is held. */
void vm_relative_link(struct vm_relative *next, struct vm_relative *relative);
void vm_relative_unlink(struct vm_relative *relative);

/* Puts the place of one who walks, which is all zeros, at the ring's beginning, with a reference. */
void vm_family_enter(struct vm_family *family, struct vm_relative *place) EXCLUDES(family->lock);

/* Takes a relative, or such a place, out of the ring, and returns its reference. */
void vm_family_leave(struct vm_family *family, struct vm_relative *relative) EXCLUDES(family->lock);

/* Makes a space the first of a family, if it has none yet. Fails as vm_family_make(). */
enum vm_error vm_space_begin_family(struct vm_space *space) REQUIRES(space->change) EXCLUDES(space->lock);

/* Makes a space that has no family a relative in one. */
void vm_space_join(struct vm_space *space, struct vm_family *family) REQUIRES(space->change)
    EXCLUDES(space->lock, family->lock);

/* Takes a space that has no pages any more out of its family, if it has one. */
void vm_space_leave_family(struct vm_space *space);

/* Gives a pager its family, if it has none yet. Fails as vm_family_make(). */
enum vm_error vm_pager_begin_family(struct vm_manager *manager, struct vm_pager *pager);

/* Makes a region a relative in `family`, which is set, as is `shift`. */
void vm_region_join(struct vm_space *space, struct vm_region *region);

/* Takes a region that has no pages any more out of its family, if it has one by itself. */
void vm_region_leave(struct vm_region *region);

/* The first `bytes` bytes of `lower` are left to it, the rest is that of `upper`, which was made of it. */
void vm_region_part(struct vm_space *space, struct vm_region *lower, struct vm_region *upper, uint64_t bytes);

/* Gives what `upper` has to `lower`. */
void vm_region_absorb(struct vm_region *lower, struct vm_region *upper);

/* The family that a region shares its pages in, or NULL when it has shared none yet. */
static inline struct vm_family *vm_region_family(const struct vm_space *space, const struct vm_region *region)
{
    return region->family ? region->family : space->family;
}

/* Told of a page, as vm_code(), that may show a frame; returns whether it wants to hear of more. */
typedef bool vm_code_visitor(void *context, uint64_t code);

/* Visits all pages that relatives have at the place that `code` (vm_family_code()) names. */
void vm_family_each(struct vm_manager *manager, uint64_t code, vm_code_visitor *visit, void *context)
    EXCLUDES(manager->lock);

/* Verifies the rings and numbers of all families. */
bool vm_families_check(struct vm_manager *manager, struct vm_problem *problem) EXCLUDES(manager->lock);

/* ---- share/reverse.c: from a frame to the pages that show it ---- */

/* A code is the note of a frame: bit 0, then whether the number (17 bits) is a family's, then 45 bits of
 * page, which is 57 bits of address. Of offsets in families that are longer it has what fits. */
#define VM_CODE_FAMILY       (1ULL << 1)
#define VM_CODE_NUMBER_SHIFT 2
#define VM_CODE_PAGE_SHIFT   19
#define VM_CODE_ONE_PAGE     (1ULL << VM_CODE_PAGE_SHIFT)
#define VM_CODE_ADDRESSES    ((1ULL << (64 - VM_CODE_PAGE_SHIFT + FRAME_SHIFT)) - 1)

_Static_assert(VM_NUMBERS_MAX == 1U << (VM_CODE_PAGE_SHIFT - VM_CODE_NUMBER_SHIFT),
               "a number fits into a code");

/* The code of a page that a space has by itself. */
static inline uint64_t vm_code(uint32_t number, uint64_t address)
{
    return address >> FRAME_SHIFT << VM_CODE_PAGE_SHIFT | (uint64_t)number << VM_CODE_NUMBER_SHIFT |
           FRAME_NOTE_PAGE_BIT;
}

/* The code of a page that a family may share. */
static inline uint64_t vm_family_code(const struct vm_family *family, uint64_t offset)
{
    return vm_code(family->number, offset) | VM_CODE_FAMILY;
}

static inline uint32_t vm_code_number(uint64_t code)
{
    return (uint32_t)(code >> VM_CODE_NUMBER_SHIFT) & (VM_NUMBERS_MAX - 1);
}

/* The address, or the offset. The page number is signed, as addresses are: the upper half is negative. */
static inline uint64_t vm_code_address(uint64_t code)
{
    return (uint64_t)((int64_t)code >> VM_CODE_PAGE_SHIFT) << FRAME_SHIFT;
}

/* The code of a given frame, whose page number counts the pages that show it. */
#define VM_CODE_GIVEN                                                                                        \
    ((uint64_t)(VM_NUMBERS_MAX - 1) << VM_CODE_NUMBER_SHIFT | VM_CODE_FAMILY | FRAME_NOTE_PAGE_BIT)

static inline bool vm_code_is_given(uint64_t code)
{
    return (code & ((1ULL << VM_CODE_PAGE_SHIFT) - 1)) == VM_CODE_GIVEN;
}

/* Notes the only page of a frame that nobody else has. */
static inline void vm_reverse_set(struct vm_space *space, phys_addr_t frame, uint64_t address)
{
    frame_note_set_page(frame_descriptor(space->manager->config.frames, frame),
                        vm_code(space->number, address));
}

/* Notes one page more, or one less, that shows a given frame. The first fails when the note is in use for
 * something else. */
bool vm_given_add(const struct vm_space *space, phys_addr_t frame);
void vm_given_remove(const struct vm_space *space, phys_addr_t frame);

/* Visits all pages that may show a block, whoever has it: each is to be looked at. Given frames are in none
 * of them. */
void vm_reverse_each(struct vm_manager *manager, phys_addr_t frame, vm_code_visitor *visit, void *context)
    EXCLUDES(manager->lock);

/* Whether an allocated block's note, whoever owns it, leads to this page of the region. */
bool vm_region_names(struct vm_space *space, const struct vm_region *region, phys_addr_t block,
                     uint64_t address) REQUIRES(space->lock);

/* Whether the page at an address shows the block. */
bool vm_page_shows(struct vm_space *space, uint64_t address, phys_addr_t block) EXCLUDES(space->lock);
