/* System calls that change names and what stands in nodes, and those of the process's own places. */
#include <ashlar/clock.h>
#include <ashlar/memory.h>

#include "file_calls.h"

#define HERE      ((uint64_t)AT_HERE)
#define TIME_NOW  0x3fffffff /* UTIME_NOW */
#define TIME_OMIT 0x3ffffffe /* UTIME_OMIT */
#define NOBODY    UINT32_MAX /* of chown: leave it */

/* ---- One name ---- */

static int64_t make_directory(uint64_t at, uint64_t name, uint64_t mode)
{
    struct named named;
    int64_t result = named_begin(&named, at, name, 0);
    if (result == 0) {
        result = fs_mkdir(&named.view, named.at, named.name, (uint32_t)mode);
        named_end(&named);
    }
    return result;
}

int64_t call_mkdir(const struct trap_frame *frame)
{
    return make_directory(HERE, argument_1(frame), argument_2(frame));
}

int64_t call_mkdirat(const struct trap_frame *frame)
{
    return make_directory(argument_1(frame), argument_2(frame), argument_3(frame));
}

/* Linux's numbers of devices as mknod() takes them are 32 bits wide. */
static int64_t make_node(uint64_t at, uint64_t name, uint64_t mode, uint64_t device)
{
    struct named named;
    int64_t result = named_begin(&named, at, name, 0);
    if (result == 0) {
        result = fs_mknod(&named.view, named.at, named.name, (uint32_t)mode, (uint32_t)device);
        named_end(&named);
    }
    return result;
}

int64_t call_mknod(const struct trap_frame *frame)
{
    return make_node(HERE, argument_1(frame), argument_2(frame), argument_3(frame));
}

int64_t call_mknodat(const struct trap_frame *frame)
{
    return make_node(argument_1(frame), argument_2(frame), argument_3(frame), argument_4(frame));
}

static int64_t remove(uint64_t at, uint64_t name, uint64_t flags)
{
    struct named named;
    if ((uint32_t)flags & ~(uint32_t)FS_AT_REMOVE_DIRECTORY) {
        return -EINVAL;
    }
    int64_t result = named_begin(&named, at, name, FS_AT_NO_FOLLOW);
    if (result == 0) {
        result = fs_unlink(&named.view, named.at, named.name, (uint32_t)flags);
        named_end(&named);
    }
    return result;
}

int64_t call_rmdir(const struct trap_frame *frame)
{
    return remove(HERE, argument_1(frame), FS_AT_REMOVE_DIRECTORY);
}

int64_t call_unlink(const struct trap_frame *frame)
{
    return remove(HERE, argument_1(frame), 0);
}

int64_t call_unlinkat(const struct trap_frame *frame)
{
    return remove(argument_1(frame), argument_2(frame), argument_3(frame));
}

/* ---- Two names ---- */

/* Both are got before anything is done with one. */
struct two_names {
    struct named old, new;
};

static int64_t two_begin(struct two_names *names, uint64_t old_at, uint64_t old_name, uint64_t new_at,
                         uint64_t new_name, unsigned flags)
{
    int64_t error = named_begin(&names->old, old_at, old_name, flags | FS_AT_NO_FOLLOW);
    if (error == 0) {
        error = named_begin(&names->new, new_at, new_name, FS_AT_NO_FOLLOW);
        if (error) {
            named_end(&names->old);
        }
    }
    return error;
}

static void two_end(struct two_names *names)
{
    named_end(&names->old);
    named_end(&names->new);
}

static int64_t rename(uint64_t old_at, uint64_t old_name, uint64_t new_at, uint64_t new_name, uint64_t flags)
{
    struct two_names names;
    if ((uint32_t)flags & ~FS_RENAME_NO_REPLACE) {
        return -EINVAL;
    }
    int64_t result = two_begin(&names, old_at, old_name, new_at, new_name, 0);
    if (result == 0) {
        result = fs_rename(&names.old.view, names.old.at, names.old.name, names.new.at, names.new.name,
                           (uint32_t)flags);
        two_end(&names);
    }
    return result;
}

int64_t call_rename(const struct trap_frame *frame)
{
    return rename(HERE, argument_1(frame), HERE, argument_2(frame), 0);
}

int64_t call_renameat(const struct trap_frame *frame)
{
    return rename(argument_1(frame), argument_2(frame), argument_3(frame), argument_4(frame), 0);
}

int64_t call_renameat2(const struct trap_frame *frame)
{
    return rename(argument_1(frame), argument_2(frame), argument_3(frame), argument_4(frame),
                  argument_5(frame));
}

