/* What mmap() maps that is not a program's own memory: files, and memory that processes share. */
#pragma once

#include "process.h"

/*
 * Each makes the request, which has its length and access, one for the pages of a pager, and takes a
 * reference to that for the caller.
 *
 * Of a file, from `offset` on. Fails with -EBADF, -EACCES, -EPERM (it is sealed), -ENODEV (no file that can
 * be mapped), and as the second.
 */
int64_t mapping_of_file(struct vm_request *request, uint64_t descriptor, bool shared, uint64_t offset);

/* Of new memory, which is shared by all who get it by fork(). Fails with -ENOMEM. */
int64_t mapping_of_shared_memory(struct vm_request *request);
