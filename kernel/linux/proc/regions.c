/* Regions and their names; see regions.h. */
#include "regions.h"

#include <ashlar/files.h>
#include <ashlar/format.h>
#include <ashlar/memory.h>
#include <ashlar/string.h>

static bool is_heap(const struct proc_facts *facts, const struct proc_region *named)
{
    return !named->facts.pager && named->base < align_up(facts->heap_end, FRAME_BYTES) &&
           named->end > facts->heap_base;
}

/* Names are as who reads sees them. */
static void begin_view(struct fs_view *view)
{
    if (task_current()) {
        task_view(view);
    } else {
        fs_view_root(kernel_files(), view);
    }
}

/* A file that never had a name has a title, shown as a name that has gone. */
static int name_by_title(const char *title, struct proc_region *named)
{
    size_t bytes = strlen(title) + sizeof " (deleted)";
    named->path = heap_alloc(&kernel_heap, bytes);
    if (!named->path) {
        return -ENOMEM;
    }
    format(named->path, bytes, "%s (deleted)", title);
    named->name = named->path;
    return 0;
}

/* Of a file whose names have all gone the last one is known as long as it is open. */
static int name_file(struct path place, const char *title, struct proc_region *named)
{
    struct fs_view view;
    named->name = "(deleted)";
    if (title) {
        return name_by_title(title, named);
    }
    if (!place.entry) {
        return 0;
    }
    named->path = heap_alloc(&kernel_heap, FS_PATH_MAX);
    if (!named->path) {
        path_put(place);
        return -ENOMEM;
    }
    begin_view(&view);
    if (fs_name(&view, place, named->path, FS_PATH_MAX) > 0) {
        named->name = named->path;
    }
    fs_view_put(&view);
    path_put(place);
    return 0;
}

static int name_region(const struct proc_facts *facts, struct proc_region *named)
{
    const struct vm_region_facts *region = &named->facts;
    struct path place;
    const char *title;
    if (region->pager && made_pager_file((struct vm_pager *)region->pager, &named->node, &place, &title)) {
        return name_file(place, title, named);
    }
    named->name = region->source == VM_STACK                         ? "[stack]"
                  : is_heap(facts, named)                            ? "[heap]"
                  : region->name[0] == '[' || region->name[0] == '/' ? region->name
                                                                     : "";
    return 0;
}

int proc_region_begin(const struct proc_facts *facts, uint64_t address, struct proc_region *named)
{
    *named = (struct proc_region){.path = NULL};
    if (!facts->space || !vm_space_next_kept(facts->space, virt_addr(address), &named->facts)) {
        return 0;
    }
    named->base = max_u64(named->facts.base.raw, address);
    named->end = named->facts.base.raw + named->facts.bytes;
    int error = name_region(facts, named);
    return error ? error : 1;
}

void proc_region_end(struct proc_region *named)
{
    heap_free(&kernel_heap, named->path);
    if (named->facts.pager) {
        vm_pager_put((struct vm_pager *)named->facts.pager);
    }
}
