/*
 * Where exceptions and interrupts enter and leave the kernel. docs/traps.md draws the paths.
 *
 * Every vector has a stub of 16 bytes that pushes its number (and a 0 where the CPU pushes no error code) and joins
 * one of three paths:
 *   common    most vectors, on the stack that was interrupted (or RSP0 when user mode was)
 *   paranoid  NMI, double fault, machine check, debug in the kernel: each on a stack of its own, at any instruction, even
 *             between entry from user mode and its swapgs
 *   page fault: arrives on a stack of its own and moves to the interrupted one if that is usable
 * All build a struct trap_frame and call trap_dispatch(frame), which returns with interrupts off.
 */
#include <x86/stack_reach.h>
#include <x86/segments.h>

#include "frame.inc"

    .set MSR_GS_BASE, 0xc0000101
    .set GENERAL_PROTECTION, 13

/* AC, DF and NT come from the interrupted code: the kernel wants them clear. Works without SMAP too, unlike CLAC. */
.macro CLEAR_FLAGS
    pushq $2
    popfq
.endm

    .section .text.trap, "ax"

    .globl trap_stubs
    .type trap_stubs, @function
    .balign 16
trap_stubs:
    .set vector, 0
    .rept 256
    .balign 16
    /* The CPU pushes an error code for 8, 10-14, 17, 21, 29 and 30 (SDM volume 3, table 6-1; AMD volume 2, 8.2). */
    .if (vector != 8) && ((vector < 10) || (vector > 14)) && (vector != 17) && (vector != 21) && (vector != 29) && (vector != 30)
    pushq $0
    .endif
    pushq $vector
    .if vector == 1
    jmp trap_debug_entry
    .elseif vector == 2
    jmp trap_nmi
    .elseif vector == 8
    jmp trap_double_fault
    .elseif vector == 14
    jmp trap_page_fault
    .elseif vector == 18
    jmp trap_machine_check
    .else
    jmp trap_common
    .endif
    .set vector, vector + 1
    .endr
    .size trap_stubs, . - trap_stubs

    .globl trap_common
    .type trap_common, @function
    .balign 16
trap_common:
    PUSH_REGISTERS
    testb $3, FRAME_CS(%rsp)
    jnz 1f
    /* The one kernel instruction that can fault with the user's GS: the return to a broken user state. */
    leaq trap_iretq(%rip), %rax
    cmpq %rax, FRAME_RIP(%rsp)
    jne 2f
1:  swapgs
    NOTE_ENTRY
2:  CLEAR_FLAGS
trap_call:
    movq %rsp, %rdi
    call trap_dispatch
    .globl trap_return
trap_return: /* the unwinder knows this return address: the frame is at the stack pointer */
    testb $3, FRAME_CS(%rsp)
    jz trap_exit
    .globl trap_return_to_user
trap_return_to_user: /* arch/x86_64/user/entry.S comes here, too; interrupts are off, so nothing to do can be added */
    movq %gs:PER_CPU_THREAD, %rsi
    cmpl $0, THREAD_USER_WORK(%rsi)
    jne trap_user_work
    NOTE_EXIT %rsi
    swapgs
trap_exit:
    POP_REGISTERS
    addq $16, %rsp
trap_iretq:
    iretq
trap_user_work:
    movq %rsp, %rdi
    xorl %ebp, %ebp /* the end of backtraces */
    sti
    call user_mode_work
    cli
    jmp trap_return_to_user
trap_cannot_return: /* by way of the fixup table, registers as the user's: a general protection fault of user mode, then */
    pushq $0
    pushq $GENERAL_PROTECTION
    PUSH_REGISTERS
    jmp trap_call
    .size trap_common, . - trap_common

/*
 * NMI and the like: GS may be the kernel's or the user's, whatever CS says, so GS_BASE is read: the kernel's lies in the
 * upper half. The slot's stack pointer moves down while the frame lives, so that the same vector may arrive again (an
 * IRET in a nested page fault unblocks NMIs). The page fault's slot moves too, since its first instructions may be what
 * was interrupted. CR2 is saved and restored for a page fault that has not read it yet.
 */
.macro PARANOID name, slot
    .globl \name\()_return
    .type \name, @function
    .balign 16
\name:
    PUSH_REGISTERS
    CLEAR_FLAGS
    movl $MSR_GS_BASE, %ecx
    rdmsr
    xorl %ebx, %ebx
    testl %edx, %edx
    js 1f
    swapgs
    incl %ebx
