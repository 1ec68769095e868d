/* The tree of processes, and their numbers; see tree.h. */
#include "tree.h"

#include <ashlar/heap.h>
#include <ashlar/memory.h>

#include "pidfd.h"

#define CHUNK 512 /* numbers of a chunk */

/* Numbers are looked up in chunks, which are made when they are needed. */
struct chunk {
    uint32_t used;
    struct identity *identities[CHUNK];
};

static struct mutex lock = MUTEX_INITIALIZER(LOCK_PROCESSES);
static struct chunk *chunks[NUMBERS_END / CHUNK];
static uint32_t task_count;
static uint32_t last_number; /* given last: numbers come again as late as possible */

void tree_lock(void) NO_LOCK_ANALYSIS
{
    mutex_acquire(&lock);
}

void tree_unlock(void) NO_LOCK_ANALYSIS
{
    mutex_release(&lock);
}

/* ---- Numbers ---- */

/* The next free number of the chunk from `place` on; CHUNK: there is none. */
static uint32_t free_place(const struct chunk *chunk, uint32_t place)
{
    while (place < CHUNK && chunk && chunk->identities[place]) {
        place++;
    }
    return place;
}

/* The first free number after the last one, or before it. */
static uint32_t free_number(void)
{
    uint32_t start = last_number + 1 < NUMBERS_END ? last_number + 1 : 1;
    for (unsigned i = 0; i <= ARRAY_LENGTH(chunks); i++) {
        uint32_t index = (start / CHUNK + i) % ARRAY_LENGTH(chunks);
        uint32_t place = i == 0 ? start % CHUNK : index == 0; /* 0 is no number */
        bool full = chunks[index] && chunks[index]->used == CHUNK - (index == 0);
        place = full ? CHUNK : free_place(chunks[index], place);
        if (place < CHUNK) {
            return index * CHUNK + place;
        }
    }
    return 0;
}

static struct chunk *chunk_for(uint32_t number)
{
    struct chunk **chunk = &chunks[number / CHUNK];
    if (!*chunk) {
        *chunk = heap_alloc_zeroed(&kernel_heap, sizeof **chunk);
    }
    return *chunk;
}

struct identity *identity_new(void)
{
    uint32_t number = free_number();
    struct chunk *chunk = number != 0 ? chunk_for(number) : NULL;
    struct identity *identity = chunk ? heap_alloc_zeroed(&kernel_heap, sizeof *identity) : NULL;
    if (!identity) {
        return NULL;
    }
    identity->number = last_number = number;
    identity->references = 1;
    chunk->identities[number % CHUNK] = identity;
    chunk->used++;
    return identity;
}

void identity_get(struct identity *identity)
{
    identity->references++;
}

void identity_put(struct identity *identity)
{
    struct chunk *chunk = chunks[identity->number / CHUNK];
    if (--identity->references == 0) {
        chunk->identities[identity->number % CHUNK] = NULL;
        chunk->used--;
        heap_free(&kernel_heap, identity);
    }
}

struct identity *identity_find(uint32_t number)
{
    if (number >= NUMBERS_END || !chunks[number / CHUNK]) {
        return NULL;
    }
    return chunks[number / CHUNK]->identities[number % CHUNK];
}

struct task *task_find(uint32_t number)
{
    struct identity *identity = identity_find(number);
    return identity ? identity->task : NULL;
}

struct process *process_find(uint32_t number)
{
    struct identity *identity = identity_find(number);
    return identity ? identity->process : NULL;
}

struct process *tree_next(uint32_t from)
{
    for (uint32_t number = from; number < NUMBERS_END; number++) {
        if (!chunks[number / CHUNK]) {
            number |= CHUNK - 1;
        } else if (process_find(number)) {
            return process_find(number);
        }
    }
    return NULL;
}

/* ---- Groups ---- */

static void join_group(struct process *process, struct identity *group)
{
    identity_get(group);
    process->group = group;
    process->previous_member = NULL;
    process->next_member = group->members;
    if (group->members) {
        group->members->previous_member = process;
    }
    group->members = process;
}

static void leave_group(struct process *process)
{
    struct process **before =
        process->previous_member ? &process->previous_member->next_member : &process->group->members;
    *before = process->next_member;
    if (process->next_member) {
        process->next_member->previous_member = process->previous_member;
    }
    identity_put(process->group);
}

void tree_set_group(struct process *process, struct identity *group)
{
    if (group != process->group) {
        leave_group(process);
        join_group(process, group);
    }
}

