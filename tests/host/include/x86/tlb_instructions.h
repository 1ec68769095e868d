/*
 * The instructions of <x86/tlb_instructions.h>, as the model's CPU carries them out
 * (tests/host/support/mmu_cpu.h).
 */
#pragma once

#include <x86/control_registers.h>

uint64_t read_cr3(void);
void write_cr3(uint64_t value);
uint64_t read_cr4(void);
void write_cr4(uint64_t value);
void invlpg(uint64_t address);
void invpcid_everything(void);
