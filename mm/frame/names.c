/* Names for people: of owners, of errors; and what a type of the firmware's map means for the pool. */
#include "internal.h"

const char *frame_owner_name(unsigned owner)
{
#define FRAME_OWNER_TEXT(name, text) [OWNER_##name] = (text),
    static const char *const names[OWNER_COUNT] = {FRAME_OWNERS(FRAME_OWNER_TEXT)};
#undef FRAME_OWNER_TEXT
    return owner < OWNER_COUNT ? names[owner] : "unknown";
}

enum frame_owner frame_owner_of_type(enum memory_type type)
{
    switch (type) {
    case MEMORY_USABLE:
        return OWNER_KEPT;
    case MEMORY_BOOT_RECLAIMABLE:
        return OWNER_BOOT_RECLAIMABLE;
    case MEMORY_BOOT_INFO:
        return OWNER_BOOT_INFO;
    case MEMORY_PAGE_TABLES:
        return OWNER_PAGE_TABLES;
    case MEMORY_KERNEL:
        return OWNER_KERNEL;
    case MEMORY_PERSISTENT:
        return OWNER_PERSISTENT;
    case MEMORY_ACPI_RECLAIMABLE:
        return OWNER_ACPI_RECLAIMABLE;
    case MEMORY_ACPI_NVS:
        return OWNER_ACPI_NVS;
    case MEMORY_RUNTIME:
        return OWNER_RUNTIME;
    case MEMORY_MMIO:
        return OWNER_MMIO;
    case MEMORY_RESERVED:
        return OWNER_RESERVED;
    case MEMORY_UNUSABLE:
    case MEMORY_TYPE_COUNT:
        break;
    }
    return OWNER_UNUSABLE;
}

bool frame_type_is_ram(enum memory_type type)
{
    return type <= MEMORY_KERNEL || type == MEMORY_ACPI_RECLAIMABLE;
}

const char *frame_error_name(enum frame_error error)
{
    static const char *const names[FRAME_ERROR_COUNT] = {
        [FRAME_OK] = "no error",
        [FRAME_NO_MEMORY] = "out of memory",
        [FRAME_BAD_ORDER] = "impossible order or length",
        [FRAME_BAD_OWNER] = "no such owner",
        [FRAME_BAD_ALIGNMENT] = "misaligned",
        [FRAME_BAD_MAP] = "memory map is not normalised",
        [FRAME_BAD_CONFIG] = "impossible configuration",
        [FRAME_NO_ROOM] = "no usable range holds the allocator's state",
        [FRAME_NOT_MANAGED] = "not memory of this pool",
        [FRAME_RESERVED] = "reserved memory",
        [FRAME_BUSY] = "in use",
        [FRAME_NOT_ALLOCATED] = "never allocated",
        [FRAME_DOUBLE_FREE] = "double free",
        [FRAME_WRONG_ORDER] = "wrong order",
        [FRAME_WRONG_LENGTH] = "wrong length of a run",
        [FRAME_PART_OF_BLOCK] = "part of a block",
        [FRAME_SHARED] = "still shared",
        [FRAME_TOO_SHARED] = "too many references",
    };
    return (unsigned)error < FRAME_ERROR_COUNT ? names[error] : "unknown error";
}

const char *frame_state_name(enum frame_state state)
{
    static const char *const names[FRAME_STATE_COUNT] = {
        [FRAME_UNKNOWN] = "never allocated", [FRAME_FREED] = "free", [FRAME_CACHED] = "free, in a magazine",
        [FRAME_ALLOCATED] = "allocated",     [FRAME_RUN] = "a run",  [FRAME_RUN_PART] = "part of a run",
    };
    return (unsigned)state < FRAME_STATE_COUNT ? names[state] : "unknown state";
}
