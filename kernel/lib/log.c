/*
 * The kernel's log: levels, the clock, the way to the console; see <ashlar/log.h>. The ring is log_ring.c.
 *
 * A line is first written to the ring and then shown by log_show_pending(), which prints all lines that wait,
 * in order, if it gets the console. It does not wait for the console, because the line may come from an
 * interrupt handler that interrupted the code that holds it. Instead, whoever releases the console looks for
 * lines once more. So no line is left over: by the fences on both sides (the other is in console/sinks.c),
 * either the writer finds the console free, or the holder finds the line.
 */
#include "log_ring.h"

#include <ashlar/console.h>
#include <ashlar/format.h>
#include <ashlar/lock.h>
#include <ashlar/platform.h>
#include <ashlar/string.h>

#define PROVOKED "(provoked by a test) "

static struct log_slot slots[LOG_RECORDS];
static struct log_ring ring = {slots, LOG_RECORDS, 0};

static _Atomic(uint32_t) console_level = LOG_INFO;
static _Atomic(bool) is_provoked; /* by a test: see log_set_provoked() */
static _Atomic(uint64_t)
    shown_to;               /* number of the first line not yet shown; changed by the console's holder */
static uint64_t shown_lost; /* lines lost before it; the console holder's */
static _Atomic(uint64_t) clock_origin; /* ticks of second 0 */
static _Atomic(uint64_t) clock_rate;   /* ticks per second, 0: not known */

static const char *const level_names[LOG_LEVEL_COUNT] = {"error", "warning", "info", "debug"};

/* ---- Writing ---- */

void log_write_list(enum log_level level, const char *subsystem, const char *format, va_list arguments)
{
    LOCK_CHECK_LOG();
    struct log_text text;
    size_t length = 0;
    if (level <= LOG_WARNING && atomic_load_explicit(&is_provoked, memory_order_relaxed)) {
        level = LOG_INFO;
        length = sizeof PROVOKED - 1;
        memcpy(text.characters, PROVOKED, length);
    }
    length += format_list(text.characters + length, sizeof text.characters - length, format, arguments);
    text.length = min_u64(length, LOG_TEXT_BYTES);
    preempt_disable();
    unsigned cpu = cpu_number();
    uint64_t ticks = cpu_common_ticks();
    preempt_enable();
    log_ring_append(&ring, level, subsystem, ticks, cpu, &text);
    cpu_interleave();
    atomic_thread_fence(memory_order_seq_cst);
    cpu_interleave();
    log_show_pending();
}

void log_write(enum log_level level, const char *subsystem, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_write_list(level, subsystem, format, arguments);
    va_end(arguments);
}

static bool window_is_over(struct log_limit *limit)
{
    preempt_disable();
    uint64_t now = cpu_common_ticks();
    preempt_enable();
    uint64_t window = atomic_load_explicit(&limit->window, memory_order_relaxed);
    return (window == 0 || now - window >= LOG_LIMIT_TICKS) &&
           atomic_compare_exchange_strong_explicit(&limit->window, &window, now | 1, memory_order_relaxed,
                                                   memory_order_relaxed);
}

bool log_limit_passes(struct log_limit *limit, enum log_level level, const char *subsystem)
{
    if (window_is_over(limit)) {
        atomic_store_explicit(&limit->lines, 0, memory_order_relaxed);
        uint32_t suppressed = atomic_exchange_explicit(&limit->suppressed, 0, memory_order_relaxed);
        if (suppressed > 0) {
            log_write(level, subsystem, "(%u lines like the next were not logged)", suppressed);
        }
    }
    if (atomic_fetch_add_explicit(&limit->lines, 1, memory_order_relaxed) < LOG_LIMIT_LINES) {
        return true;
    }
    atomic_fetch_add_explicit(&limit->suppressed, 1, memory_order_relaxed);
    return false;
}

/* ---- Showing ---- */

static const char *colour_of(enum log_level level)
{
    return level == LOG_ERROR ? "\033[1;31m" : level == LOG_WARNING ? "\033[1;33m" : "";
}

