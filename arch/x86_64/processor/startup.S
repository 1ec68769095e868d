/*
 * How a processor comes from STARTUP to the kernel: real mode, protected mode, 64-bit mode on borrowed tables, then the
 * kernel's own. The first part is copied to a frame below 1 MiB, whose address it learns from CS.
 */
#include <x86/segments.h>

    .set CR0_PROTECTED, 1 << 0
    .set CR0_PAGED, 0x80010033      /* PG WP NE ET MP PE */
    .set CR4_PAE, 1 << 5
    .set CR4_LA57, 1 << 12
    .set MSR_APIC_BASE, 0x1b
    .set MSR_EFER, 0xc0000080
    .set EFER_VALUE, 1 << 8 | 1 << 11 /* LME NXE */
    .set CPUID_TOPOLOGY, 0xb
    .set APIC_ID, 0x20
    .set RECORD_BYTES, 24
    .set RECORD_STACK, 8

    .section .rodata.startup, "a"
    .balign 16
    .globl startup_begin
startup_begin:
    .code16
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    movzwl %ax, %ebx
    shll $4, %ebx                   /* the frame's address, from here to the end */
    lgdtl startup_gdt_pointer - startup_begin
    movl $CR0_PROTECTED, %eax
    movl %eax, %cr0
    ljmpl *(startup_far_32 - startup_begin)

    .code32
    .globl startup_code_32
startup_code_32:
    movl $0x18, %eax
    movl %eax, %ds
    movl %eax, %ss
    movl (startup_cr4 - startup_begin)(%ebx), %eax
    movl %eax, %cr4
    movl (startup_root - startup_begin)(%ebx), %eax
    movl %eax, %cr3
    movl $MSR_EFER, %ecx
    movl $EFER_VALUE, %eax
    xorl %edx, %edx
    wrmsr
    movl $CR0_PAGED, %eax
    movl %eax, %cr0                 /* long mode */
    ljmpl *(startup_far_64 - startup_begin)(%ebx)

    .code64
    .globl startup_code_64
startup_code_64:
    jmpq *startup_entry(%rip)

/* Accessed from the start, since the CPU cannot set the bit in a read-only page (SDM volume 3, 3.4.5.1). */
    .balign 8
    .globl startup_gdt
startup_gdt:
    .quad 0
    .quad 0x00af9b000000ffff        /* 0x08: 64-bit code, the kernel's own selector */
    .quad 0x00cf9b000000ffff        /* 0x10: 32-bit code */
    .quad 0x00cf93000000ffff        /* 0x18: data */
    .globl startup_gdt_pointer
startup_gdt_pointer:
    .word startup_gdt_pointer - startup_gdt - 1
    .long 0
    .globl startup_far_32
startup_far_32:
    .long 0
    .word 0x10
    .globl startup_far_64
startup_far_64:
    .long 0
    .word 0x08
    .globl startup_cr4
startup_cr4:
    .long 0
    .globl startup_root
startup_root:
    .long 0
    .balign 8
    .globl startup_entry
startup_entry:
    .quad 0
    .globl startup_end
startup_end:

/*
 * In the kernel's image, on the borrowed tables still: on to the kernel's own, and to the record with this processor's
 * APIC number. In x2APIC mode CPUID tells the number, as this processor may not be in that mode yet; else its own APIC.
 */
    .section .text.startup, "ax"
    .globl startup_arrive
    .type startup_arrive, @function
startup_arrive:
    movq startup_kernel_root(%rip), %rax
    movq %rax, %cr3
    movq startup_apic_registers(%rip), %rsi
    testq %rsi, %rsi
    jz 1f
    movl APIC_ID(%rsi), %edx
    shrl $24, %edx
    jmp 2f
1:  movl $CPUID_TOPOLOGY, %eax
    xorl %ecx, %ecx
    cpuid
2:  movq startup_cpus(%rip), %rdi
    movl startup_count(%rip), %ecx
3:  testl %ecx, %ecx
    jz 5f
    cmpl %edx, (%rdi)
    je 4f
    addq $RECORD_BYTES, %rdi
    decl %ecx
    jmp 3b
4:  movq RECORD_STACK(%rdi), %rsp
    xorl %ebp, %ebp                 /* the end of every backtrace */
    call *startup_function(%rip)
5:  cli
    hlt
    jmp 5b
    .size startup_arrive, . - startup_arrive

/* Written by startup.c. */
    .section .bss.startup, "aw", @nobits
    .balign 8
    .globl startup_kernel_root
startup_kernel_root:
    .skip 8
    .globl startup_apic_registers
startup_apic_registers:
    .skip 8
    .globl startup_cpus
startup_cpus:
    .skip 8
    .globl startup_function
startup_function:
    .skip 8
    .globl startup_count
startup_count:
    .skip 4

    .section .note.GNU-stack, "", @progbits
