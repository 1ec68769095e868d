/* The small PC that tests of the frame pool share; see pc.h. */
#include "pc.h"

struct machine pc;

static int start(const struct frame_policy *policy)
{
    machine_make_pc(&pc);
    return machine_start(&pc, 2, policy) == FRAME_OK ? 0 : -1;
}

int pc_setup(void **state)
{
    (void)state;
    return start(&frame_policy_buddy);
}

int pc_setup_bitmap(void **state)
{
    (void)state;
    return start(&frame_policy_bitmap);
}

int pc_teardown(void **state)
{
    (void)state;
    host_cpu = 0;
    bool sound = machine_is_sound(&pc);
    machine_destroy(&pc);
    return sound ? 0 : -1;
}