1:  movq %cr2, %r12
    subq $IST_LEVEL_BYTES, %gs:PER_CPU_IST + (\slot - 1) * 8
    subq $IST_LEVEL_BYTES, %gs:PER_CPU_IST + (IST_PAGE_FAULT - 1) * 8
    movq %rsp, %rdi
    call trap_dispatch
\name\()_return:
    addq $IST_LEVEL_BYTES, %gs:PER_CPU_IST + (IST_PAGE_FAULT - 1) * 8
    addq $IST_LEVEL_BYTES, %gs:PER_CPU_IST + (\slot - 1) * 8
    movq %r12, %cr2
    testl %ebx, %ebx
    jz trap_exit
    swapgs
    jmp trap_exit
    .size \name, . - \name
.endm

    PARANOID trap_debug, IST_DEBUG
    PARANOID trap_nmi, IST_NMI
    PARANOID trap_double_fault, IST_DOUBLE_FAULT
    PARANOID trap_machine_check, IST_MACHINE_CHECK

/* A debug exception of user mode moves to the stack for what comes from there, so that its handler may wait, or end the
 * program. One of the kernel's stays: it may be that the first instruction of an entry was to be executed. */
    .type trap_debug_entry, @function
    .balign 16
trap_debug_entry:
    testb $3, FRAME_CS - FRAME_VECTOR(%rsp)
    jz trap_debug
    PUSH_REGISTERS
    CLEAR_FLAGS
    swapgs
    NOTE_ENTRY
    movq %rsp, %rsi
    movq %gs:PER_CPU_RSP0, %rdi
    subq $TRAP_FRAME_BYTES, %rdi
    movq %rdi, %rbx
    movl $FRAME_WORDS, %ecx
    rep movsq
    movq %rbx, %rsp
    jmp trap_call
    .size trap_debug_entry, . - trap_debug_entry

/*
 * The page fault starts on its own stack, because the interrupted one may be the page that is missing. If it is not, the
 * frame moves to the interrupted stack, so that the handler may wait, and nest like that of any other trap.
 */
    .type trap_page_fault, @function
    .globl trap_page_fault_return
    .balign 16
trap_page_fault:
    PUSH_REGISTERS
    CLEAR_FLAGS
    movq %rsp, %rsi
    testb $3, FRAME_CS(%rsp)
    jz 1f
    swapgs
    NOTE_ENTRY
    movq %cr2, %rax
    movq %gs:PER_CPU_RSP0, %rdi
    jmp 2f
1:  movq %cr2, %rax
    movq FRAME_RSP(%rsi), %rdi
    movq %rax, %rdx
    subq %rdi, %rdx
    addq $STACK_REACH_BYTES, %rdx
    cmpq $STACK_REACH_BYTES * 2, %rdx
    jb 4f
    andq $-16, %rdi
2:  subq $TRAP_FRAME_BYTES, %rdi
    movq %rdi, %rbx
    movl $FRAME_WORDS, %ecx
    subq $IST_LEVEL_BYTES, %gs:PER_CPU_IST + (IST_PAGE_FAULT - 1) * 8
trap_move_frame:
    rep movsq
    movq %rbx, %rsp
    addq $IST_LEVEL_BYTES, %gs:PER_CPU_IST + (IST_PAGE_FAULT - 1) * 8
    jmp trap_call

trap_cannot_move: /* by way of the fixup table: the interrupted stack pointer leads nowhere */
    movq %rax, %cr2
    jmp 5f
4:  subq $IST_LEVEL_BYTES, %gs:PER_CPU_IST + (IST_PAGE_FAULT - 1) * 8
5:  movq %rsp, %rdi
    call trap_dispatch
trap_page_fault_return:
    addq $IST_LEVEL_BYTES, %gs:PER_CPU_IST + (IST_PAGE_FAULT - 1) * 8
    jmp trap_return
    .size trap_page_fault, . - trap_page_fault

    .section ashlar_fixups, "a"
    .balign 4
    .long trap_move_frame - .
    .long trap_cannot_move - .
    .long trap_iretq - .
    .long trap_cannot_return - .

/* void call_on_stack(void (*function)(void *argument), void *argument, void *stack_top): a backtrace crosses it. */
    .section .text.call_on_stack, "ax"
    .globl call_on_stack
    .type call_on_stack, @function
call_on_stack:
    pushq %rbp
    movq %rsp, %rbp
    movq %rdi, %rax
    movq %rsi, %rdi
    movq %rdx, %rsp
    call *%rax
    movq %rbp, %rsp
    popq %rbp
    ret
    .size call_on_stack, . - call_on_stack

    .section .note.GNU-stack, "", @progbits
