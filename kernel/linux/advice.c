/*
 * madvise: what a program says about memory that it has (mm/madvise.c). The advice goes to each region of the
 * range in turn. A hole is an error in the end, when all else has been done; a region that cannot have the
 * advice ends the call, and what lies before it has got it.
 */
#include <ashlar/vm_advice.h>
#include <ashlar/vm_peek.h>

#include "memory_calls.h"

enum advice {
    ADVICE_NORMAL = 0,
    ADVICE_RANDOM = 1,
    ADVICE_SEQUENTIAL = 2,
    ADVICE_WILL_NEED = 3,
    ADVICE_DO_NOT_NEED = 4,
    ADVICE_FREE = 8,
    ADVICE_REMOVE = 9,
    ADVICE_DO_NOT_FORK = 10,
    ADVICE_DO_FORK = 11,
    ADVICE_MERGEABLE = 12,
    ADVICE_UNMERGEABLE = 13,
    ADVICE_HUGE_PAGE = 14,
    ADVICE_NO_HUGE_PAGE = 15,
    ADVICE_DO_NOT_DUMP = 16,
    ADVICE_DO_DUMP = 17,
    ADVICE_WIPE_ON_FORK = 18,
    ADVICE_KEEP_ON_FORK = 19,
    ADVICE_COLD = 20,
    ADVICE_PAGE_OUT = 21,
    ADVICE_POPULATE_READ = 22,
    ADVICE_POPULATE_WRITE = 23,
    ADVICE_DO_NOT_NEED_LOCKED = 24,
    ADVICES
};

/* What an advice does. */
enum effect {
    EFFECT_UNKNOWN,  /* there is no such advice */
    EFFECT_NONE,     /* nothing that a program could see */
    EFFECT_AGE,      /* the same, but locked memory does not age */
    EFFECT_MARK,     /* marks of regions are set or cleared */
    EFFECT_EMPTY,    /* pages go */
    EFFECT_PUNCH,    /* they go from the file as well */
    EFFECT_POPULATE, /* pages come */
};

struct rule {
    uint8_t effect;  /* enum effect */
    uint8_t set;     /* enum vm_mark */
    uint8_t clear;   /* the same */
    bool zeros_only; /* not for memory of files */
    bool locked;     /* for locked memory too */
};

static const struct rule rules[ADVICES] = {
    [ADVICE_NORMAL] = {EFFECT_NONE, 0, 0, false, false},
    [ADVICE_RANDOM] = {EFFECT_NONE, 0, 0, false, false},
    [ADVICE_SEQUENTIAL] = {EFFECT_NONE, 0, 0, false, false},
    [ADVICE_WILL_NEED] = {EFFECT_NONE, 0, 0, false, false},
    [ADVICE_DO_NOT_NEED] = {EFFECT_EMPTY, 0, 0, false, false},
    [ADVICE_FREE] = {EFFECT_EMPTY, 0, 0, true, false},
    [ADVICE_REMOVE] = {EFFECT_PUNCH, 0, 0, false, false},
    [ADVICE_DO_NOT_FORK] = {EFFECT_MARK, VM_NO_FORK, 0, false, false},
    [ADVICE_DO_FORK] = {EFFECT_MARK, 0, VM_NO_FORK, false, false},
    [ADVICE_MERGEABLE] = {EFFECT_NONE, 0, 0, false, false},
    [ADVICE_UNMERGEABLE] = {EFFECT_NONE, 0, 0, false, false},
    [ADVICE_HUGE_PAGE] = {EFFECT_NONE, 0, 0, false, false},
    [ADVICE_NO_HUGE_PAGE] = {EFFECT_NONE, 0, 0, false, false},
    [ADVICE_DO_NOT_DUMP] = {EFFECT_MARK, VM_NO_DUMP, 0, false, false},
    [ADVICE_DO_DUMP] = {EFFECT_MARK, 0, VM_NO_DUMP, false, false},
    [ADVICE_WIPE_ON_FORK] = {EFFECT_MARK, VM_WIPE_ON_FORK, 0, true, false},
    [ADVICE_KEEP_ON_FORK] = {EFFECT_MARK, 0, VM_WIPE_ON_FORK, false, false},
    [ADVICE_COLD] = {EFFECT_AGE, 0, 0, false, false},
    [ADVICE_PAGE_OUT] = {EFFECT_AGE, 0, 0, false, false},
    [ADVICE_POPULATE_READ] = {EFFECT_POPULATE, 0, 0, false, false},
    [ADVICE_POPULATE_WRITE] = {EFFECT_POPULATE, 0, 0, false, false},
    [ADVICE_DO_NOT_NEED_LOCKED] = {EFFECT_EMPTY, 0, 0, false, true},
};

