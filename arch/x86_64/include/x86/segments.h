/* Segments and the task state: what is left of them in 64-bit mode (SDM volume 3, 3.4.5, 7.7, 7.2.3). */
#pragma once

/*
 * Selectors. The order of the user ones is what SYSRET wants: base, base + 8 = data, base + 16 = 64-bit code.
 */
#define SELECTOR_KERNEL_CODE 0x08
#define SELECTOR_KERNEL_DATA 0x10
#define SELECTOR_USER_DATA   0x23
#define SELECTOR_USER_CODE   0x2b
#define SELECTOR_TASK        0x30

/* Interrupt stack table slots, 1-based as in the gate. */
#define IST_NMI           1
#define IST_DOUBLE_FAULT  2
#define IST_MACHINE_CHECK 3
#define IST_PAGE_FAULT    4
#define IST_DEBUG         5
#define IST_COUNT         5

/*
 * How far arch/x86_64/trap/entry.S moves a slot's stack pointer down while a frame lives there, so that
 * nesting is safe.
 */
#define IST_LEVEL_BYTES 4096

/* Offsets into struct per_cpu that arch/x86_64/trap/entry.S and arch/x86_64/user/entry.S use; checked in
 * per_cpu.h. */
#define PER_CPU_THREAD  32
#define PER_CPU_RSP0    44
#define PER_CPU_RSP2    60
#define PER_CPU_IST     76
#define PER_CPU_ENTERED 208

/* Of user_work and in_kernel in struct thread; checked in arch/x86_64/user/work.c. */
#ifdef ASHLAR_DEBUG
#define THREAD_USER_WORK 400
#define THREAD_IN_KERNEL 408
#else
#define THREAD_USER_WORK 4
#define THREAD_IN_KERNEL 8
#endif

#ifndef __ASSEMBLER__
#include <ashlar/types.h>

/* 64-bit task-state segment: SDM volume 3, figure 7-11. */
struct task_state {
    uint32_t reserved0;
    uint64_t rsp0; /* stack for traps from user mode */
    uint64_t rsp1; /* unused ring */
    uint64_t rsp2; /* the same: a system call leaves the user's stack pointer here, for two instructions */
    uint64_t reserved1;
    uint64_t ist[7]; /* ist[n - 1] is slot n's stack */
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t io_map_offset; /* beyond the limit: no port is open to user mode */
} __attribute__((packed, aligned(4)));

/* What LGDT and LIDT load (SDM volume 3, 3.5.1): ten bytes from `limit` on. The padding before them aligns
 * the address, as the compact table of the kernel's relocations wants it. */
struct descriptor_table {
    uint16_t padding[3];
    uint16_t limit; /* offset of the last byte */
    uint64_t base;  /* virtual address */
};

#define DESCRIPTOR_TABLE_LOAD(instruction, table) __asm__ volatile(instruction " 6+%0" : : "m"(table))

_Static_assert(offsetof(struct descriptor_table, limit) == 6, "DESCRIPTOR_TABLE_LOAD");

_Static_assert(sizeof(struct task_state) == 104, "fixed by the CPU");

struct global_descriptors {
    uint64_t null;
    uint64_t kernel_code;
    uint64_t kernel_data;
    uint64_t user_base; /* SYSRET's 32-bit code segment, never used: stays null */
    uint64_t user_data;
    uint64_t user_code;
    uint64_t task[2]; /* TSS descriptor: 16 bytes in 64-bit mode */
} __attribute__((aligned(8)));
#endif