static void show_record(const struct log_record *record)
{
    char line[LOG_LINE_BYTES];
    char text[LOG_LINE_BYTES + 64];
    if (record->lost > 0) {
        size_t length = format(line, sizeof line, "(%" PRIu64 " log lines lost)\n", record->lost);
        console_write_held(line, min_u64(length, sizeof line - 1));
    }
    log_format_record(record, line, sizeof line);
    const char *colour = colour_of(record->level);
    size_t length = format(text, sizeof text, "%s%s%s\n", colour, line, *colour ? "\033[0m" : "");
    console_write_held(text, min_u64(length, sizeof text - 1));
}

/* Shows all that is there, holding the console. Errors become visible at once: the machine may be about to
 * die. */
static void show_all(void)
{
    struct log_reader reader = {atomic_load_explicit(&shown_to, memory_order_relaxed), shown_lost};
    struct log_record record;
    bool urgent = false;
    while (log_ring_read(&ring, &reader, false, &record)) {
        atomic_store_explicit(&shown_to, reader.next, memory_order_relaxed);
        if (record.level <= atomic_load_explicit(&console_level, memory_order_relaxed)) {
            show_record(&record);
            urgent = urgent || record.level == LOG_ERROR;
        }
    }
    atomic_store_explicit(&shown_to, reader.next, memory_order_relaxed);
    shown_lost = reader.lost;
    if (urgent) {
        console_flush_held();
    }
}

/* Whether the next line to show is there; an unfinished one is shown by its own writer. */
static bool anything_to_show(void)
{
    struct log_reader reader = {atomic_load_explicit(&shown_to, memory_order_relaxed), 0};
    return log_ring_readable(&ring, &reader);
}

void log_show_pending(void)
{
    while (anything_to_show() && console_try_hold()) {
        show_all();
        console_drop();
    }
}

void log_set_console_level(enum log_level level)
{
    atomic_store_explicit(&console_level, level, memory_order_relaxed);
}

void log_set_provoked(bool provoked)
{
    atomic_store_explicit(&is_provoked, provoked, memory_order_relaxed);
}

bool log_level_parse(const char *name, enum log_level *level)
{
    for (uint32_t i = 0; i < LOG_LEVEL_COUNT; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

const char *log_level_name(enum log_level level)
{
    return (uint32_t)level < LOG_LEVEL_COUNT ? level_names[level] : "unknown";
}

/* ---- Reading ---- */

void log_set_clock(uint64_t origin_ticks, uint64_t ticks_per_second)
{
    atomic_store_explicit(&clock_origin, origin_ticks, memory_order_relaxed);
    atomic_store_explicit(&clock_rate, ticks_per_second, memory_order_relaxed);
}

struct log_reader log_reader_first(void)
{
    return (struct log_reader){0, 0};
}

struct log_reader log_reader_last(uint64_t lines)
{
    uint64_t head = atomic_load_explicit(&ring.head, memory_order_relaxed);
    uint64_t back = min_u64(min_u64(lines, LOG_RECORDS), head);
    return (struct log_reader){head - back, 0};
}

bool log_read(struct log_reader *reader, struct log_record *record)
{
    return log_ring_read(&ring, reader, true, record);
}

static size_t format_time(uint64_t ticks, char *buffer, size_t bytes)
{
    uint64_t since = ticks - atomic_load_explicit(&clock_origin, memory_order_relaxed);
    uint64_t rate = atomic_load_explicit(&clock_rate, memory_order_relaxed);
    if (rate == 0) {
        return format(buffer, bytes, "[%12" PRIu64 "]", since);
    }
    uint64_t microseconds = since % rate * 1000000 / rate;
    return format(buffer, bytes, "[%5" PRIu64 ".%06" PRIu64 "]", since / rate, microseconds);
}

size_t log_format_record(const struct log_record *record, char *buffer, size_t bytes)
{
    char time[48];
    format_time(record->ticks, time, sizeof time);
    bool speaks = record->level <= LOG_WARNING;
    return format(buffer, bytes, "%s %s: %s%s%s", time, record->subsystem,
                  speaks ? log_level_name(record->level) : "", speaks ? ": " : "", record->text);
}
