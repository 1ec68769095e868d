/* Files of the machine below /proc: its memory, its name, its settings. */
#include <ashlar/boot.h>
#include <ashlar/command_line.h>
#include <ashlar/memory.h>
#include <ashlar/string.h>

#include "kernel/linux/machine_memory.h"
#include "kernel/linux/release.h"
#include "proc.h"

#define ORDERS_SHOWN 11 /* Linux's, the largest block 4 MiB */

/* ---- Memory ---- */

static void kib(struct proc_text *text, const char *name, uint64_t bytes)
{
    text_print(text, "%-16s%8" PRIu64 " kB\n", name, bytes >> 10);
}

/* Files are Shmem, as those of a tmpfs are. */
int proc_meminfo(const struct proc_what *what, struct proc_text *text, uint64_t *cursor)
{
    static const char names[] =
        "MemTotal:\0MemFree:\0MemAvailable:\0Buffers:\0Cached:\0SwapCached:\0SwapTotal:\0"
        "SwapFree:\0AnonPages:\0Shmem:\0KReclaimable:\0Slab:\0SReclaimable:\0SUnreclaim:\0"
        "KernelStack:\0PageTables:\0";
    struct machine_memory memory;
    (void)what;
    if (proc_is_told(cursor)) {
        return 0;
    }
    machine_memory(&memory);
    const uint64_t values[] = {memory.total,
                               memory.free,
                               memory.free,
                               0,
                               memory.files,
                               0,
                               0,
                               0,
                               memory.programs,
                               memory.files,
                               0,
                               memory.slabs,
                               0,
                               memory.slabs,
                               memory.stacks,
                               memory.tables};
    for (unsigned i = 0; i < ARRAY_LENGTH(values); i++) {
        kib(text, text_name_at(names, i), values[i]);
    }
    return 1;
}

int proc_vmstat(const struct proc_what *what, struct proc_text *text, uint64_t *cursor)
{
    static const char names[] =
        "nr_free_pages\0nr_anon_pages\0nr_file_pages\0nr_shmem\0nr_slab_unreclaimable\0"
        "nr_page_table_pages\0";
    struct machine_memory memory;
    (void)what;
    if (proc_is_told(cursor)) {
        return 0;
    }
    machine_memory(&memory);
    const uint64_t bytes[] = {memory.free,  memory.programs, memory.files,
                              memory.files, memory.slabs,    memory.tables};
    for (unsigned i = 0; i < ARRAY_LENGTH(bytes); i++) {
        text_print(text, "%s %" PRIu64 "\n", text_name_at(names, i), bytes[i] >> FRAME_SHIFT);
    }
    text_print(text, "nr_kernel_stack %" PRIu64 "\n", memory.stacks >> 10);
    return 1;
}

/* Blocks that are larger than Linux's largest count as so many of those. */
int proc_buddyinfo(const struct proc_what *what, struct proc_text *text, uint64_t *cursor)
{
    struct frame_statistics statistics;
    uint64_t shown[ORDERS_SHOWN] = {0};
    (void)what;
    if (proc_is_told(cursor)) {
        return 0;
    }
    frame_pool_statistics(kernel_frames(), &statistics);
    for (unsigned order = 0; order < FRAME_ORDERS; order++) {
        unsigned column = (unsigned)min_u64(order, ORDERS_SHOWN - 1);
        shown[column] += (statistics.free_blocks[order] + statistics.magazine_blocks[order])
                         << (order - column);
    }
    text_print(text, "Node 0, zone   Normal ");
    for (unsigned column = 0; column < ORDERS_SHOWN; column++) {
        text_print(text, "%6" PRIu64 " ", shown[column]);
    }
    text_add(text, "\n", 1);
    return 1;
}

/* The cache whose turn it is. */
struct visit {
    struct proc_text *text;
    uint64_t left; /* caches that come before it */
    bool found;
};

/* Names keep no blanks: whoever reads this splits at them. */
static void cache_name(const char *from, char *to, size_t bytes)
{
    size_t i = 0;
    for (; from[i] && i < bytes - 1; i++) {
        to[i] = from[i];
        if (to[i] == ' ') {
            to[i] = '_';
        }
    }
    to[i] = 0;
}

