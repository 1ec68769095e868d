/* What <ashlar/platform.h> asks of a host process. */
#include <ashlar/hooks.h>
#include <ashlar/platform.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "host.h"

_Thread_local unsigned host_cpu;
_Thread_local unsigned host_preempt_depth;
_Thread_local bool host_interrupts_off;
_Thread_local bool host_in_interrupt;
_Thread_local bool host_in_nmi;
#ifdef ASHLAR_DEBUG
struct locks_held host_locks_held[HOST_CPUS];
struct locks_held host_mutexes_held[HOST_CPUS];
#ifdef ASHLAR_LOCK_STATISTICS
struct lock_counts host_lock_counts[HOST_CPUS][LOCK_RANKS];
#endif
#endif
_Thread_local void (*host_meanwhile)(void);
_Atomic(uint64_t) host_ticks_ahead;
_Thread_local uint64_t host_counter_ahead;
_Thread_local struct host_panic_trap *host_panic_trap;

const char *code_place(uintptr_t address, char text[CODE_PLACE_BYTES])
{
    snprintf(text, CODE_PLACE_BYTES, "%#" PRIxPTR, address);
    return text;
}

__attribute__((noreturn, format(printf, 2, 0))) static void host_panic(const void *frame, const char *format,
                                                                       va_list arguments)
{
    char message[512];
    (void)frame;
    vsnprintf(message, sizeof message, format, arguments);
    if (host_panic_trap) {
        snprintf(host_panic_trap->message, sizeof host_panic_trap->message, "%s", message);
        longjmp(host_panic_trap->jump, 1);
    }
    fprintf(stderr, "panic: %s\n", message);
    abort();
}

/* Portable code calls nothing else of the kernel's. */
const struct kernel_hooks kernel_hooks = {.panic = host_panic};
