/* The regions of a process with their names, as maps shows them. */
#pragma once

#include "proc.h"

struct proc_region {
    struct vm_region_facts facts; /* with a reference to its pager */
    uint64_t base, end;           /* what is told of it */
    uint64_t node;                /* of a file, its number; else 0 */
    char *path;                   /* on the heap, or NULL */
    const char *name;             /* a file's path, "[heap]" and the like, or "" */
};

/* The first region that ends above `address`, from there on. Returns 1, 0 for none, or -ENOMEM; whatever it
 * returned, the second is due. */
int proc_region_begin(const struct proc_facts *facts, uint64_t address, struct proc_region *named);
void proc_region_end(struct proc_region *named);
