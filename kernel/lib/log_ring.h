/*
 * The ring of log lines: many writers in any context, no locks.
 *
 * A writer takes the next number by one atomic addition; the number names its slot. The slot's state says
 * what is in it: 0 nothing, 2n + 1 line n is being written, 2n + 2 line n is there. A reader copies a slot
 * and believes the copy if the state was "line n is there" before and after. A writer that finds its slot
 * still being written (another was held up while the whole ring went round) drops its own line: readers see
 * the gap.
 */
#pragma once

#include <ashlar/log.h>

#define LOG_SLOT_WORDS ((LOG_TEXT_BYTES + 1) / 8)

struct log_slot {
    _Atomic(uint64_t) state;                /* see above */
    _Atomic(uint64_t) ticks;                /* as in struct log_record */
    _Atomic(const char *) subsystem;        /* as in struct log_record */
    _Atomic(uint64_t) attributes;           /* level | cpu << 8 | length of the text << 32 */
    _Atomic(uint64_t) text[LOG_SLOT_WORDS]; /* the text, eight bytes to a word; atomic because readers race */
};

struct log_ring {
    struct log_slot *slots; /* `capacity` of them, all zero at the start */
    uint64_t capacity;      /* a power of two */
    _Atomic(uint64_t) head; /* number of the next line */
};

/* A text ready to be stored: what lies behind `length` in the last word is stored too, and never read. */
struct log_text {
    size_t length;                                          /* bytes of the text, at most LOG_TEXT_BYTES */
    _Alignas(uint64_t) char characters[LOG_TEXT_BYTES + 1]; /* the text */
};

/* Adds a line. */
void log_ring_append(struct log_ring *ring, enum log_level level, const char *subsystem, uint64_t ticks,
                     unsigned cpu, const struct log_text *text);

/* Its first and last step, so that tests can hold a writer up in between. log_ring_begin() returns false when
 * the line is dropped; then there is nothing to finish. */
bool log_ring_begin(struct log_ring *ring, uint64_t *sequence);
void log_ring_finish(struct log_ring *ring, uint64_t sequence);

/*
 * Reads the line at the reader and moves the reader on. Returns false when there is nothing to read. Lost
 * lines are counted in the reader; the next record gets their number. At a line that is still being written
 * it returns false, unless pass_unfinished is set or half the ring has been written since: then that line
 * counts as lost.
 */
bool log_ring_read(const struct log_ring *ring, struct log_reader *reader, bool pass_unfinished,
                   struct log_record *record);

/* Whether log_ring_read() without pass_unfinished would find a line, or lose one. */
bool log_ring_readable(const struct log_ring *ring, const struct log_reader *reader);
