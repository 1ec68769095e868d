/*
 * Kernel stacks: virtually contiguous memory between two guard pages, so that an overflow faults at once and
 * the panic report names the stack.
 */
#pragma once

#include <ashlar/vmalloc.h>

#define KERNEL_STACK_BYTES      KIB(16)
#define KERNEL_STACK_BYTES_MAX  MIB(1)
#define KERNEL_STACK_NAME_BYTES 32 /* with the terminator; longer names are cut */

struct kernel_stack {
    virt_addr_t bottom;                       /* lowest byte */
    uint64_t bytes;                           /* length, whole pages */
    struct kva_purpose purpose;               /* points to the texts */
    char name[KERNEL_STACK_NAME_BYTES + 16];  /* "kernel stack of NAME" */
    char below[KERNEL_STACK_NAME_BYTES + 40]; /* "guard page below kernel stack of NAME" */
    char above[KERNEL_STACK_NAME_BYTES + 40]; /* "guard page above kernel stack of NAME" */
};

/*
 * Makes a stack of `bytes` bytes (rounded up to pages) for what is called `name`. *stack must stay in place
 * until kernel_stack_free(). Returns false, and has allocated nothing, when `bytes` is 0 or more than
 * KERNEL_STACK_BYTES_MAX, or when there is no memory.
 */
bool kernel_stack_alloc(struct vmalloc *vmalloc, struct kernel_stack *stack, const char *name, uint64_t bytes)
    EXCLUDES(vmalloc->lock);

/* Gives an allocated stack that nobody runs on another name. Who looks at the name meanwhile may see a part
 * of both. */
void kernel_stack_rename(struct kernel_stack *stack, const char *name);

/* Frees a stack that nobody runs on. Panics when *stack is not an allocated stack. */
void kernel_stack_free(struct vmalloc *vmalloc, struct kernel_stack *stack) EXCLUDES(vmalloc->lock);

/* The stack pointer of a thread that starts on it: the byte behind the highest one, 16-byte aligned. */
static inline virt_addr_t kernel_stack_top(const struct kernel_stack *stack)
{
    return virt_add(stack->bottom, stack->bytes);
}
