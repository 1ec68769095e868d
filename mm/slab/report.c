/* Reports of mistakes: their names, who was involved, and the text for people. */
#include <ashlar/format.h>
#include <stdarg.h>

#include "internal.h"

const char *slab_fault_name(enum slab_fault fault)
{
#define SLAB_FAULT_TEXT(name, text) [SLAB_##name] = (text),
    static const char *const names[SLAB_FAULT_COUNT] = {[SLAB_FAULT_NONE] = "no fault",
                                                        SLAB_FAULTS(SLAB_FAULT_TEXT)};
#undef SLAB_FAULT_TEXT
    return (unsigned)fault < SLAB_FAULT_COUNT ? names[fault] : "unknown fault";
}

const char *slab_error_name(enum slab_error error)
{
    static const char *const names[SLAB_ERROR_COUNT] = {
        [SLAB_OK] = "ok",
        [SLAB_BAD_CONFIG] = "impossible configuration",
        [SLAB_IN_USE] = "made already, and not destroyed",
        [SLAB_BAD_DEBUG] = "debug rule that cannot be read",
        [SLAB_BAD_SIZE] = "object size out of range",
        [SLAB_BAD_ALIGNMENT] = "alignment that is no power of two, or too large",
        [SLAB_BAD_NAME] = "name that is empty, too long or taken",
        [SLAB_TOO_MANY] = "too many caches",
        [SLAB_NO_MEMORY] = "out of memory",
        [SLAB_NO_RECLAIMER] = "too many reclaimers of the frame pool",
    };
    return (unsigned)error < SLAB_ERROR_COUNT ? names[error] : "unknown error";
}

void slab_report(struct slab_pool *pool, const struct slab_report *report)
{
    atomic_fetch_add_explicit(&pool->faults[report->fault], 1, memory_order_relaxed);
    pool->config.report(pool->config.context, report);
}

void slab_report_owners(struct slab_report *report, struct slab_cache *cache, const void *object)
{
    if (cache->policy & SLAB_OWNER) {
        const struct slab_track *track = slab_track(cache, object);
        report->allocated = track->allocated.ticks ? &track->allocated : NULL;
        report->freed = track->freed.ticks ? &track->freed : NULL;
    }
}

void slab_who_note(struct slab_pool *pool, struct slab_who *who, const void *caller)
{
    unsigned depth = 0;
    if (pool->config.backtrace) {
        depth = pool->config.backtrace(pool->config.context, caller, who->stack, SLAB_STACK_DEPTH);
    } else if (caller) {
        who->stack[depth++] = (void *)(uintptr_t)caller;
    }
    while (depth < SLAB_STACK_DEPTH) {
        who->stack[depth++] = NULL;
    }
    who->ticks = cpu_ticks();
    who->cpu = cpu_number();
}

/* ---- The text ---- */

/* A text under way; what does not fit is cut off. */
struct writing {
    char *bytes; /* SLAB_REPORT_BYTES */
    size_t used; /* without the terminator */
};

__attribute__((format(printf, 2, 3))) static void say(struct writing *writing, const char *words, ...)
{
    va_list arguments;
    size_t room = SLAB_REPORT_BYTES - writing->used;
    va_start(arguments, words);
    size_t length = (size_t)format_list(writing->bytes + writing->used, room, words, arguments);
    va_end(arguments);
    writing->used += min_u64(length, room - 1);
}

static void say_place(struct writing *writing, const struct slab_report *report)
{
    int64_t offset = report->offset;
    say(writing, ": %#" PRIx64, (uintptr_t)report->pointer);
    if (report->cache) {
        say(writing, " in cache %s", report->cache->name);
    }
    if (report->object) {
        say(writing, ", object %#" PRIx64 " %c %" PRIu64, (uintptr_t)report->object, offset < 0 ? '-' : '+',
            (offset < 0 ? -offset : offset));
    }
    if (report->claimed && report->claimed != report->cache) {
        say(writing, ", freed to cache %s", report->claimed->name);
    }
    if (report->length) {
        say(writing, "; %u bytes, expected %#" PRIx64 ", found %#" PRIx64, report->length, report->expected,
            report->found);
    }
}

const char *slab_report_text(const struct slab_report *report, const char *caller,
                             char text[SLAB_REPORT_BYTES])
{
    struct writing writing = {text, 0};
    say(&writing, "heap: %s", slab_fault_name(report->fault));
    if (report->fault == SLAB_SIZE_OVERFLOW) {
        say(&writing, ": %" PRIu64 " times %" PRIu64 " bytes", report->expected, report->found);
    } else if (report->fault == SLAB_LIVE_AT_DESTROY) {
        say(&writing, ": %" PRIu64 " of %s", report->found,
            report->cache ? report->cache->name : "the large blocks");
    } else {
        say_place(&writing, report);
    }
    if (caller) {
        say(&writing, "; called from %s", caller);
    } else if (report->caller) {
        say(&writing, "; called from %#" PRIx64, (uintptr_t)report->caller);
    }
    return text;
}
