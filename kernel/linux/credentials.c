/* Records of credentials, and who has which; see credentials.h. */
#include "credentials.h"

#include <ashlar/memory.h>
#include <ashlar/string.h>
#include <stdatomic.h>

#include "tree.h"

/* User 0's, of programs that the kernel starts; never freed, as one reference is nobody's. */
static struct credentials of_root = {
    .users = 1,
    .rights = {.permitted = CAPABILITIES_ALL, .effective = CAPABILITIES_ALL, .bounding = CAPABILITIES_ALL}};

struct credentials *credentials_for_child(void)
{
    const struct task *task = task_current();
    struct credentials *credentials = task ? task->credentials : &of_root;
    atomic_fetch_add(&credentials->users, 1);
    return credentials;
}

void credentials_put(struct credentials *credentials)
{
    if (atomic_fetch_sub(&credentials->users, 1) == 1) {
        heap_free(&kernel_heap, credentials);
    }
}

struct credentials *credentials_with_groups(uint32_t group_count)
{
    struct credentials *made = heap_alloc(&kernel_heap, sizeof *made + group_count * sizeof made->groups[0]);
    if (made) {
        atomic_init(&made->users, 1);
        made->group_count = group_count;
        made->rights = task_current()->credentials->rights;
    }
    return made;
}

struct credentials *credentials_copy(void)
{
    const struct credentials *own = task_current()->credentials;
    struct credentials *made = credentials_with_groups(own->group_count);
    if (made) {
        memcpy(made->groups, own->groups, own->group_count * sizeof own->groups[0]);
    }
    return made;
}

/* A process has those of its first task. */
void credentials_set(struct credentials *credentials)
{
    struct task *task = task_current();
    struct process *process = task->process;
    struct credentials *before = task->credentials;
    struct credentials *before_of_process = NULL;
    tree_lock();
    task->credentials = credentials;
    if (task->number == process->number) {
        before_of_process = process->credentials;
        process->credentials = credentials;
        atomic_fetch_add(&credentials->users, 1);
    }
    if (rights_differ(&before->rights, &credentials->rights)) {
        task->process->memory->undumpable = true;
        task->signals.parent_death = 0;
    }
    tree_unlock();
    credentials_put(before);
    if (before_of_process) {
        credentials_put(before_of_process);
    }
}

void credentials_note_execution(bool hidden)
{
    struct task *task = task_current();
    struct process *process = task->process;
    const struct rights *own = &task->credentials->rights;
    tree_lock();
    struct credentials *before = process->credentials;
    process->credentials = task->credentials;
    atomic_fetch_add(&task->credentials->users, 1);
    process->memory->undumpable =
        hidden || own->user.effective != own->user.real || own->group.effective != own->group.real;
    tree_unlock();
    credentials_put(before);
}

bool task_may(enum capability capability)
{
    const struct task *task = task_current();
    return !task || rights_have(&task->credentials->rights, capability);
}

bool task_may_trace(const struct task *other, bool by_file)
{
    const struct task *task = task_current();
    const struct memory *memory = other->process->memory;
    return !task || task->process == other->process ||
           rights_may_trace(&task->credentials->rights, &other->credentials->rights,
                            memory && !memory->undumpable, by_file);
}

/* ---- As files see them ---- */

static struct fs_identity identity(uint32_t user, uint32_t group, uint64_t powers)
{
    const struct credentials *own = task_current()->credentials;
    return (struct fs_identity){.user = user,
                                .group = group,
                                .groups = own->groups,
                                .group_count = own->group_count,
                                .powers = powers};
}

void task_view(struct fs_view *view)
{
    const struct rights *own = &task_current()->credentials->rights;
    places_view(process_current()->places, view);
    view->who = identity(own->user.file, own->group.file, own->effective);
}

void task_real_identity(struct fs_view *view)
{
    const struct rights *own = &task_current()->credentials->rights;
    view->who = identity(own->user.real, own->group.real, own->user.real == 0 ? own->permitted : 0);
}