static bool is_zeros(const struct vm_region_facts *region)
{
    return region->source == VM_ZERO || region->source == VM_STACK;
}

/* Whether the region can have an advice that makes pages come and go. */
static bool is_ordinary(const struct vm_region_facts *region)
{
    return is_zeros(region) || region->source == VM_PAGER;
}

/* Makes a hole in the file that [base, end) shows, which lies in the region at `base`. */
static int64_t punch(struct vm_space *space, uint64_t base, uint64_t end)
{
    struct vm_region_facts region;
    struct vm_pager *pager;
    if (!vm_space_find_pager(space, virt_addr(base), &region, &pager)) {
        return -ENOMEM; /* it has just gone */
    }
    if (!pager || region.marks & VM_LOCKED) {
        if (pager) {
            vm_pager_put(pager);
        }
        return -EINVAL;
    }
    end = min_u64(end, region.base.raw + region.bytes);
    int64_t error = region.shared /* the file is open for writing, whatever may be done now */
                        ? file_pager_punch(pager, region.offset + (base - region.base.raw), end - base)
                        : -EACCES;
    vm_pager_put(pager);
    return error;
}

/* A lack of memory for records is no hole: it has an error of its own. */
static int64_t error_of_change(enum vm_error error)
{
    return error == VM_NO_MEMORY ? -EAGAIN : error_of_space(error);
}

/* Gives the advice to [base, end), which lies in `region`. */
static int64_t advise(struct vm_space *space, const struct rule *rule, const struct vm_region_facts *region,
                      uint64_t base, uint64_t end)
{
    if (rule->zeros_only && !is_zeros(region)) {
        return -EINVAL;
    }
    bool may_go = is_ordinary(region) && (rule->locked || !(region->marks & VM_LOCKED));
    switch ((enum effect)rule->effect) {
    case EFFECT_AGE:
        return may_go ? 0 : -EINVAL;
    case EFFECT_MARK:
        return error_of_change(vm_space_mark(space, virt_addr(base), end - base, rule->set, rule->clear));
    case EFFECT_EMPTY:
        return may_go ? error_of_change(vm_space_discard(space, virt_addr(base), end - base, rule->locked))
                      : -EINVAL;
    case EFFECT_PUNCH:
        return punch(space, base, end);
    case EFFECT_UNKNOWN:
    case EFFECT_NONE:
    case EFFECT_POPULATE:
        break;
    }
    return 0;
}

static int64_t advise_all(struct vm_space *space, const struct rule *rule, uint64_t base, uint64_t end)
{
    struct vm_region_facts region;
    int64_t holes = 0;
    while (base < end) {
        if (!vm_space_next(space, virt_addr(base), &region) || region.base.raw >= end) {
            return -ENOMEM;
        }
        if (region.base.raw > base) {
            holes = -ENOMEM;
            base = region.base.raw;
        }
        uint64_t behind = min_u64(region.base.raw + region.bytes, end);
        int64_t error = thread_killed() ? -EINTR : advise(space, rule, &region, base, behind);
        if (error) {
            return error;
        }
        base = behind;
    }
    return holes;
}

bool advice_is_for_others(uint32_t advice)
{
    return advice == ADVICE_COLD || advice == ADVICE_PAGE_OUT || advice == ADVICE_WILL_NEED;
}

int64_t memory_advise(struct vm_space *space, uint64_t base, uint64_t length, uint32_t advice)
{
    uint64_t bytes = align_up(length, FRAME_BYTES);
    if (advice >= ADVICES || rules[advice].effect == EFFECT_UNKNOWN || !is_aligned(base, FRAME_BYTES) ||
        (bytes == 0 && length != 0) || base + bytes < base) {
        return -EINVAL;
    }
    if (rules[advice].effect == EFFECT_POPULATE) {
        uint64_t covered = memory_covered(space, base, base + bytes);
        int64_t error =
            memory_fill(space, base, covered, advice == ADVICE_POPULATE_READ ? VM_READ : VM_WRITE);
        return error || covered == base + bytes ? error : -ENOMEM;
    }
    memory_note_peak(process_current()->memory);
    return advise_all(space, &rules[advice], base, base + bytes);
}

int64_t call_madvise(const struct trap_frame *frame)
{
    return memory_advise(&process_current()->memory->space, argument_1(frame), argument_2(frame),
                         (uint32_t)argument_3(frame));
}