static int64_t link(uint64_t old_at, uint64_t old_name, uint64_t new_at, uint64_t new_name, uint64_t flags)
{
    struct two_names names;
    if ((uint32_t)flags & ~(uint32_t)(FS_AT_FOLLOW | FS_AT_EMPTY_PATH)) {
        return -EINVAL;
    }
    int64_t result = two_begin(&names, old_at, old_name, new_at, new_name, (uint32_t)flags);
    if (result == 0) {
        result = named_is_file_alone(&names.old) ? -EXDEV
                                                 : fs_link(&names.old.view, names.old.at, names.old.name,
                                                           names.new.at, names.new.name, (uint32_t)flags);
        two_end(&names);
    }
    return result;
}

int64_t call_link(const struct trap_frame *frame)
{
    return link(HERE, argument_1(frame), HERE, argument_2(frame), 0);
}

int64_t call_linkat(const struct trap_frame *frame)
{
    return link(argument_1(frame), argument_2(frame), argument_3(frame), argument_4(frame),
                argument_5(frame));
}

static int64_t make_link(uint64_t target, uint64_t at, uint64_t name)
{
    struct two_names names;
    int64_t result = two_begin(&names, HERE, target, at, name, 0);
    if (result == 0) {
        result = fs_symlink(&names.new.view, names.old.name, names.new.at, names.new.name);
        two_end(&names);
    }
    return result;
}

int64_t call_symlink(const struct trap_frame *frame)
{
    return make_link(argument_1(frame), HERE, argument_2(frame));
}

int64_t call_symlinkat(const struct trap_frame *frame)
{
    return make_link(argument_1(frame), argument_2(frame), argument_3(frame));
}

/* ---- What stands in a node ---- */

static int64_t change_named(uint64_t at, uint64_t name, uint64_t flags, const struct fs_change *change)
{
    struct named named;
    if ((uint32_t)flags & ~(uint32_t)(FS_AT_NO_FOLLOW | FS_AT_EMPTY_PATH)) {
        return -EINVAL;
    }
    int64_t result = named_begin(&named, at, name, (uint32_t)flags);
    if (result == 0) {
        result = named_is_file_alone(&named)
                     ? file_change(&named.view, named.file, change)
                     : fs_change(&named.view, named.at, named.name, (uint32_t)flags, change);
        named_end(&named);
    }
    return result;
}

static int64_t change_open(uint64_t descriptor, const struct fs_change *change)
{
    struct fs_view view;
    struct file *file = file_to_use(descriptor);
    if (!file) {
        return -EBADF;
    }
    task_view(&view);
    int64_t result = file_change(&view, file, change);
    fs_view_put(&view);
    file_put(file);
    return result;
}

static struct fs_change mode_change(uint64_t mode)
{
    return (struct fs_change){.set_mode = true, .mode = (uint32_t)mode & FS_PERMISSIONS};
}

int64_t call_chmod(const struct trap_frame *frame)
{
    struct fs_change change = mode_change(argument_2(frame));
    return change_named(HERE, argument_1(frame), 0, &change);
}

int64_t call_fchmodat(const struct trap_frame *frame)
{
    struct fs_change change = mode_change(argument_3(frame));
    return change_named(argument_1(frame), argument_2(frame), 0, &change);
}

int64_t call_fchmod(const struct trap_frame *frame)
{
    struct fs_change change = mode_change(argument_2(frame));
    return change_open(argument_1(frame), &change);
}

static struct fs_change owner_change(uint64_t user, uint64_t group)
{
    return (struct fs_change){.chown = true,
                              .set_user = (uint32_t)user != NOBODY,
                              .set_group = (uint32_t)group != NOBODY,
                              .user = (uint32_t)user,
                              .group = (uint32_t)group};
}

int64_t call_chown(const struct trap_frame *frame)
{
    struct fs_change change = owner_change(argument_2(frame), argument_3(frame));
    return change_named(HERE, argument_1(frame), 0, &change);
}

int64_t call_lchown(const struct trap_frame *frame)
{
    struct fs_change change = owner_change(argument_2(frame), argument_3(frame));
    return change_named(HERE, argument_1(frame), FS_AT_NO_FOLLOW, &change);
}

int64_t call_fchownat(const struct trap_frame *frame)
{
    struct fs_change change = owner_change(argument_3(frame), argument_4(frame));
    return change_named(argument_1(frame), argument_2(frame), argument_5(frame), &change);
}

