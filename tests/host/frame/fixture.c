#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static bool keeps_memory;
static struct machine kept; /* memory of a destroyed machine, or NULL */

static void *machine_reserve(uint64_t bytes)
{
    void *memory =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        perror("mmap");
        abort();
    }
    return memory;
}

static unsigned machine_map_page(void *context, void *page, phys_addr_t frame, const phys_addr_t *tables)
{
    struct machine *machine = context;
    uint64_t table = ((uintptr_t)page >> 21) + 1;
    (void)tables;
    machine->pages[machine->pages_mapped++ % MACHINE_PAGES_MAX] = frame.raw >> FRAME_SHIFT;
    if (table == machine->last_table) {
        return 0;
    }
    machine->last_table = table;
    return 1;
}

static uint64_t descriptor_bytes(uint64_t bytes)
{
    return bytes / FRAME_BYTES * sizeof(struct frame_descriptor) + FRAME_BYTES;
}

static void machine_unmap(const struct machine *machine)
{
    munmap(machine->memory, machine->bytes);
    munmap(machine->descriptors, descriptor_bytes(machine->bytes));
}

void machine_make(struct machine *machine, uint64_t bytes)
{
    machine->bytes = bytes;
    if (kept.memory && kept.bytes == bytes) {
        machine->memory = kept.memory;
        machine->descriptors = kept.descriptors;
        memset(machine->descriptors, 0, descriptor_bytes(bytes));
        kept.memory = NULL;
    } else {
        machine->memory = machine_reserve(bytes);
        machine->descriptors = machine_reserve(descriptor_bytes(bytes));
    }
    machine->last_table = 0;
    machine->pages_mapped = 0;
    machine->map_count = 0;
}

void machine_destroy(struct machine *machine)
{
    if (!keeps_memory) {
        machine_unmap(machine);
        return;
    }
    if (kept.memory) {
        machine_unmap(&kept);
    }
    kept = *machine;
}

void machine_keep_memory(void)
{
    keeps_memory = true;
}

void machine_range(struct machine *machine, uint64_t base, uint64_t bytes, enum memory_type type)
{
    machine->map[machine->map_count++] = (struct memory_range){phys_addr(base), bytes, type, 0};
}

struct frame_config machine_config(struct machine *machine, unsigned cpus, const struct frame_policy *policy)
{
    return (struct frame_config){
        .map = machine->map,
        .map_count = machine->map_count,
        .cpus = cpus,
        .policy = policy,
        .backing = {(uintptr_t)machine->memory, machine->descriptors, machine_map_page, machine},
    };
}

void machine_make_pc(struct machine *machine)
{
    machine_make(machine, GIB(6));
    machine_range(machine, 0, KIB(640), MEMORY_USABLE);
    machine_range(machine, KIB(640), KIB(384), MEMORY_RESERVED);
    machine_range(machine, MIB(1), MIB(99), MEMORY_USABLE);
    machine_range(machine, MIB(100), MIB(20), MEMORY_BOOT_RECLAIMABLE);
    machine_range(machine, MIB(120), MIB(1), MEMORY_ACPI_NVS);
    machine_range(machine, MIB(121), MIB(7), MEMORY_KERNEL);
    machine_range(machine, GIB(4), MIB(300), MEMORY_USABLE);
}

bool machine_is_sound(struct machine *machine)
{
    struct frame_problem problem;
    bool sound = frame_pool_check(&machine->pool, &problem);
    if (!sound) {
        fprintf(stderr,
                "frame_pool_check: %s, frame %#" PRIx64 ", found %#" PRIx64 ", expected %#" PRIx64 "\n",
                problem.what, problem.frame, problem.found, problem.expected);
    }
    return sound;
}

enum frame_error machine_start(struct machine *machine, unsigned cpus, const struct frame_policy *policy)
{
    struct frame_config config = machine_config(machine, cpus, policy);
    return frame_pool_init(&machine->pool, &config);
}
