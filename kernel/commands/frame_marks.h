/* How commands show the marks of a block: pins, age, whether it is being changed. */
#pragma once

#include <ashlar/frame.h>
#include <ashlar/json.h>

#define FRAME_MARKS_BYTES 96

/*
 * Writes the marks in words, such as "pinned for a device, being changed, age 5", or "none". Returns the
 * text, which lies in `text` or is constant.
 * facts: of a block that is allocated.
 */
const char *frame_marks_text(const struct frame_facts *facts, char text[FRAME_MARKS_BYTES]);

/* Adds the members "references", "pins", "age" and "busy" to an object. */
void frame_marks_json(struct json *json, const struct frame_facts *facts);
