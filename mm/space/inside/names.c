/* Names for people of the numbers in <ashlar/vm_space.h>. */
#include <ashlar/vm_space.h>

static const char *name_of(const char *const *names, unsigned count, unsigned number)
{
    return number < count && names[number] ? names[number] : "unknown";
}

const char *vm_error_name(enum vm_error error)
{
    static const char *const names[VM_ERROR_COUNT] = {
        [VM_OK] = "no error",
        [VM_NO_MEMORY] = "out of memory",
        [VM_NO_ROOM] = "no gap is large enough",
        [VM_EMPTY] = "empty",
        [VM_UNALIGNED] = "not page-aligned",
        [VM_WRAPS] = "passes the end of the address space",
        [VM_NON_CANONICAL] = "not a canonical address",
        [VM_KERNEL_ADDRESS] = "a kernel address in a user space",
        [VM_OUTSIDE] = "outside the space",
        [VM_OVERLAP] = "overlaps a region",
        [VM_NOT_MAPPED] = "not covered by regions",
        [VM_BAD_ACCESS] = "impossible access",
        [VM_BAD_ALIGNMENT] = "impossible alignment",
        [VM_BAD_SOURCE] = "the source cannot be used so",
        [VM_BAD_CACHE] = "no such cache kind",
        [VM_BAD_PHYSICAL] = "beyond the CPU's physical addresses",
        [VM_CONFLICT] = "shown elsewhere in another way",
        [VM_BAD_FRAME] = "not a frame that can be shared",
        [VM_BAD_RANGE] = "no space can have this range",
        [VM_TOO_MANY] = "too many spaces",
        [VM_IN_USE] = "the space exists already",
        [VM_BUSY] = "a device still uses a large page that would be cut",
        [VM_SEALED] = "the pager has no shared regions any more",
    };
    return name_of(names, VM_ERROR_COUNT, error);
}

const char *vm_fault_name(enum vm_fault fault)
{
    static const char *const names[VM_FAULT_COUNT] = {
        [VM_FAULT_SPURIOUS] = "spurious",       [VM_FAULT_ZERO_READ] = "zero page",
        [VM_FAULT_ZERO] = "zeroed frame",       [VM_FAULT_LARGE] = "zeroed 2 MiB block",
        [VM_FAULT_COPIED] = "copied",           [VM_FAULT_REUSED] = "last user",
        [VM_FAULT_STACK] = "stack growth",      [VM_FAULT_DEVICE] = "device page",
        [VM_FAULT_PAGED] = "paged in",          [VM_FAULT_NO_REGION] = "nothing lies there",
        [VM_FAULT_GUARD] = "guard gap",         [VM_FAULT_STACK_LIMIT] = "beyond the stack's limit",
        [VM_FAULT_RESERVED] = "reserved range", [VM_FAULT_DENIED] = "not allowed",
        [VM_FAULT_NO_MEMORY] = "out of memory", [VM_FAULT_PAGER_FAILED] = "pager failed",
    };
    return name_of(names, VM_FAULT_COUNT, fault);
}

const char *vm_source_name(enum vm_source source)
{
    static const char *const names[VM_SOURCE_COUNT] = {
        [VM_NOTHING] = "nothing", [VM_ZERO] = "zeros",    [VM_STACK] = "stack",
        [VM_FRAMES] = "frames",   [VM_DEVICE] = "device", [VM_PAGER] = "pager",
    };
    return name_of(names, VM_SOURCE_COUNT, source);
}
