/*
 * Faults in the gap: between the end of boot services and the kernel's own interrupt table the firmware
 * catches none. The loader's GDT and IDT are in force there, and a fault prints what happened instead of
 * resetting the machine.
 */
#pragma once

#include "loader.h"

enum { GAP_VECTORS = 32 }; /* of exceptions (SDM volume 3, 6.3.1) */

/* Loads the loader's GDT, TSS and IDT. Interrupts are off from here on. */
void gap_faults_install(const struct loader *loader);

/* Tells the report that the kernel's page tables are now in force and where it can read them. */
void gap_faults_tables(phys_addr_t root, uint64_t physmap);

/* Provokes a fault on purpose, for tests: "undefined" or "page". Returns for any other `kind`; the kind
 * "stack-guard" is provoked in hand_off.c. */
void gap_faults_provoke(const char *kind);

/* What the assembly stub saves, lowest address first. */
struct gap_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error_code;
    uint64_t rip, cs, rflags, rsp, ss; /* pushed by the CPU */
};

/* Tells the report where boot_info lies. gap_faults_install() does it. */
void gap_report_about(const struct boot_info *known);

/* Prints what happened and stops: what gap_entry.S calls. */
_Noreturn void gap_fault_report(const struct gap_frame *frame);

/* Ends a virtual machine with the status of a panic; halts a real one. */
_Noreturn void gap_faults_stop(void);
