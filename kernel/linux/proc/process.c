/* Files of a process below /proc: what it is, what it has used, and how it was started. */
#include <ashlar/clock.h>
#include <ashlar/memory.h>
#include <ashlar/processor.h>
#include <ashlar/string.h>

#include "proc.h"

#define COPY_BYTES 512                            /* of a program's memory, in one step */
#define HUNDREDTH  (NANOSECONDS_PER_SECOND / 100) /* in which times are told */

static uint64_t hundredths(uint64_t ticks)
{
    return clock_ticks_to_nanoseconds(ticks) / HUNDREDTH;
}

int proc_look_once(const struct proc_what *what, struct proc_facts *facts, uint64_t *cursor)
{
    if (proc_is_told(cursor)) {
        return 0;
    }
    int error = proc_look(what, facts);
    return error ? error : 1;
}

/* ---- statm, stat ---- */

struct proc_sums proc_sums(const struct proc_facts *facts)
{
    struct proc_sums sums = {0, 0, 0};
    struct vm_region_facts region;
    uint64_t at = 0;
    while (facts->space && vm_space_next(facts->space, virt_addr(at), &region)) {
        bool writes = (region.access & VM_WRITE) && !region.shared;
        sums.code += region.access & VM_EXECUTE ? region.bytes : 0;
        sums.stack += region.source == VM_STACK ? region.bytes : 0;
        sums.data += writes && region.source != VM_STACK ? region.bytes : 0;
        at = region.base.raw + region.bytes;
    }
    return sums;
}

void proc_count(const struct proc_facts *facts, struct vm_counts *counts)
{
    memset(counts, 0, sizeof *counts);
    if (facts->space) {
        vm_space_count(facts->space, virt_addr(USER_BASE), USER_END - USER_BASE, counts);
    }
}

int proc_statm(const struct proc_what *what, struct proc_text *text, uint64_t *cursor)
{
    struct proc_facts facts;
    struct vm_counts counts;
    int result = proc_look_once(what, &facts, cursor);
    if (result != 1) {
        return result;
    }
    struct proc_sums sums = proc_sums(&facts);
    proc_count(&facts, &counts);
    text_print(text, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " 0 %" PRIu64 " 0\n",
               facts.bytes >> FRAME_SHIFT, counts.resident, counts.resident - counts.anonymous,
               sums.code >> FRAME_SHIFT, (sums.data + sums.stack) >> FRAME_SHIFT);
    proc_let_go(&facts);
    return 1;
}

int proc_stat(const struct proc_what *what, struct proc_text *text, uint64_t *cursor)
{
    struct proc_facts facts;
    int result = proc_look_once(what, &facts, cursor);
    if (result != 1) {
        return result;
    }
    /* Where things lie is for those who may look into it. */
    const struct memory_layout nowhere = {0};
    bool shows = proc_may_look(what) == 0;
    const struct memory_layout *layout = shows ? &facts.layout : &nowhere;
    const struct stat_line line = {.number = facts.task_number,
                                   .name = facts.name,
                                   .state = facts.state,
                                   .parent = facts.parent,
                                   .group = facts.group,
                                   .session = facts.session,
                                   .faults = facts.faults,
                                   .children_faults = facts.children_faults,
                                   .user_time = hundredths(facts.times.all - facts.times.kernel),
                                   .kernel_time = hundredths(facts.times.kernel),
                                   .children_user_time =
                                       hundredths(facts.children_times.all - facts.children_times.kernel),
                                   .children_kernel_time = hundredths(facts.children_times.kernel),
                                   .threads = facts.threads,
                                   .started = facts.begun / HUNDREDTH,
                                   .bytes = facts.bytes,
                                   .resident = facts.resident,
                                   .resident_limit = facts.limits[LIMIT_RESIDENT].soft,
                                   .code = shows ? layout->code : facts.space != NULL,
                                   .code_end = shows ? layout->code_end : facts.space != NULL,
                                   .stack = layout->stack,
                                   .exit_signal = facts.exit_signal,
                                   .cpu = facts.cpu,
                                   .data = layout->data,
                                   .data_end = layout->data_end,
                                   .heap = shows ? facts.heap_base : 0,
                                   .arguments = layout->strings.arguments,
                                   .variables = layout->strings.variables,
                                   .variables_end = layout->strings.variables_end,
                                   .exit_code = shows ? facts.status : 0};
    text_stat(text, &line);
    proc_let_go(&facts);
    return 1;
}

int proc_comm(const struct proc_what *what, struct proc_text *text, uint64_t *cursor)
{
    struct proc_facts facts;
    int result = proc_look_once(what, &facts, cursor);
    if (result != 1) {
        return result;
    }
    text_print(text, "%s\n", facts.name);
    proc_let_go(&facts);
    return 1;
}

int proc_limits(const struct proc_what *what, struct proc_text *text, uint64_t *cursor)
{
    static const char names[] =
        "Max cpu time\0Max file size\0Max data size\0Max stack size\0Max core file size\0"
        "Max resident set\0Max processes\0Max open files\0Max locked memory\0"
        "Max address space\0Max file locks\0Max pending signals\0Max msgqueue size\0"
        "Max nice priority\0Max realtime priority\0Max realtime timeout\0";
    static const char units[] = "seconds\0bytes\0bytes\0bytes\0bytes\0bytes\0processes\0files\0bytes\0bytes\0"
                                "locks\0signals\0bytes\0 \0 \0us\0";
    struct proc_facts facts;
    int result = proc_look_once(what, &facts, cursor);
    if (result != 1) {
        return result;
    }
    text_print(text, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    for (unsigned i = 0; i < LIMITS; i++) {
        const char *unit = text_name_at(units, i);
        text_limit(text, text_name_at(names, i), facts.limits[i].soft, facts.limits[i].hard,
                   *unit == ' ' ? "" : unit);
    }
    proc_let_go(&facts);
    return 1;
}

/* ---- What lies on its stack ---- */

/* Copies [base, end) of the program's memory, a part at each step. */
static int copy_range(const struct proc_facts *facts, uint64_t base, uint64_t end, struct proc_text *text,
                      uint64_t *cursor)
{
    char part[COPY_BYTES];
    uint64_t left = end - base > *cursor ? end - base - *cursor : 0;
    uint64_t copied =
        left == 0 || !facts->space ? 0 : proc_copy(facts, part, base + *cursor, min_u64(left, sizeof part));
    text_add(text, part, copied);
    *cursor += copied;
    return copied != 0;
}

int proc_command_line(const struct proc_what *what, struct proc_text *text, uint64_t *cursor)
{
    struct proc_facts facts;
    int result = proc_look(what, &facts);
    if (result == 0) {
        const struct program_stack_places *places = &facts.layout.strings;
        result = copy_range(&facts, places->arguments, places->variables, text, cursor);
        proc_let_go(&facts);
    }
    return result;
}

int proc_environment(const struct proc_what *what, struct proc_text *text, uint64_t *cursor)
{
    struct proc_facts facts;
    int result = proc_look(what, &facts);
    if (result == 0) {
        const struct program_stack_places *places = &facts.layout.strings;
        result = copy_range(&facts, places->variables, places->variables_end, text, cursor);
        proc_let_go(&facts);
    }
    return result;
}

int proc_vector(const struct proc_what *what, struct proc_text *text, uint64_t *cursor)
{
    struct proc_facts facts;
    int result = proc_look(what, &facts);
    if (result == 0) {
        const struct program_stack_places *places = &facts.layout.strings;
        result = copy_range(&facts, places->vector, places->vector_end, text, cursor);
        proc_let_go(&facts);
    }
    return result;
}
