/* Text formatting by stb_sprintf; see <ashlar/format.h>. */
#define STB_SPRINTF_IMPLEMENTATION
#define STB_SPRINTF_NOFLOAT
#define STB_SPRINTF_NOUNALIGNED /* word stores at odd addresses are undefined behaviour in C */
#define STB_SPRINTF_STATIC
#define STB_SPRINTF_MIN 64 /* writes straight into a buffer with this much room, not through a copy */
#define STB_SPRINTF_NOUNALIGNED
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wunused-function"
#pragma clang diagnostic ignored "-Wshadow"
#pragma clang diagnostic ignored "-Wimplicit-fallthrough"
#include <stb_sprintf.h>
#pragma clang diagnostic pop

#include <ashlar/format.h>

size_t format_list(char *buffer, size_t bytes, const char *format, va_list arguments)
{
    return (size_t)stbsp_vsnprintf(buffer, (int)bytes, format, arguments);
}

size_t format(char *buffer, size_t bytes, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t length = format_list(buffer, bytes, format, arguments);
    va_end(arguments);
    return length;
}
