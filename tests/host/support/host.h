/* Helpers of the host tests: catching a panic that a test provokes on purpose. */
#pragma once

#include <setjmp.h>

struct host_panic_trap {
    jmp_buf jump;
    char message[512];
};

extern _Thread_local struct host_panic_trap *host_panic_trap;

/*
 * Runs `statement`, which must panic; afterwards trap.message holds what the panic said.
 * Evaluates to nothing; sets `panicked` to whether it did.
 */
#define CATCH_PANIC(trap, panicked, statement)                                                               \
    do {                                                                                                     \
        (panicked) = true;                                                                                   \
        host_panic_trap = &(trap);                                                                           \
        if (setjmp((trap).jump) == 0) {                                                                      \
            statement;                                                                                       \
            (panicked) = false;                                                                              \
        }                                                                                                    \
        host_panic_trap = NULL;                                                                              \
    } while (0)
