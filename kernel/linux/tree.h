/*
 * Processes in a tree, and by their numbers.
 *
 * A number stands for a task, a process, a group and a session, whichever of them there are: so it is a
 * record of its own, which lives until none of them is left. One mutex guards all of it; who holds it takes
 * no other mutex and touches no user memory. A number is found in two steps, however many there are.
 */
#pragma once

#include "process.h"

#define NUMBERS_END 32768 /* the first that is not given; Linux's default */

struct identity {
    uint32_t number;
    uint32_t references;     /* task, process, members of the group, processes of the session */
    struct task *task;       /* whose tid it is, or NULL */
    struct process *process; /* whose pid it is, or NULL; a zombie's too */
    struct process *members; /* of the group of that number: the first */
};

void tree_lock(void);
void tree_unlock(void);

/* All that follows: with the mutex held. */

/* A number that nobody has, with one reference; NULL: there is none, or no memory. */
struct identity *identity_new(void);
void identity_get(struct identity *identity);
void identity_put(struct identity *identity);

/* What has the number, or NULL. */
struct identity *identity_find(uint32_t number);
struct task *task_find(uint32_t number);
struct process *process_find(uint32_t number);

/*
 * Enters a process that has no place yet, together with its first task: as a child of `parent` (NULL: of the
 * kernel), in its group and session, or in new ones. Returns 0, or -EAGAIN: there are too many, or no memory.
 */
int tree_enter(struct process *process, struct process *parent, struct task *first);

/* Enters one more task of the process. -EAGAIN: the same, or the process ends. */
int tree_enter_task(struct task *task);

/*
 * The calling task carries execve() out: tells the other tasks of its process to end, and none is added from
 * now on. False: the process ends, or another task was first. When they are gone, the second makes it the
 * first task.
 */
bool tree_begin_execution(struct task *task);
void tree_end_execution(struct task *task);

/* The number that was given last. */
uint32_t tree_last_number(void);

/* Tasks that there are, of all processes. */
uint32_t tree_task_count(void);

/* Takes a task out, which is the calling one or never ran. */
void tree_remove_task(struct task *task);

/* Takes a process out, which has no task. The caller frees it when the mutex is free. */
void tree_remove(struct process *process);

/* Moves a process to another group. */
void tree_set_group(struct process *process, struct identity *group);

/* Makes the children of a process that ends the kernel's. Zombies among them are taken out: they are returned
 * as a list linked by next_child, to be freed when the mutex is free. */
struct process *tree_orphan_children(struct process *process);

/* Tells all tasks of the process but `except` to end, with that status, if nobody has done so before. */
void tree_end_process(struct process *process, uint64_t status, const struct task *except);

/* Walks over all processes by number: the one with the lowest number of at least `from`, or NULL. */
struct process *tree_next(uint32_t from);
