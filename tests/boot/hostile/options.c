/*
 * Load options as firmware hands them over: LoadedImage->LoadOptions is said to be UTF-16 text that ends in
 * NUL; what is found there is a whole boot entry, text without end, text with a byte order mark, or anything
 * at all.
 */
#include "hostile.h"
#include <ashlar/string.h>

#define HUGE_UNITS 40000

static union {
    uint8_t bytes[2 * HUGE_UNITS];
    CHAR16 units[HUGE_UNITS];
} buffer;

static size_t put_text(uint8_t *at, const CHAR16 *text)
{
    size_t units = 0;
    while (text[units] != 0) {
        units++;
    }
    memcpy(at, text, units * sizeof(CHAR16));
    return units * sizeof(CHAR16);
}

/*
 * EFI_LOAD_OPTION (UEFI 2.10, 3.1.3): attributes, length of the path list, description, path list, options.
 */
static size_t put_load_option(void)
{
    static const uint8_t path_end[] = {0x7f, 0xff, 4, 0};
    const uint32_t attributes = 1; /* LOAD_OPTION_ACTIVE */
    const uint16_t path_bytes = sizeof(path_end);
    size_t at = 0;
    memcpy(buffer.bytes, &attributes, sizeof(attributes));
    at += sizeof(attributes);
    memcpy(buffer.bytes + at, &path_bytes, sizeof(path_bytes));
    at += sizeof(path_bytes);
    at += put_text(buffer.bytes + at, L"UEFI USB stick");
    at += sizeof(CHAR16); /* the buffer is zero */
    memcpy(buffer.bytes + at, path_end, sizeof(path_end));
    at += sizeof(path_end);
    at += put_text(buffer.bytes + at, L"log=debug");
    return at + sizeof(CHAR16);
}

/* Text of the given length, with something readable right behind it that is not part of it. */
static size_t put_unterminated(void)
{
    size_t bytes = put_text(buffer.bytes, L"log=debug");
    put_text(buffer.bytes + bytes, L"=behind-the-end");
    return bytes;
}

static size_t put_binary(void)
{
    uint32_t state = 99;
    for (size_t i = 0; i < 512; i++) {
        state = state * 1664525 + 1013904223;
        buffer.bytes[i] = (uint8_t)(state >> 24);
    }
    return 512;
}

static size_t put_huge(void)
{
    for (size_t i = 0; i < HUGE_UNITS; i++) {
        buffer.units[i] = i % 10 == 9 ? ' ' : 'x';
    }
    return sizeof(buffer);
}

static size_t put_options(uint32_t kind)
{
    switch (kind) {
    case OPTIONS_PLAIN:
        return put_text(buffer.bytes, L"log=debug") + sizeof(CHAR16);
    case OPTIONS_BINARY:
        return put_binary();
    case OPTIONS_UNTERMINATED:
        return put_unterminated();
    case OPTIONS_ODD_BYTES:
        return put_text(buffer.bytes, L"log=debug ") + 1;
    case OPTIONS_BYTE_ORDER_MARK:
        return put_text(buffer.bytes, L"\xfeff"
                                      L"log=debug") +
               sizeof(CHAR16);
    case OPTIONS_PROGRAM_NAME:
        return put_text(buffer.bytes, L"\\EFI\\ASHLAR\\BOOTX64.EFI log=debug") + sizeof(CHAR16);
    case OPTIONS_WHOLE_LOAD_OPTION:
        return put_load_option();
    case OPTIONS_HUGE:
        return put_huge();
    default:
        return 0;
    }
}

void options_make(uint32_t kind, EFI_LOADED_IMAGE *image)
{
    memset(&buffer, 0, sizeof(buffer));
    image->LoadOptionsSize = (UINT32)put_options(kind);
    image->LoadOptions = image->LoadOptionsSize != 0 ? buffer.bytes : NULL;
}
