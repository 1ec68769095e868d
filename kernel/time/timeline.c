/* See <ashlar/timeline.h>. */
#include <ashlar/format.h>
#include <ashlar/platform.h>
#include <ashlar/timeline.h>

#define TIMELINE_POINTS_MAX 64

static struct boot_stage points[TIMELINE_POINTS_MAX];
static unsigned point_count;

void timeline_init(const struct boot_info *info)
{
    point_count = info->stage_count < BOOT_STAGES_MAX ? info->stage_count : BOOT_STAGES_MAX;
    for (unsigned i = 0; i < point_count; i++) {
        points[i] = info->stages[i];
        points[i].name[BOOT_STAGE_NAME_BYTES - 1] = 0;
    }
}

void timeline_mark(const char *name)
{
    if (point_count < TIMELINE_POINTS_MAX) {
        struct boot_stage *point = &points[point_count++];
        point->ticks = cpu_ticks();
        format(point->name, sizeof point->name, "%s", name);
    }
}

unsigned timeline_count(void)
{
    return point_count;
}

struct boot_stage timeline_point(unsigned index)
{
    struct boot_stage point = points[index];
    point.ticks -= points[0].ticks;
    return point;
}
