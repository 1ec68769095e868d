/*
 * What each CPU has of its own, reached through %gs. In kernel mode GS_BASE holds the address of this CPU's
 * `struct per_cpu`; in user mode swapgs has put it into KERNEL_GS_BASE. The fields are read by offset in one
 * instruction; `self` gives the address for all other uses.
 *
 * CPU 0's structure is static (boot_cpu); the others' are made by kernel/processor/.
 */
#pragma once

#include <ashlar/lock_types.h>
#include <ashlar/types.h>
#include <stdatomic.h>
#include <x86/segments.h>

struct timer;
struct trap_frame;
struct vm_space;

/* The last page fault that no space resolved, and the last spurious ones. */
struct fault_history {
    uint64_t refused;     /* address */
    uint32_t refusal;     /* why: enum vm_fault, or that the space was not asked */
    uint32_t repeated;    /* spurious ones in a row, at the same address and by the same instruction */
    uint64_t spurious;    /* address */
    uint64_t instruction; /* where they were */
};

struct per_cpu {
    struct per_cpu *self;      /* this structure's address */
    uint32_t number;           /* from 0 on, dense */
    uint32_t preempt_depth;    /* preempt_disable()s not yet undone */
    uint32_t interrupt_depth;  /* device interrupt handlers this CPU is inside of */
    uint32_t interrupts_begun; /* 1 from the moment this CPU first lets device interrupts in */
    struct trap_frame *frame;  /* innermost trap frame, or NULL outside any trap */
    struct task_state tss;     /* stack pointers for traps; arch/x86_64/trap/entry.S moves the IST entries */
    struct global_descriptors gdt;     /* this CPU's descriptor table: its TSS differs from the others' */
    uint64_t interrupt_counts[256];    /* by vector; written only by this CPU */
    struct vm_space *space;            /* the user space that is loaded, or NULL */
    struct fault_history faults;       /* kernel/memory/page_fault.c */
    struct timer *timers;              /* that run, first to expire; interrupts off */
    uint64_t began;                    /* time-stamp counter when it came into the kernel's hands */
    uint64_t idle_ticks;               /* spent resting */
    _Atomic(uint64_t) rest_began;      /* time-stamp counter when it began to rest; 0: it works */
    int64_t ticks_ahead;               /* of the time-stamp counter, before the boot CPU's */
    _Atomic(uint32_t) where_asked;     /* 1: an NMI is on its way that asks where this CPU is */
    _Atomic(uint64_t) where;           /* its answer */
    struct trap_frame *firmware_fault; /* where to note an exception in a firmware call; NULL outside one */
    uint64_t timer_due;                /* when the timer device shall interrupt, in TSC ticks; 0: never */
    uint64_t part_offset;              /* number * CPU_PART_BYTES, always (<ashlar/platform.h>) */
    uint64_t page_offset;              /* number * FRAME_BYTES, always */
#ifdef LOCKS_ARE_NOTED
    struct locks_held locks_held; /* <ashlar/lock_check.h> */
#endif
#ifdef ASHLAR_LOCK_STATISTICS
    struct lock_counts lock_counts[LOCK_RANKS];
#endif
};

_Static_assert(offsetof(struct per_cpu, tss.rsp0) == PER_CPU_RSP0, "arch/x86_64/trap/entry.S uses it");
_Static_assert(offsetof(struct per_cpu, tss.ist) == PER_CPU_IST, "arch/x86_64/trap/entry.S uses it");

/* This CPU's structure; stable only while preemption is off. */
static inline struct per_cpu *per_cpu(void)
{
    struct per_cpu *self;
    __asm__ volatile("movq %%gs:%c1, %0" : "=r"(self) : "i"(offsetof(struct per_cpu, self)));
    return self;
}
