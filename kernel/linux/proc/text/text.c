/* Text in a room of given length; see text.h. */
#include "text.h"

#include <ashlar/format.h>
#include <ashlar/string.h>

void text_add(struct proc_text *text, const void *bytes, size_t count)
{
    text->full = text->full || count > text->bytes - text->used;
    if (!text->full) {
        memcpy(text->at + text->used, bytes, count);
        text->used += count;
    }
}

/* The terminator must fit, too, and is not kept. */
void text_print(struct proc_text *text, const char *format, ...)
{
    va_list arguments;
    size_t room = text->bytes - text->used;
    if (text->full) {
        return;
    }
    va_start(arguments, format);
    size_t length = format_list(text->at + text->used, room, format, arguments);
    va_end(arguments);
    text->full = length >= room;
    text->used += text->full ? 0 : length;
}

void text_path(struct proc_text *text, const char *path)
{
    for (; *path; path++) {
        if (*path == '\n') {
            text_add(text, "\\012", 4);
        } else {
            text_add(text, path, 1);
        }
    }
}

int text_name_find(const char *names, const char *name, size_t bytes)
{
    for (int place = 0; *names; place++) {
        size_t length = strlen(names);
        if (length == bytes && memcmp(names, name, bytes) == 0) {
            return place;
        }
        names += length + 1;
    }
    return -1;
}

const char *text_name_at(const char *names, unsigned place)
{
    while (*names && place-- > 0) {
        names += strlen(names) + 1;
    }
    return *names ? names : NULL;
}
