/* What each processor needs for itself before it can be started: its data, and stacks between guard pages. */
#include <ashlar/format.h>
#include <ashlar/heap.h>
#include <ashlar/kernel_stack.h>
#include <ashlar/string.h>
#include <x86/cpu_stacks.h>

#include "internal.h"
#include "kernel/task/task.h"

#define CACHE_LINE 64

/* For good: a processor is never taken away again. */
struct processor_memory {
    struct per_cpu cpu;
    struct thread idle; /* begins on the stack `own`, and runs when no other can */
    struct kernel_stack own;
    struct kernel_stack traps[IST_COUNT]; /* by slot, from slot 1 on */
};

static void free_memory(struct processor_memory *memory)
{
    for (unsigned i = 0; i < IST_COUNT; i++) {
        if (memory->traps[i].bytes != 0) {
            kernel_stack_free(&kernel_vmalloc, &memory->traps[i]);
        }
    }
    if (memory->own.bytes != 0) {
        kernel_stack_free(&kernel_vmalloc, &memory->own);
    }
    heap_free(&kernel_heap, memory);
}

static bool make_stacks(struct processor_memory *memory, uint32_t number)
{
    char name[KERNEL_STACK_NAME_BYTES];
    format(name, sizeof name, "CPU %u", number);
    bool made = kernel_stack_alloc(&kernel_vmalloc, &memory->own, name, KERNEL_STACK_BYTES);
    for (unsigned i = 0; made && i < IST_COUNT; i++) {
        format(name, sizeof name, "CPU %u, %s", number, trap_stack_name(i + 1));
        made = kernel_stack_alloc(&kernel_vmalloc, &memory->traps[i], name, trap_stack_bytes(i + 1));
    }
    return made;
}

bool processor_make(struct processor *processor, struct startup_cpu *record)
{
    struct processor_memory *memory = heap_alloc_aligned_zeroed(&kernel_heap, sizeof *memory, CACHE_LINE);
    if (!memory) {
        return false;
    }
    if (!make_stacks(memory, processor->number)) {
        free_memory(memory);
        return false;
    }
    virt_addr_t tops[IST_COUNT];
    for (unsigned i = 0; i < IST_COUNT; i++) {
        tops[i] = kernel_stack_top(&memory->traps[i]);
    }
    per_cpu_prepare(&memory->cpu, processor->number, tops);
    thread_make_idle(&memory->idle, &memory->cpu);
    processor->cpu = &memory->cpu;
    record->apic_id = processor->apic_id;
    record->stack_top = kernel_stack_top(&memory->own).raw;
    record->cpu = &memory->cpu;
    return true;
}
