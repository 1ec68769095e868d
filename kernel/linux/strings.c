/* Collecting strings; see strings.h. */
#include "strings.h"

#include <ashlar/heap.h>
#include <ashlar/memory.h>
#include <ashlar/string.h>

#define ROOM_FIRST FRAME_BYTES
#define ROOM_MOST  MIB(8) /* more than any stack takes */

/* Makes room for `bytes` more. */
static int make_room(struct strings *strings, uint64_t bytes)
{
    uint64_t room = max_u64(strings->room, ROOM_FIRST);
    while (room - strings->length < bytes) {
        room *= 2;
    }
    if (room == strings->room) {
        return 0;
    }
    if (room > ROOM_MOST) {
        return -E2BIG;
    }
    char *larger = heap_alloc(&kernel_heap, room);
    if (!larger) {
        return -ENOMEM;
    }
    if (strings->bytes) {
        memcpy(larger, strings->bytes, strings->length);
        heap_free(&kernel_heap, strings->bytes);
    }
    strings->bytes = larger;
    strings->room = room;
    return 0;
}

int strings_add(struct strings *strings, const char *text)
{
    uint64_t bytes = strlen(text) + 1;
    int error = make_room(strings, bytes);
    if (!error) {
        memcpy(strings->bytes + strings->length, text, bytes);
        strings->length += bytes;
    }
    return error;
}

/* First into the room that there is; more is made until the string fits, or is too long. */
int strings_add_from_user(struct strings *strings, user_addr_t at)
{
    for (uint64_t room = 1;; room = min_u64(room * 2, PROGRAM_STRING_BYTES)) {
        int error = make_room(strings, room);
        if (error) {
            return error;
        }
        uint64_t limit = min_u64(strings->room - strings->length, PROGRAM_STRING_BYTES);
        int64_t length = strncpy_from_user(strings->bytes + strings->length, at, limit);
        if (length >= 0) {
            strings->length += (uint64_t)length + 1;
            return 0;
        }
        if (length == USER_STRING_FAULT) {
            return -EFAULT;
        }
        if (limit == PROGRAM_STRING_BYTES) {
            return -E2BIG;
        }
        room = max_u64(room, limit);
    }
}

int strings_add_list(struct strings *strings, user_addr_t list, uint32_t first, uint32_t *count)
{
    *count = 0;
    for (uint64_t i = first; list.raw != 0; i++) {
        uint64_t at;
        if (!get_user_64(&at, user_add(list, i * sizeof at))) {
            return -EFAULT;
        }
        if (at == 0) {
            break;
        }
        int error = strings_add_from_user(strings, user_addr(at));
        if (error) {
            return error;
        }
        ++*count;
    }
    return 0;
}

void strings_free(struct strings *strings)
{
    heap_free(&kernel_heap, strings->bytes);
}
