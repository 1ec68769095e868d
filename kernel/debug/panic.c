/*
 * The panic report; see <ashlar/panic.h>.
 *
 * It must work whatever is broken. So it runs on a stack of its own with interrupts off; it reads memory that
 * is not its own by probes (memory_try_read); it takes no lock, and makes the console ignore its own; it
 * allocates nothing. If it faults or panics all the same, that second panic says so in a few lines straight
 * to the serial port, and a third one says nothing.
 */
#include <ashlar/console.h>
#include <ashlar/format.h>
#include <ashlar/lock_check.h>
#include <ashlar/log.h>
#include <ashlar/panic.h>
#include <ashlar/power.h>
#include <ashlar/string.h>
#include <ashlar/symbols.h>
#include <stdatomic.h>
#include <x86/control_registers.h>
#include <x86/cpu.h>
#include <x86/interrupt.h>
#include <x86/panic_report.h>
#include <x86/port.h>
#include <x86/unwind.h>

#define BACKTRACE_LINES 14
/* Steps that are walked and counted at most, so that a chain of frames that is a loop comes to an end. */
#define BACKTRACE_STEPS 65536
#define LOG_LINES       6
#define MESSAGE_BYTES   384

/* What the report is about. Written once, by the CPU that panics first. */
static struct {
    char message[MESSAGE_BYTES];    /* of panic() */
    const struct trap_frame *frame; /* of panic_exception(), else NULL */
    struct unwind origin;           /* where the backtrace starts */
} cause;

static _Atomic(unsigned) depth;         /* panics begun */
static _Atomic(unsigned) reporting_cpu; /* number + 1 of the CPU that panicked first */
static void (*stop_others)(void);
static void (*print_others)(void);

void panic_set_others(void (*stop)(void), void (*print)(void))
{
    stop_others = stop;
    print_others = print;
}

bool panic_active(void)
{
    return atomic_load(&depth) != 0;
}

/* Ends QEMU with the status 2 * value + 1, if this is QEMU; else halts. */
_Noreturn static void end_machine(void)
{
    power_debug_exit(POWER_EXIT_PANIC);
    cpu_halt_forever();
}

/* Writes to the first serial port directly: bounded waits, no state. */
static void emergency_write(const char *text)
{
    enum { COM1 = 0x3f8, LINE_STATUS = 5, TRANSMITTER_READY = 0x20, POLLS = 100000 };
    for (; *text; text++) {
        for (unsigned i = 0; i < POLLS && !(port_read8(COM1 + LINE_STATUS) & TRANSMITTER_READY); i++) {
            cpu_relax();
        }
        port_write8(COM1, (uint8_t)*text);
    }
}

/*
 * Reports a panic inside a report, without the console. The lines that cannot fail come first; if looking up
 * the place faults in turn, that third panic ends the machine.
 */
_Noreturn static void report_inside_report(const char *what, virt_addr_t where)
{
    static char line[MESSAGE_BYTES];
    static char text[SYMBOL_TEXT_BYTES];
    emergency_write("\r\nPANIC INSIDE THE PANIC REPORT: ");
    emergency_write(what);
    format(line, sizeof line, "\r\nat %#" PRIx64 " (image at %#" PRIx64 ", cr2 %#" PRIx64 ")\r\n", where.raw,
           panic_image_start(), cr2_read());
    emergency_write(line);
    emergency_write("the first was: ");
    emergency_write(cause.frame ? exception_name_of(cause.frame) : cause.message);
    emergency_write("\r\nwhich is in ");
    emergency_write(symbol_text(where, false, text));
    emergency_write("\r\n");
    end_machine();
}

static void print_step(const struct unwind *at, unsigned number, unsigned times)
{
    char text[SYMBOL_TEXT_BYTES];
    console_print("  %2u 0x%016" PRIx64 " %s", number, at->address.raw,
                  symbol_text(at->address, at->is_return, text));
    if (times > 1) {
        console_print(" [%u times]", times);
    }
    console_print("\n");
}

