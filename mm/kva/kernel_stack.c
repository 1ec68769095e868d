/* Kernel stacks: blocks of vmalloc with a name of their own. See <ashlar/kernel_stack.h>. */
#include <ashlar/kernel_stack.h>
#include <ashlar/string.h>
#include <ashlar/text.h>

#include "valid.h"

/* All lengths are known but the name's: every thread comes by here. */
static void set_name(struct kernel_stack *stack, const char *name)
{
    static const char below[] = "guard page below ";
    static const char above[] = "guard page above ";
    _Static_assert(sizeof below - 1 + sizeof stack->name <= sizeof stack->below, "whatever the name");
    text_join(stack->name, sizeof stack->name, "kernel stack of ", name);
    memcpy(stack->below, below, sizeof below - 1);
    memcpy(stack->below + sizeof below - 1, stack->name, sizeof stack->name);
    memcpy(stack->above, above, sizeof above - 1);
    memcpy(stack->above + sizeof above - 1, stack->name, sizeof stack->name);
    stack->purpose = (struct kva_purpose){stack->name, stack->below, stack->above};
}

bool kernel_stack_alloc(struct vmalloc *vmalloc, struct kernel_stack *stack, const char *name, uint64_t bytes)
{
    DEBUG_ASSERT(vmalloc_is_valid(vmalloc));
    memset(stack, 0, sizeof *stack);
    if (bytes == 0 || bytes > KERNEL_STACK_BYTES_MAX) {
        return false;
    }
    set_name(stack, name);
    struct vmalloc_request request = {
        .bytes = bytes, .purpose = &stack->purpose, .owner = OWNER_STACKS, .small_pages = true};
    void *block = vmalloc_request(vmalloc, &request);
    if (!block) {
        return false;
    }
    stack->bottom = virt_of(block);
    stack->bytes = align_up(bytes, FRAME_BYTES);
    return true;
}

void kernel_stack_rename(struct kernel_stack *stack, const char *name)
{
    DEBUG_ASSERT(stack->bytes != 0);
    set_name(stack, name);
}

void kernel_stack_free(struct vmalloc *vmalloc, struct kernel_stack *stack)
{
    DEBUG_ASSERT(vmalloc_is_valid(vmalloc));
    enum kva_error error = vmalloc_try_free(vmalloc, virt_pointer(stack->bottom), &stack->purpose);
    if (error != KVA_OK) {
        panic("kernel stack at %#" PRIx64 ": %s", stack->bottom.raw, kva_error_name(error));
    }
    memset(stack, 0, sizeof *stack);
}
