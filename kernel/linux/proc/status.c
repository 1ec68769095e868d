/*
 * /proc/PID/status (fs/proc/array.c): who a process is, its memory, its signals and what it may do. Its
 * groups can be many, so the file is told in parts: what comes before them, some groups at a time, and the
 * rest.
 */
#include <ashlar/memory.h>
#include <ashlar/processor.h>

#include "proc.h"

#define GROUPS_EACH 64         /* in one step */
#define ALL_TOLD    UINT32_MAX /* a step that is never reached otherwise */

static const char *state_text(char state)
{
    return state == 'R' ? "R (running)" : state == 'Z' ? "Z (zombie)" : "S (sleeping)";
}

static void tell_ids(struct proc_text *text, const char *name, const struct ids *ids)
{
    text_print(text, "%s:\t%u\t%u\t%u\t%u\n", name, ids->real, ids->effective, ids->saved, ids->file);
}

static void tell_identity(const struct proc_what *what, struct proc_text *text,
                          const struct proc_facts *facts)
{
    struct fs_view view;
    text_print(text, "Name:\t%s\n", facts->name);
    if (proc_view(what, &view)) {
        text_print(text, "Umask:\t%04o\n", view.mask);
        fs_view_put(&view);
    }
    text_print(text, "State:\t%s\nTgid:\t%u\nNgid:\t0\nPid:\t%u\nPPid:\t%u\nTracerPid:\t0\n",
               state_text(facts->state), facts->number, facts->task_number, facts->parent);
    tell_ids(text, "Uid", &facts->credentials->rights.user);
    tell_ids(text, "Gid", &facts->credentials->rights.group);
    text_print(text, "FDSize:\t%" PRIu64 "\nGroups:\t", proc_files_size(what));
}

static void tell_groups(struct proc_text *text, const struct credentials *credentials, uint64_t from)
{
    uint64_t end = min_u64(from + GROUPS_EACH, credentials->group_count);
    for (uint64_t i = from; i < end; i++) {
        text_print(text, "%u ", credentials->groups[i]);
    }
}

static void tell_memory(struct proc_text *text, const struct proc_facts *facts)
{
    struct vm_counts counts;
    struct proc_sums sums = proc_sums(facts);
    proc_count(facts, &counts);
    text_kib(text, "VmPeak", facts->bytes_peak);
    text_kib(text, "VmSize", facts->bytes);
    text_kib(text, "VmLck", facts->locked);
    text_kib(text, "VmPin", 0);
    text_kib(text, "VmHWM", max_u64(facts->peak, counts.resident) << FRAME_SHIFT);
    text_kib(text, "VmRSS", counts.resident << FRAME_SHIFT);
    text_kib(text, "RssAnon", counts.anonymous << FRAME_SHIFT);
    text_kib(text, "RssFile", (counts.resident - counts.anonymous) << FRAME_SHIFT);
    text_kib(text, "RssShmem", 0);
    text_kib(text, "VmData", sums.data);
    text_kib(text, "VmStk", sums.stack);
    text_kib(text, "VmExe", sums.code);
    text_kib(text, "VmLib", 0);
    text_kib(text, "VmPTE", facts->tables << FRAME_SHIFT);
    text_kib(text, "VmSwap", counts.swapped << FRAME_SHIFT);
    text_kib(text, "HugetlbPages", 0);
    text_print(text, "CoreDumping:\t0\nTHP_enabled:\t1\n");
}

static void tell_set(struct proc_text *text, const char *name, uint64_t set)
{
    text_print(text, "%s:\t%016" PRIx64 "\n", name, set);
}

static void tell_signals(struct proc_text *text, const struct proc_facts *facts)
{
    text_print(text, "SigQ:\t%" PRIu64 "/%" PRIu64 "\n", signal_records(), facts->limits[LIMIT_SIGNALS].soft);
    tell_set(text, "SigPnd", facts->signals.pending);
    tell_set(text, "ShdPnd", facts->signals.shared_pending);
    tell_set(text, "SigBlk", facts->signals.masked);
    tell_set(text, "SigIgn", facts->signals.ignored);
    tell_set(text, "SigCgt", facts->signals.handled);
}

static void tell_rights(struct proc_text *text, const struct proc_facts *facts)
{
    const struct rights *rights = &facts->credentials->rights;
    tell_set(text, "CapInh", rights->inheritable);
    tell_set(text, "CapPrm", rights->permitted);
    tell_set(text, "CapEff", rights->effective);
    tell_set(text, "CapBnd", rights->bounding);
    tell_set(text, "CapAmb", 0);
    text_print(text, "NoNewPrivs:\t%u\nSeccomp:\t0\nSeccomp_filters:\t0\n", facts->no_new_privileges);
}

static void tell_rest(struct proc_text *text, const struct proc_facts *facts)
{
    text_print(text, "%s\nNStgid:\t%u\nNSpid:\t%u\nNSpgid:\t%u\nNSsid:\t%u\n",
               facts->credentials->group_count == 0 ? " " : "", facts->number, facts->task_number,
               facts->group, facts->session);
    if (facts->space) {
        tell_memory(text, facts);
    }
    text_print(text, "Threads:\t%u\n", facts->threads);
    tell_signals(text, facts);
    tell_rights(text, facts);
    text_print(text, "Cpus_allowed_list:\t0");
    if (processors_online() > 1) {
        text_print(text, "-%u", processors_online() - 1);
    }
    text_add(text, "\n", 1);
}

int proc_status(const struct proc_what *what, struct proc_text *text, uint64_t *cursor)
{
    struct proc_facts facts;
    int error = proc_look(what, &facts);
    if (error) {
        return error;
    }
    uint64_t step = *cursor; /* then a step for some groups each, as many as there are when it is made */
    bool tells = step != ALL_TOLD;
    *cursor = tells ? step + 1 : step;
    if (step == 0) {
        tell_identity(what, text, &facts);
    } else if (tells && (step - 1) * GROUPS_EACH < facts.credentials->group_count) {
        tell_groups(text, facts.credentials, (step - 1) * GROUPS_EACH);
    } else if (tells) {
        tell_rest(text, &facts);
        *cursor = ALL_TOLD;
    }
    proc_let_go(&facts);
    return tells;
}
