/*
 * Memory and string functions; see <ashlar/string.h>. Part of the kernel and of the loader.
 *
 * Small blocks are moved with two overlapping loads and stores of the fitting width. Large ones use the
 * string instructions by eight bytes: CPUs since Ivy Bridge move whole cache lines for them ("fast string
 * operation", Intel optimisation manual, 3.7.6), and an emulator that counts instructions counts one for
 * eight bytes. In between a plain loop wins, because the string instructions take some 30 cycles to start.
 *
 * no_builtin keeps the compiler from recognising a function's own loop and replacing it by a call to itself.
 */
#include <ashlar/string.h>

#define NOT_ITSELF      __attribute__((no_builtin))
#define STRING_OP_BYTES 128 /* from here on the string instructions win */

static inline uint64_t load64(const uint8_t *from)
{
    uint64_t value;
    __builtin_memcpy(&value, from, sizeof value);
    return value;
}

static inline void store64(uint8_t *to, uint64_t value)
{
    __builtin_memcpy(to, &value, sizeof value);
}

static inline uint32_t load32(const uint8_t *from)
{
    uint32_t value;
    __builtin_memcpy(&value, from, sizeof value);
    return value;
}

static inline void store32(uint8_t *to, uint32_t value)
{
    __builtin_memcpy(to, &value, sizeof value);
}

/* Up to 16 bytes; all loads come before all stores, so the blocks may overlap. */
static inline void move_small(uint8_t *to, const uint8_t *from, size_t bytes)
{
    if (bytes >= 8) {
        uint64_t first = load64(from);
        uint64_t last = load64(from + bytes - 8);
        store64(to, first);
        store64(to + bytes - 8, last);
    } else if (bytes >= 4) {
        uint32_t first = load32(from);
        uint32_t last = load32(from + bytes - 4);
        store32(to, first);
        store32(to + bytes - 4, last);
    } else if (bytes > 0) {
        uint8_t first = from[0];
        uint8_t middle = from[bytes / 2];
        uint8_t last = from[bytes - 1];
        to[0] = first;
        to[bytes / 2] = middle;
        to[bytes - 1] = last;
    }
}

/* More than 16 bytes, lowest first: right also when `to` lies below `from` and the blocks overlap. */
static inline void move_up(uint8_t *to, const uint8_t *from, size_t bytes)
{
    uint64_t last = load64(from + bytes - 8);
    uint8_t *last_to = to + bytes - 8;
    if (bytes >= STRING_OP_BYTES) {
        size_t words = bytes / 8;
        __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
    } else {
        for (; to < last_to; to += 8, from += 8) {
            store64(to, load64(from));
        }
    }
    store64(last_to, last);
}

/* More than 16 bytes, highest first: for `to` above `from`. */
static inline void move_down(uint8_t *to, const uint8_t *from, size_t bytes)
{
    uint64_t first = load64(from);
    for (size_t left = bytes; left > 8; left -= 8) {
        store64(to + left - 8, load64(from + left - 8));
    }
    store64(to, first);
}

NOT_ITSELF void *memcpy(void *restrict destination, const void *restrict source, size_t bytes)
{
    if (bytes <= 16) {
        move_small(destination, source, bytes);
    } else {
        move_up(destination, source, bytes);
    }
    return destination;
}

NOT_ITSELF void *memmove(void *destination, const void *source, size_t bytes)
{
    if (bytes <= 16) {
        move_small(destination, source, bytes);
    } else if ((uintptr_t)destination - (uintptr_t)source >= bytes) { /* below, or above and clear of it */
        move_up(destination, source, bytes);
    } else {
        move_down(destination, source, bytes);
    }
    return destination;
}

NOT_ITSELF void *memset(void *destination, int value, size_t bytes)
{
    uint8_t *to = destination;
    uint64_t pattern = 0x0101010101010101ULL * (uint8_t)value;
    if (bytes >= 8) {
        uint8_t *last_to = to + bytes - 8;
        if (bytes >= STRING_OP_BYTES) {
            size_t words = bytes / 8;
            __asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(pattern) : "memory");
        } else {
            for (; to < last_to; to += 8) {
                store64(to, pattern);
            }
        }
        store64(last_to, pattern);
    } else if (bytes >= 4) {
        store32(to, (uint32_t)pattern);
        store32(to + bytes - 4, (uint32_t)pattern);
    } else if (bytes > 0) {
        to[0] = (uint8_t)value;
        to[bytes / 2] = (uint8_t)value;
        to[bytes - 1] = (uint8_t)value;
    }
    return destination;
}

NOT_ITSELF int memcmp(const void *a, const void *b, size_t bytes)
{
    const uint8_t *left = a;
    const uint8_t *right = b;
    size_t i = 0;
    while (bytes - i >= 8 && load64(left + i) == load64(right + i)) {
        i += 8;
    }
    for (; i < bytes; i++) {
        if (left[i] != right[i]) {
            return left[i] - right[i];
        }
    }
    return 0;
}

NOT_ITSELF size_t strnlen(const char *text, size_t limit)
{
    size_t length = 0;
    while (length < limit && text[length] != '\0') {
        length++;
    }
    return length;
}

NOT_ITSELF size_t strlen(const char *text)
{
    size_t length = 0;
    while (text[length] != '\0') {
        length++;
    }
    return length;
}

NOT_ITSELF int strncmp(const char *a, const char *b, size_t limit)
{
    for (size_t i = 0; i < limit; i++) {
        uint8_t left = (uint8_t)a[i];
        uint8_t right = (uint8_t)b[i];
        if (left != right || left == '\0') {
            return left - right;
        }
    }
    return 0;
}

NOT_ITSELF int strcmp(const char *a, const char *b)
{
    return strncmp(a, b, SIZE_MAX);
}

NOT_ITSELF char *strchr(const char *text, int character)
{
    for (;; text++) {
        if (*text == (char)character) {
            return (char *)(uintptr_t)text; /* C's strchr() drops the const too */
        }
        if (*text == '\0') {
            return NULL;
        }
    }
}

NOT_ITSELF char *strstr(const char *text, const char *part)
{
    size_t length = strlen(part);
    for (;; text++) {
        if (strncmp(text, part, length) == 0) {
            return (char *)(uintptr_t)text; /* as in strchr() */
        }
        if (*text == '\0') {
            return NULL;
        }
    }
}
