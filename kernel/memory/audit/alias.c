/*
 * Contradictions between mappings of the same physical memory: writable here and executable there, cached in
 * two ways.
 *
 * Only a few mappings restrict others: code, and memory that is not cached write-back. Up to
 * PAGE_ALIAS_RANGES stretches of each are noted, and every mapping is compared with them; if there are more,
 * another round follows. So any number of mappings can be compared without allocating memory.
 *
 * One exception: memory that only the user can execute is writable in the physmap, since the kernel has to
 * put the code there. A CPU with SMEP does not execute it in kernel mode.
 */
#include "internal.h"

static void list_begin(struct page_alias_list *list)
{
    list->done += list->count;
    list->seen = 0;
    list->count = 0;
}

static void list_add(struct page_alias_list *list, const struct page_run *run)
{
    if (list->seen++ >= list->done && list->count < PAGE_ALIAS_RANGES) {
        list->ranges[list->count++] = (struct page_alias){run->target.raw, run->target.raw + run->bytes,
                                                          run->cache, (run->access & PAGE_USER) != 0};
    }
}

static bool list_left(const struct page_alias_list *list)
{
    return list->seen > list->done + list->count;
}

void page_aliases_begin(struct page_audit *audit)
{
    list_begin(&audit->executable);
    list_begin(&audit->special);
}

void page_aliases_note(struct page_audit *audit, const struct page_run *run)
{
    if (run->access & PAGE_EXECUTE) {
        list_add(&audit->executable, run);
    }
    if (run->cache != CACHE_WRITE_BACK) {
        list_add(&audit->special, run);
    }
}

bool page_aliases_left(const struct page_audit *audit)
{
    return list_left(&audit->executable) || list_left(&audit->special);
}

static bool overlaps(const struct page_alias *alias, const struct page_run *run)
{
    return run->target.raw < alias->end && alias->base < run->target.raw + run->bytes;
}

static bool is_executable(const struct page_alias_list *list, const struct page_run *run, bool physmap)
{
    for (unsigned i = 0; i < list->count; i++) {
        if (overlaps(&list->ranges[i], run) && !(physmap && list->ranges[i].user)) {
            return true;
        }
    }
    return false;
}

static bool cached_otherwise(const struct page_alias_list *list, const struct page_run *run)
{
    for (unsigned i = 0; i < list->count; i++) {
        if (overlaps(&list->ranges[i], run) && list->ranges[i].cache != run->cache) {
            return true;
        }
    }
    return false;
}

const char *page_aliases_broken(const struct page_audit *audit, const struct page_run *run, bool physmap)
{
    if ((run->access & PAGE_WRITE) && is_executable(&audit->executable, run, physmap)) {
        return "writable, and executable by this or another address";
    }
    return cached_otherwise(&audit->special, run) ? "cached in another way at another address" : NULL;
}
