/*
 * System calls of memory. What each does is Linux's (mm/mmap.c, mm/mprotect.c, mm/madvise.c), but for one
 * rule: nothing is writable and executable at a time, and who asks for it gets EACCES.
 *
 * Room is looked for from map_base upwards, the lowest gap first, as Linux's bottom-up layout does.
 */
#include "calls.h"
#include "mapping.h"

#define PROTECT_READ    0x1U
#define PROTECT_WRITE   0x2U
#define PROTECT_EXECUTE 0x4U
#define PROTECT_SEM     0x8U /* of no meaning, and allowed */
#define PROTECT_KNOWN   (PROTECT_READ | PROTECT_WRITE | PROTECT_EXECUTE | PROTECT_SEM)

#define MAP_SHARED           0x1U
#define MAP_PRIVATE          0x2U
#define MAP_SHARED_VALIDATE  0x3U
#define MAP_TYPE             0xfU
#define MAP_FIXED            0x10U
#define MAP_ANONYMOUS        0x20U
#define MAP_GROWS_DOWN       0x100U
#define MAP_LOCKED           0x2000U
#define MAP_POPULATE         0x8000U
#define MAP_HUGE_TABLE       0x40000U
#define MAP_FIXED_NO_REPLACE 0x100000U

/* Advice that needs nothing done, or whose effect nobody can see. */
enum advice {
    ADVICE_NORMAL = 0,
    ADVICE_RANDOM = 1,
    ADVICE_SEQUENTIAL = 2,
    ADVICE_WILL_NEED = 3,
    ADVICE_MERGEABLE = 12,
    ADVICE_UNMERGEABLE = 13,
    ADVICE_HUGE_PAGE = 14,
    ADVICE_NO_HUGE_PAGE = 15,
    ADVICE_DO_NOT_DUMP = 16,
    ADVICE_DUMP = 17,
    ADVICE_COLD = 20,
};

/* The access a program asks for, or no access in `*error`. Writing implies reading, as does executing. */
static unsigned access_of(uint64_t protection, int64_t *error)
{
    if ((protection & PROTECT_WRITE) && (protection & PROTECT_EXECUTE)) {
        *error = -EACCES;
        return VM_NONE;
    }
    return (protection & (PROTECT_READ | PROTECT_WRITE | PROTECT_EXECUTE) ? VM_READ : VM_NONE) |
           (protection & PROTECT_WRITE ? VM_WRITE : 0) | (protection & PROTECT_EXECUTE ? VM_EXECUTE : 0);
}

bool memory_may_grow(const struct process *process, uint64_t bytes, unsigned access)
{
    uint64_t now = process->memory->space.region_bytes;
    bool data = access & VM_WRITE;
    return bytes <= UINT64_MAX - now && now + bytes <= process->limits[LIMIT_SPACE].soft &&
           (!data || now + bytes <= process->limits[LIMIT_DATA].soft);
}

/* ---- mmap ---- */

int64_t memory_unmap(struct process *process, uint64_t base, uint64_t bytes)
{
    uint64_t end = base + bytes;
    base = max_u64(base, USER_BASE);
    if (base >= end) {
        return 0;
    }
    memory_note_peak(process->memory);
    return error_of_space(vm_space_unmap(&process->memory->space, virt_addr(base), end - base));
}

/* At the request's address; what is there goes in one step, or is in the way. */
static int64_t place_fixed(struct process *process, struct vm_request *request, bool replace)
{
    virt_addr_t address;
    request->fixed = true;
    request->replace = replace;
    if (replace) {
        memory_note_peak(process->memory);
    }
    enum vm_error error = vm_space_map(&process->memory->space, request, &address);
    return error == VM_OK ? (int64_t)request->address.raw : error_of_space(error);
}

