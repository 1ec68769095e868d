/*
 * How a processor comes from STARTUP to the kernel: real mode, protected mode, 64-bit mode on borrowed tables, then the
 * kernel's own. The first part is copied to a frame below 1 MiB, whose address it learns from CS.
 *
 * Before it switches paging on, a processor finds its record (struct startup_cpu) by its APIC number: what it lacks for
 * that switch it says there, and halts.
 */
#include <x86/segments.h>

    .set CR0_PROTECTED, 1 << 0
    .set CR0_PAGED, 0x80010033      /* PG WP NE ET MP PE */
    .set CR4_PAE, 1 << 5
    .set CR4_LA57, 1 << 12
    .set MSR_APIC_BASE, 0x1b
    .set MSR_EFER, 0xc0000080
    .set EFER_VALUE, 1 << 8 | 1 << 11 /* LME NXE */
    .set MSR_X2APIC_ID, 0x802
    .set APIC_BASE_X2APIC, 3 << 10  /* with the bit that turns the APIC on */
    .set APIC_ID, 0x20
    .set CPUID_1_ECX_X2APIC, 21
    .set CPUID_7_ECX_LA57, 16
    .set CPUID_EXTENDED, 0x80000000
    .set CPUID_EXTENDED_1_EDX_NX, 20
    .set TABLE_COUNT, 0             /* of struct startup_table */
    .set TABLE_X2APIC, 4
    .set TABLE_CPUS, 8
    .set RECORD_BYTES, 24           /* of struct startup_cpu */
    .set RECORD_ARRIVED, 4
    .set RECORD_STACK, 8
    .set STARTUP_LACKS_NX, 3        /* of enum startup_state */
    .set STARTUP_LACKS_LA57, 4

    .section .rodata.startup, "a"
    .balign 16
    .globl startup_begin
startup_begin:
    .code16
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    movzwl %ax, %ebp
    shll $4, %ebp                   /* the frame's address, from here to the end */
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

/*
 * Its APIC number. Where x2APIC mode is wanted, it is switched on, and then its register tells; the number that CPUID's
 * leaf 1 tells has 8 bits, and is for a processor that has no such mode. Else the APIC tells, where it is in memory.
 */
    movl $1, %eax
    cpuid
    movl %ebx, %esi
    shrl $24, %esi
    movl (startup_table - startup_begin)(%ebp), %edi
    cmpl $0, TABLE_X2APIC(%edi)
    je 1f
    btl $CPUID_1_ECX_X2APIC, %ecx
    jnc 2f
    movl $MSR_APIC_BASE, %ecx
    rdmsr
    orl $APIC_BASE_X2APIC, %eax
    wrmsr
    movl $MSR_X2APIC_ID, %ecx
    rdmsr
    movl %eax, %esi
    jmp 2f
1:  movl $MSR_APIC_BASE, %ecx
    rdmsr
    testl %edx, %edx                /* above 4 GiB it cannot be read here */
    jnz 2f
    andl $0xfffff000, %eax
    movl APIC_ID(%eax), %esi
    shrl $24, %esi

/* Its record, to edi. Nobody expects one that has none. */
2:  movl TABLE_COUNT(%edi), %ecx
    addl $TABLE_CPUS, %edi
3:  testl %ecx, %ecx
    jz startup_halt
    cmpl %esi, (%edi)
    je 4f
    addl $RECORD_BYTES, %edi
    decl %ecx
    jmp 3b

/* What it needs for the kernel's tables. */
4:  movl $CPUID_EXTENDED, %eax
    cpuid
    movl $STARTUP_LACKS_NX, %esi
    cmpl $CPUID_EXTENDED, %eax
    jbe startup_refused
    movl $CPUID_EXTENDED + 1, %eax
    cpuid
    btl $CPUID_EXTENDED_1_EDX_NX, %edx
    jnc startup_refused
    testl $CR4_LA57, (startup_cr4 - startup_begin)(%ebp)
    jz 5f
    xorl %eax, %eax
    cpuid
    movl $STARTUP_LACKS_LA57, %esi
    cmpl $7, %eax
    jb startup_refused
    movl $7, %eax
    xorl %ecx, %ecx
    cpuid
    btl $CPUID_7_ECX_LA57, %ecx
    jnc startup_refused

5:  movl (startup_cr4 - startup_begin)(%ebp), %eax
    movl %eax, %cr4
    movl (startup_root - startup_begin)(%ebp), %eax
    movl %eax, %cr3
    movl $MSR_EFER, %ecx
    movl $EFER_VALUE, %eax
    xorl %edx, %edx
    wrmsr
    movl $CR0_PAGED, %eax
    movl %eax, %cr0                 /* long mode */
    ljmpl *(startup_far_64 - startup_begin)(%ebp)

/* The answer in esi, unless it has been given up. */
startup_refused:
    xorl %eax, %eax                 /* STARTUP_EXPECTED */
    lock cmpxchgl %esi, RECORD_ARRIVED(%edi)
startup_halt:
    hlt
    jmp startup_halt

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
    .globl startup_table
startup_table:
    .long 0
    .balign 8
    .globl startup_entry
startup_entry:
    .quad 0
    .globl startup_end
startup_end:

/* In the kernel's image, on the borrowed tables still: on to the kernel's own, where the physmap shows the record. */
    .section .text.startup, "ax"
    .globl startup_arrive
    .type startup_arrive, @function
startup_arrive:
    movq startup_kernel_root(%rip), %rax
    movq %rax, %cr3
    movl %edi, %edi                 /* the upper half is undefined after 32-bit mode */
    addq startup_physmap(%rip), %rdi
    movq RECORD_STACK(%rdi), %rsp
    xorl %ebp, %ebp                 /* the end of every backtrace */
    call *startup_function(%rip)
    .size startup_arrive, . - startup_arrive

/* Written by startup.c. */
    .section .bss.startup, "aw", @nobits
    .balign 8
    .globl startup_kernel_root
startup_kernel_root:
    .skip 8
    .globl startup_physmap
startup_physmap:
    .skip 8
    .globl startup_function
startup_function:
    .skip 8

    .section .note.GNU-stack, "", @progbits
