/* Text of a file below /proc, in a room of given length. Pure. */
#pragma once

#include <ashlar/types.h>

struct proc_text {
    char *at;     /* the room */
    size_t bytes; /* its length */
    size_t used;  /* of it */
    bool full;    /* something did not fit; what was there before it stays */
};

/* Each adds something as a whole, or sets `full`. */
void text_add(struct proc_text *text, const void *bytes, size_t count);
void text_print(struct proc_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The string with each newline as \012, as Linux shows paths (mangle_path() in fs/seq_file.c). */
void text_path(struct proc_text *text, const char *path);

/* ---- Packed names: "one\0two\0", with one more terminator at their end ---- */

/* The place of a name among them; -1: it is not there. */
int text_name_find(const char *names, const char *name, size_t bytes);
/* The name at a place; NULL behind the last. */
const char *text_name_at(const char *names, unsigned place);
