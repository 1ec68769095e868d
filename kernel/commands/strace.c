/* Monitor command that shows the system calls of a program: strace. */
#include <ashlar/monitor.h>
#include <ashlar/number.h>
#include <ashlar/thread.h>

#include "kernel/linux/proc/proc.h"
#include "kernel/linux/trace/trace.h"
#include "run.h"

#define PAUSE_NANOSECONDS                                                                                    \
    20000000 /* between two looks whether it is still there, or somebody has seen enough */

/* Until the process has ended, or ctrl-c. */
static void watch(struct monitor_call *call, uint32_t number)
{
    struct proc_what what;
    struct proc_facts facts;
    trace_begin();
    if (!proc_find(number, &what) || !trace_set(number, true)) {
        trace_end();
        monitor_error(call, "there is no process %u", number);
        return;
    }
    bool there = true;
    while (there && !monitor_interrupted()) {
        thread_sleep(PAUSE_NANOSECONDS, false);
        there = proc_look(&what, &facts) == 0;
        if (there) {
            there = facts.state != 'Z';
            proc_let_go(&facts);
        }
    }
    if (there) {
        trace_set(number, false);
    }
    trace_end();
    if (!there) {
        monitor_print("process %u has ended\n", number);
    }
}

static void strace_run(struct monitor_call *call)
{
    uint64_t number;
    if (number_parse(call->arguments[0], &number) != NUMBER_OK) {
        command_run(call, true);
    } else if (call->arguments[1]) {
        monitor_error(call, "a process that runs takes no arguments");
    } else if (number >= NUMBERS_END) {
        monitor_error(call, "there is no process %" PRIu64, number);
    } else {
        watch(call, (uint32_t)number);
    }
}

MONITOR_COMMAND(strace, strace_run, "PID|PROGRAM [ARGUMENT...]", "shows the system calls of a program",
                "Runs the program as 'run' does, or looks at the process with the number (see ps)\n"
                "until it ends or ctrl-c is pressed. One line for each call that has returned: the\n"
                "number of the thread, the call with its arguments, and what it answered. Children\n"
                "that it makes meanwhile are shown, too. Strings are cut.\n"
                "Examples:\n"
                "  strace hello world\n"
                "  strace 3\n",
                .arguments_min = 1, .arguments_max = MONITOR_WORDS_MAX - 1);
