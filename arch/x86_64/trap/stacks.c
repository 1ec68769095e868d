/*
 * Trap stacks of the boot CPU, each above a page that is unmapped: an overflow faults there, and is named.
 *
 * They lie in the image's zeroed data, since the first fault can come before there is any allocator. Each has
 * room for as many frames of IST_LEVEL_BYTES as can nest (see PARANOID in entry.S).
 */
#define LOG_SUBSYSTEM "traps"
#include <x86/cpu_stacks.h>

#include <ashlar/log.h>
#include <ashlar/trap.h>
#include <x86/control_registers.h>

#include "arch/x86_64/fault/probe.h"

#define NESTING 2 /* an NMI inside an NMI, and so on */

/* Frames that can lie on the page-fault stack at once: that of a stack overflow, which stays here; one for
 * each time that a debug exception, an NMI, a machine check or a double fault moves the slot down; one of a
 * fault inside a report. */
#define PAGE_FAULT_NESTING 6

#define PANIC_STACK_BYTES (16 * 1024)

struct __attribute__((aligned(4096))) stack_set {
    uint8_t debug_guard[FRAME_BYTES];
    uint8_t debug[NESTING * IST_LEVEL_BYTES];
    uint8_t nmi_guard[FRAME_BYTES];
    uint8_t nmi[NESTING * IST_LEVEL_BYTES];
    uint8_t double_fault_guard[FRAME_BYTES];
    uint8_t double_fault[NESTING * IST_LEVEL_BYTES];
    uint8_t machine_check_guard[FRAME_BYTES];
    uint8_t machine_check[NESTING * IST_LEVEL_BYTES];
    uint8_t page_fault_guard[FRAME_BYTES];
    uint8_t page_fault[PAGE_FAULT_NESTING * IST_LEVEL_BYTES];
    uint8_t panic_guard[FRAME_BYTES];
    uint8_t panic[PANIC_STACK_BYTES];
};

static struct stack_set stacks;

/* What is known of one stack: names for fault reports. */
static const struct {
    uint8_t *guard;
    size_t bytes; /* of the stack, which follows the guard */
    const char *stack_name;
    const char *guard_name;
} described[] = {
    {stacks.debug_guard, sizeof stacks.debug, "debug stack", "guard page below the debug stack"},
    {stacks.nmi_guard, sizeof stacks.nmi, "NMI stack", "guard page below the NMI stack"},
    {stacks.double_fault_guard, sizeof stacks.double_fault, "double-fault stack",
     "guard page below the double-fault stack"},
    {stacks.machine_check_guard, sizeof stacks.machine_check, "machine-check stack",
     "guard page below the machine-check stack"},
    {stacks.page_fault_guard, sizeof stacks.page_fault, "page-fault stack",
     "guard page below the page-fault stack"},
    {stacks.panic_guard, sizeof stacks.panic, "panic stack", "guard page below the panic stack"},
};

/* By slot. */
static const struct {
    const char *name;
    size_t bytes;
} slots[IST_COUNT + 1] = {
    [IST_NMI] = {"NMI", sizeof stacks.nmi},
    [IST_DOUBLE_FAULT] = {"double fault", sizeof stacks.double_fault},
    [IST_MACHINE_CHECK] = {"machine check", sizeof stacks.machine_check},
    [IST_PAGE_FAULT] = {"page fault", sizeof stacks.page_fault},
    [IST_DEBUG] = {"debug", sizeof stacks.debug},
};

#define STACK_TOP(stack) ((uintptr_t)(stack) + sizeof(stack))

void cpu_stacks_init(struct per_cpu *cpu)
{
    cpu->tss.ist[IST_DEBUG - 1] = STACK_TOP(stacks.debug);
    cpu->tss.ist[IST_NMI - 1] = STACK_TOP(stacks.nmi);
    cpu->tss.ist[IST_DOUBLE_FAULT - 1] = STACK_TOP(stacks.double_fault);
    cpu->tss.ist[IST_MACHINE_CHECK - 1] = STACK_TOP(stacks.machine_check);
    cpu->tss.ist[IST_PAGE_FAULT - 1] = STACK_TOP(stacks.page_fault);
}

bool cpu_stacks_guard_page(unsigned index, virt_addr_t *page)
{
    if (index >= ARRAY_LENGTH(described)) {
        return false;
    }
    *page = virt_of(described[index].guard);
    return true;
}

size_t trap_stack_bytes(unsigned slot)
{
    return slots[slot].bytes;
}

const char *trap_stack_name(unsigned slot)
{
    return slots[slot].name;
}

void *panic_stack_top(void)
{
    return (void *)STACK_TOP(stacks.panic);
}

static bool resolve_stack(virt_addr_t address, struct memory_region *region)
{
    for (size_t i = 0; i < ARRAY_LENGTH(described); i++) {
        uint64_t guard = (uintptr_t)described[i].guard;
        if (address.raw - guard < FRAME_BYTES) {
            *region = (struct memory_region){virt_addr(guard), FRAME_BYTES, described[i].guard_name, true};
            return true;
        }
        if (address.raw - guard < FRAME_BYTES + described[i].bytes) {
            *region = (struct memory_region){virt_addr(guard + FRAME_BYTES), described[i].bytes,
                                             described[i].stack_name, false};
            return true;
        }
    }
    return false;
}

static struct region_resolver resolver = {.resolve = resolve_stack};

/* The image is mapped by 4 KiB pages (boot_info's segments are only page-aligned), so each guard has its own
 * entry. */
static void unmap(virt_addr_t page)
{
    struct page_walk walk = page_walk_current(page);
    uint64_t *entry = page_walk_leaf(&walk);
    if (!entry || walk.steps[walk.step_count - 1].level != PAGE_LEVEL_4K) {
        log_warning("the guard page at %#" PRIx64 " stays mapped: it has no page-table entry of its own",
                    page.raw);
        return;
    }
    *entry = 0;
    tlb_drop_page(page);
}

void cpu_stacks_guard(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(described); i++) {
        unmap(virt_of(described[i].guard));
    }
    region_resolver_add(&resolver);
}
