/* The character devices of memory, by Linux's numbers (Documentation/admin-guide/devices.txt). */
#include "internal.h"

#define MEMORY_DEVICES 1
#define ZERO           5

/* Fills the buffer, a part at a time; random: with random bytes, else with zeros. */
static int64_t fill(struct file *file, struct file_buffer *buffer, bool random)
{
    char part[256] = {0};
    size_t wanted = buffer->left;
    size_t done = 0;
    while (done < wanted) {
        size_t bytes = (size_t)min_u64(wanted - done, sizeof part);
        if (random) {
            file->fs->config.random(part, bytes);
        }
        size_t taken = buffer->put(buffer, part, bytes);
        done += taken;
        if (taken < bytes) {
            break;
        }
    }
    memset(part, 0, sizeof part);
    return done == 0 && wanted != 0 ? -EFAULT : (int64_t)done;
}

static int64_t read_nothing(struct file *file, struct file_buffer *buffer, uint64_t *offset)
{
    (void)file;
    (void)buffer;
    (void)offset;
    return 0;
}

static int64_t read_zeros(struct file *file, struct file_buffer *buffer, uint64_t *offset)
{
    (void)offset;
    return fill(file, buffer, false);
}

static int64_t read_random(struct file *file, struct file_buffer *buffer, uint64_t *offset)
{
    (void)offset;
    return fill(file, buffer, true);
}

/* Takes everything, without looking at it. */
static int64_t write_all(struct file *file, struct file_buffer *buffer, uint64_t *offset)
{
    (void)file;
    (void)offset;
    return (int64_t)buffer->left;
}

static int64_t write_none(struct file *file, struct file_buffer *buffer, uint64_t *offset)
{
    (void)file;
    (void)offset;
    return buffer->left != 0 ? -ENOSPC : 0;
}

bool file_is_zeros(const struct file *file)
{
    return fs_kind(file->node) == FS_CHARACTER && file->node->special == fs_device(MEMORY_DEVICES, ZERO);
}

const struct file_operations *fs_device_operations(const struct fs *fs, uint64_t number)
{
    static const struct file_operations null = {.read = read_nothing, .write = write_all};
    static const struct file_operations zero = {.read = read_zeros, .write = write_all};
    static const struct file_operations full = {.read = read_zeros, .write = write_none};
    static const struct file_operations random = {.read = read_random, .write = write_all};
    static const struct file_operations *const by_minor[] = {
        [3] = &null, [ZERO] = &zero, [7] = &full, [8] = &random, [9] = &random};
    for (unsigned minor = 0; minor < ARRAY_LENGTH(by_minor); minor++) {
        if (by_minor[minor] && number == fs_device(MEMORY_DEVICES, minor)) {
            return by_minor[minor];
        }
    }
    return fs->config.device ? fs->config.device(number) : NULL;
}
