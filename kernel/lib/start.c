/* See <ashlar/start.h>. */
#include <ashlar/platform.h>
#include <ashlar/start.h>

static const char *const names[START_STAGES] = {
    [START_ENTRY] = "entry",         [START_CONSOLE] = "console", [START_FIRMWARE] = "firmware",
    [START_FRAMES] = "frames",       [START_PAGING] = "paging",   [START_HEAP] = "heap",
    [START_ADDRESSES] = "addresses", [START_SPACES] = "spaces",   [START_INTERRUPTS] = "interrupts",
    [START_CLOCK] = "clock",         [START_TIMERS] = "timers",   [START_DEVICES] = "devices",
};

enum start_stage start_stage_in_force = START_ENTRY;

const char *start_stage_name(enum start_stage stage)
{
    return (unsigned)stage < START_STAGES ? names[stage] : "unknown";
}

void start_reached(enum start_stage stage)
{
    if (stage != start_stage_in_force + 1) {
        panic("start-up reaches the stage \"%s\" after \"%s\"", start_stage_name(stage),
              start_stage_name(start_stage_in_force));
    }
    start_stage_in_force = stage;
}

_Noreturn void start_too_early(enum start_stage stage, const char *function)
{
    panic("%s() is called too early: it needs the stage \"%s\" of start-up, which has reached \"%s\"",
          function, start_stage_name(stage), start_stage_name(start_stage_in_force));
}
