/* The kernel's tree of files. */
#pragma once

#include <ashlar/boot_info.h>
#include <ashlar/fs.h>
#include <ashlar/wait.h>

/*
 * Makes the tree, and fills it from the initrd, if the loader has brought one; its memory goes back to the
 * pool. An initrd that cannot be unpacked is one warning, and the tree is empty then. Panics when there is no
 * memory for the root directory. Once, by the boot CPU, after START_DEVICES.
 */
void files_start(const struct boot_info *info);

/* The tree; valid after files_start(). */
struct fs *kernel_files(void);

/*
 * The queue of those who wait for an event of a file of this tree: see file_event(). All of them are woken
 * when the file may have become ready. Made at the first use of the event.
 */
struct wait_queue *files_event_queue(struct fs_event *event);

/*
 * The directory /dev with the console and the devices of memory, as far as the initrd has not made them.
 * Costs a walk when they are there. Fails with -ENOMEM or -ENOSPC.
 */
int files_make_devices(void);
