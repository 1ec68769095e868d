/*
 * For tests that damage a structure on purpose: the operation that meets it must panic and say what it saw.
 */
#pragma once

#include <string.h>

#include "host.h"

/* Runs `statement` while `field` has the value `bad`; it must panic with `says` in its message. */
#define EXPECT_DAMAGE_SEEN(field, bad, statement, says)                                                      \
    do {                                                                                                     \
        struct host_panic_trap damage_trap;                                                                  \
        volatile bool damage_seen;                                                                           \
        __typeof__(field) as_it_was = (field);                                                               \
        (field) = (bad);                                                                                     \
        CATCH_PANIC(damage_trap, damage_seen, statement);                                                    \
        (field) = as_it_was;                                                                                 \
        if (!damage_seen || !strstr(damage_trap.message, (says))) {                                          \
            fail_msg("%s: no panic about %s, but: %s", #field, (says),                                       \
                     damage_seen ? damage_trap.message : "none");                                            \
        }                                                                                                    \
    } while (0)
