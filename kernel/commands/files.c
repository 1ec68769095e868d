/* Monitor command that lists files: files. */
#include <ashlar/file.h>
#include <ashlar/files.h>
#include <ashlar/format.h>
#include <ashlar/monitor.h>
#include <ashlar/string.h>

#define TEXT_BYTES 40

/* One listing: of a directory, or of one file. */
struct listing {
    struct fs_view view;
    const char *folder; /* that the names lie in; NULL for one file */
    struct json json;
    bool as_json;
    bool failed;              /* an entry's path is too long */
    char path[FS_PATH_MAX];   /* of an entry */
    char target[FS_PATH_MAX]; /* what a symbolic link says */
};

/* The ten characters that ls -l begins with. */
static void mode_text(uint32_t mode, char text[11])
{
    static const char kinds[] = "?pc?d?b?-?l?s???"; /* by kind >> 12 */
    static const char letters[] = "rwxrwxrwx";
    text[0] = kinds[mode >> 12 & 15];
    for (unsigned i = 0; i < 9; i++) {
        text[1 + i] = '-';
        if (mode >> (8 - i) & 1) {
            text[1 + i] = letters[i];
        }
    }
    if (mode & FS_SET_USER) {
        text[3] = mode & 0100 ? 's' : 'S';
    }
    if (mode & FS_SET_GROUP) {
        text[6] = mode & 010 ? 's' : 'S';
    }
    if (mode & FS_STICKY) {
        text[9] = mode & 1 ? 't' : 'T';
    }
    text[10] = 0;
}

static bool is_device(const struct fs_status *status)
{
    uint32_t kind = status->mode & FS_KIND;
    return kind == FS_CHARACTER || kind == FS_BLOCK;
}

/* A device's number, or a length. */
static const char *size_text(const struct fs_status *status, char text[TEXT_BYTES])
{
    if (is_device(status)) {
        format(text, TEXT_BYTES, "%" PRIu64 ", %" PRIu64, status->special >> 8 & 0xfff,
               (status->special & 0xff) | (status->special >> 12 & 0xfff00));
    } else {
        format(text, TEXT_BYTES, "%" PRIu64, status->bytes);
    }
    return text;
}

/* What a symbolic link says, else "". */
static void read_target(struct listing *listing, const char *path, const struct fs_status *status)
{
    int64_t bytes = 0;
    if ((status->mode & FS_KIND) == FS_SYMLINK) {
        bytes = fs_readlink(&listing->view, NULL, path, listing->target, FS_PATH_MAX - 1);
    }
    listing->target[bytes > 0 ? bytes : 0] = 0;
}

static void show_json(struct listing *listing, const char *name, const struct fs_status *status,
                      const char *target)
{
    struct json *json = &listing->json;
    char mode[11];
    mode_text(status->mode, mode);
    json_object_begin(json, NULL);
    json_string(json, "name", name);
    json_string(json, "mode", mode);
    json_number(json, "number", status->number);
    json_number(json, "links", status->links);
    json_number(json, "user", status->user);
    json_number(json, "group", status->group);
    json_number(json, "bytes", status->bytes);
    json_number(json, "frames", status->frames);
    json_number(json, "device", status->special);
    json_string(json, "target", target);
    json_object_end(json);
}

static void show_line(const char *name, const struct fs_status *status, const char *target)
{
    char mode[11];
    char size[TEXT_BYTES];
    mode_text(status->mode, mode);
    monitor_print("%s %4u %5u %5u %12s %8" PRIu64 "  %s%s%s\n", mode, status->links, status->user,
                  status->group, size_text(status, size), status->frames, name, target[0] ? " -> " : "",
                  target);
}

static void show(struct listing *listing, const char *path, const char *name)
{
    struct fs_status status;
    if (fs_status(&listing->view, NULL, path, FS_AT_NO_FOLLOW, &status) != 0) {
        return; /* gone meanwhile */
    }
    read_target(listing, path, &status);
    if (listing->as_json) {
        show_json(listing, name, &status, listing->target);
    } else {
        show_line(name, &status, listing->target);
    }
}

