/*
 * Credentials: the rights of a task and the further groups that it is in; docs/programs.md, "Users, groups
 * and capabilities". A record is shared by all who have the same, is counted, and never changes: whoever sets
 * something gets another one, so that others may read what they have found without a lock.
 *
 * The calling task reads its own. Those of another are read with the tree's mutex held (tree.h).
 */
#pragma once

#include <ashlar/fs.h>

#include "credentials/rules.h"

struct task;

#define GROUPS_MAX 65536 /* NGROUPS_MAX */

struct credentials {
    _Atomic(uint32_t) users;
    uint32_t group_count;
    struct rights rights;
    uint32_t groups[]; /* in ascending order */
};

/* Those of a task that is about to be made: the calling one's, or user 0's for a program that the kernel
 * starts. With a reference. */
struct credentials *credentials_for_child(void);
void credentials_put(struct credentials *credentials);

/* A copy of the calling task's, with one reference, to be changed and then set; NULL: there is no memory. */
struct credentials *credentials_copy(void);
/* The same with other groups: their number, which is at most GROUPS_MAX; the caller fills them in. */
struct credentials *credentials_with_groups(uint32_t group_count);

/* They are the calling task's from now on: takes the reference over. */
void credentials_set(struct credentials *credentials);

/* The calling task has just executed a program, and the process has this task's credentials. Others do not
 * look into it where IDs are not those of the user who runs it; hidden: nor where that one may not read its
 * file. */
void credentials_note_execution(bool hidden);

/* Whether the calling task may do what the capability is for; a thread of the kernel may do all. */
bool task_may(enum capability capability);

/* (T) Whether the calling task may look into the process of the other, and change it, as a debugger does.
 * by_file: as rights_may_trace() has it. */
bool task_may_trace(const struct task *other, bool by_file);

/* ---- As files see them ---- */

/* The calling task's view of files; to be given back by fs_view_put(), and valid during this call only. */
void task_view(struct fs_view *view);

/* The view is that of the task's real IDs from now on: as access() asks. */
void task_real_identity(struct fs_view *view);