static void print_transition(const struct unwind *from, const struct unwind *to)
{
    if (to->trap != UNWIND_NO_TRAP) {
        const char *name = interrupt_name(to->trap);
        console_print("   --- interrupted by vector %u (%s) ---\n", to->trap, name ? name : "unexpected");
    }
    if (to->scanned && !from->scanned) {
        console_print("   --- the chain of frames is broken; what follows was found on the stack ---\n");
    }
}

/* Recursion takes one line, however deep: equal steps are counted. */
static void print_backtrace(void)
{
    struct unwind at = cause.origin;
    console_print("backtrace:\n");
    unsigned steps = 0;
    for (unsigned lines = 0; lines < BACKTRACE_LINES; lines++) {
        struct unwind next = at;
        unsigned times = 1;
        bool more;
        while ((more = unwind_next(&next)) && next.address.raw == at.address.raw &&
               next.is_return == at.is_return && steps < BACKTRACE_STEPS) {
            times++;
            steps++;
        }
        print_step(&at, lines, times);
        if (!more) {
            return;
        }
        print_transition(&at, &next);
        at = next;
    }
    console_print("     ...\n");
}

static void print_log(void)
{
    static struct log_record record;
    static char line[LOG_LINE_BYTES];
    struct log_reader reader = log_reader_last(LOG_LINES);
    console_print("last log lines:\n");
    while (log_read(&reader, &record)) {
        log_format_record(&record, line, sizeof line);
        console_print("  %.100s\n", line);
    }
}

static void print_where(void)
{
    char text[SYMBOL_TEXT_BYTES];
    struct unwind caller = cause.origin;
    console_print("where:   %s", symbol_text(cause.origin.address, cause.origin.is_return, text));
    if (!unwind_is_code(cause.origin.address) && unwind_next(&caller)) {
        console_print(", called from %s", symbol_text(caller.address, caller.is_return, text));
    }
    console_print("\n");
    if (interrupt_active()) {
        console_print("context: inside an interrupt handler\n");
    }
}

static void report(void *unused)
{
    (void)unused;
    console_break_lock();
    console_print("\n=== PANIC on CPU %u ===\n", cpu_number());
    if (cause.frame) {
        exception_report_begin(cause.frame);
        exception_report_cause(cause.frame);
    } else {
        console_print("reason:  %s\n", cause.message);
    }
    print_where();
    if (cause.frame) {
        exception_report_details(cause.frame);
    }
    exception_report_control_registers();
    print_backtrace();
    panic_print_locks_held(NULL);
    if (print_others) {
        print_others();
    }
    print_log();
    console_print("next:    %s\n",
                  cause.frame ? exception_report_advice(cause.frame)
                              : "the code at the top of the backtrace: it says what it found broken");
    console_print("=== end of panic ===\n");
    console_flush();
    end_machine();
}

/* Decides who reports: the first CPU to come, once. Returns how many panics this CPU has begun. */
static unsigned begin(void)
{
    interrupts_disable();
    unsigned nobody = 0;
    unsigned self = cpu_number() + 1;
    if (!atomic_compare_exchange_strong(&reporting_cpu, &nobody, self) && nobody != self) {
        cpu_halt_forever();
    }
    unsigned level = atomic_fetch_add(&depth, 1) + 1;
    if (level == 1 && stop_others) {
        stop_others();
    }
    lock_checks_end(); /* not before: what others hold is noted until they stand still */
    if (level > 2) {
        end_machine();
    }
    return level;
}

_Noreturn static void report_on_own_stack(void)
{
    call_on_stack(report, NULL, panic_stack_top());
    end_machine();
}

void panic_report(const void *frame, const char *text, va_list arguments)
{
    static char second[MESSAGE_BYTES];
    struct unwind origin = unwind_caller_of(frame);
    bool first = begin() == 1;
    format_list(first ? cause.message : second, MESSAGE_BYTES, text, arguments);
    if (!first) {
        report_inside_report(second, origin.address);
    }
    cause.origin = origin;
    report_on_own_stack();
}

void panic_exception(struct trap_frame *frame)
{
    if (begin() > 1) {
        report_inside_report(exception_name_of(frame), virt_addr(frame->rip));
    }
    cause.frame = frame;
    cause.origin = unwind_frame(frame);
    report_on_own_stack();
}
