/* Spaces of in-kernel tests: gone after the test even when it fails half-way. */
#pragma once

#include <ashlar/test.h>
#include <ashlar/vm_kernel.h>

static inline void tests_space_undo(void *space)
{
    vm_space_destroy(space);
}

/* user_space_create(), vm_space_clone() and vm_space_destroy() for a space that is static. */
static inline enum vm_error tests_space_create(struct vm_space *space, const char *name)
{
    enum vm_error error = user_space_create(space, name);
    if (error == VM_OK) {
        kernel_test_undo_later(tests_space_undo, space);
    }
    return error;
}

static inline enum vm_error tests_space_clone(struct vm_space *space, struct vm_space *child,
                                              const char *name)
{
    enum vm_error error = vm_space_clone(space, child, name);
    if (error == VM_OK) {
        kernel_test_undo_later(tests_space_undo, child);
    }
    return error;
}

static inline void tests_space_destroy(struct vm_space *space)
{
    kernel_test_undone(space);
    vm_space_destroy(space);
}
