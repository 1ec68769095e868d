/*
 * System calls, and going to user mode and back; see <x86/user_mode.h>. docs/traps.md has the reasons.
 *
 * At the first instruction the stack is still the user's and so is GS; from the third on both are the kernel's. An NMI, a
 * machine check or a debug exception in between finds a stack of its own and asks GS_BASE whose it is
 * (arch/x86_64/trap/entry.S). No other trap can come: interrupts are off, and nothing here touches memory of the user's.
 */
#include <x86/segments.h>

#include "arch/x86_64/trap/frame.inc"

    .set TRAP_SYSTEM_CALL, 256
    .set USER_ADDRESS_BITS, 47
    .set FLAGS_BY_IRET, 0x10100 /* RF and TF: SYSRET clears the one, and would trap too late for the other */

    .section .text.system_call, "ax"
    .globl system_call_entry, system_call_entry_end
    .type system_call_entry, @function
    .balign 16
system_call_entry:
    swapgs
    movq %rsp, %gs:PER_CPU_RSP2
    movq %gs:PER_CPU_RSP0, %rsp
    pushq $SELECTOR_USER_DATA
    pushq %gs:PER_CPU_RSP2
    pushq %r11
    pushq $SELECTOR_USER_CODE
    pushq %rcx
    pushq %rax
    pushq $TRAP_SYSTEM_CALL
    PUSH_REGISTERS
    NOTE_ENTRY
    movq %rsp, %rdi
    xorl %ebp, %ebp /* the end of backtraces */
    sti
    call *system_call_run(%rip)
    movq %rax, FRAME_RAX(%rsp)
    cli
    movq %gs:PER_CPU_THREAD, %rsi
    cmpl $0, THREAD_USER_WORK(%rsi)
    jne trap_return_to_user
    /* SYSRET takes RIP from RCX and RFLAGS from R11, and sets the segments. A RIP that is not canonical would fault in
     * the kernel, with the user's stack, on some CPUs (SDM volume 2, SYSRET): all that is not plain goes by IRET. */
    movq FRAME_RIP(%rsp), %rcx
    movq FRAME_RFLAGS(%rsp), %r11
    cmpq FRAME_RCX(%rsp), %rcx
    jne 1f
    shrq $USER_ADDRESS_BITS, %rcx
    jnz 1f
    cmpq FRAME_R11(%rsp), %r11
    jne 1f
    testl $FLAGS_BY_IRET, %r11d
    jnz 1f
    cmpq $SELECTOR_USER_CODE, FRAME_CS(%rsp)
    jne 1f
    cmpq $SELECTOR_USER_DATA, FRAME_SS(%rsp)
    jne 1f
    NOTE_EXIT %rsi
    POP_REGISTERS
    movq FRAME_RSP - FRAME_VECTOR(%rsp), %rsp
    swapgs
    sysretq
1:  jmp trap_return_to_user
system_call_entry_end:
    .size system_call_entry, . - system_call_entry

/*
 * uint64_t user_mode_switch(const struct trap_frame *frame): keeps this stack's state on it, below which traps from user
 * mode begin, and returns to the user through a copy of the frame.
 */
    .section .text.user_mode_switch, "ax"
    .globl user_mode_switch
    .type user_mode_switch, @function
user_mode_switch:
    pushq %rbp
    movq %rsp, %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushfq
    cli
    pushq %gs:PER_CPU_RSP0
    subq $8, %rsp /* traps begin at a multiple of 16 */
    movq %rsp, %gs:PER_CPU_RSP0
    subq $TRAP_FRAME_BYTES, %rsp
    movq %rdi, %rsi
    movq %rsp, %rdi
    movl $FRAME_WORDS, %ecx
    rep movsq
    jmp trap_return_to_user
    .size user_mode_switch, . - user_mode_switch

/* void user_mode_switch_back(uint64_t result): returns from the user_mode_switch() whose stack this is. */
    .section .text.user_mode_switch_back, "ax"
    .globl user_mode_switch_back
    .type user_mode_switch_back, @function
user_mode_switch_back:
    cli
    movq %rdi, %rax
    movq %gs:PER_CPU_RSP0, %rsp
    addq $8, %rsp
    popq %gs:PER_CPU_RSP0
    popfq
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size user_mode_switch_back, . - user_mode_switch_back

/* void user_vectors_clear(void): SDM volume 1, 8.1.5 and 10.2.3: the values after FNINIT and a reset of MXCSR. */
    .section .text.user_vectors_clear, "ax"
    .globl user_vectors_clear
    .type user_vectors_clear, @function
user_vectors_clear:
    fninit
    pushq $0x1f80
    ldmxcsr (%rsp)
    addq $8, %rsp
    .irp number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    xorps %xmm\number, %xmm\number
    .endr
    ret
    .size user_vectors_clear, . - user_vectors_clear

    .section .bss.system_call_run, "aw", @nobits
    .globl system_call_run /* the handler */
    .balign 8
system_call_run:
    .skip 8

    .section .note.GNU-stack, "", @progbits
