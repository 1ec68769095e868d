/* What a program is told when its address space refuses something. */
#include "process.h"

int64_t error_of_space(enum vm_error error)
{
    switch (error) {
    case VM_OK:
        return 0;
    case VM_OVERLAP:
        return -EEXIST;
    case VM_BAD_ACCESS:
        return -EACCES;
    case VM_SEALED:
        return -EPERM;
    case VM_EMPTY:
    case VM_UNALIGNED:
    case VM_BAD_ALIGNMENT:
    case VM_BAD_SOURCE:
    case VM_BAD_CACHE:
    case VM_BAD_PHYSICAL:
        return -EINVAL;
    case VM_BUSY:
    case VM_CONFLICT:
    case VM_IN_USE:
        return -EAGAIN;
    case VM_NO_MEMORY:
    case VM_NO_ROOM:
    case VM_WRAPS:
    case VM_NON_CANONICAL:
    case VM_KERNEL_ADDRESS:
    case VM_OUTSIDE:
    case VM_NOT_MAPPED:
    case VM_BAD_FRAME:
    case VM_BAD_RANGE:
    case VM_TOO_MANY:
    case VM_ERROR_COUNT:
        break;
    }
    return -ENOMEM;
}
