/* The kernel's tree of files, and the initrd; see <ashlar/files.h>. */
#include <ashlar/boot.h>
#include <ashlar/clock.h>
#include <ashlar/files.h>
#include <ashlar/initrd.h>
#include <ashlar/memory.h>
#include <ashlar/platform.h>
#include <ashlar/random.h>
#include <ashlar/start.h>

#include "console_file.h"
#include "event.h"

#define LOG_SUBSYSTEM "files"
#include <ashlar/log.h>

static struct fs tree;

struct fs *kernel_files(void)
{
    return &tree;
}

static const struct file_operations *find_device(uint64_t number)
{
    if (number == fs_device(5, 0)) {
        return &own_terminal_operations;
    }
    return number == fs_device(5, 1) ? &console_file_operations : NULL;
}

int files_make_devices(void)
{
    static const struct {
        const char *name;
        uint32_t major, minor, mode;
    } devices[] = {{"/dev/null", 1, 3, 0666},   {"/dev/zero", 1, 5, 0666},    {"/dev/full", 1, 7, 0666},
                   {"/dev/random", 1, 8, 0666}, {"/dev/urandom", 1, 9, 0666}, {"/dev/tty", 5, 0, 0666},
                   {"/dev/console", 5, 1, 0600}};
    static const char *const links[][2] = {{"/dev/fd", "/proc/self/fd"},
                                           {"/dev/stdin", "/proc/self/fd/0"},
                                           {"/dev/stdout", "/proc/self/fd/1"},
                                           {"/dev/stderr", "/proc/self/fd/2"}};
    struct fs_view view;
    fs_view_root(&tree, &view);
    int error = fs_mkdir(&view, NULL, "/dev", 0755);
    for (size_t i = 0; (error == 0 || error == -EEXIST) && i < ARRAY_LENGTH(devices); i++) {
        error = fs_mknod(&view, NULL, devices[i].name, FS_CHARACTER | devices[i].mode,
                         fs_device(devices[i].major, devices[i].minor));
    }
    for (size_t i = 0; (error == 0 || error == -EEXIST) && i < ARRAY_LENGTH(links); i++) {
        error = fs_symlink(&view, links[i][1], NULL, links[i][0]);
    }
    fs_view_put(&view);
    return error == -EEXIST ? 0 : error;
}

/* Three quarters of the memory may be files; and names a part of what is left. */
static int make_tree(const struct boot_info *info)
{
    uint64_t free = memory_free_frames();
    uint64_t seed;
    random_bytes(&seed, sizeof seed);
    const struct fs_config config = {.frames = kernel_frames(),
                                     .heap = &kernel_heap,
                                     .owner = OWNER_CACHE,
                                     .frames_max = free - free / 4 + (info->initrd_bytes >> FRAME_SHIFT),
                                     .nodes_max = free,
                                     .seed = seed,
                                     .now = clock_epoch_nanoseconds,
                                     .random = random_bytes,
                                     .wait = event_wait,
                                     .notify = event_notify_ready,
                                     .device = find_device};
    return fs_init(&tree, &config);
}

static void must_make_tree(const struct boot_info *info)
{
    if (make_tree(info) != 0) {
        panic("files: no memory for the root directory");
    }
}

/* Gives the memory of the initrd to the pool. */
static void return_memory(void)
{
    enum frame_error error = frame_pool_reclaim(kernel_frames(), MEMORY_INITRD);
    if (error != FRAME_OK) {
        log_warning("the memory of the initrd stays in use: %s", frame_error_name(error));
    }
}

static void unpack(const struct boot_info *info)
{
    char complaint[INITRD_COMPLAINT_BYTES];
    const void *archive = physmap_pointer(info->initrd_base);
    if (initrd_unpack(&tree, archive, info->initrd_bytes, complaint)) {
        struct fs_totals totals;
        fs_totals(&tree, &totals);
        log_info("initrd: %" PRIu64 " files in %" PRIu64 " KiB", totals.nodes - 1, totals.frames << 2);
    } else {
        log_warning("initrd: %s; there are no files", complaint);
        fs_destroy(&tree); /* what was unpacked of it */
        must_make_tree(info);
    }
    return_memory();
}

void files_start(const struct boot_info *info)
{
    struct clock_date date;
    START_REQUIRE(START_DEVICES);
    if (info->initrd_bytes != 0) {
        clock_date_now(
            &date); /* so that files have times of day; without any, nobody waits for the firmware */
    }
    must_make_tree(info);
    if (info->initrd_bytes != 0) {
        unpack(info);
    }
}
