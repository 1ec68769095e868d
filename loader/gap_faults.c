/* The tables that catch a fault between boot services and the kernel; see gap_faults.h. */
#include "gap_faults.h"

enum {
    GAP_STUB_BYTES = 16,
    GAP_STACK_BYTES = 8192,
    SELECTOR_CODE = 0x08,
    SELECTOR_DATA = 0x10,
    SELECTOR_TSS = 0x18,
};

extern const uint8_t gap_stubs[]; /* gap_entry.S: GAP_VECTORS stubs of GAP_STUB_BYTES */
extern void gap_load_tables(const void *gdt_pointer, const void *idt_pointer);

/*
 * The pragma, not the attribute: gnu-efi's headers leave a #pragma pack in force that overrules attributes.
 */
#pragma pack(push, 1)
struct table_pointer {
    uint16_t limit;
    unsigned long long base;
};
#pragma pack(pop)
_Static_assert(sizeof(struct table_pointer) == 10, "as the CPU reads it");

/* SDM volume 3, 6.14.1: a 64-bit interrupt gate. */
struct gate {
    uint16_t offset_low, selector;
    uint8_t stack, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
};

/* SDM volume 3, 7.7: the 64-bit task state segment; only the interrupt stack matters here. */
#pragma pack(push, 1)
struct task_state {
    uint32_t reserved0;
    unsigned long long stacks[3], reserved1, interrupt_stacks[7], reserved2;
    uint16_t reserved3, io_map;
};
#pragma pack(pop)
_Static_assert(sizeof(struct task_state) == 104, "as the CPU reads it");

static struct task_state task_state;
static struct gate gates[GAP_VECTORS];
static uint64_t segments[5];
static _Alignas(16) uint8_t stack[GAP_STACK_BYTES];

static void fill_gates(void)
{
    for (unsigned vector = 0; vector < GAP_VECTORS; vector++) {
        uint64_t offset = (uintptr_t)gap_stubs + (uint64_t)vector * GAP_STUB_BYTES;
        gates[vector] = (struct gate){
            .offset_low = (uint16_t)offset,
            .selector = SELECTOR_CODE,
            .stack = 1,
            .type = 0x8e,
            .offset_middle = (uint16_t)(offset >> 16),
            .offset_high = (uint32_t)(offset >> 32),
        };
    }
}

static void fill_segments(void)
{
    uint64_t base = (uintptr_t)&task_state;
    uint64_t limit = sizeof task_state - 1;
    segments[SELECTOR_CODE / 8] = 0x00209a0000000000ULL; /* 64-bit code */
    segments[SELECTOR_DATA / 8] = 0x0000920000000000ULL; /* data */
    segments[SELECTOR_TSS / 8] = limit | (base & 0xffffff) << 16 | 0x89ULL << 40 | (base >> 24 & 0xff) << 56;
    segments[SELECTOR_TSS / 8 + 1] = base >> 32;
}

void gap_faults_install(const struct loader *loader)
{
    gap_report_about(loader->info);
    task_state.interrupt_stacks[0] = (uintptr_t)(stack + sizeof stack);
    task_state.io_map = sizeof task_state;
    fill_gates();
    fill_segments();
    struct table_pointer gdt = {sizeof segments - 1, (uintptr_t)segments};
    struct table_pointer idt = {sizeof gates - 1, (uintptr_t)gates};
    gap_load_tables(&gdt, &idt);
}
