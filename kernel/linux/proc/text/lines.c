/* Lines of files below /proc; see lines.h. */
#include "lines.h"

#include <ashlar/string.h>

#define NAME_COLUMN     72 /* a name stands behind a blank in it */
#define KEPT_DEVICE     1  /* what stat() says, too */
#define NO_LIMIT        UINT64_MAX
#define PAGEMAP_PRESENT (1ULL << 63)
#define PAGEMAP_SWAPPED (1ULL << 62)
#define PAGEMAP_FILE    (1ULL << 61)
#define PAGEMAP_ALONE   (1ULL << 56)
#define PAGEMAP_FRAME   ((1ULL << 55) - 1)

void text_map(struct proc_text *text, const struct map_line *line)
{
    size_t start = text->used;
    text_print(text, "%08" PRIx64 "-%08" PRIx64 " %c%c%c%c %08" PRIx64 " 00:%02x %" PRIu64 " ", line->base,
               line->end, line->access & VM_READ ? 'r' : '-', line->access & VM_WRITE ? 'w' : '-',
               line->access & VM_EXECUTE ? 'x' : '-', line->shared ? 's' : 'p', line->offset,
               line->node ? KEPT_DEVICE : 0, line->node);
    if (line->name && line->name[0]) {
        while (!text->full && text->used - start < NAME_COLUMN) {
            text_add(text, " ", 1);
        }
        text_add(text, " ", 1);
        text_path(text, line->name);
    }
    text_add(text, "\n", 1);
}

static void count_line(struct proc_text *text, const char *name, uint64_t bytes)
{
    text_print(text, "%-16s%8" PRIu64 " kB\n", name, bytes >> 10);
}

void text_map_counts(struct proc_text *text, const struct map_line *line, const struct vm_counts *counts,
                     bool stack)
{
    static const char names[] =
        "Size:\0KernelPageSize:\0MMUPageSize:\0Rss:\0Pss:\0Pss_Dirty:\0Shared_Clean:\0"
        "Shared_Dirty:\0Private_Clean:\0Private_Dirty:\0Referenced:\0Anonymous:\0"
        "LazyFree:\0AnonHugePages:\0ShmemPmdMapped:\0FilePmdMapped:\0Shared_Hugetlb:\0"
        "Private_Hugetlb:\0Swap:\0SwapPss:\0Locked:\0";
    uint64_t clean = counts->resident - counts->dirty;
    uint64_t clean_alone = counts->alone - counts->dirty_alone;
    const uint64_t pages[] = {(line->end - line->base) >> FRAME_SHIFT,
                              1,
                              1,
                              counts->resident,
                              0,
                              0,
                              clean - clean_alone,
                              counts->dirty - counts->dirty_alone,
                              clean_alone,
                              counts->dirty_alone,
                              counts->used,
                              counts->anonymous,
                              0,
                              counts->large,
                              0,
                              0,
                              0,
                              0,
                              counts->swapped,
                              counts->swapped,
                              0};
    for (unsigned i = 0; i < ARRAY_LENGTH(pages); i++) {
        const char *name = text_name_at(names, i);
        count_line(text, name,
                   i == 4   ? counts->portion
                   : i == 5 ? counts->dirty_portion
                            : pages[i] << FRAME_SHIFT);
    }
    text_print(text, "THPeligible:    %d\n", 0);
    text_print(text, "VmFlags: %s%s%s%smr %sme %s%s\n", line->access & VM_READ ? "rd " : "",
               line->access & VM_WRITE ? "wr " : "", line->access & VM_EXECUTE ? "ex " : "",
               line->shared ? "sh " : "", line->access & VM_WRITE || !line->shared ? "mw " : "",
               stack ? "gd " : "", !line->shared && (line->access & VM_WRITE) ? "ac " : "");
}

uint64_t pagemap_word(bool present, bool swapped, bool file, bool alone, uint64_t frame)
{
    return (present ? PAGEMAP_PRESENT | (frame & PAGEMAP_FRAME) : 0) | (swapped ? PAGEMAP_SWAPPED : 0) |
           (file ? PAGEMAP_FILE : 0) | (alone ? PAGEMAP_ALONE : 0);
}

void text_kib(struct proc_text *text, const char *name, uint64_t bytes)
{
    text_print(text, "%s:\t%8" PRIu64 " kB\n", name, bytes >> 10);
}

static void limit_word(struct proc_text *text, uint64_t value)
{
    if (value == NO_LIMIT) {
        text_print(text, "%-20s ", "unlimited");
    } else {
        text_print(text, "%-20" PRIu64 " ", value);
    }
}

void text_limit(struct proc_text *text, const char *name, uint64_t soft, uint64_t hard, const char *unit)
{
    text_print(text, "%-25s ", name);
    limit_word(text, soft);
    limit_word(text, hard);
    if (*unit) {
        text_print(text, "%-10s\n", unit);
    } else {
        text_add(text, "\n", 1);
    }
}

/* What nobody here has is 0: a terminal's number, signals by number, waits by address, priorities, guests. */
void text_stat(struct proc_text *text, const struct stat_line *line)
{
    text_print(text, "%u (%s) %c %u %u %u 0 -1 0 %" PRIu64 " %" PRIu64 " 0 0 ", line->number, line->name,
               line->state, line->parent, line->group, line->session, line->faults, line->children_faults);
    text_print(text, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " ", line->user_time, line->kernel_time,
               line->children_user_time, line->children_kernel_time);
    text_print(text, "20 0 %u 0 %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " ", line->threads,
               line->started, line->bytes, line->resident, line->resident_limit);
    text_print(text, "%" PRIu64 " %" PRIu64 " %" PRIu64 " 0 0 0 0 0 0 0 0 0 %u %u 0 0 0 0 0 ", line->code,
               line->code_end, line->stack, line->exit_signal, line->cpu);
    text_print(text,
               "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
               "\n",
               line->data, line->data_end, line->heap, line->arguments, line->variables, line->variables,
               line->variables_end, line->exit_code);
}