static bool tell_cache(void *context, struct slab_cache *cache)
{
    struct visit *visit = context;
    struct slab_statistics statistics;
    char name[32];
    if (visit->left-- > 0) {
        return true;
    }
    slab_cache_statistics(cache, &statistics);
    cache_name(cache->name, name, sizeof name);
    uint64_t slabs = max_u64(statistics.slabs, 1);
    text_print(visit->text,
               "%-17s %6" PRIu64 " %6" PRIu64 " %6u %4u %4d : tunables %4u %4u %4u : slabdata %6" PRIu64
               " %6" PRIu64 " %6u\n",
               name, statistics.live, statistics.objects, (unsigned)cache->config.bytes,
               (unsigned)(statistics.objects / slabs), (int)(statistics.slab_bytes / slabs >> FRAME_SHIFT), 0,
               0, 0, statistics.slabs - statistics.empty_slabs, statistics.slabs, 0);
    visit->found = true;
    return false;
}

/* The cursor is 1 for the head, then 1 more than how many caches were told of. */
int proc_slabinfo(const struct proc_what *what, struct proc_text *text, uint64_t *cursor)
{
    struct visit visit = {.text = text, .left = *cursor - 1};
    (void)what;
    if ((*cursor)++ == 0) {
        text_print(text,
                   "slabinfo - version: 2.1\n"
                   "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> "
                   ": tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> "
                   "<sharedavail>\n");
        return 1;
    }
    slab_for_each_cache(&kernel_heap.slabs, tell_cache, &visit);
    return visit.found;
}

/* ---- What it is ---- */

int proc_version(const struct proc_what *what, struct proc_text *text, uint64_t *cursor)
{
    (void)what;
    if (proc_is_told(cursor)) {
        return 0;
    }
    text_print(text, "%s version %s %s\n", RELEASE_SYSTEM, RELEASE_NUMBER, RELEASE_VERSION);
    return 1;
}

int proc_filesystems(const struct proc_what *what, struct proc_text *text, uint64_t *cursor)
{
    (void)what;
    if (proc_is_told(cursor)) {
        return 0;
    }
    text_print(text, "nodev\trootfs\nnodev\tproc\n");
    return 1;
}

int proc_mounts(const struct proc_what *what, struct proc_text *text, uint64_t *cursor)
{
    (void)what;
    if (proc_is_told(cursor)) {
        return 0;
    }
    text_print(text, "rootfs / rootfs rw 0 0\nproc /proc proc rw 0 0\n");
    return 1;
}

int proc_kernel_command_line(const struct proc_what *what, struct proc_text *text, uint64_t *cursor)
{
    const char *line = boot_command_line();
    (void)what;
    if (proc_is_told(cursor)) {
        return 0;
    }
    text_add(text, line, strlen(line));
    text_add(text, "\n", 1);
    return 1;
}

int proc_setting(const struct proc_what *what, struct proc_text *text, uint64_t *cursor)
{
    if (proc_is_told(cursor)) {
        return 0;
    }
    switch ((enum proc_settings)what->setting) {
    case SETTING_FILES_MOST:
        text_print(text, "%" PRId64, INT64_MAX);
        break;
    case SETTING_DESCRIPTORS_MOST:
        text_print(text, "%u", DESCRIPTORS_MAX);
        break;
    case SETTING_NODE:
        text_print(text, "%s", RELEASE_NODE);
        break;
    case SETTING_RELEASE:
        text_print(text, "%s", RELEASE_NUMBER);
        break;
    case SETTING_SYSTEM:
        text_print(text, "%s", RELEASE_SYSTEM);
        break;
    case SETTING_NUMBERS_END:
        text_print(text, "%u", NUMBERS_END);
        break;
    case SETTING_BY_CHANCE:
        text_print(text, "%u", command_line_has(boot_command_line(), "norandom") ? 0U : 2U);
        break;
    case SETTING_VERSION:
        text_print(text, "%s", RELEASE_VERSION);
        break;
    case SETTING_OVERCOMMIT: /* one promise alone may be too much; the sum of all is not counted */
        text_print(text, "0");
        break;
    }
    text_add(text, "\n", 1);
    return 1;
}
