/* The parts of a panic report that know the CPU; see <x86/panic_report.h>. */
#include <ashlar/boot.h>
#include <ashlar/console.h>
#include <ashlar/format.h>
#include <ashlar/hooks.h>
#include <ashlar/memory_type.h>
#include <ashlar/symbols.h>
#include <ashlar/trap.h>
#include <x86/control_registers.h>
#include <x86/msr.h>
#include <x86/panic_report.h>

#include "decode.h"
#include "probe.h"

extern const uint8_t image_start[];

/* What the exception turned out to be. */
static struct finding {
    bool has_address;            /* `address` is what the instruction used */
    virt_addr_t address;         /* CR2, or the decoded memory operand */
    bool has_kind;               /* `kind` is known */
    enum fault_kind kind;        /* page-fault kinds and non-canonical addresses */
    struct page_walk walk;       /* of `address` */
    bool has_region;             /* `region` is known */
    struct memory_region region; /* what `address` belongs to */
    uint64_t cr2;                /* as it was at the exception; the report's own probes change it */
} found;

const char *exception_name_of(const struct trap_frame *frame)
{
    return exception_name((unsigned)frame->vector);
}

uint64_t panic_image_start(void)
{
    return (uintptr_t)image_start;
}

/* The instruction's bytes, as many as can be read. */
static size_t read_code(const struct trap_frame *frame, uint8_t code[INSTRUCTION_BYTES])
{
    size_t bytes = 0;
    while (bytes < INSTRUCTION_BYTES && memory_try_read(&code[bytes], virt_addr(frame->rip + bytes), 1)) {
        bytes++;
    }
    return bytes;
}

static unsigned paging_levels(void)
{
    return cr4_read() & CR4_LA57 ? PAGE_LEVEL_PML5 : PAGE_LEVEL_PML4;
}

/* The address that caused a protection or stack fault, if an address did: the instruction pointer, or the
 * memory operand of the instruction. */
static bool find_operand(const struct trap_frame *frame, virt_addr_t *address)
{
    uint8_t code[INSTRUCTION_BYTES];
    *address = virt_addr(frame->rip);
    if (!virt_is_canonical(*address, paging_levels())) {
        return true;
    }
    if (!instruction_memory_operand(code, read_code(frame, code), frame, address)) {
        *address = virt_addr(frame->rsp);
    }
    return !virt_is_canonical(*address, paging_levels());
}

static bool find_address(const struct trap_frame *frame, virt_addr_t *address)
{
    switch (frame->vector) {
    case EXCEPTION_PAGE_FAULT:
        *address = virt_addr(found.cr2);
        return true;
    case EXCEPTION_GENERAL_PROTECTION:
    case EXCEPTION_STACK_SEGMENT:
        return frame->error_code == 0 && find_operand(frame, address);
    case EXCEPTION_DOUBLE_FAULT:
        *address = virt_addr(frame->rsp - sizeof(uint64_t));
        return true;
    default:
        return false;
    }
}

void exception_report_begin(const struct trap_frame *frame)
{
    found.cr2 = cr2_read();
    found.has_address = find_address(frame, &found.address);
    if (!found.has_address) {
        return;
    }
    found.has_region = region_find(found.address, &found.region);
    found.walk = page_walk_current(found.address);
    if (frame->vector == EXCEPTION_PAGE_FAULT) {
        found.has_kind = true;
        found.kind =
            page_fault_classify(frame, found.address, &found.walk, found.has_region && found.region.guard);
    } else if (found.walk.end == WALK_NON_CANONICAL) {
        found.has_kind = true;
        found.kind = FAULT_NON_CANONICAL;
    }
}

/* A double fault says nothing itself, but the stack pointer does. */
static const char *double_fault_text(void)
{
    if (found.has_region && found.region.guard) {
        return "stack overflow: the stack pointer has run into a guard page";
    }
    if (found.walk.end == WALK_NON_CANONICAL) {
        return "the stack pointer is not canonical";
    }
    return found.walk.end == WALK_MAPPED ? "an exception could not be delivered"
                                         : "the stack pointer leads to unmapped memory";
}

void exception_report_cause(const struct trap_frame *frame)
{
    const char *name = exception_name_of(frame);
    if (frame->vector == EXCEPTION_DOUBLE_FAULT) {
        console_print("reason:  %s: %s\n", name, double_fault_text());
    } else if (found.has_kind) {
        console_print("reason:  %s: %s, at %#" PRIx64 "\n", name, fault_kind_text(found.kind),
                      found.address.raw);
    } else {
        console_print("reason:  %s (vector %" PRIu64 ")\n", name, frame->vector);
    }
}

