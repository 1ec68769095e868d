/*
 * void firmware_call_enter(struct firmware_call *call): see <x86/firmware_call.h>. Interrupts are off.
 *
 * Everything that must survive the call is saved on the kernel's stack, and the stack pointer in a variable, so that the
 * same exit serves a call that ended in an exception. The kernel half of both page tables is the same: code and stacks
 * stay where they are across the writes of CR3.
 *
 * The firmware may use SSE and x87 registers, and is promised that they trap nothing and are empty (UEFI 2.3.4.1). What
 * is in them is whatever this CPU did last: of a user program, or left by the firmware itself. So all of them are saved.
 */
    .set CALL_FUNCTION, 0
    .set CALL_ARGUMENTS, 8
    .set CALL_ROOT, 48
    .set CALL_STACK_TOP, 56
    .set CALL_RESULT, 64
    .set CALL_FAULTED, 72
    .set FLOAT_BYTES, 512           /* FXSAVE's (SDM volume 1, 10.5.1), 16-byte aligned; the stack pointer lies behind it */

    .section .text.firmware_call, "ax"
    .globl firmware_call_enter
    .type firmware_call_enter, @function
firmware_call_enter:
    pushq %rbp
    movq %rsp, %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushq %rdi
    movq %cr3, %rax
    pushq %rax
    movq %rsp, %rax
    subq $FLOAT_BYTES + 16, %rsp
    andq $-16, %rsp
    fxsaveq (%rsp)
    movq %rax, FLOAT_BYTES(%rsp)
    fninit
    ldmxcsr firmware_call_mxcsr(%rip)
    movq %rsp, firmware_call_saved_stack(%rip)
    movq %rdi, %rbx

    movq CALL_STACK_TOP(%rbx), %rsp
    movq CALL_ROOT(%rbx), %rax
    movq %rax, %cr3
    cld
    subq $48, %rsp                  /* 32 bytes of room for the callee, the fifth argument, alignment */
    movq CALL_ARGUMENTS + 32(%rbx), %rax
    movq %rax, 32(%rsp)
    movq CALL_ARGUMENTS + 0(%rbx), %rcx
    movq CALL_ARGUMENTS + 8(%rbx), %rdx
    movq CALL_ARGUMENTS + 16(%rbx), %r8
    movq CALL_ARGUMENTS + 24(%rbx), %r9
    call *CALL_FUNCTION(%rbx)
    movq firmware_call_saved_stack(%rip), %rsp
    xorl %edx, %edx
    jmp 1f

    .globl firmware_call_abandon
firmware_call_abandon:              /* rsp is the saved one, by the exception's return */
    movl $1, %edx
    xorl %eax, %eax
1:  cli
    cld
    fxrstorq (%rsp)
    movq FLOAT_BYTES(%rsp), %rsp
    popq %rcx
    movq %rcx, %cr3
    popq %rdi
    movq %rax, CALL_RESULT(%rdi)
    movq %rdx, CALL_FAULTED(%rdi)
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size firmware_call_enter, . - firmware_call_enter

    .section .rodata.firmware_call, "a"
    .balign 4
firmware_call_mxcsr:
    .long 0x1f80                    /* all exceptions masked, rounding to nearest */

    .section .bss.firmware_call, "aw", @nobits
    .balign 8
    .globl firmware_call_saved_stack
    .hidden firmware_call_saved_stack
firmware_call_saved_stack:
    .skip 8

    .section .note.GNU-stack, "", @progbits
