/* What prctl() tells and keeps beside names and signals (include/uapi/linux/prctl.h). */
#include "prctl.h"
#include "calls.h"
#include "fail_nth.h"
#include "tree.h"

#define CAPABILITIES 41 /* CAP_LAST_CAP + 1 */
#define TSC_ENABLED  1U

enum prctl_rest {
    PRCTL_GET_DUMPABLE = 3,
    PRCTL_SET_DUMPABLE = 4,
    PRCTL_GET_KEEP_CAPABILITIES = 7,
    PRCTL_SET_KEEP_CAPABILITIES = 8,
    PRCTL_READ_BOUNDING_SET = 23,
    PRCTL_GET_TSC = 25,
    PRCTL_SET_TSC = 26,
    PRCTL_GET_SECURE_BITS = 27,
    PRCTL_SET_NO_NEW_PRIVILEGES = 38,
    PRCTL_GET_NO_NEW_PRIVILEGES = 39,
};

static bool rest_is_zero(const struct trap_frame *frame)
{
    return (argument_3(frame) | argument_4(frame) | argument_5(frame)) == 0;
}

/* Nothing is dumped, nobody gains anything by a program, and there are no sets of capabilities: so what is
 * set here is kept and told. */
int64_t prctl_rest(const struct trap_frame *frame)
{
    struct task *task = task_current();
    struct memory *memory = task->process->memory;
    uint64_t value = argument_2(frame);
    switch ((uint32_t)argument_1(frame)) {
    case PRCTL_GET_DUMPABLE:
        return !memory->undumpable;
    case PRCTL_SET_DUMPABLE:
        if (value > 1) {
            return -EINVAL;
        }
        memory->undumpable = value == 0;
        return 0;
    case PRCTL_GET_KEEP_CAPABILITIES:
        return task->keeps_capabilities;
    case PRCTL_SET_KEEP_CAPABILITIES:
        if (value > 1) {
            return -EINVAL;
        }
        task->keeps_capabilities = value;
        return 0;
    case PRCTL_READ_BOUNDING_SET:
        return value < CAPABILITIES ? 1 : -EINVAL;
    case PRCTL_GET_TSC:
        return put_user_32(user_addr(value), TSC_ENABLED) ? 0 : -EFAULT;
    case PRCTL_SET_TSC:
        return value == TSC_ENABLED ? 0 : -EINVAL;
    case PRCTL_GET_SECURE_BITS:
        return 0;
    case PRCTL_SET_NO_NEW_PRIVILEGES:
        if (value != 1 || !rest_is_zero(frame)) {
            return -EINVAL;
        }
        task->no_new_privileges = true;
        return 0;
    case PRCTL_GET_NO_NEW_PRIVILEGES:
        return value == 0 && rest_is_zero(frame) ? task->no_new_privileges : -EINVAL;
#ifdef ASHLAR_DEBUG
    case FAIL_NTH:
        return fail_nth_plan(frame);
#endif
    default:
        return -EINVAL;
    }
}
