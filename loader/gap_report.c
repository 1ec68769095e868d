/* The report of a fault between boot services and the kernel; see gap_faults.h. */
#include <ashlar/arch/page_fault_code.h>
#include <ashlar/power.h>
#include <ashlar/string.h>

#include "cpu.h"
#include "gap_faults.h"
#include "message.h"
#include "pe_image.h"

#define VECTOR_PAGE_FAULT 14

static const struct boot_info *info; /* at its physical address; once it is not mapped, in the physmap */
static phys_addr_t kernel_root;      /* the tables in force after the switch */
static uint64_t kernel_root_offset;  /* and where physical memory is found through them */
static bool reporting;

static const char *const vector_names[GAP_VECTORS] = {
    "divide error",
    "debug",
    "non-maskable interrupt",
    "breakpoint",
    "overflow",
    "bound range",
    "invalid opcode",
    "device not available",
    "double fault",
    "coprocessor overrun",
    "invalid TSS",
    "segment not present",
    "stack segment fault",
    "general protection",
    "page fault",
    "reserved",
    "x87 floating point",
    "alignment check",
    "machine check",
    "SIMD floating point",
    "virtualisation",
    "control protection",
};

void gap_report_about(const struct boot_info *known)
{
    info = known;
}

void gap_faults_tables(phys_addr_t root, uint64_t physmap)
{
    kernel_root = root;
    kernel_root_offset = physmap;
}

void gap_faults_provoke(const char *kind)
{
    if (strcmp(kind, "undefined") == 0) {
        __asm__ volatile("ud2");
    } else if (strcmp(kind, "page") == 0) {
        *(volatile uint64_t *)(uintptr_t)0x0000123456789000ULL = 1;
    }
}

static bool kernel_tables_in_force(void)
{
    return kernel_root.raw != 0 && (cr3_read() & PAGE_ENTRY_ADDRESS) == kernel_root.raw;
}

/* Names `address`: a section of the loader, a segment of the kernel, the boot stack, or nothing known. */
static void report_place(const char *what, uint64_t address)
{
    const void *image = (const void *)(uintptr_t)info->loader_base.raw;
    uint64_t offset = address - (uintptr_t)image;
    const struct boot_kernel *kernel = &info->kernel;
    for (unsigned i = 0; i < pe_section_count(image); i++) {
        struct pe_section section = pe_section_at(image, i);
        if (offset - section.first < section.bytes) {
            message_raw("  %s lies in the loader's section %s at offset %#" PRIx64 " of the image\n", what,
                        section.name, offset);
            return;
        }
    }
    if (address - kernel->virtual_base.raw < kernel->bytes) {
        message_raw("  %s lies in the kernel image at link address %#" PRIx64 "\n", what,
                    (address - kernel->slide));
    } else if (address - kernel->stack_bottom.raw < kernel->stack_bytes) {
        message_raw("  %s lies in the boot stack\n", what);
    } else if (address - (kernel->stack_bottom.raw - FRAME_BYTES) < FRAME_BYTES) {
        message_raw("  %s lies in the guard page below the boot stack\n", what);
    }
}

/* The page-table walk of `address`, entry by entry, through whichever tables are in force. */
static void report_walk(uint64_t address)
{
    phys_addr_t root = phys_addr(cr3_read() & PAGE_ENTRY_ADDRESS);
    unsigned levels = cr4_read() & CR4_LA57 ? 5 : 4;
    uint64_t offset = kernel_tables_in_force() ? kernel_root_offset : 0;
    const struct page_walk walk = page_tables_walk(root, levels, offset, virt_addr(address));
    message_raw("  page-table walk of %#" PRIx64 " from %#" PRIx64 ":\n", address, root.raw);
    for (unsigned i = 0; i < walk.step_count; i++) {
        uint64_t raw = walk.steps[i].entry.raw;
        message_raw("    level %u entry %3u: %016" PRIx64 " %s%s%s%s\n", walk.steps[i].level,
                    walk.steps[i].index, raw, raw & PAGE_ENTRY_PRESENT ? "present" : "not present",
                    raw & PAGE_ENTRY_WRITE ? " write" : "", raw & PAGE_ENTRY_USER ? " user" : "",
                    raw & PAGE_ENTRY_NO_EXECUTE ? " no-execute" : "");
    }
}

static void report_page_fault(const struct gap_frame *frame)
{
    uint64_t address = cr2_read();
    message_raw("  %s of %#" PRIx64 ": %s\n",
                frame->error_code & PAGE_FAULT_FETCH   ? "fetch"
                : frame->error_code & PAGE_FAULT_WRITE ? "write"
                                                       : "read",
                address,
                frame->error_code & PAGE_FAULT_RESERVED  ? "a reserved bit is set in a page table"
                : frame->error_code & PAGE_FAULT_PRESENT ? "the page does not allow it"
                                                         : "no page is mapped there");
    report_place("the address", address);
    report_walk(address);
}

static void report_registers(const struct gap_frame *f)
{
    const struct {
        const char *name;
        uint64_t value;
    } registers[] = {
        {"rax", f->rax},     {"rbx", f->rbx},     {"rcx", f->rcx},     {"rdx", f->rdx},    {"rsi", f->rsi},
        {"rdi", f->rdi},     {"rbp", f->rbp},     {"rsp", f->rsp},     {"r8 ", f->r8},     {"r9 ", f->r9},
        {"r10", f->r10},     {"r11", f->r11},     {"r12", f->r12},     {"r13", f->r13},    {"r14", f->r14},
        {"r15", f->r15},     {"rip", f->rip},     {"cs ", f->cs},      {"flg", f->rflags}, {"ss ", f->ss},
        {"cr2", cr2_read()}, {"cr3", cr3_read()}, {"cr4", cr4_read()},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(registers); i++) {
        message_raw("%s%s %016" PRIx64 "%s", i % 4 == 0 ? "  " : " ", registers[i].name, registers[i].value,
                    i % 4 == 3 || i + 1 == ARRAY_LENGTH(registers) ? "\n" : "");
    }
}

_Noreturn void gap_faults_stop(void)
{
    if (cpu_is_virtual()) { /* see power_debug_exit() */
        port_write(POWER_EXIT_PORT, POWER_EXIT_PANIC);
    }
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}

_Noreturn void gap_fault_report(const struct gap_frame *frame)
{
    if (!reporting) {
        reporting = true;
        if (kernel_tables_in_force()) {
            info = (const struct boot_info *)(kernel_root_offset + (uintptr_t)info);
        }
        message_raw("ashlar loader: fault between boot services and the kernel: %s (vector %" PRIu64
                    ", error %#" PRIx64 ")\n",
                    vector_names[frame->vector] ? vector_names[frame->vector] : "reserved", frame->vector,
                    frame->error_code);
        report_place("rip", frame->rip);
        if (frame->vector == VECTOR_PAGE_FAULT) {
            report_page_fault(frame);
        }
        report_registers(frame);
        message_raw("  the last stage reached was %s; docs/boot.md says what each does\n",
                    info->stages[info->stage_count - 1].name);
    }
    gap_faults_stop();
}
