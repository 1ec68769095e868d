/*
 * What code compiled with -fstack-protector looks at (GCC manual, "Instrumentation Options"): each function
 * with a buffer keeps a copy of the guard above its locals and compares it before it returns.
 */
#pragma once

#include <ashlar/types.h>

/* Whoever changes it may not itself be checked: its callers neither, as far as they return. */
extern uintptr_t __stack_chk_guard;

/* Called when the copy has changed. */
_Noreturn void __stack_chk_fail(void);
