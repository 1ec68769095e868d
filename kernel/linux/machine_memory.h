/* The machine's memory as programs are told of it: bytes. */
#pragma once

#include <ashlar/types.h>

struct machine_memory {
    uint64_t total; /* that is free, or has one of the following uses or another one that ends */
    uint64_t free;
    uint64_t programs; /* their own pages */
    uint64_t files;    /* which lie in memory alone, so that nothing of it is given up for others */
    uint64_t slabs;    /* small and large blocks of the kernel's heap */
    uint64_t stacks;   /* of threads in the kernel */
    uint64_t tables;
};

/* As it is now; others change it meanwhile. */
void machine_memory(struct machine_memory *memory);
