/* System calls of capabilities: capget, capset (include/uapi/linux/capability.h). */
#include <ashlar/string.h>

#include "calls.h"
#include "tree.h"

/* struct __user_cap_header_struct */
struct header {
    uint32_t version;
    int32_t number; /* of a task; 0: the calling one */
};

/* struct __user_cap_data_struct: 32 capabilities. */
struct part {
    uint32_t effective;
    uint32_t permitted;
    uint32_t inheritable;
};

#define VERSION_1     0x19980330U /* one part */
#define VERSION_2     0x20071026U /* two */
#define VERSION_3     0x20080522U /* the same */
#define PARTS_AT_MOST 2

/* How many parts the version has; 0: there is no such version, and the header gets the newest one. -EFAULT.
 */
static int parts_of(user_addr_t at, struct header *header)
{
    if (!copy_from_user(&header->version, at, sizeof header->version)) {
        return -EFAULT;
    }
    switch (header->version) {
    case VERSION_1:
        return 1;
    case VERSION_2:
    case VERSION_3:
        return 2;
    default:
        return put_user_32(at, VERSION_3) ? 0 : -EFAULT;
    }
}

static int64_t get_number(user_addr_t at, struct header *header)
{
    return copy_from_user(header, at, sizeof *header) ? 0 : -EFAULT;
}

static int64_t look(uint32_t number, struct rights *rights)
{
    tree_lock();
    const struct task *task = number == 0 ? task_current() : task_find(number);
    const struct process *process = task ? NULL : process_find(number);
    if (task) {
        *rights = task->credentials->rights;
    } else if (process) {
        *rights = process->credentials->rights;
    }
    tree_unlock();
    return task || process ? 0 : -ESRCH;
}

/* Without a place for the answer it is only asked which version there is. */
int64_t call_capget(const struct trap_frame *frame)
{
    struct header header;
    struct rights rights;
    struct part told[PARTS_AT_MOST];
    user_addr_t from = user_addr(argument_1(frame));
    user_addr_t to = user_addr(argument_2(frame));
    int parts = parts_of(from, &header);
    if (parts <= 0) {
        return parts < 0 ? parts : to.raw == 0 ? 0 : -EINVAL;
    }
    if (to.raw == 0) {
        return 0;
    }
    int64_t error = get_number(from, &header);
    error = error ? error : header.number < 0 ? -EINVAL : look((uint32_t)header.number, &rights);
    if (error) {
        return error;
    }
    for (int i = 0; i < parts; i++) {
        told[i] =
            (struct part){(uint32_t)(rights.effective >> 32 * i), (uint32_t)(rights.permitted >> 32 * i),
                          (uint32_t)(rights.inheritable >> 32 * i)};
    }
    return copy_to_user(to, told, (uint64_t)parts * sizeof told[0]) ? 0 : -EFAULT;
}

/* Only of the calling task. */
int64_t call_capset(const struct trap_frame *frame)
{
    struct header header;
    struct part wanted[PARTS_AT_MOST];
    user_addr_t from = user_addr(argument_1(frame));
    int parts = parts_of(from, &header);
    if (parts <= 0) {
        return parts < 0 ? parts : -EINVAL;
    }
    int64_t error = get_number(from, &header);
    if (error) {
        return error;
    }
    if (header.number != 0 && (uint32_t)header.number != task_current()->number) {
        return -EPERM;
    }
    memset(wanted, 0, sizeof wanted);
    if (!copy_from_user(wanted, user_addr(argument_2(frame)), (uint64_t)parts * sizeof wanted[0])) {
        return -EFAULT;
    }
    struct credentials *new = credentials_copy();
    if (!new) {
        return -ENOMEM;
    }
    int result =
        rights_set_capabilities(&new->rights, wanted[0].effective | (uint64_t)wanted[1].effective << 32,
                                wanted[0].permitted | (uint64_t)wanted[1].permitted << 32,
                                wanted[0].inheritable | (uint64_t)wanted[1].inheritable << 32);
    if (result) {
        credentials_put(new);
        return result;
    }
    credentials_set(new);
    return 0;
}