int64_t call_fchown(const struct trap_frame *frame)
{
    struct fs_change change = owner_change(argument_2(frame), argument_3(frame));
    return change_open(argument_1(frame), &change);
}

/* struct timespec */
struct moment {
    uint64_t seconds;
    uint64_t nanoseconds;
};

/* Whether the time is to be set, and to what; -EINVAL. */
static int64_t time_of(const struct moment *moment, uint64_t now, bool *set, uint64_t *time)
{
    *set = moment->nanoseconds != TIME_OMIT;
    *time = now;
    if (moment->nanoseconds == TIME_NOW || !*set) {
        return 0;
    }
    if (moment->nanoseconds >= NANOSECONDS_PER_SECOND) {
        return -EINVAL;
    }
    *time = min_u64(moment->seconds, UINT64_MAX / NANOSECONDS_PER_SECOND - 1) * NANOSECONDS_PER_SECOND +
            moment->nanoseconds;
    return 0;
}

static int64_t times_change(uint64_t times, struct fs_change *change)
{
    struct moment moments[2] = {{0, TIME_NOW}, {0, TIME_NOW}};
    uint64_t now = clock_epoch_nanoseconds();
    if (times != 0 && !copy_from_user(moments, user_addr(times), sizeof moments)) {
        return -EFAULT;
    }
    *change =
        (struct fs_change){.now = moments[0].nanoseconds == TIME_NOW && moments[1].nanoseconds == TIME_NOW};
    int64_t error = time_of(&moments[0], now, &change->set_accessed, &change->accessed);
    return error ? error : time_of(&moments[1], now, &change->set_modified, &change->modified);
}

int64_t call_utimensat(const struct trap_frame *frame)
{
    struct fs_change change;
    int64_t error = times_change(argument_3(frame), &change);
    if (error) {
        return error;
    }
    if (argument_2(frame) == 0 && (int32_t)argument_1(frame) != AT_HERE) {
        return argument_4(frame) ? -EINVAL : change_open(argument_1(frame), &change);
    }
    return change_named(argument_1(frame), argument_2(frame), argument_4(frame), &change);
}

/* ---- The process's places ---- */

int64_t call_umask(const struct trap_frame *frame)
{
    return places_set_mask(process_current()->places, (uint32_t)argument_1(frame));
}

static int64_t change_place(uint64_t name, void (*set)(struct places *places, struct path path), bool may)
{
    struct named named;
    struct path found;
    int64_t result = named_begin(&named, HERE, name, 0);
    if (result == 0) {
        result = fs_find_directory(&named.view, NULL, named.name, &found);
        named_end(&named);
    }
    if (result == 0 && may) {
        set(process_current()->places, found);
    } else if (result == 0) {
        path_put(found);
        result = -EPERM;
    }
    return result;
}

int64_t call_chdir(const struct trap_frame *frame)
{
    return change_place(argument_1(frame), places_set_here, true);
}

int64_t call_chroot(const struct trap_frame *frame)
{
    return change_place(argument_1(frame), places_set_root, task_may(CAPABILITY_CHROOT));
}

int64_t call_fchdir(const struct trap_frame *frame)
{
    struct fs_view view;
    struct path found;
    struct file *file = file_of(argument_1(frame));
    if (!file) {
        return -EBADF;
    }
    int64_t result = -ENOTDIR;
    if (file->path.entry) {
        task_view(&view);
        result = fs_find_directory(&view, &file->path, ".", &found);
        fs_view_put(&view);
    }
    if (result == 0) {
        places_set_here(process_current()->places, found);
    }
    file_put(file);
    return result;
}

int64_t call_getcwd(const struct trap_frame *frame)
{
    struct fs_view view;
    char *name = heap_alloc(&kernel_heap, FS_PATH_MAX);
    if (!name) {
        return -ENOMEM;
    }
    task_view(&view);
    int64_t bytes = path_is_gone(view.here) ? -ENOENT : fs_name(&view, view.here, name, FS_PATH_MAX);
    fs_view_put(&view);
    bytes = bytes == -ERANGE ? -ENAMETOOLONG : bytes;
    if (bytes > 0 && (uint64_t)bytes > argument_2(frame)) {
        bytes = -ERANGE;
    }
    if (bytes > 0 && !copy_to_user(user_addr(argument_1(frame)), name, (uint64_t)bytes)) {
        bytes = -EFAULT;
    }
    heap_free(&kernel_heap, name);
    return bytes;
}
