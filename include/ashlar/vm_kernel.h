/*
 * The kernel's address spaces: one instance of <ashlar/vm_space.h>.
 *
 * The lazy space is a part of the kernel's half (LAZY_BASE .. LAZY_END) whose memory is delivered by the page
 * fault. It is not touched with a lock held, with preemption or interrupts off or from an interrupt handler:
 * such a touch, if it faults, is a panic. User spaces are made with user_space_create() and loaded with
 * space_load().
 */
#pragma once

#include <ashlar/vm_space.h>

#define USER_BASE 0x0000000000010000ULL /* below lies the null area: nothing is ever mapped there */

/* What all of the kernel's spaces share. Valid after start-up. */
struct vm_manager *kernel_vm_manager(void);

/* The lazily filled part of the kernel's half. */
struct vm_space *kernel_lazy_space(void);

/* Makes a user space over the whole user half, with the kernel's half in it. Fails as vm_space_create(). */
enum vm_error user_space_create(struct vm_space *space, const char *name);

/*
 * Loads a user space on this CPU, or none (NULL: the kernel's own tables). Returns the one before. Preemption
 * is off, or the caller sees to it that nobody else loads one.
 */
struct vm_space *space_load(struct vm_space *space);

/*
 * Between these the kernel may touch the user's pages of the space that is loaded (SMAP; SDM volume 3, 4.6).
 */
void user_access_begin(void);
void user_access_end(void);
