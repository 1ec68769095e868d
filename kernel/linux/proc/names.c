/* The names below /proc, and what each is; see proc.h. */
#define LOG_SUBSYSTEM "files"
#include <ashlar/files.h>
#include <ashlar/format.h>
#include <ashlar/log.h>
#include <ashlar/string.h>

#include "tables.h"

#define NUMBERS_FROM 1000 /* position of the process 0 in the root: behind all other names */

/* What stat() calls the file. */
static uint64_t node_number(const struct proc_what *what, unsigned place, uint64_t index)
{
    return (uint64_t)what->process << 40 | (uint64_t)what->task << 24 | (uint64_t)place << 18 | (index + 1);
}

/* A number as Linux reads one: decimal, without zeros before it. */
static bool number_of(const char *name, size_t bytes, uint32_t *number)
{
    *number = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (name[i] < '0' || name[i] > '9' || bytes > 7) {
            return false;
        }
        *number = *number * 10 + (uint32_t)(name[i] - '0');
    }
    return bytes != 0 && (name[0] != '0' || bytes == 1);
}

/* ---- Links ---- */

/* Only a program has a self. */
static int find_self(bool with_task, struct made_found *found)
{
    const struct task *task = task_current();
    if (!task) {
        return -ENOENT;
    }
    if (with_task) {
        format(found->text, sizeof found->text, "%u/task/%u", task->process->number, task->number);
    } else {
        format(found->text, sizeof found->text, "%u", task->process->number);
    }
    return 0;
}

static int find_in_view(const struct proc_what *what, bool top, struct made_found *found)
{
    struct fs_view view;
    if (!proc_view(what, &view)) {
        return -ENOENT;
    }
    found->leads = path_get(top ? view.root : view.here);
    fs_view_put(&view);
    return 0;
}

/* Links into a process lead only him further who may look into it. */
static int find_link(const struct proc_what *what, enum link link, struct made_found *found)
{
    int error = what->process != 0 && link != LINK_MOUNTS ? proc_may_look(what) : 0;
    if (error) {
        return error;
    }
    switch (link) {
    case LINK_SELF:
    case LINK_THREAD_SELF:
        return find_self(link == LINK_THREAD_SELF, found);
    case LINK_MOUNTS:
        format(found->text, sizeof found->text, "self/mounts");
        return 0;
    case LINK_PROGRAM:
        found->leads = proc_program(what);
        return found->leads.entry ? 0 : -ENOENT;
    case LINK_HERE:
    case LINK_TOP:
        break;
    }
    return find_in_view(what, link == LINK_TOP, found);
}

/* What a descriptor leads to; its owner may do with the link what the file is open for. */
static int find_descriptor(const struct proc_what *what, uint32_t number, struct made_found *found)
{
    int error = proc_may_look(what);
    if (error) {
        return error;
    }
    struct file *file = proc_file(what, number);
    if (file) {
        proc_owner(what, false, &found->user, &found->group);
        unsigned access = atomic_load_explicit(&file->flags, memory_order_relaxed) & FILE_ACCESS;
        found->mode = FS_SYMLINK | (access != FILE_WRITE_ONLY ? 0500U : 0U) |
                      (access == FILE_WRITE_ONLY || access == FILE_READ_WRITE ? 0300U : 0U);
        found->number = node_number(what, AT_DESCRIPTORS, number);
        found->leads = made_place(file);
        file_put(file);
    }
    return !file ? -ENOENT : found->leads.entry ? 0 : -ENOMEM;
}

/* ---- Finding ---- */

/* (T) Whether the process has that task. The first one counts as one of its until the process is gone. */
static bool has_task(const struct process *process, uint32_t number)
{
    const struct task *task = task_find(number);
    return number == process->number || (task && task->process == process);
}

/* A process, whose directory it is, or a task of one. */
static int find_number(const struct proc_what *what, uint32_t number, struct made_found *found)
{
    bool of_task = what->process != 0;
    struct proc_what child = {.place = of_task ? AT_TASK : AT_PROCESS};
    tree_lock();
    const struct process *process = process_find(of_task ? what->process : number);
    bool there = process && (!of_task || (process->begun == what->begun && has_task(process, number)));
    if (there) {
        child.process = process->number;
        child.task = of_task ? number : 0;
        child.begun = process->begun;
    }
    tree_unlock();
    found->what = proc_pack(child);
    found->mode = FS_DIRECTORY | 0555;
    proc_owner(&child, true, &found->user, &found->group);
    found->number = node_number(&child, child.place, 0);
    return there ? 0 : -ENOENT;
}

static bool is_there(const struct proc_what *what)
{
    struct proc_facts facts;
    if (what->process == 0) {
        return true;
    }
    if (proc_look(what, &facts) != 0) {
        return false;
    }
    proc_let_go(&facts);
    return true;
}

