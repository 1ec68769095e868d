/*
 * The kernel's address spaces: one instance of <ashlar/vm_space.h>.
 *
 * The lazy space is a part of the kernel's half (LAZY_BASE .. LAZY_END) whose pages the page fault fills in
 * when they are first touched. Code must not touch it while it holds a lock, with preemption or
 * interrupts off, or in an interrupt handler: if such an access faults, that is a panic. User spaces are made
 * with user_space_create() and loaded with space_load().
 */
#pragma once

#include <ashlar/vm_space.h>

#define USER_BASE 0x0000000000010000ULL /* below lies the null area: nothing is ever mapped there */

/* What all of the kernel's spaces share. After spaces_start(). */
struct vm_manager *kernel_vm_manager(void);

/* The lazily filled part of the kernel's half. */
struct vm_space *kernel_lazy_space(void);

/* Makes a user space over the whole user half, with the kernel's half in it. Fails as vm_space_create(). */
enum vm_error user_space_create(struct vm_space *space, const char *name);

/*
 * Loads a user space for this thread, on whichever CPU it runs, or none (NULL: the kernel's own tables).
 * Returns the one that it had loaded before, or NULL.
 */
struct vm_space *space_load(struct vm_space *space);

/* Changes this CPU's tables from one thread's to another's. For kernel/task/, interrupts off. */
struct thread;
void space_switch(struct thread *from, const struct thread *to);

/*
 * Between these two calls this CPU's kernel code may touch user pages of the loaded space (SMAP; SDM volume
 * 3, 4.6). They do not nest.
 */
void user_access_begin(void);
void user_access_end(void);
