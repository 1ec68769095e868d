/*
 * What a process has of files: its descriptors, and its places (root, working directory, umask).
 *
 * Both are counted, since processes may share each (clone with CLONE_FILES, CLONE_FS); fork() copies both. A
 * thread of the process uses them through process_current(); any number of threads at once.
 *
 *     fork()                     descriptors_copy(), places_copy()
 *     clone(CLONE_FILES / _FS)   descriptors_get(), places_get()
 *     execve()                   descriptors_close_on_exec(); a table that is shared is copied before
 *     end of a process           descriptors_put(), places_put()
 */
#pragma once

#include <ashlar/file.h>

#define DESCRIPTORS_MAX 65536 /* in one table, whatever the limit says */

struct descriptors;
struct places;

/* ---- Tables ---- */

/* A table without descriptors, with one reference; NULL: there is no memory. */
struct descriptors *descriptors_create(void);

/* Another one with the same files under the same numbers; NULL: there is no memory. */
struct descriptors *descriptors_copy(struct descriptors *descriptors);

/* Another reference; and one given back: with the last one every file is closed. */
struct descriptors *descriptors_get(struct descriptors *descriptors);
void descriptors_put(struct descriptors *descriptors);

/* Closes those that are to be closed by execve(). */
void descriptors_close_on_exec(struct descriptors *descriptors);

/* Whether more than one process has it. */
bool descriptors_are_shared(struct descriptors *descriptors);

/* The number of those who have it, as owners of locks: no two tables have the same. `to` becomes the owner of
 * what `from` has, which is another one from then on. */
uint64_t descriptors_owner(const struct descriptors *descriptors);
void descriptors_take_owner(struct descriptors *to, struct descriptors *from);

/* ---- Descriptors ---- */

/* The file with a reference, to be given back by file_put(); NULL: there is none (EBADF). */
struct file *descriptor_file(struct descriptors *descriptors, uint64_t number);

/* Stores the first number that is used from *number on; false: there is none. For whoever looks at a table
 * while it changes: takes the spinlock only. */
bool descriptor_next(struct descriptors *descriptors, uint64_t *number);

/* The length of the table now: more than all numbers in it. */
uint64_t descriptors_size(struct descriptors *descriptors);

/*
 * Gives the file, whose reference it takes over on success, the lowest free number from `lowest` on, below
 * `limit`. Returns the number, -EMFILE or -ENOMEM.
 */
int64_t descriptor_add(struct descriptors *descriptors, struct file *file, bool close_on_exec,
                       uint64_t lowest, uint64_t limit);

/*
 * The same in two steps, for whoever changes something between them that cannot be taken back: the number is
 * set apart, so that nobody else gets it, and is no descriptor yet; then it gets the file, whose reference it
 * takes over. NULL gives the number back.
 */
int64_t descriptor_set_apart(struct descriptors *descriptors, uint64_t lowest, uint64_t limit);
void descriptor_fill(struct descriptors *descriptors, uint64_t number, struct file *file, bool close_on_exec);

/* Gives it this very number (dup2): what had it is closed. Takes the reference over on success. Returns the
 * number, -EBADF (beyond the limit), -EBUSY (set apart) or -ENOMEM. */
int64_t descriptor_put_at(struct descriptors *descriptors, struct file *file, bool close_on_exec,
                          uint64_t number, uint64_t limit);

/* 0, or -EBADF. */
int64_t descriptor_close(struct descriptors *descriptors, uint64_t number);

/* Closes [first, last], or lets execve() close them. */
void descriptors_close_range(struct descriptors *descriptors, uint64_t first, uint64_t last, bool on_exec);

/* Whether execve() closes it: read, and written. -EBADF: there is none. */
int64_t descriptor_flag(struct descriptors *descriptors, uint64_t number);
int64_t descriptor_set_flag(struct descriptors *descriptors, uint64_t number, bool close_on_exec);

/* ---- Places ---- */

/* Those of a first process: all is the root directory, umask 022. NULL: there is no memory. */
struct places *places_create(void);
struct places *places_copy(struct places *places);
struct places *places_get(struct places *places);
void places_put(struct places *places);

/* A view that stays as it is, whoever changes directories meanwhile; to be given back by fs_view_put(). */
void places_view(struct places *places, struct fs_view *view);

/* Changes the working directory, or the root: takes the reference over. */
void places_set_here(struct places *places, struct path path);
void places_set_root(struct places *places, struct path path);

/* Sets the umask; returns what it was. */
uint32_t places_set_mask(struct places *places, uint32_t mask);
