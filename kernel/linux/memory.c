/*
 * System calls of memory. What each does is Linux's (mm/mmap.c, mm/mprotect.c, mm/madvise.c), but for one
 * rule: nothing is writable and executable at a time, and who asks for it gets EACCES.
 *
 * Room is looked for from map_base upwards, the lowest gap first, as Linux's bottom-up layout does.
 */
#include "mapping.h"
#include "memory_calls.h"

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
#define MAP_NO_RESERVE       0x4000U
#define MAP_POPULATE         0x8000U
#define MAP_NO_BLOCK         0x10000U
#define MAP_HUGE_TABLE       0x40000U
#define MAP_FIXED_NO_REPLACE 0x100000U

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

/* Where the flags say. A stack gets a gap below it where there is room for one. */
static int64_t place(struct process *process, struct vm_request *request, uint64_t address, uint64_t flags)
{
    bool replace = !(flags & MAP_FIXED_NO_REPLACE);
    request->guard = request->source == VM_STACK ? STACK_GAP : 0;
    if (!(flags & (MAP_FIXED | MAP_FIXED_NO_REPLACE))) {
        return place_anywhere(process, request, address);
    }
    request->address = virt_addr(address);
    int64_t placed = place_fixed(process, request, replace);
    if (placed < 0 && request->guard != 0) {
        request->guard = 0;
        placed = place_fixed(process, request, replace);
    }
    return placed;
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
    bool grows = (flags & MAP_GROWS_DOWN) && is_shared(flags);
    return !known || grows || (validates && (flags & MAP_ANONYMOUS)) ? -EINVAL : 0;
}

/* enum vm_mark of the mapping; and whether its pages come at once. */
static unsigned marks_of(const struct process *process, uint64_t flags, bool *fills)
{
    unsigned future = memory_future_marks(process);
    bool locked = flags & MAP_LOCKED || (future & VM_LOCKED && !(future & MEMORY_WAITS));
    *fills = locked || (flags & (MAP_POPULATE | MAP_NO_BLOCK)) == MAP_POPULATE;
    return (future & ~MEMORY_WAITS) | (flags & MAP_LOCKED ? VM_LOCKED : 0) |
           (flags & MAP_NO_RESERVE ? VM_NO_RESERVE : 0);
}

/* Bytes of the range that regions have. */
static uint64_t mapped_in(struct vm_space *space, uint64_t base, uint64_t end)
{
    struct vm_region_facts region;
    uint64_t mapped = 0;
    while (base < end && vm_space_next(space, virt_addr(base), &region) && region.base.raw < end) {
        uint64_t behind = min_u64(region.base.raw + region.bytes, end);
        mapped += behind - max_u64(region.base.raw, base);
        base = behind;
    }
    return mapped;
}

/* What limits and the machine say to a mapping, of which `replaced` bytes are counted already, and which may
 * be a promise if it is of no file: 0, -ENOMEM, -EAGAIN or -EPERM. */
static int64_t check_promise(const struct process *process, const struct vm_request *request,
                             uint64_t replaced, uint64_t flags)
{
    bool own = request->access & VM_WRITE && !is_shared(flags);
    bool data = own && !(flags & MAP_GROWS_DOWN);
    bool promised = own || (is_shared(flags) && flags & MAP_ANONYMOUS);
    if (!memory_may_grow(process, request->bytes - replaced, data)) {
        return -ENOMEM;
    }
    if (request->marks & VM_LOCKED) {
        int64_t error = memory_may_lock(process, request->bytes);
        if (error) {
            return error;
        }
    }
    return !promised || flags & MAP_NO_RESERVE || memory_can_promise(request->bytes) ? 0 : -ENOMEM;
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
    bool replaces = (flags & MAP_FIXED) && !(flags & MAP_FIXED_NO_REPLACE);
    uint64_t replaced = replaces ? mapped_in(&process->memory->space, address, address + bytes) : 0;
    bool fills;
    struct vm_request request = {
        .source = VM_ZERO, .bytes = bytes, .access = access, .marks = marks_of(process, flags, &fills)};
    error = check_promise(process, &request, replaced, flags);
    if (error) {
        return error;
    }
    if (!(flags & MAP_ANONYMOUS)) {
        error = mapping_of_file(&request, argument_5(frame), is_shared(flags), argument_6(frame));
    } else if (is_shared(flags)) {
        error = mapping_of_shared_memory(&request);
    }
    if (!error && (flags & MAP_GROWS_DOWN)) {
        error = flags & MAP_ANONYMOUS ? 0 : -EINVAL;
        request.source = VM_STACK;
    }
    int64_t placed = error ? error : place(process, &request, address, flags);
    if (request.pager) {
        vm_pager_put(request.pager); /* the region has its own reference */
    }
    if (placed > 0 && fills) {
        bool writes = access & VM_WRITE && !is_shared(flags);
        (void)memory_fill(&process->memory->space, (uint64_t)placed, (uint64_t)placed + bytes,
                          writes ? VM_WRITE : VM_READ); /* what fails is found out by whoever touches it */
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
    if (!error) {
        error =
            memory_may_protect(process_current(), address, address + align_up(bytes, FRAME_BYTES), access);
    }
    if (error) {
        return error;
    }
    return error_of_space(vm_space_protect(&process_current()->memory->space, virt_addr(address),
                                           align_up(bytes, FRAME_BYTES), access));
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
    bool fills;
    struct vm_request request = {.name = "heap",
                                 .source = VM_ZERO,
                                 .bytes = new - old,
                                 .access = VM_READ | VM_WRITE,
                                 .marks = marks_of(process, 0, &fills),
                                 .address = virt_addr(old)};
    if (check_promise(process, &request, 0, MAP_PRIVATE) || place_fixed(process, &request, false) <= 0) {
        return false;
    }
    if (fills) {
        (void)memory_fill(&process->memory->space, old, new, VM_WRITE);
    }
    return true;
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
