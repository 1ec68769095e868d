/* Changing from one thread's stack to another's; see <x86/thread.h>. */

    .section .text.thread_switch_stacks, "ax"

/* void thread_switch_stacks(void **left, void *to): saves what a call must preserve, and AC, which says that user memory
 * may be touched. struct thread_saved is this order. */
    .globl thread_switch_stacks
    .type thread_switch_stacks, @function
thread_switch_stacks:
    pushfq
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    popfq
    ret
    .size thread_switch_stacks, . - thread_switch_stacks

/* Where a new thread returns to: r12 is what it is to call. Its frame pointer is 0, the end of every backtrace. */
    .cfi_sections .debug_frame
    .globl thread_first
    .type thread_first, @function
thread_first:
    .cfi_startproc
    .cfi_undefined rip
    call *%r12
    ud2
    .cfi_endproc
    .size thread_first, . - thread_first

    .section .note.GNU-stack, "", @progbits
