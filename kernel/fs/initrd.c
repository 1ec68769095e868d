/* Filling a tree of files from an initrd; see <ashlar/initrd.h>. Linux's rules are in its init/initramfs.c.
 */
#include <ashlar/clock.h>
#include <ashlar/cpio.h>
#include <ashlar/file.h>
#include <ashlar/format.h>
#include <ashlar/gzip.h>
#include <ashlar/initrd.h>
#include <ashlar/string.h>

#define BUCKETS 64

/* A file that has several names, of which one is there. */
struct known {
    struct known *next;
    uint64_t device;
    uint32_t number;
    struct path path; /* with a reference */
};

struct unpacking {
    struct fs_view view;
    struct heap *heap;
    struct known *known[BUCKETS]; /* by number */
    char link[FS_PATH_MAX];       /* what a symbolic link says, with a terminator */
};

/* ---- Files with several names ---- */

static struct known *find_known(struct unpacking *unpacking, const struct cpio_entry *entry)
{
    struct known *known = unpacking->known[entry->number % BUCKETS];
    while (known && (known->number != entry->number || known->device != entry->device)) {
        known = known->next;
    }
    return known;
}

static int remember(struct unpacking *unpacking, const struct cpio_entry *entry)
{
    struct known *known = heap_alloc(unpacking->heap, sizeof *known);
    if (!known) {
        return -ENOMEM;
    }
    *known = (struct known){
        .next = unpacking->known[entry->number % BUCKETS], .device = entry->device, .number = entry->number};
    int error = fs_find(&unpacking->view, NULL, entry->name, FS_AT_NO_FOLLOW, &known->path);
    if (error) {
        heap_free(unpacking->heap, known);
        return error;
    }
    unpacking->known[entry->number % BUCKETS] = known;
    return 0;
}

static void forget_all(struct unpacking *unpacking)
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        while (unpacking->known[i]) {
            struct known *known = unpacking->known[i];
            unpacking->known[i] = known->next;
            path_put(known->path);
            heap_free(unpacking->heap, known);
        }
    }
}

/* ---- One entry ---- */

/* What an earlier entry of the name has made, goes; a directory stays where one is wanted. */
static int make_room(const struct fs_view *view, const struct cpio_entry *entry)
{
    struct fs_status status;
    int error = fs_status(view, NULL, entry->name, FS_AT_NO_FOLLOW, &status);
    if (error) {
        return error == -ENOENT ? 0 : error;
    }
    bool is_directory = (status.mode & FS_KIND) == FS_DIRECTORY;
    if (is_directory && (entry->mode & FS_KIND) == FS_DIRECTORY) {
        return -EEXIST;
    }
    return fs_unlink(view, NULL, entry->name, is_directory ? FS_AT_REMOVE_DIRECTORY : 0);
}

static int write_contents(const struct fs_view *view, const struct cpio_entry *entry)
{
    struct file_memory memory;
    struct file *file;
    int error = fs_open(view, NULL, entry->name, FILE_WRITE_ONLY | FILE_TRUNCATE | FILE_NO_FOLLOW, 0, &file);
    if (error) {
        return error;
    }
    struct file_buffer *buffer = file_memory(&memory, (void *)(uintptr_t)entry->data, entry->bytes);
    int64_t done = file_write(file, buffer);
    file_put(file);
    if (done < 0) {
        return (int)done;
    }
    return (uint64_t)done == entry->bytes ? 0 : -ENOSPC;
}

static int make_regular(struct unpacking *unpacking, const struct cpio_entry *entry)
{
    const struct fs_view *view = &unpacking->view;
    const struct known *known = entry->links > 1 ? find_known(unpacking, entry) : NULL;
    int error = known ? fs_link(view, &known->path, "", NULL, entry->name, FS_AT_EMPTY_PATH)
                      : fs_mknod(view, NULL, entry->name, entry->mode, 0);
    if (error == 0 && entry->links > 1 && !known) {
        error = remember(unpacking, entry);
    }
    return error || entry->bytes == 0 ? error : write_contents(view, entry);
}

static int make_link(struct unpacking *unpacking, const struct cpio_entry *entry)
{
    memcpy(unpacking->link, entry->data, entry->bytes);
    unpacking->link[entry->bytes] = 0;
    return fs_symlink(&unpacking->view, unpacking->link, NULL, entry->name);
}

static int make(struct unpacking *unpacking, const struct cpio_entry *entry)
{
    const struct fs_view *view = &unpacking->view;
    int error = make_room(view, entry);
    if (error) {
        return error == -EEXIST ? 0 : error;
    }
    switch (entry->mode & FS_KIND) {
    case FS_DIRECTORY:
        return fs_mkdir(view, NULL, entry->name, entry->mode & FS_PERMISSIONS);
    case FS_SYMLINK:
        return make_link(unpacking, entry);
    case FS_REGULAR:
        return make_regular(unpacking, entry);
    default:
        return fs_mknod(view, NULL, entry->name, entry->mode, fs_device(entry->major, entry->minor));
    }
}

