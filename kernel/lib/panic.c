/* panic(), for every room; the report is made by kernel/debug, through a hook (<ashlar/hooks.h>). */
#include <ashlar/hooks.h>
#include <ashlar/platform.h>

_Noreturn __attribute__((noinline)) void panic(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    kernel_hooks.panic(__builtin_frame_address(0), format, arguments);
} /* NOLINT(clang-analyzer-valist.Unterminated): the call does not return, so nothing can end the list */