const char *exception_report_advice(const struct trap_frame *frame)
{
    switch (frame->vector) {
    case EXCEPTION_DIVIDE:
        return "the divisor: zero, or a quotient too large";
    case EXCEPTION_INVALID_OPCODE:
        return "an unreachable place that was reached, or code that was overwritten: compare the bytes with "
               "the ELF";
    case EXCEPTION_DOUBLE_FAULT:
        return "recursion without end, or a stack pointer that was overwritten";
    case EXCEPTION_NMI:
        return "what raised it: a watchdog, failing hardware, or a person at the emulator's monitor";
    case EXCEPTION_MACHINE_CHECK:
        return "failing hardware: memory, bus or CPU";
    default:
        break;
    }
    return found.has_kind ? fault_kind_advice(found.kind)
                          : "the registers that the instruction at the top of the backtrace uses";
}

static void print_error_code(const struct trap_frame *frame)
{
    uint64_t error = frame->error_code;
    char text[PAGE_FAULT_BITS_BYTES];
    if (frame->vector == EXCEPTION_PAGE_FAULT) {
        console_print("access:  %s (error code %#" PRIx64 ")\n", page_fault_bits_text(error, text), error);
    } else if (error && exception_has_selector_error((unsigned)frame->vector)) {
        console_print("access:  %s (error code %#" PRIx64 ")\n", selector_error_text(error, text), error);
    } else if (error) {
        console_print("access:  error code %#" PRIx64 "\n", error);
    }
}

/* Physical address and type of memory behind an address in the physmap. */
static void print_physical(phys_addr_t address)
{
    size_t count;
    const struct memory_range *ranges = boot_memory_map(&count);
    const struct memory_range *range = memory_ranges_find(ranges, count, address);
    console_print(", physical %#" PRIx64 " (%s)", address.raw,
                  range ? memory_type_name(range->type) : "not in the memory map");
}

static void print_address(void)
{
    uint64_t raw = found.address.raw;
    char text[PAGE_WALK_TEXT_BYTES];
    struct symbol symbol;
    console_print("address: %#" PRIx64 ": %s", raw, found.has_region ? found.region.name : "nobody's");
    if (found.has_region && !found.region.guard && found.region.base.raw != 0) {
        console_print("+%#" PRIx64, raw - found.region.base.raw);
    }
    if (kernel_hooks.symbol_find(found.address, &symbol)) {
        console_print(", %s+%#" PRIx64, symbol.name, raw - symbol.start.raw);
    }
    uint64_t physical = raw - boot_info()->paging.physmap.raw;
    if (physical < boot_info()->paging.physmap_bytes) {
        print_physical(phys_addr(physical));
    }
    console_print("\nwalk:    %s\n", page_walk_text(&found.walk, text));
    region_describe(found.address);
}

static void print_registers(const struct trap_frame *f)
{
    const struct {
        const char *name;
        uint64_t value;
    } registers[] = {
        {"rax", f->rax}, {"rbx", f->rbx}, {"rcx", f->rcx}, {"rdx", f->rdx}, {"rsi", f->rsi}, {"rdi", f->rdi},
        {"rbp", f->rbp}, {"rsp", f->rsp}, {" r8", f->r8},  {" r9", f->r9},  {"r10", f->r10}, {"r11", f->r11},
        {"r12", f->r12}, {"r13", f->r13}, {"r14", f->r14}, {"r15", f->r15},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(registers); i++) {
        console_print("%s %016" PRIx64 "%s", registers[i].name, registers[i].value, i % 4 == 3 ? "\n" : "  ");
    }
    console_print("rip %016" PRIx64 "  flags %" PRIx64 "  cs %" PRIx64 "  ss %" PRIx64
                  "  (%s mode, interrupts %s)\n",
                  f->rip, f->rflags, f->cs, f->ss, trap_from_user(f) ? "user" : "kernel",
                  f->rflags & 1 << 9 ? "on" : "off");
}

static void print_code(const struct trap_frame *frame)
{
    enum { BEFORE = 8 };
    console_print("code:   ");
    for (int offset = -BEFORE; offset < INSTRUCTION_BYTES; offset++) {
        uint8_t byte;
        if (memory_try_read(&byte, virt_addr(frame->rip + (uint64_t)offset), 1)) {
            console_print(offset == 0 ? " <%02x>" : " %02x", byte);
        } else {
            console_print(" ??");
        }
    }
    console_print("\n");
}

static void print_stack(const struct trap_frame *frame)
{
    struct memory_region region;
    if (!region_find(virt_addr(frame->rsp), &region)) {
        console_print("stack:   rsp leads nowhere\n");
    } else if (region.guard) {
        console_print("stack:   rsp is in: %s\n", region.name);
    } else {
        console_print("stack:   rsp is in: %s, %" PRIu64 " bytes above its bottom\n", region.name,
                      (frame->rsp - region.base.raw));
    }
}

void exception_report_details(const struct trap_frame *frame)
{
    print_error_code(frame);
    if (found.has_address) {
        print_address();
    }
    print_stack(frame);
    print_registers(frame);
    print_code(frame);
}

void exception_report_control_registers(void)
{
    console_print("cr0 %" PRIx64 "  cr2 %" PRIx64 "  cr3 %" PRIx64 "  cr4 %" PRIx64 "  efer %" PRIx64 "\n",
                  cr0_read(), found.cr2, cr3_read(), cr4_read(), msr_read(MSR_EFER));
}