static bool show_entry(void *context, const struct file_entry *entry)
{
    struct listing *listing = context;
    size_t length = format(listing->path, sizeof listing->path, "%s/%s", listing->folder, entry->name);
    if (length >= sizeof listing->path - 1) {
        listing->failed = true;
    } else {
        show(listing, listing->path, entry->name);
    }
    return !monitor_interrupted();
}

/* The directory's names, or the file's. */
static int list(struct listing *listing, const char *path)
{
    struct file *file;
    int error = fs_open(&listing->view, NULL, path, FILE_DIRECTORY, 0, &file);
    if (error == -ENOTDIR) {
        struct fs_status status;
        error = fs_status(&listing->view, NULL, path, FS_AT_NO_FOLLOW, &status);
        if (error == 0) {
            show(listing, path, path);
        }
        return error;
    }
    if (error) {
        return error;
    }
    listing->folder = path;
    error = file_entries(file, show_entry, listing);
    file_put(file);
    return error;
}

static const char *reason(int error)
{
    switch (error) {
    case -ENOENT:
        return "no such file";
    case -ENOTDIR:
        return "the path leads through what is no directory";
    case -ELOOP:
        return "the path leads through too many symbolic links";
    case -ENAMETOOLONG:
        return "too long a name";
    default:
        return "no memory";
    }
}

/* Before anything is printed: whether there is something to list. */
static bool check(struct monitor_call *call, const struct fs_view *view, const char *path)
{
    struct fs_status status;
    int error = fs_status(view, NULL, path, FS_AT_NO_FOLLOW, &status);
    if (error) {
        monitor_error(call, "%s: %s", path, reason(error));
    }
    return error == 0;
}

static void end(struct monitor_call *call, struct listing *listing)
{
    struct fs_totals totals;
    fs_totals(kernel_files(), &totals);
    if (call->json) {
        json_array_end(&listing->json);
        json_number(&listing->json, "nodes", totals.nodes);
        json_number(&listing->json, "nodes_max", totals.nodes_max);
        json_number(&listing->json, "frames", totals.frames);
        json_number(&listing->json, "frames_max", totals.frames_max);
        json_object_end(&listing->json);
        json_end(&listing->json);
    } else {
        monitor_print("all files: %" PRIu64 " of at most %" PRIu64 ", in %" PRIu64 " KiB of at most %" PRIu64
                      " KiB\n",
                      totals.nodes, totals.nodes_max, totals.frames << 2, totals.frames_max << 2);
    }
}

static void run(struct monitor_call *call, struct listing *listing, const char *path)
{
    if (call->json) {
        monitor_json_begin(&listing->json);
        json_object_begin(&listing->json, NULL);
        json_array_begin(&listing->json, "files");
    } else {
        monitor_print("%-10s %4s %5s %5s %12s %8s  name\n", "mode", "links", "user", "group", "bytes",
                      "frames");
    }
    int error = list(listing, path);
    end(call, listing);
    if (error || listing->failed) {
        monitor_error(call, "%s: %s", path, reason(error ? error : -ENAMETOOLONG));
    }
}

static void files_run(struct monitor_call *call)
{
    const char *path = call->arguments[0] ? call->arguments[0] : "/";
    struct listing *listing = heap_alloc_zeroed(&kernel_heap, sizeof *listing); /* too large for the stack */
    if (!listing) {
        monitor_error(call, "no memory");
        return;
    }
    listing->as_json = call->json;
    fs_view_root(kernel_files(), &listing->view);
    if (check(call, &listing->view, path)) {
        run(call, listing, path);
    }
    fs_view_put(&listing->view);
    heap_free(&kernel_heap, listing);
}

MONITOR_COMMAND(
    files, files_run, "[PATH]", "files and directories",
    "Lists a directory as ls -l does, or one file: mode, names that it has, owner and group,\n"
    "length or device number, frames, name; then what all files take together.\n"
    "Examples:\n"
    "  files                the root directory\n"
    "  files /bin/busybox   one file\n"
    "  files -j /dev        {\"files\":[{\"name\":...,\"mode\":...,\"bytes\":N,...},...],\"frames\":N,...}\n",
    .flags = MONITOR_JSON, .arguments_max = 1);
