/* sysinfo: the machine's memory in one record (include/uapi/linux/sysinfo.h); and the same for /proc. */
#include <ashlar/clock.h>
#include <ashlar/memory.h>
#include <ashlar/string.h>

#include "calls.h"
#include "machine_memory.h"
#include "tree.h"

void machine_memory(struct machine_memory *memory)
{
    struct frame_ledger ledger;
    frame_pool_ledger(kernel_frames(), &ledger);
    const uint64_t *owners = ledger.owner_bytes;
    *memory = (struct machine_memory){.free = ledger.free_bytes + ledger.magazine_bytes,
                                      .programs = owners[OWNER_USER],
                                      .files = owners[OWNER_CACHE],
                                      .slabs = owners[OWNER_SLABS] + owners[OWNER_HEAP],
                                      .stacks = owners[OWNER_STACKS],
                                      .tables = owners[OWNER_PAGE_TABLES]};
    memory->total = memory->free + memory->programs + memory->files + memory->slabs + memory->stacks +
                    memory->tables + owners[OWNER_VMALLOC] + owners[OWNER_KVA] + owners[OWNER_DMA] +
                    owners[OWNER_OTHER];
}

/* struct sysinfo */
struct system_information {
    uint64_t seconds;
    uint64_t loads[3];
    uint64_t total, free, shared, buffers, total_swap, free_swap;
    uint16_t tasks;
    uint16_t unused;
    uint64_t total_high, free_high;
    uint32_t unit;
};

_Static_assert(sizeof(struct system_information) == 112, "Linux's struct sysinfo");

int64_t call_sysinfo(const struct trap_frame *frame)
{
    struct system_information information;
    struct machine_memory memory;
    machine_memory(&memory);
    memset(&information, 0, sizeof information);
    information.seconds = clock_nanoseconds() / NANOSECONDS_PER_SECOND;
    information.total = memory.total;
    information.free = memory.free;
    information.shared = memory.files;
    information.unit = 1;
    tree_lock();
    information.tasks = (uint16_t)min_u64(tree_task_count(), UINT16_MAX);
    tree_unlock();
    return copy_to_user(user_addr(argument_1(frame)), &information, sizeof information) ? 0 : -EFAULT;
}
