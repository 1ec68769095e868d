/* The plan of the physmap; see <ashlar/physmap.h>. */
#include <ashlar/memory_type.h>
#include <ashlar/physmap.h>

void physmap_plan_start(struct physmap_plan *plan, const struct memory_range *ranges, size_t count,
                        uint64_t limit)
{
    *plan = (struct physmap_plan){.ranges = ranges, .range_count = count, .limit = limit};
}

bool physmap_plan_protect(struct physmap_plan *plan, phys_addr_t base, uint64_t bytes)
{
    size_t at = plan->read_only_count;
    if (at == PHYSMAP_READ_ONLY_MAX) {
        return false;
    }
    for (; at > 0 && plan->read_only[at - 1].base > base.raw; at--) {
        plan->read_only[at] = plan->read_only[at - 1];
    }
    plan->read_only[at] = (struct physmap_stretch){base.raw, base.raw + bytes};
    plan->read_only_count++;
    return true;
}

static bool is_ram(uint32_t type)
{
    return type < MEMORY_MMIO;
}

/* Types of memory that are all cached alike: a large page may span several of them. */
static bool is_ordinary_ram(uint32_t type)
{
    return type <= MEMORY_KERNEL;
}

static uint64_t range_end(const struct memory_range *range)
{
    return range->base.raw + range->bytes;
}

/* Joins the next range, and those after it that touch it and are cached alike, to one run. */
static void take_run(struct physmap_plan *plan)
{
    const struct memory_range *ranges = plan->ranges;
    size_t first = plan->next++;
    if (!is_ram(ranges[first].type)) {
        return;
    }
    while (plan->next < plan->range_count && is_ordinary_ram(ranges[first].type) &&
           is_ordinary_ram(ranges[plan->next].type) &&
           range_end(&ranges[plan->next - 1]) == ranges[plan->next].base.raw) {
        plan->next++;
    }
    uint64_t end = min_u64(range_end(&ranges[plan->next - 1]), plan->limit);
    plan->run = (struct physmap_stretch){ranges[first].base.raw, max_u64(end, ranges[first].base.raw)};
    plan->run_writable = ranges[first].type != MEMORY_RUNTIME;
}

/* The end of the first part of the run that has one access throughout; *writable becomes that access. */
static uint64_t piece_end(const struct physmap_plan *plan, bool *writable)
{
    uint64_t end = plan->run.end;
    *writable = plan->run_writable;
    for (size_t i = 0; *writable && i < plan->read_only_count; i++) {
        const struct physmap_stretch *stretch = &plan->read_only[i];
        if (stretch->end <= plan->run.base || stretch->base >= end) {
            continue;
        }
        *writable = stretch->base > plan->run.base;
        end = *writable ? stretch->base : min_u64(stretch->end, end);
    }
    return end;
}

bool physmap_plan_next(struct physmap_plan *plan, struct physmap_piece *piece)
{
    while (plan->run.base == plan->run.end && plan->next < plan->range_count) {
        take_run(plan);
    }
    if (plan->run.base == plan->run.end) {
        return false;
    }
    uint64_t end = piece_end(plan, &piece->writable);
    piece->base = phys_addr(plan->run.base);
    piece->bytes = end - plan->run.base;
    plan->run.base = end;
    return true;
}