static int find_item(const struct proc_what *what, unsigned index, struct made_found *found)
{
    const struct proc_item *item = &proc_tables[what->place].items[index];
    struct proc_what child = *what;
    bool is_directory = (item->mode & FS_KIND) == FS_DIRECTORY;
    if (!is_there(what)) {
        return -ESRCH;
    }
    child.place = is_directory ? item->argument : what->place;
    child.index = (uint16_t)(is_directory ? 0 : index);
    child.setting = item->argument;
    found->what = proc_pack(child);
    found->mode = item->mode & ~(is_directory ? 0U : PROC_GUARDED);
    found->number = node_number(what, what->place, index + 1);
    proc_owner(what, item->mode == (FS_DIRECTORY | 0555), &found->user, &found->group);
    if (is_directory && item->argument == AT_DESCRIPTORS && task_current() &&
        process_current()->number == what->process) {
        found->user = task_current()->credentials->rights.user.file; /* nobody is kept from his own */
    }
    return (item->mode & FS_KIND) == FS_SYMLINK ? find_link(what, (enum link)item->argument, found) : 0;
}

static int find(const struct made_what *directory, const char *name, size_t bytes, struct made_found *found)
{
    const struct proc_what what = proc_unpack(directory);
    uint32_t number;
    if (proc_tables[what.place].names) {
        int index = text_name_find(proc_tables[what.place].names, name, bytes);
        if (index >= 0 && (unsigned)index < proc_tables[what.place].count) {
            return find_item(&what, (unsigned)index, found);
        }
    }
    if (!number_of(name, bytes, &number)) {
        return -ENOENT;
    }
    switch (what.place) {
    case AT_DESCRIPTORS:
        return find_descriptor(&what, number, found);
    case AT_ROOT:
    case AT_TASKS:
        return find_number(&what, number, found);
    default:
        return -ENOENT;
    }
}

/* ---- Listing ---- */

/* (T) The lowest number of its tasks of at least `from`; 0: there is none. */
static uint32_t next_task(const struct process *process, uint64_t from)
{
    uint32_t number = process->number >= from ? process->number : 0;
    for (const struct task *task = process->tasks; task; task = task->next) {
        bool better = number == 0 || task->number < number;
        number = task->number >= from && better ? task->number : number;
    }
    return number;
}

/* The same of a process, or of a task of one. */
static uint32_t next_number(const struct proc_what *what, uint64_t from)
{
    uint32_t number = 0;
    tree_lock();
    const struct process *process = what->process ? process_find(what->process) : tree_next((uint32_t)from);
    if (!what->process) {
        number = process ? process->number : 0;
    } else if (process && process->begun == what->begun) {
        number = next_task(process, from);
    }
    tree_unlock();
    return number;
}

static bool next_process(const struct proc_what *what, uint64_t first, uint64_t *position, char *name,
                         struct made_found *found)
{
    uint64_t from = max_u64(*position - first, 1);
    uint32_t number;
    do { /* what was found may have ended by now */
        number = from < NUMBERS_END ? next_number(what, from) : 0;
        if (number == 0) {
            return false;
        }
        from = (uint64_t)number + 1;
    } while (find_number(what, number, found) != 0);
    *position = first + number;
    format(name, FS_NAME_MAX + 1, "%u", number);
    return true;
}

static bool next_descriptor(const struct proc_what *what, uint64_t *position, char *name,
                            struct made_found *found)
{
    bool found_one = proc_next_file(what, position);
    if (found_one) {
        format(name, FS_NAME_MAX + 1, "%" PRIu64, *position);
        found->mode = FS_SYMLINK;
        found->number = node_number(what, AT_DESCRIPTORS, *position);
    }
    return found_one;
}

static bool next(const struct made_what *directory, uint64_t *position, char *name, struct made_found *found)
{
    const struct proc_what what = proc_unpack(directory);
    if (what.place == AT_DESCRIPTORS) {
        return next_descriptor(&what, position, name, found);
    }
    if (what.place == AT_TASKS) {
        return next_process(&what, 0, position, name, found);
    }
    if (*position < proc_tables[what.place].count && is_there(&what)) {
        const char *from = text_name_at(proc_tables[what.place].names, (unsigned)*position);
        memcpy(name, from, strlen(from) + 1);
        found->mode = proc_tables[what.place].items[*position].mode;
        found->number = node_number(&what, what.place, *position + 1);
        return true;
    }
    if (what.place != AT_ROOT) {
        return false;
    }
    *position = max_u64(*position, NUMBERS_FROM);
    return next_process(&what, NUMBERS_FROM, position, name, found);
}

void proc_mount(void)
{
    static const struct made made = {.find = find, .next = next, .operations = &proc_file_operations};
    const struct made_what what = proc_pack((struct proc_what){.place = AT_ROOT});
    int error = made_mount(kernel_files(), "/proc", &made, &what);
    if (error) {
        log_warning("/proc cannot be mounted: error %d", -error);
    }
}
