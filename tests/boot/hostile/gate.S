/*
 * One entry for each slot of the boot services table. All of them lead to gate_decide(slot) (services.c), which
 * returns the function to go on to: the firmware's, ours, or one that only returns an error. The arguments of
 * the call stay as they are: four in registers, kept here in the home space that the caller provides
 * (Microsoft x64 calling convention), the rest on the stack above.
 */
#define SERVICES 44
#define ENTRY_BYTES_SHIFT 4

    .text
    .globl gate_entries
    .p2align 4
gate_entries:
    .rept SERVICES
    callq gate_common
    .p2align ENTRY_BYTES_SHIFT
    .endr

gate_common:
    /* The return address the entry pushed tells which one it was; drop it. */
    popq %rax
    movq %rcx, 8(%rsp)
    movq %rdx, 16(%rsp)
    movq %r8, 24(%rsp)
    movq %r9, 32(%rsp)
    leaq gate_entries(%rip), %rcx
    subq %rcx, %rax
    shrq $ENTRY_BYTES_SHIFT, %rax
    movl %eax, %ecx
    subq $40, %rsp
    callq gate_decide
    addq $40, %rsp
    movq 8(%rsp), %rcx
    movq 16(%rsp), %rdx
    movq 24(%rsp), %r8
    movq 32(%rsp), %r9
    jmpq *%rax
