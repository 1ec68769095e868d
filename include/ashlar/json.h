/*
 * A writer of one line of JSON (RFC 8259). It passes the text on in small pieces and allocates nothing.
 *
 *     struct json json;
 *     json_begin(&json, write, context);
 *     json_object_begin(&json, NULL);
 *     json_number(&json, "free_bytes", 4096);
 *     json_object_end(&json);
 *     json_end(&json);                          // {"free_bytes":4096} and a newline
 *
 * Every function takes the name that its value has in the surrounding object, or NULL inside an array and at
 * the top. Nesting that does not match is a bug of the caller and panics.
 */
#pragma once

#include <ashlar/types.h>

#define JSON_DEPTH_MAX 16

struct json {
    void (*write)(void *context, const char *text, size_t bytes); /* gets the text, in pieces */
    void *context;                                                /* handed to write() */
    unsigned depth;                                               /* open objects and arrays */
    uint32_t arrays;                                              /* bit n: the n-th open one is an array */
    uint32_t started; /* bit n: the n-th open one has a value already */
    size_t pending;   /* characters in `buffer` */
    char buffer[120]; /* not yet given to write() */
};

void json_begin(struct json *json, void (*write)(void *context, const char *text, size_t bytes),
                void *context);

/* Ends the line. Everything opened must be closed. */
void json_end(struct json *json);

void json_object_begin(struct json *json, const char *name);
void json_object_end(struct json *json);
void json_array_begin(struct json *json, const char *name);
void json_array_end(struct json *json);

/* Numbers are written in full; a reader that keeps them as doubles loses bits beyond 2^53. */
void json_number(struct json *json, const char *name, uint64_t value);
void json_signed(struct json *json, const char *name, int64_t value);
void json_bool(struct json *json, const char *name, bool value);

/* A string "0x...": for addresses and register values, which readers must not round. */
void json_hex(struct json *json, const char *name, uint64_t value);

/* A string. Control characters and quotes are escaped; bytes that are not UTF-8 become U+FFFD. */
void json_string(struct json *json, const char *name, const char *text);
