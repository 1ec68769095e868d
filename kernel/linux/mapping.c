/*
 * What mmap() maps that is not a program's own memory.
 *
 * Memory that processes share needs somebody who keeps its pages while one of them has forgotten its own, and
 * whose page they can say they mean (a futex is known by pager and offset). That is a file of the ramfs
 * without a name: each mapping of it has a reference, and the last one to go takes the pages with it. As on
 * Linux its length is that of the first mapping, and it stays so: what mremap() maps beyond is a SIGBUS.
 */
#include "mapping.h"

#include "descriptors.h"

#define AROUND_PAGES 16 /* that one fault brings in, as far as they are there */

int64_t mapping_of_shared_memory(struct vm_request *request)
{
    struct fs_view view;
    struct file *file;
    task_view(&view);
    int error = fs_unnamed(&view, "/dev/zero", &file);
    fs_view_put(&view);
    if (error) {
        return -ENOMEM;
    }
    error = file_truncate(file, (int64_t)request->bytes);
    request->source = VM_PAGER;
    request->shared = true;
    request->around = AROUND_PAGES;
    request->pager = error ? NULL : file_pager(file);
    file_put(file);
    return error ? -ENOMEM : 0;
}

/* What a mapping of the file needs it to be opened for. */
static int64_t check_file(const struct file *file, bool shared, unsigned access)
{
    unsigned opened = atomic_load_explicit(&file->flags, memory_order_relaxed);
    bool reads = (opened & FILE_ACCESS) == FILE_READ_ONLY || (opened & FILE_ACCESS) == FILE_READ_WRITE;
    if (opened & FILE_PLACE) {
        return -EBADF;
    }
    if (!reads || (shared && (access & VM_WRITE) && (opened & FILE_ACCESS) != FILE_READ_WRITE)) {
        return -EACCES;
    }
    return 0;
}

/* The request becomes one for a regular file's pages. `writes`: what is written goes to the file. */
static int64_t ask_for_pages(struct vm_request *request, struct file *file, bool writes, uint64_t offset)
{
    int seals = file_seals(file);
    bool sealed = seals > 0 && (seals & FILE_SEAL_FUTURE_WRITE);
    if (writes && sealed && (request->access & VM_WRITE)) {
        return -EPERM;
    }
    request->pager = file_pager(file);
    request->source = VM_PAGER;
    request->offset = offset;
    request->shared = writes && !sealed;
    request->around = AROUND_PAGES;
    return request->pager ? 0 : -ENODEV;
}

/* Who may not write to the file never does, whatever access the memory gets later (mm/mmap.c): then the
 * mapping is a private one. */
static int64_t ask_for_file(struct vm_request *request, struct file *file, bool shared, uint64_t offset)
{
    int64_t error = check_file(file, shared, request->access);
    unsigned opened = atomic_load_explicit(&file->flags, memory_order_relaxed);
    bool writes = shared && (opened & FILE_ACCESS) == FILE_READ_WRITE;
    if (error) {
        return error;
    }
    if (file_is_zeros(file)) {
        return writes ? mapping_of_shared_memory(request) : 0;
    }
    return ask_for_pages(request, file, writes, offset);
}

int64_t mapping_of_file(struct vm_request *request, uint64_t descriptor, bool shared, uint64_t offset)
{
    struct file *file = descriptor_file(process_current()->files, descriptor);
    if (!file) {
        return -EBADF;
    }
    int64_t error = ask_for_file(request, file, shared, offset);
    file_put(file);
    return error;
}
