/*
 * Who a task is and what it may do: users, groups and capabilities, and how each call changes them. Linux's
 * rules (credentials(7), capabilities(7), kernel/sys.c, security/commoncap.c), without user namespaces,
 * ambient capabilities, secure bits and capabilities of files. Pure.
 */
#pragma once

#include <ashlar/types.h>

#define ID_NONE UINT32_MAX /* no user and no group; to set it is to leave what there is */

/* Capabilities, by their bits (include/uapi/linux/capability.h): those that anything here asks for. */
#define CAPABILITY_COUNT 41 /* CAP_LAST_CAP + 1 */
#define CAPABILITIES_ALL ((1ULL << CAPABILITY_COUNT) - 1)

enum capability {
    CAPABILITY_CHOWN = 0,
    CAPABILITY_OVERRIDE = 1, /* CAP_DAC_OVERRIDE */
    CAPABILITY_SEARCH = 2,   /* CAP_DAC_READ_SEARCH */
    CAPABILITY_OWNER = 3,
    CAPABILITY_SET_ID = 4,
    CAPABILITY_KILL = 5,
    CAPABILITY_SET_GROUP = 6,
    CAPABILITY_SET_USER = 7,
    CAPABILITY_SET_CAPABILITIES = 8, /* CAP_SETPCAP */
    CAPABILITY_IMMUTABLE = 9,
    CAPABILITY_CHROOT = 18,
    CAPABILITY_TRACE = 19,
    CAPABILITY_ADMIN = 21,
    CAPABILITY_NICE = 23,
    CAPABILITY_RESOURCE = 24,
    CAPABILITY_TIME = 25,
    CAPABILITY_MKNOD = 27,
    CAPABILITY_MAC_OVERRIDE = 32,
};

#define CAPABILITY_BIT(capability) (1ULL << (capability))

/* Those that go with the user of files: CAP_FS_SET. */
#define CAPABILITIES_OF_FILES                                                                                \
    (CAPABILITY_BIT(CAPABILITY_CHOWN) | CAPABILITY_BIT(CAPABILITY_OVERRIDE) |                                \
     CAPABILITY_BIT(CAPABILITY_SEARCH) | CAPABILITY_BIT(CAPABILITY_OWNER) |                                  \
     CAPABILITY_BIT(CAPABILITY_SET_ID) | CAPABILITY_BIT(CAPABILITY_IMMUTABLE) |                              \
     CAPABILITY_BIT(CAPABILITY_MKNOD) | CAPABILITY_BIT(CAPABILITY_MAC_OVERRIDE))

struct ids {
    uint32_t real;
    uint32_t effective;
    uint32_t saved;
    uint32_t file; /* that permissions of files are asked with */
};

struct rights {
    struct ids user;
    struct ids group;
    uint64_t permitted; /* sets of capabilities */
    uint64_t effective;
    uint64_t inheritable;
    uint64_t bounding;
};

static inline bool rights_have(const struct rights *rights, enum capability capability)
{
    return rights->effective & CAPABILITY_BIT(capability);
}

/* What sets IDs: how many there are to set, and by which rule. */
enum ids_call {
    IDS_ONE,   /* setuid: ids[0] */
    IDS_TWO,   /* setreuid: real and effective */
    IDS_THREE, /* setresuid: real, effective and saved */
    IDS_FILE,  /* setfsuid: ids[0]; what is not allowed is left */
};

/*
 * Sets users, or groups. keeps: capabilities stay permitted when the last ID of user 0 goes
 * (PR_SET_KEEPCAPS). Returns 0, -EINVAL or -EPERM, with nothing changed.
 */
int rights_set_ids(struct rights *rights, bool of_groups, enum ids_call call, const uint32_t ids[3],
                   bool keeps);

/* capset(): 0 or -EPERM, with nothing changed. Bits beyond the last capability are left out. */
int rights_set_capabilities(struct rights *rights, uint64_t effective, uint64_t permitted,
                            uint64_t inheritable);

/* execve(): rights are those of the program then. no_new: it gets no more than there were. Returns whether it
 * has to be careful with what it was given (AT_SECURE). */
bool rights_execute(struct rights *rights, bool no_new);

/* Whether the change takes from others what they may see of the process, and from the process what it has
 * asked to be told of its parent's end. */
bool rights_differ(const struct rights *before, const struct rights *now);

/* ---- What may be done to another task ---- */

/* A signal may be sent. */
bool rights_may_signal(const struct rights *own, const struct rights *other);

/* It may be looked into, and changed, as by a debugger. by_file: asked with the IDs of files and what is
 * effective, as for files below /proc; else with the real ones and what is permitted. dumpable: as the other
 * process has it. */
bool rights_may_trace(const struct rights *own, const struct rights *other, bool dumpable, bool by_file);

/* Its scheduling may be changed, its nice value among it; and its limits. */
bool rights_may_schedule(const struct rights *own, const struct rights *other);
bool rights_may_limit(const struct rights *own, const struct rights *other);
