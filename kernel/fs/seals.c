/*
 * Seals: what may never be done to a file any more, so that who is handed it may rely on its contents
 * (memfd_create()). Only a file without a name has them, and they never come off. What they forbid is looked
 * at with `writing` held, under which they change.
 *
 * Who has the file mapped shared may write to it without asking. So a file is sealed against writing only
 * where nobody has (vm_pager_seal()), and nobody gets such a mapping afterwards.
 */
#include "internal.h"

#define NOBODY_WRITES ((unsigned)FILE_SEAL_WRITE | FILE_SEAL_FUTURE_WRITE)

/* A page that would reach beyond the end is refused as a whole, as Linux does (mm/shmem.c). */
int64_t fs_seals_allow_write(const struct fs_node *node, uint64_t offset, uint64_t bytes)
{
    unsigned seals = node->regular.seals;
    if (seals & NOBODY_WRITES) {
        return -EPERM;
    }
    if (!(seals & FILE_SEAL_GROW) || offset + bytes <= node->regular.bytes) {
        return (int64_t)bytes;
    }
    uint64_t pages = align_down(node->regular.bytes, FRAME_BYTES);
    return pages > offset ? (int64_t)(pages - offset) : -EPERM;
}

int fs_seals_allow_length(const struct fs_node *node, uint64_t bytes)
{
    unsigned seals = node->regular.seals;
    bool shrinks = bytes < node->regular.bytes;
    bool grows = bytes > node->regular.bytes;
    return (shrinks && seals & FILE_SEAL_SHRINK) || (grows && seals & FILE_SEAL_GROW) ? -EPERM : 0;
}

void file_begin_sealing(struct file *file, unsigned seals)
{
    mutex_acquire(&file->node->regular.writing);
    file->node->regular.seals = FS_SEALABLE | seals;
    mutex_release(&file->node->regular.writing);
}

/* `writing` is held. */
static int add_seals(struct fs_regular *regular, unsigned seals)
{
    if (!(regular->seals & FS_SEALABLE)) {
        return -EINVAL;
    }
    if (regular->seals & FILE_SEAL_SEAL) {
        return -EPERM;
    }
    if (seals & FILE_SEAL_WRITE && !vm_pager_seal(&regular->pager)) {
        return -EBUSY;
    }
    regular->seals |= seals;
    return 0;
}

int file_add_seals(struct file *file, unsigned seals)
{
    unsigned access = atomic_load_explicit(&file->flags, memory_order_relaxed) & FILE_ACCESS;
    if (access != FILE_WRITE_ONLY && access != FILE_READ_WRITE) {
        return -EPERM;
    }
    if (seals & ~(unsigned)FILE_SEALS || !fs_has_pages(file->node)) {
        return -EINVAL;
    }
    struct fs_regular *regular = &file->node->regular;
    mutex_acquire(&regular->writing);
    int error = add_seals(regular, seals);
    mutex_release(&regular->writing);
    return error;
}

int file_seals(struct file *file)
{
    if (!fs_has_pages(file->node)) {
        return -EINVAL;
    }
    struct fs_regular *regular = &file->node->regular;
    mutex_acquire(&regular->writing);
    unsigned seals = regular->seals;
    mutex_release(&regular->writing);
    return seals & FS_SEALABLE ? (int)(seals & FILE_SEALS) : -EINVAL;
}
