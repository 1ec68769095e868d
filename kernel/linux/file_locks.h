/* Locks of files by fcntl(), for file_descriptors.c. */
#pragma once

#include "file_calls.h"

enum lock_command {
    FCNTL_GET_LOCK = 5,
    FCNTL_SET_LOCK = 6,
    FCNTL_WAIT_LOCK = 7,
    FCNTL_GET_OPEN_LOCK = 36,
    FCNTL_SET_OPEN_LOCK = 37,
    FCNTL_WAIT_OPEN_LOCK = 38,
};

/* Whether the command is one of these, for a file that is used; stores its answer in *result. */
bool lock_command(struct file *file, uint64_t descriptor, uint32_t command, user_addr_t at, int64_t *result);
