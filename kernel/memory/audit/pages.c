/*
 * The audit of page tables: see <ashlar/page_audit.h>.
 *
 * Several passes over all runs of mappings: one for their reasons and one for the frames of regions
 * (audit/reason.c), between them two for each round of comparing them with each other (audit/alias.c). The
 * tables themselves are verified by page_table_check().
 */
#include <ashlar/boot.h>
#include <ashlar/format.h>
#include <ashlar/memory.h>
#include <ashlar/vm_kernel.h>

#include "internal.h"

/* A set of page tables, as it is looked at. */
struct page_set {
    struct page_table *table; /* where */
    virt_addr_t last;         /* last address to audit: of all sets but the kernel's, the lower half's */
    const char *name;         /* for people */
    struct vm_space *space;   /* for a user space's tables: the space, with a reference; else NULL */
};

_Static_assert(PAGE_AUDIT_NAME_BYTES == VM_NAME_BYTES, "a space's name fits");

/*
 * Gives the sets one after the other: *at starts as 0; false at the end. The caller ends each with set_put().
 */
typedef bool set_source(const void *context, uint32_t *at, struct page_set *set);

struct source {
    set_source *next;
    const void *context; /* for it */
};

static void set_put(const struct page_set *set)
{
    if (set->space) {
        vm_space_put(set->space);
    }
}

static void complain(struct page_audit *audit, const char *what, const char *whose,
                     const struct page_run *run)
{
    if (audit->problems++ == 0) {
        audit->what = what;
        format(audit->whose, sizeof audit->whose, "%s", whose);
        audit->run = *run;
    }
}

/* ---- Which sets there are ---- */

/* The kernel's, the firmware's, and those of user spaces, in this order. */
static bool next_in_force(const void *context, uint32_t *at, struct page_set *set)
{
    struct vm_manager *manager = kernel_vm_manager();
    struct page_table *kernel = kernel_page_table();
    struct page_table *runtime = address_space_runtime();
    (void)context;
    if (*at == 0) {
        *at = 1;
        *set = (struct page_set){kernel, virt_addr(UINT64_MAX), "kernel", NULL};
        return true;
    }
    if (*at == 1) {
        *at = 2;
        *set = (struct page_set){runtime, page_table_lower_end(kernel), "UEFI runtime", NULL};
        if (runtime) {
            return true;
        }
    }
    struct vm_space *space;
    uint32_t number = *at - 2;
    while ((space = vm_space_get_next(manager, &number)) && !space->user) {
        vm_space_put(space);
    }
    *at = number + 2;
    if (space) {
        *set = (struct page_set){&space->own, page_table_lower_end(kernel), space->name, space};
    }
    return space;
}

struct given {
    struct page_table *const *tables; /* any */
    size_t count;                     /* entries */
};

static bool next_given(const void *context, uint32_t *at, struct page_set *set)
{
    const struct given *given = context;
    if (*at == given->count) {
        return false;
    }
    struct page_table *table = given->tables[*at];
    *set = (struct page_set){table, *at == 0 ? virt_addr(UINT64_MAX) : page_table_lower_end(table), "given",
                             NULL};
    ++*at;
    return true;
}

/* ---- Passes ---- */

typedef void run_visitor(struct page_audit *audit, const struct page_set *set, const struct page_run *run);

static void each_run(struct page_audit *audit, const struct source *source, run_visitor *visit)
{
    struct page_set set;
    for (uint32_t at = 0; source->next(source->context, &at, &set);) {
        struct page_runs walk;
        struct page_run run;
        page_runs_start(&walk, set.table, virt_addr(0), set.last);
        while (page_runs_next(&walk, &run)) {
            visit(audit, &set, &run);
        }
        set_put(&set);
    }
}

static const char *reason_of(const struct page_set *set, struct page_run *run)
{
    if (set->space) {
        return page_reason_space(set->space, run);
    }
    return set->table == kernel_page_table() ? page_reason_kernel(run) : page_reason_firmware(run);
}

static void judge_reason(struct page_audit *audit, const struct page_set *set, const struct page_run *run)
{
    struct page_run part = *run;
    const char *what = reason_of(set, &part);
    what = what ? what : page_reason_writable(run);
    audit->mappings += run->bytes >> page_level_shift(run->level);
    audit->bytes += run->bytes;
    if (what) {
        complain(audit, what, set->name, &part);
    }
}

/* Asked last, so that a contradiction with another mapping is reported as a contradiction. */
static void judge_frames(struct page_audit *audit, const struct page_set *set, const struct page_run *run)
{
    struct vm_space *space = set->table == kernel_page_table() ? kernel_lazy_space() : set->space;
    struct page_run part = *run;
    const char *what = space ? page_reason_frames(space, &part) : NULL;
    if (what) {
        complain(audit, what, set->name, &part);
    }
}

static void note_aliases(struct page_audit *audit, const struct page_set *set, const struct page_run *run)
{
    (void)set;
    page_aliases_note(audit, run);
}

static void judge_aliases(struct page_audit *audit, const struct page_set *set, const struct page_run *run)
{
    const struct boot_paging *paging = &boot_info()->paging;
    bool physmap = run->base.raw - paging->physmap.raw < paging->physmap_bytes;
    const char *what = page_aliases_broken(audit, run, physmap);
    if (what) {
        complain(audit, what, set->name, run);
    }
}

static void compare_all(struct page_audit *audit, const struct source *source)
{
    do {
        page_aliases_begin(audit);
        each_run(audit, source, note_aliases);
        each_run(audit, source, judge_aliases);
    } while (page_aliases_left(audit));
}

/* ---- The tables themselves ---- */

static void check_tables(struct page_audit *audit, const struct source *source)
{
    struct page_set set;
    for (uint32_t at = 0; source->next(source->context, &at, &set);) {
        struct page_table_problem problem;
        audit->sets++;
        audit->tables += set.table->table_frames + atomic_load(&set.table->tables_waiting);
        if (!page_table_check(set.table, &problem)) {
            const struct page_run where = {.base = problem.address};
            audit->unsound = audit->unsound.what ? audit->unsound : problem;
            complain(audit, problem.what, set.name, &where);
        }
        set_put(&set);
    }
}

static bool is_known(const struct source *source, const struct page_table *table)
{
    struct page_set set;
    for (uint32_t at = 0; source->next(source->context, &at, &set);) {
        set_put(&set);
        if (set.table == table) {
            return true;
        }
    }
    return false;
}

/* All tables that share the kernel's half can be loaded, so each must be one of the sets. */
static void check_sharers(struct page_audit *audit, const struct source *source)
{
    const struct page_table *sharer = kernel_page_table()->next_sharer;
    for (; sharer; sharer = sharer->next_sharer) {
        if (!is_known(source, sharer)) {
            const struct page_run root = {.target = sharer->root};
            complain(audit, "page tables that nobody owns", "nobody", &root);
        }
    }
}

bool page_audit(struct page_audit *audit)
{
    const struct source source = {next_in_force, NULL};
    *audit = (struct page_audit){0};
    check_tables(audit, &source);
    check_sharers(audit, &source);
    each_run(audit, &source, judge_reason);
    compare_all(audit, &source);
    each_run(audit, &source, judge_frames);
    return audit->problems == 0;
}

bool page_audit_aliases(struct page_audit *audit, struct page_table *const *tables, size_t count)
{
    const struct given given = {tables, count};
    const struct source source = {next_given, &given};
    *audit = (struct page_audit){0};
    compare_all(audit, &source);
    return audit->problems == 0;
}
