/* System calls that tell what stands in nodes: the stat family, access, readlink, getdents64. */
#include <ashlar/clock.h>
#include <ashlar/memory.h>
#include <ashlar/string.h>

#include "file_calls.h"

#define HERE            ((uint64_t)AT_HERE)
#define SECTOR          512 /* in which st_blocks counts */
#define AT_NO_AUTOMOUNT 0x800U
#define AT_SYNC_TYPE    0x6000U
#define AT_EACCESS      0x200U
#define STATX_BASIC     0x7ffU
#define STATX_RESERVED  0x80000000U

/* struct stat */
struct status {
    uint64_t device;
    uint64_t node;
    uint64_t links;
    uint32_t mode;
    uint32_t user;
    uint32_t group;
    uint32_t unused0;
    uint64_t special;
    uint64_t bytes;
    uint64_t block_bytes;
    uint64_t blocks;
    uint64_t times[6];
    int64_t unused[3];
};

_Static_assert(sizeof(struct status) == 144, "Linux's struct stat on x86-64");

static void put_time(uint64_t to[2], uint64_t nanoseconds)
{
    to[0] = nanoseconds / NANOSECONDS_PER_SECOND;
    to[1] = nanoseconds % NANOSECONDS_PER_SECOND;
}

static int64_t put_status(uint64_t to, const struct fs_status *from)
{
    struct status status;
    memset(&status, 0, sizeof status);
    status.device = from->device;
    status.node = from->number;
    status.links = from->links;
    status.mode = from->mode;
    status.user = from->user;
    status.group = from->group;
    status.special = from->special;
    status.bytes = from->bytes;
    status.block_bytes = FRAME_BYTES;
    status.blocks = from->frames * (FRAME_BYTES / SECTOR);
    put_time(&status.times[0], from->accessed);
    put_time(&status.times[2], from->modified);
    put_time(&status.times[4], from->changed);
    return copy_to_user(user_addr(to), &status, sizeof status) ? 0 : -EFAULT;
}

static int64_t status_of_open(uint64_t descriptor, struct fs_status *status)
{
    struct file *file = file_of(descriptor);
    if (!file) {
        return -EBADF;
    }
    file_status(file, status);
    file_put(file);
    return 0;
}

static int64_t status_of_named(uint64_t at, uint64_t name, uint32_t flags, struct fs_status *status)
{
    struct named named;
    int64_t result = named_begin(&named, at, name, flags);
    if (result) {
        return result;
    }
    if (named_is_file_alone(&named)) {
        file_status(named.file, status);
    } else {
        result = fs_status(&named.view, named.at, named.name, flags & (FS_AT_NO_FOLLOW | FS_AT_EMPTY_PATH),
                           status);
    }
    named_end(&named);
    return result;
}

static int64_t tell_named(uint64_t at, uint64_t name, uint64_t flags, uint64_t to)
{
    struct fs_status status;
    if ((uint32_t)flags & ~(FS_AT_NO_FOLLOW | FS_AT_EMPTY_PATH | AT_NO_AUTOMOUNT)) {
        return -EINVAL;
    }
    int64_t result = status_of_named(at, name, (uint32_t)flags, &status);
    return result ? result : put_status(to, &status);
}

int64_t call_stat(const struct trap_frame *frame)
{
    return tell_named(HERE, argument_1(frame), 0, argument_2(frame));
}

int64_t call_lstat(const struct trap_frame *frame)
{
    return tell_named(HERE, argument_1(frame), FS_AT_NO_FOLLOW, argument_2(frame));
}

int64_t call_newfstatat(const struct trap_frame *frame)
{
    return tell_named(argument_1(frame), argument_2(frame), argument_4(frame), argument_3(frame));
}

int64_t call_fstat(const struct trap_frame *frame)
{
    struct fs_status status;
    int64_t result = status_of_open(argument_1(frame), &status);
    return result ? result : put_status(argument_2(frame), &status);
}

