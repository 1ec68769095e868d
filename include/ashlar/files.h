/* The kernel's tree of files. */
#pragma once

#include <ashlar/boot_info.h>
#include <ashlar/fs.h>

/*
 * Makes the tree, and fills it from the initrd, if the loader has brought one; its memory goes back to the
 * pool. An initrd that cannot be unpacked is one warning, and the tree is empty then. Panics when there is no
 * memory for the root directory. Once, by the boot CPU, after START_DEVICES.
 */
void files_start(const struct boot_info *info);

/* The tree; valid after files_start(). */
struct fs *kernel_files(void);
