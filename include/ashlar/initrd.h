/* Filling a tree of files from an initrd: a cpio archive, plain or packed by gzip. */
#pragma once

#include <ashlar/fs.h>

#define INITRD_COMPLAINT_BYTES 320

/*
 * Unpacks the archive into the tree, whose root takes the place of the archive's. First the whole archive is
 * checked: if it is malformed, nothing is unpacked. Returns false with one line about what is wrong, and the
 * place in the archive, in `complaint`. If memory or room runs out, what was unpacked before is there.
 */
bool initrd_unpack(struct fs *fs, const void *archive, uint64_t bytes,
                   char complaint[INITRD_COMPLAINT_BYTES]);