/* ---- Children ---- */

static void add_child(struct process *parent, struct process *process)
{
    process->parent = parent;
    process->ppid = parent ? parent->number : 0;
    process->previous_child = NULL;
    process->next_child = parent ? parent->children : NULL;
    if (process->next_child) {
        process->next_child->previous_child = process;
    }
    if (parent) {
        parent->children = process;
    }
}

static void remove_child(struct process *process)
{
    if (process->parent) {
        struct process **before =
            process->previous_child ? &process->previous_child->next_child : &process->parent->children;
        *before = process->next_child;
        if (process->next_child) {
            process->next_child->previous_child = process->previous_child;
        }
    }
    process->parent = NULL;
    process->ppid = 0;
}

/* ---- Tasks ---- */

static void add_task(struct task *task)
{
    struct process *process = task->process;
    task->identity->task = task;
    task->number = task->identity->number;
    task->previous = NULL;
    task->next = process->tasks;
    if (task->next) {
        task->next->previous = task;
    }
    process->tasks = task;
    process->task_count++;
    task_count++;
    process->with_memory++;
}

int tree_enter_task(struct task *task)
{
    if (task->process->state != PROCESS_RUNS || task->process->executor) {
        return -EAGAIN;
    }
    task->identity = identity_new();
    if (!task->identity) {
        return -EAGAIN;
    }
    add_task(task);
    if (task->process->signals.stop_signal != 0) {
        thread_interrupt(task->thread); /* it stops, too */
    }
    return 0;
}

uint32_t tree_last_number(void)
{
    return last_number;
}

uint32_t tree_task_count(void)
{
    return task_count;
}

void tree_remove_task(struct task *task)
{
    struct process *process = task->process;
    *(task->previous ? &task->previous->next : &process->tasks) = task->next;
    if (task->next) {
        task->next->previous = task->previous;
    }
    process->task_count--;
    task_count--;
    if (process->task_count == 0) {
        process_handle_end(process);
    }
    task->identity->task = NULL;
    identity_put(task->identity);
}

/* ---- Processes ---- */

int tree_enter(struct process *process, struct process *parent, struct task *first)
{
    if (parent && parent->state != PROCESS_RUNS) {
        return -EAGAIN;
    }
    first->identity = identity_new();
    if (!first->identity) {
        return -EAGAIN;
    }
    process->identity = first->identity;
    identity_get(process->identity);
    process->identity->process = process;
    process->number = process->identity->number;
    process->session = parent ? parent->session : process->identity;
    identity_get(process->session);
    join_group(process, parent ? parent->group : process->identity);
    add_child(parent, process);
    add_task(first);
    return 0;
}

void tree_remove(struct process *process)
{
    remove_child(process);
    leave_group(process);
    identity_put(process->session);
    process->identity->process = NULL;
    identity_put(process->identity);
    process_handle_drop(process);
}

struct process *tree_orphan_children(struct process *process)
{
    struct process *gone = NULL;
    while (process->children) {
        struct process *child = process->children;
        remove_child(child);
        if (child->state == PROCESS_ZOMBIE) {
            tree_remove(child);
            child->next_child = gone;
            gone = child;
        }
    }
    return gone;
}

void tree_end_process(struct process *process, uint64_t status, const struct task *except)
{
    if (process->state != PROCESS_RUNS) {
        return;
    }
    process->state = PROCESS_ENDS;
    process->status = status;
    for (struct task *task = process->tasks; task; task = task->next) {
        if (task != except) {
            thread_kill(task->thread);
        }
    }
}

bool tree_begin_execution(struct task *task)
{
    struct process *process = task->process;
    tree_lock();
    bool first = process->state == PROCESS_RUNS && !process->executor;
    if (first) {
        process->executor = task;
        for (struct task *other = process->tasks; other; other = other->next) {
            if (other != task) {
                thread_kill(other->thread);
            }
        }
    }
    tree_unlock();
    return first;
}

/* The mutex is free again when the last one that left is done with the process. */
void tree_end_execution(struct task *task)
{
    struct process *process = task->process;
    tree_lock();
    process->executor = NULL;
    if (task->identity != process->identity) {
        task->identity->task = NULL;
        identity_put(task->identity);
        task->identity = process->identity;
        identity_get(task->identity);
        task->identity->task = task;
        task->number = task->identity->number;
    }
    tree_unlock();
}