/* struct statx_timestamp */
struct extended_time {
    int64_t seconds;
    uint32_t nanoseconds;
    int32_t unused;
};

/* struct statx */
struct extended_status {
    uint32_t mask;
    uint32_t block_bytes;
    uint64_t attributes;
    uint32_t links;
    uint32_t user;
    uint32_t group;
    uint16_t mode;
    uint16_t unused0;
    uint64_t node;
    uint64_t bytes;
    uint64_t blocks;
    uint64_t attributes_known;
    struct extended_time accessed, made, changed, modified;
    uint32_t special_major, special_minor, device_major, device_minor;
    uint64_t unused[14];
};

_Static_assert(sizeof(struct extended_status) == 256, "Linux's struct statx");

static struct extended_time extended_time(uint64_t nanoseconds)
{
    return (struct extended_time){(int64_t)(nanoseconds / NANOSECONDS_PER_SECOND),
                                  (uint32_t)(nanoseconds % NANOSECONDS_PER_SECOND), 0};
}

static uint32_t major_of(uint64_t device)
{
    return (uint32_t)((device >> 8 & 0xfff) | (device >> 32 & ~0xfffULL));
}

static uint32_t minor_of(uint64_t device)
{
    return (uint32_t)((device & 0xff) | (device >> 12 & 0xffffff00));
}

static int64_t put_extended(uint64_t to, const struct fs_status *from)
{
    struct extended_status status;
    memset(&status, 0, sizeof status);
    status.mask = STATX_BASIC;
    status.block_bytes = FRAME_BYTES;
    status.links = from->links;
    status.user = from->user;
    status.group = from->group;
    status.mode = (uint16_t)from->mode;
    status.node = from->number;
    status.bytes = from->bytes;
    status.blocks = from->frames * (FRAME_BYTES / SECTOR);
    status.accessed = extended_time(from->accessed);
    status.modified = extended_time(from->modified);
    status.changed = extended_time(from->changed);
    status.special_major = major_of(from->special);
    status.special_minor = minor_of(from->special);
    status.device_major = major_of(from->device);
    status.device_minor = minor_of(from->device);
    return copy_to_user(user_addr(to), &status, sizeof status) ? 0 : -EFAULT;
}

int64_t call_statx(const struct trap_frame *frame)
{
    struct fs_status status;
    uint32_t flags = (uint32_t)argument_3(frame);
    if ((flags & ~(FS_AT_NO_FOLLOW | FS_AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_SYNC_TYPE)) ||
        (flags & AT_SYNC_TYPE) == AT_SYNC_TYPE || ((uint32_t)argument_4(frame) & STATX_RESERVED)) {
        return -EINVAL;
    }
    int64_t result = status_of_named(argument_1(frame), argument_2(frame), flags, &status);
    return result ? result : put_extended(argument_5(frame), &status);
}

/* ---- Permissions ---- */

static int64_t may_access(uint64_t at, uint64_t name, uint64_t wanted, uint32_t flags)
{
    struct named named;
    if (((uint32_t)wanted & ~7U) || (flags & ~(FS_AT_NO_FOLLOW | FS_AT_EMPTY_PATH | AT_EACCESS))) {
        return -EINVAL;
    }
    int64_t result = named_begin(&named, at, name, flags);
    if (result == 0 && !(flags & AT_EACCESS)) {
        task_real_identity(&named.view);
    }
    if (result == 0) {
        result = named_is_file_alone(&named)
                     ? 0
                     : fs_access(&named.view, named.at, named.name, (uint32_t)wanted, flags & ~AT_EACCESS);
        named_end(&named);
    }
    return result;
}

int64_t call_access(const struct trap_frame *frame)
{
    return may_access(HERE, argument_1(frame), argument_2(frame), 0);
}

