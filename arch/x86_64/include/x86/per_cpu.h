/*
 * What each CPU has of its own, reached through %gs. In kernel mode GS_BASE holds the address of this CPU's
 * `struct per_cpu`; in user mode swapgs has put it into KERNEL_GS_BASE. The fields are read by offset in one
 * instruction; `self` gives the address for all other uses.
 *
 * CPU 0's structure is static (boot_cpu); the others' are made by kernel/processor/.
 */
#pragma once

#include <ashlar/lock_types.h>
#include <ashlar/run_queue.h>
#include <ashlar/types.h>
#include <stdatomic.h>
#include <x86/segments.h>

struct timer;
struct trap_frame;
struct vm_space;

/* In preempt_depth, unless somebody wishes that another thread runs here: so the count is 0 exactly when
 * preemption comes on and somebody wishes it, and to undo a preempt_disable() and to look are one
 * instruction. */
#define PREEMPT_NO_WISH 0x80000000u

struct per_cpu {
    struct per_cpu *self;      /* this structure's address */
    uint32_t number;           /* from 0 on, dense */
    uint32_t preempt_depth;    /* preempt_disable()s not yet undone, and PREEMPT_NO_WISH */
    uint32_t interrupt_depth;  /* device interrupt handlers this CPU is inside of */
    uint32_t interrupts_begun; /* 1 from the moment this CPU first lets device interrupts in */
    struct trap_frame *frame;  /* innermost trap frame, or NULL outside any trap */
    struct thread *thread;     /* that runs; never NULL */
    struct task_state tss;     /* stack pointers for traps; arch/x86_64/trap/entry.S moves the IST entries */
    struct global_descriptors gdt; /* this CPU's descriptor table: its TSS differs from the others' */
    uint32_t entered; /* low half of the time-stamp counter when the thread that runs came here from
                         user mode, or from another thread: whichever was last */
    uint64_t interrupt_counts[256]; /* by vector; written only by this CPU */
    struct vm_space *space;         /* the user space that is loaded, or NULL */
    struct run_queue queue;         /* kernel/task/ */
    struct irq_spinlock timers_lock;
    struct timer *timers;          /* a heap of those that run; guarded by the lock */
    struct timer *expiring;        /* whose function runs now; guarded by the lock */
    uint64_t slice_end;            /* clock_nanoseconds(); 0: no time slice runs. Its own, interrupts off */
    uint64_t began;                /* time-stamp counter when it came into the kernel's hands */
    uint64_t idle_ticks;           /* spent resting */
    _Atomic(uint64_t) rest_began;  /* time-stamp counter when it began to rest; 0: it works */
    int64_t ticks_ahead;           /* of the time-stamp counter, before the boot CPU's */
    _Atomic(uint32_t) where_asked; /* 1: an NMI is on its way that asks where this CPU is */
    _Atomic(uint64_t) where;       /* its answer */
    struct trap_frame *firmware_fault; /* where to note an exception in a firmware call; NULL outside one */
    uint64_t timer_due;                /* when the timer device shall interrupt, in TSC ticks; 0: never */
    uint64_t part_offset;              /* number * CPU_PART_BYTES, always (<ashlar/platform.h>) */
    uint64_t page_offset;              /* number * FRAME_BYTES, always */
#ifdef LOCKS_ARE_NOTED
    struct locks_held locks_held; /* spinlocks; <ashlar/lock_check.h> */
#endif
#ifdef ASHLAR_LOCK_STATISTICS
    struct lock_counts lock_counts[LOCK_RANKS];
#endif
};

_Static_assert(offsetof(struct per_cpu, thread) == PER_CPU_THREAD, "arch/x86_64/trap/entry.S uses it");
_Static_assert(offsetof(struct per_cpu, tss.rsp0) == PER_CPU_RSP0, "arch/x86_64/trap/entry.S uses it");
_Static_assert(offsetof(struct per_cpu, tss.rsp2) == PER_CPU_RSP2, "arch/x86_64/user/entry.S uses it");
_Static_assert(offsetof(struct per_cpu, entered) == PER_CPU_ENTERED, "the entries write it");
_Static_assert(offsetof(struct per_cpu, tss.ist) == PER_CPU_IST, "arch/x86_64/trap/entry.S uses it");

/* Whether preemption is on, here and now: one instruction, so that it is this CPU's depth, whatever comes. */
static inline uint32_t preempt_count(void)
{
    uint32_t count;
    __asm__ volatile("movl %%gs:%c1, %0" : "=r"(count) : "i"(offsetof(struct per_cpu, preempt_depth)));
    return count;
}

static inline bool preempt_is_on(void)
{
    return (preempt_count() & ~PREEMPT_NO_WISH) == 0;
}

/* This CPU's structure; stable only while preemption is off. */
static inline struct per_cpu *per_cpu(void)
{
    struct per_cpu *self;
    __asm__ volatile("movq %%gs:%c1, %0" : "=r"(self) : "i"(offsetof(struct per_cpu, self)));
    return self;
}
