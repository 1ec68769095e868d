/* See <ashlar/stack_protector.h>. A host program has the C library's. */
#include <ashlar/hooks.h>
#include <ashlar/sealed.h>
#include <ashlar/stack_protector.h>

SEALED uintptr_t __stack_chk_guard; /* a constant from kernel_entry on; replaced by cpu_early_init() */

__attribute__((format(printf, 2, 3))) _Noreturn static void panic_from(const void *frame, const char *format,
                                                                       ...)
{
    va_list arguments;
    va_start(arguments, format);
    kernel_hooks.panic(frame, format, arguments);
} /* NOLINT(clang-analyzer-valist.Unterminated): the call does not return, so nothing can end the list */

_Noreturn __attribute__((noinline, no_stack_protector)) void __stack_chk_fail(void)
{
    panic_from(__builtin_frame_address(0),
               "stack smashing detected: a buffer on this function's stack was overrun");
}