int64_t call_faccessat(const struct trap_frame *frame)
{
    return may_access(argument_1(frame), argument_2(frame), argument_3(frame), 0);
}

int64_t call_faccessat2(const struct trap_frame *frame)
{
    return may_access(argument_1(frame), argument_2(frame), argument_3(frame), (uint32_t)argument_4(frame));
}

/* ---- Symbolic links ---- */

/* What the link says, up to FS_PATH_MAX bytes of it, in `text`. */
static int64_t get_target(struct named *named, char *text)
{
    return named_is_file_alone(named) ? -ENOENT
                                      : fs_readlink(&named->view, named->at, named->name, text, FS_PATH_MAX);
}

static int64_t read_link(uint64_t at, uint64_t name, uint64_t to, uint64_t bytes)
{
    struct named named;
    if ((int32_t)bytes <= 0) {
        return -EINVAL;
    }
    char *text = heap_alloc(&kernel_heap, FS_PATH_MAX);
    int64_t result = text ? named_begin(&named, at, name, FS_AT_NO_FOLLOW | FS_AT_EMPTY_PATH) : -ENOMEM;
    if (result == 0) {
        result = get_target(&named, text);
        named_end(&named);
    }
    if (result > 0) {
        result = (int64_t)min_u64((uint64_t)result, (uint32_t)bytes);
        result = copy_to_user(user_addr(to), text, (uint64_t)result) ? result : -EFAULT;
    }
    heap_free(&kernel_heap, text);
    return result;
}

int64_t call_readlink(const struct trap_frame *frame)
{
    return read_link(HERE, argument_1(frame), argument_2(frame), argument_3(frame));
}

int64_t call_readlinkat(const struct trap_frame *frame)
{
    return read_link(argument_1(frame), argument_2(frame), argument_3(frame), argument_4(frame));
}

/* ---- Directories ---- */

/* struct linux_dirent64, up to its name */
struct listed {
    uint64_t node;
    int64_t next;
    uint16_t bytes; /* of the whole record, a multiple of 8 */
    uint8_t kind;
    char name[FS_NAME_MAX + 1 + 8];
} __attribute__((packed));

#define LISTED_NAME 19 /* where the name begins */

struct listing {
    user_addr_t to;
    uint64_t left;
    int64_t done;
    int64_t error;
    struct listed record;
};

static bool list(void *context, const struct file_entry *entry)
{
    struct listing *listing = context;
    uint64_t bytes = align_up(LISTED_NAME + entry->bytes + 1, 8);
    if (bytes > listing->left) {
        listing->error = listing->done ? 0 : -EINVAL;
        return false;
    }
    memset(&listing->record, 0, sizeof listing->record);
    listing->record.node = entry->number;
    listing->record.next = (int64_t)entry->next;
    listing->record.bytes = (uint16_t)bytes;
    listing->record.kind = (uint8_t)((entry->mode & FS_KIND) >> 12);
    memcpy(listing->record.name, entry->name, entry->bytes);
    if (!copy_to_user(listing->to, &listing->record, bytes)) {
        listing->error = listing->done ? 0 : -EFAULT;
        return false;
    }
    listing->to = user_add(listing->to, bytes);
    listing->left -= bytes;
    listing->done += (int64_t)bytes;
    return true;
}

int64_t call_getdents64(const struct trap_frame *frame)
{
    struct listing *listing = heap_alloc(&kernel_heap, sizeof *listing);
    struct file *file = file_of(argument_1(frame));
    int64_t result = !file ? -EBADF : !listing ? -ENOMEM : 0;
    if (result == 0) {
        listing->to = user_addr(argument_2(frame));
        listing->left = (uint32_t)argument_3(frame);
        listing->done = listing->error = 0;
        result = file_entries(file, list, listing);
        result = result ? result : listing->error ? listing->error : listing->done;
    }
    if (file) {
        file_put(file);
    }
    heap_free(&kernel_heap, listing);
    return result;
}
