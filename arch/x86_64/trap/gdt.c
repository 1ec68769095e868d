/* Segment descriptors: SDM volume 3, 3.4.5 and 7.2.3. */
#include <ashlar/platform.h>
#include <x86/cpu.h>
#include <x86/msr.h>
#include <x86/segments.h>

/* Flat descriptors with the accessed bit set, so that the CPU never writes to the table. */
#define DESCRIPTOR_CODE 0x00af9b000000ffffULL /* 64-bit, present, ring 0 */
#define DESCRIPTOR_DATA 0x00cf93000000ffffULL /* writable, present, ring 0 */
#define DESCRIPTOR_USER (3ULL << 45)          /* ring 3 */

#define TASK_AVAILABLE (0x89ULL << 40) /* present, ring 0, 64-bit TSS, not busy */

static void fill_descriptors(struct per_cpu *cpu)
{
    uint64_t task = (uintptr_t)&cpu->tss;
    cpu->gdt = (struct global_descriptors){
        .kernel_code = DESCRIPTOR_CODE,
        .kernel_data = DESCRIPTOR_DATA,
        .user_data = DESCRIPTOR_DATA | DESCRIPTOR_USER,
        .user_code = DESCRIPTOR_CODE | DESCRIPTOR_USER,
        .task = {(sizeof cpu->tss - 1) | (task & 0xffffff) << 16 | TASK_AVAILABLE | (task >> 24 & 0xff) << 56,
                 task >> 32},
    };
    cpu->tss.io_map_offset = sizeof cpu->tss;
}

/* Loads every segment register; CS by a far return, since no instruction writes it. FS and GS are used by
 * base only. */
static void reload_segments(void)
{
    uint64_t scratch;
    __asm__ volatile("pushq %1\n\t"
                     "leaq 1f(%%rip), %0\n\t"
                     "pushq %0\n\t"
                     "lretq\n"
                     "1:\tmovl %2, %%ds\n\t"
                     "movl %2, %%es\n\t"
                     "movl %2, %%ss\n\t"
                     "movl %3, %%fs\n\t"
                     "movl %3, %%gs"
                     : "=&r"(scratch)
                     : "i"(SELECTOR_KERNEL_CODE), "r"(SELECTOR_KERNEL_DATA), "r"(0)
                     : "memory");
}

void gdt_load(struct per_cpu *cpu)
{
    fill_descriptors(cpu);
    struct descriptor_table table = {.limit = sizeof cpu->gdt - 1, .base = (uintptr_t)&cpu->gdt};
    DESCRIPTOR_TABLE_LOAD("lgdt", table);
    reload_segments();
    msr_write(MSR_FS_BASE, 0);
    msr_write(MSR_GS_BASE, (uintptr_t)cpu);
    msr_write(MSR_KERNEL_GS_BASE, 0);
    __asm__ volatile("ltr %w0" : : "r"(SELECTOR_TASK));
    __asm__ volatile("lldt %w0" : : "r"(0));
}