static int64_t place_anywhere(struct process *process, struct vm_request *request, uint64_t hint)
{
    virt_addr_t address;
    hint = align_down(hint, FRAME_BYTES);
    if (hint >= USER_BASE && user_range_is_sound(user_addr(hint), request->bytes)) {
        request->address = virt_addr(hint);
        int64_t placed = place_fixed(process, request, false);
        if (placed > 0) {
            return placed;
        }
    }
    request->fixed = false;
    request->replace = false;
    request->address = virt_addr(process->memory->map_base);
    enum vm_error error = vm_space_map(&process->memory->space, request, &address);
    if (error == VM_NO_ROOM) {
        request->address = virt_addr(0);
        error = vm_space_map(&process->memory->space, request, &address);
    }
    return error == VM_OK ? (int64_t)address.raw : error_of_space(error);
}

void memory_populate(struct process *process, uint64_t base, uint64_t bytes, unsigned access)
{
    enum vm_access wanted = access & VM_WRITE ? VM_WRITE : VM_READ;
    for (uint64_t at = base; access != VM_NONE && at < base + bytes; at += FRAME_BYTES) {
        if (thread_killed() ||
            !vm_fault_resolved(vm_space_fault(&process->memory->space, virt_addr(at), wanted))) {
            return;
        }
    }
}

static bool is_shared(uint64_t flags)
{
    return (flags & MAP_TYPE) == MAP_SHARED || (flags & MAP_TYPE) == MAP_SHARED_VALIDATE;
}

/* What is wrong with the request by itself; 0: nothing. */
static int64_t check_map(uint64_t address, uint64_t bytes, uint64_t flags, uint64_t offset)
{
    bool fixed = flags & (MAP_FIXED | MAP_FIXED_NO_REPLACE);
    if (!is_aligned(offset, FRAME_BYTES)) {
        return -EINVAL;
    }
    if (bytes == 0) {
        return -EINVAL;
    }
    if (bytes > USER_END ||
        (fixed && !user_range_is_sound(user_addr(address), align_up(bytes, FRAME_BYTES)))) {
        return -ENOMEM;
    }
    if (fixed && !is_aligned(address, FRAME_BYTES)) {
        return -EINVAL;
    }
    if (fixed && address < USER_BASE) {
        return -EPERM;
    }
    if (flags & MAP_HUGE_TABLE) {
        return -ENOMEM; /* as where no such pages are set apart */
    }
    bool known = (flags & MAP_TYPE) == MAP_PRIVATE || is_shared(flags);
    bool validates = (flags & MAP_TYPE) == MAP_SHARED_VALIDATE; /* which is for files alone */
    return !known || (flags & MAP_GROWS_DOWN) || (validates && (flags & MAP_ANONYMOUS)) ? -EINVAL : 0;
}

int64_t call_mmap(const struct trap_frame *frame)
{
    struct process *process = process_current();
    uint64_t address = argument_1(frame);
    uint64_t bytes = argument_2(frame);
    uint64_t flags = argument_4(frame);
    int64_t error = check_map(address, bytes, flags, argument_6(frame));
    unsigned access = error ? VM_NONE : access_of(argument_3(frame), &error);
    if (error) {
        return error;
    }
    bytes = align_up(bytes, FRAME_BYTES);
    if (!memory_may_grow(process, bytes, is_shared(flags) ? VM_READ : access)) {
        return -ENOMEM;
    }
    struct vm_request request = {.source = VM_ZERO, .bytes = bytes, .access = access};
    if (!(flags & MAP_ANONYMOUS)) {
        error = mapping_of_file(&request, argument_5(frame), is_shared(flags), argument_6(frame));
    } else if (is_shared(flags)) {
        error = mapping_of_shared_memory(&request);
    }
    if (error) {
        return error;
    }
    int64_t placed;
    if (flags & (MAP_FIXED | MAP_FIXED_NO_REPLACE)) {
        request.address = virt_addr(address);
        placed = place_fixed(process, &request, !(flags & MAP_FIXED_NO_REPLACE));
    } else {
        placed = place_anywhere(process, &request, address);
    }
    if (request.pager) {
        vm_pager_put(request.pager); /* the region has its own reference */
    }
    if (placed > 0 && (flags & (MAP_POPULATE | MAP_LOCKED))) {
        memory_populate(process, (uint64_t)placed, bytes, access);
    }
    return placed;
}

