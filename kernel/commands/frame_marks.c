/* The marks of a block in words and as JSON; see frame_marks.h. */
#include "frame_marks.h"

#include <ashlar/format.h>

const char *frame_marks_text(const struct frame_facts *facts, char text[FRAME_MARKS_BYTES])
{
    size_t length = 0;
    text[0] = '\0';
    if (facts->pins == 1) {
        length += format(text, FRAME_MARKS_BYTES, ", pinned for a device");
    } else if (facts->pins > 1) {
        length += format(text, FRAME_MARKS_BYTES, ", pinned %u times for devices", facts->pins);
    }
    if (facts->busy) {
        length += format(text + length, FRAME_MARKS_BYTES - length, ", being changed");
    }
    if (facts->age != 0) {
        length += format(text + length, FRAME_MARKS_BYTES - length, ", age %u", facts->age);
    }
    return length == 0 ? "none" : text + 2; /* behind the first comma */
}

void frame_marks_json(struct json *json, const struct frame_facts *facts)
{
    json_number(json, "references", facts->references);
    json_number(json, "pins", facts->pins);
    json_number(json, "age", facts->age);
    json_bool(json, "busy", facts->busy);
}