/* Owner, permissions and time, all of which the making has set to something else. */
static int set_rest(const struct fs_view *view, const struct cpio_entry *entry)
{
    struct fs_change owner = {
        .chown = true, .set_user = true, .set_group = true, .user = entry->user, .group = entry->group};
    struct fs_change rest = {.set_mode = (entry->mode & FS_KIND) != FS_SYMLINK,
                             .set_accessed = true,
                             .set_modified = true,
                             .mode = entry->mode & FS_PERMISSIONS,
                             .accessed = entry->time * NANOSECONDS_PER_SECOND,
                             .modified = entry->time * NANOSECONDS_PER_SECOND};
    int error = fs_change(view, NULL, entry->name, FS_AT_NO_FOLLOW, &owner);
    return error ? error : fs_change(view, NULL, entry->name, FS_AT_NO_FOLLOW, &rest);
}

/* ---- All of them ---- */

static const char *reason(int error)
{
    switch (error) {
    case -ENOMEM:
        return "there is no memory for it";
    case -ENOSPC:
        return "there is no room for it";
    case -ENOENT:
        return "its directory is not in the archive before it";
    case -ENOTDIR:
        return "its path leads through what is no directory";
    case -ENOTEMPTY:
        return "a directory of that name, which is not empty, is there";
    case -ELOOP:
        return "its path leads through too many symbolic links";
    case -ENAMETOOLONG:
        return "a name in its path is longer than 255 bytes";
    default:
        return "its path names nothing that can be made";
    }
}

static bool complain(const struct cpio_reader *reader, const char *wrong,
                     char complaint[INITRD_COMPLAINT_BYTES])
{
    if (reader->name) {
        format(complaint, INITRD_COMPLAINT_BYTES, "the entry %.200s at %#" PRIx64 " %s", reader->name,
               reader->offset, wrong);
    } else {
        format(complaint, INITRD_COMPLAINT_BYTES, "what stands at %#" PRIx64 " %s", reader->offset, wrong);
    }
    return false;
}

/* The whole archive, before anything is made of it. */
static bool check_all(const void *archive, uint64_t bytes, char complaint[INITRD_COMPLAINT_BYTES])
{
    struct cpio_reader reader;
    struct cpio_entry entry;
    enum cpio_result result;
    cpio_start(&reader, archive, bytes);
    do {
        result = cpio_read(&reader, &entry);
    } while (result == CPIO_ENTRY || result == CPIO_NEXT);
    return result == CPIO_END || complain(&reader, reader.wrong, complaint);
}

static bool make_all(struct unpacking *unpacking, const void *archive, uint64_t bytes,
                     char complaint[INITRD_COMPLAINT_BYTES])
{
    struct cpio_reader reader;
    struct cpio_entry entry;
    enum cpio_result result;
    int error = 0;
    cpio_start(&reader, archive, bytes);
    while (error == 0 && (result = cpio_read(&reader, &entry)) != CPIO_END) {
        if (result == CPIO_NEXT) {
            forget_all(unpacking);
            continue;
        }
        error = make(unpacking, &entry);
        error = error ? error : set_rest(&unpacking->view, &entry);
    }
    if (error) {
        char text[96];
        format(text, sizeof text, "cannot be made: %s", reason(error));
        return complain(&reader, text, complaint);
    }
    return true;
}

static bool unpack_plain(struct fs *fs, const void *archive, uint64_t bytes,
                         char complaint[INITRD_COMPLAINT_BYTES])
{
    struct heap *heap = fs->config.heap;
    if (!check_all(archive, bytes, complaint)) {
        return false;
    }
    struct unpacking *unpacking = heap_alloc_zeroed(heap, sizeof *unpacking);
    if (!unpacking) {
        format(complaint, INITRD_COMPLAINT_BYTES, "there is no memory to unpack it");
        return false;
    }
    unpacking->heap = heap;
    fs_view_root(fs, &unpacking->view);
    bool done = make_all(unpacking, archive, bytes, complaint);
    forget_all(unpacking);
    fs_view_put(&unpacking->view);
    heap_free(heap, unpacking);
    return done;
}

static bool unpack_gzip(struct fs *fs, const void *packed, uint64_t bytes,
                        char complaint[INITRD_COMPLAINT_BYTES])
{
    struct heap *heap = fs->config.heap;
    uint64_t unpacked = 0;
    const char *wrong = gzip_length(packed, bytes, &unpacked);
    void *work = wrong ? NULL : heap_alloc(heap, GZIP_WORK_BYTES);
    void *archive = work ? heap_alloc(heap, unpacked) : NULL;
    bool done = false;
    if (archive) {
        wrong = gzip_unpack(packed, bytes, archive, unpacked, work);
        done = !wrong && unpack_plain(fs, archive, unpacked, complaint);
    } else if (!wrong) {
        format(complaint, INITRD_COMPLAINT_BYTES, "there is no memory to unpack its %" PRIu64 " bytes",
               unpacked);
    }
    if (wrong) {
        format(complaint, INITRD_COMPLAINT_BYTES, "the gzip file %s", wrong);
    }
    heap_free(heap, archive);
    heap_free(heap, work);
    return done;
}

bool initrd_unpack(struct fs *fs, const void *archive, uint64_t bytes, char complaint[INITRD_COMPLAINT_BYTES])
{
    return gzip_is(archive, bytes) ? unpack_gzip(fs, archive, bytes, complaint)
                                   : unpack_plain(fs, archive, bytes, complaint);
}
