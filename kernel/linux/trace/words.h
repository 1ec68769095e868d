/* Numbers of Linux's as people know them. Pure. */
#pragma once

#include <ashlar/types.h>

/* What a number means beyond its kind (calls.h). */
enum trace_words {
    WORDS_NONE,
    WORDS_OPEN,    /* flags of open() */
    WORDS_PROTECT, /* access of mmap() and mprotect() */
    WORDS_MAP,     /* flags of mmap() */
    WORDS_CLONE,
    WORDS_ADVICE, /* of madvise(): one word, not bits */
    WORDS_KINDS
};

/*
 * Writes the number as words with | between, what has none as a number behind them; cut to `bytes` with the
 * terminator. Returns the length.
 */
size_t trace_words(enum trace_words kind, uint64_t number, char *to, size_t bytes);

/* "ENOENT" for 2; NULL for what is no error of ours. */
const char *trace_error(uint64_t error);
