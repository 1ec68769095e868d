/*
 * Reading cpio archives of the formats newc and crc, which Linux takes as initrds (Documentation/driver-api/
 * early-userspace/buffer-format.rst). Several may follow each other, with zeros between. Input of any kind:
 * nothing beyond it is read. Pure functions.
 */
#pragma once

#include <ashlar/types.h>

#define CPIO_NAME_MAX 4096 /* bytes of a name, with its terminator */

/* Something in an archive. */
struct cpio_entry {
    const char *name; /* NUL-terminated, in the archive */
    uint32_t number;  /* of the node, by which names of one file are known */
    uint32_t mode;    /* kind and permissions, as in <ashlar/fs.h> */
    uint32_t user;    /* owner */
    uint32_t group;   /* its group */
    uint32_t links;   /* names of the file */
    uint32_t time;    /* of the last change, in seconds since 1970 */
    uint64_t device;  /* that it comes from: major << 32 | minor */
    uint32_t major;   /* of a device */
    uint32_t minor;   /* of a device */
    const void *data; /* contents, or what a symbolic link says (without a terminator) */
    uint32_t bytes;   /* of them */
};

enum cpio_result {
    CPIO_ENTRY, /* *entry is filled in */
    CPIO_NEXT,  /* an archive ends: what follows has node numbers of its own */
    CPIO_END,   /* all is read */
    CPIO_BAD,   /* `wrong` says what is wrong with the entry at `offset`; nothing more can be read */
};

struct cpio_reader {
    const uint8_t *archive;
    uint64_t bytes;
    uint64_t next;     /* offset of what comes next */
    uint64_t offset;   /* of the entry read last */
    const char *name;  /* its name, or NULL when that cannot be read */
    const char *wrong; /* a fragment of a sentence, such as "has no end" */
    bool ended;        /* the last thing read was the end of an archive */
};

void cpio_start(struct cpio_reader *reader, const void *archive, uint64_t bytes);
enum cpio_result cpio_read(struct cpio_reader *reader, struct cpio_entry *entry);
