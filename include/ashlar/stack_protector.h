/*
 * What code compiled with -fstack-protector looks at (GCC manual, "Instrumentation Options"): each function
 * with a buffer keeps a copy of the guard above its locals and compares it before it returns.
 */
#pragma once

#include <ashlar/types.h>

/* The guard. A function that changes it must not be checked itself, nor may any caller of it that returns. */
extern uintptr_t __stack_chk_guard;

/* Called when a function's copy differs from the guard. Panics. */
_Noreturn void __stack_chk_fail(void);