int64_t call_munmap(const struct trap_frame *frame)
{
    uint64_t address = argument_1(frame);
    uint64_t bytes = argument_2(frame);
    if (!is_aligned(address, FRAME_BYTES) || bytes == 0 || bytes > USER_END ||
        !user_range_is_sound(user_addr(address), align_up(bytes, FRAME_BYTES))) {
        return -EINVAL;
    }
    return memory_unmap(process_current(), address, align_up(bytes, FRAME_BYTES));
}

/* ---- Changes of what there is ---- */

int64_t call_mprotect(const struct trap_frame *frame)
{
    uint64_t address = argument_1(frame);
    uint64_t bytes = argument_2(frame);
    uint64_t protection = argument_3(frame);
    int64_t error = 0;
    if (!is_aligned(address, FRAME_BYTES) || (protection & ~(uint64_t)PROTECT_KNOWN)) {
        return -EINVAL;
    }
    if (bytes == 0) {
        return 0;
    }
    if (bytes > USER_END || address < USER_BASE ||
        !user_range_is_sound(user_addr(address), align_up(bytes, FRAME_BYTES))) {
        return -ENOMEM;
    }
    unsigned access = access_of(protection, &error);
    if (error) {
        return error;
    }
    return error_of_space(vm_space_protect(&process_current()->memory->space, virt_addr(address),
                                           align_up(bytes, FRAME_BYTES), access));
}

/* Whether all of the range belongs to regions. */
static bool is_mapped(struct process *process, uint64_t base, uint64_t end)
{
    struct vm_region_facts region;
    while (base < end) {
        if (!vm_space_find(&process->memory->space, virt_addr(base), &region)) {
            return false;
        }
        base = region.base.raw + region.bytes;
    }
    return true;
}

static bool is_known_advice(uint64_t advice)
{
    switch (advice) {
    case ADVICE_NORMAL:
    case ADVICE_RANDOM:
    case ADVICE_SEQUENTIAL:
    case ADVICE_WILL_NEED:
    case ADVICE_MERGEABLE:
    case ADVICE_UNMERGEABLE:
    case ADVICE_HUGE_PAGE:
    case ADVICE_NO_HUGE_PAGE:
    case ADVICE_DO_NOT_DUMP:
    case ADVICE_DUMP:
    case ADVICE_COLD:
        return true;
    default:
        return false;
    }
}

int64_t call_madvise(const struct trap_frame *frame)
{
    uint64_t address = argument_1(frame);
    uint64_t bytes = argument_2(frame);
    if (!is_aligned(address, FRAME_BYTES) || !is_known_advice(argument_3(frame)) ||
        bytes > UINT64_MAX - FRAME_BYTES) {
        return -EINVAL;
    }
    bytes = align_up(bytes, FRAME_BYTES);
    if (address > UINT64_MAX - bytes) {
        return -EINVAL;
    }
    return is_mapped(process_current(), address, address + bytes) ? 0 : -ENOMEM;
}

/* ---- brk ---- */

static bool move_heap_end(struct process *process, uint64_t end)
{
    uint64_t old = align_up(process->memory->heap_end, FRAME_BYTES);
    uint64_t new = align_up(end, FRAME_BYTES);
    if (new < old) {
        return memory_unmap(process, new, old - new) == 0;
    }
    if (new == old) {
        return true;
    }
    struct vm_request request = {.name = "heap",
                                 .source = VM_ZERO,
                                 .bytes = new - old,
                                 .access = VM_READ | VM_WRITE,
                                 .address = virt_addr(old)};
    return memory_may_grow(process, new - old, request.access) && place_fixed(process, &request, false) > 0;
}

/* Answers where the heap ends, whether it could be moved or not: that is how a program finds out. */
int64_t call_brk(const struct trap_frame *frame)
{
    struct process *process = process_current();
    uint64_t end = argument_1(frame);
    mutex_acquire(&process->memory->heap);
    if (end >= process->memory->heap_base && end <= USER_END && move_heap_end(process, end)) {
        process->memory->heap_end = end;
    }
    end = process->memory->heap_end;
    mutex_release(&process->memory->heap);
    return (int64_t)end;
}
