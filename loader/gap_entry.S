/* Exception stubs and table loading for the gap between boot services and the kernel; see gap_faults.h. */
    .set CR4_CET, 23        /* a bit number */

    .text

/* 32 stubs of 16 bytes: push the error code where the CPU did not, then the vector (SDM volume 3, table 6-1). */
    .globl gap_stubs
    .balign 16
gap_stubs:
    .set vector, 0
    .rept 32
    .balign 16
    .if (vector == 8) || ((vector >= 10) && (vector <= 14)) || (vector == 17) || (vector == 21) || (vector == 29) || (vector == 30)
    .else
    pushq $0
    .endif
    pushq $vector
    jmp gap_common
    .set vector, vector + 1
    .endr

    .balign 16
gap_common:
    pushq %rax
    pushq %rbx
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %rbp
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cld
    movq %rsp, %rcx         /* Microsoft calling convention: first argument, 32 bytes of home space */
    andq $-16, %rsp
    subq $32, %rsp
    call gap_fault_report
    ud2

/* void gap_load_tables(gdt_pointer in rcx, idt_pointer in rdx) */
    .globl gap_load_tables
gap_load_tables:
    cli
    /* With a shadow stack on, the far return below would fault (SDM volume 1, 17.2.3): CET goes first. */
    movq %cr4, %rax
    btrq $CR4_CET, %rax
    jnc 1f
    movq %rax, %cr4
1:
    lgdt (%rcx)
    lidt (%rdx)
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movl $0x18, %eax
    ltr %ax
    popq %rax
    pushq $0x08
    pushq %rax
    lretq
