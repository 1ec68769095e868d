/*
 * The kernel's heap: one instance of <ashlar/heap.h> on the kernel's frames, with the debug rules of the
 * command line, backtraces of who allocates, and reports that end in a panic, because a damaged heap damages
 * everything.
 */
#include <ashlar/boot.h>
#include <ashlar/command_line.h>
#include <ashlar/heap.h>
#include <ashlar/memory.h>
#include <ashlar/string.h>
#include <ashlar/symbols.h>
#include <x86/unwind.h>

#define LOG_SUBSYSTEM "heap"
#include <ashlar/log.h>

#include "kernel/kernel.h"

#define RULES_BYTES  256
#define RULES_PREFIX "slab:"

struct heap kernel_heap;

static char rules[RULES_BYTES];

/* Fills `stack` with the callers from `caller` on: the steps before it are the allocator's own. If the chain
 * of frames does not lead to `caller`, only `caller` itself is noted. */
static unsigned note_callers(void *context, const void *caller, void **stack, unsigned limit)
{
    (void)context;
    unsigned depth = 0;
    struct unwind at = unwind_caller();
    bool more = true;
    while (more && at.address.raw != (uintptr_t)caller) {
        more = unwind_next(&at);
    }
    for (; more && depth < limit; more = unwind_next(&at)) {
        stack[depth++] = virt_pointer(at.address);
    }
    if (depth == 0 && caller) {
        stack[depth++] = (void *)(uintptr_t)caller;
    }
    return depth;
}

static void log_who(const char *what, const struct slab_who *who)
{
    char text[SYMBOL_TEXT_BYTES];
    if (!who) {
        return;
    }
    log_error("%s on CPU %u at tick %" PRIu64 " by:", what, who->cpu, who->ticks);
    for (unsigned i = 0; i < SLAB_STACK_DEPTH && who->stack[i]; i++) {
        log_error("    %s", symbol_text(virt_of(who->stack[i]), true, text));
    }
}

/* A size that overflowed or a cache destroyed too early has damaged nothing: the caller goes on. */
static void report_mistake(void *context, const struct slab_report *report)
{
    (void)context;
    char text[SLAB_REPORT_BYTES];
    char caller[SYMBOL_TEXT_BYTES];
    slab_report_text(report, report->caller ? symbol_text(virt_of(report->caller), true, caller) : NULL,
                     text);
    if (report->fault == SLAB_SIZE_OVERFLOW || report->fault == SLAB_LIVE_AT_DESTROY) {
        log_warning("%s", text);
        return;
    }
    log_who("allocated", report->allocated);
    log_who("freed", report->freed);
    panic("%s", text);
}

/* The rules of "debug=slab:RULES", or "". */
static const char *debug_rules(void)
{
    size_t length = strlen(RULES_PREFIX);
    if (!command_line_get(boot_command_line(), "debug", rules, sizeof rules)) {
        if (command_line_has(boot_command_line(), "debug")) {
            log_warning("debug=: more than %u characters; no policies", RULES_BYTES - 1);
        }
        return "";
    }
    if (strncmp(rules, RULES_PREFIX, length) != 0) {
        log_warning("debug=%s: does not begin with \"" RULES_PREFIX "\"; no policies", rules);
        return "";
    }
    return rules + length;
}

void heap_start(const struct boot_info *info, const struct heap_virtual *virtually)
{
    struct heap_config config = {.slabs = {.frames = kernel_frames(),
                                           .cpus = kernel_frames()->config.cpus,
                                           .debug = debug_rules(),
                                           .report = report_mistake,
                                           .backtrace = note_callers},
                                 .virtually = *virtually};
    memcpy(&config.slabs.seed, info->seed.bytes, sizeof config.slabs.seed);
#ifdef ASHLAR_DEBUG
    if (command_line_has(boot_command_line(), "interleave")) {
        config.slabs.seed = 0; /* what a seed has found is to be found again */
    }
#endif
    config.slabs.seed |= 1;
    enum slab_error error = heap_init(&kernel_heap, &config);
    if (error == SLAB_BAD_DEBUG) {
        log_warning("debug=slab:%s: cannot be read from \"%s\" on; no policies", config.slabs.debug,
                    config.slabs.debug + kernel_heap.slabs.debug_error);
        config.slabs.debug = NULL;
        error = heap_init(&kernel_heap, &config);
    }
    if (error != SLAB_OK) {
        panic("heap: %s", slab_error_name(error));
    }
}
