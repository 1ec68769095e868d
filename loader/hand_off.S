/*
 * The last instructions of the loader: control registers to known values whatever the firmware left (SDM volume 3,
 * 2.5), the kernel's page tables, its stack, its entry point.
 */
    .set CR0_VALUE, 0x80010033      /* PG WP NE ET MP PE */
    .set CR4_LA57, 1 << 12
    .set MSR_PAT, 0x277
    .set MSR_EFER, 0xc0000080
    .set EFER_LONG_MODE, 1 << 8 | 1 << 10   /* LME LMA */
    .set EFER_NXE, 1 << 11
    .set PAT_LOW, 0x00070106        /* WB WC UC- UC: PAGE_ATTRIBUTE_TABLE */
    .set PAT_HIGH, 0x04070506       /* WB WP UC- WT */

    .text
/* _Noreturn void kernel_enter(const struct hand_off * in rcx) */
    .globl kernel_enter
kernel_enter:
    cli
    cld
    movq %rcx, %rsi
    /* No caches need a flush: the entries in use keep their type, and the new one is used by no page yet. */
    movl $MSR_PAT, %ecx
    movl $PAT_LOW, %eax
    movl $PAT_HIGH, %edx
    wrmsr
    movl $MSR_EFER, %ecx
    rdmsr
    andl $EFER_LONG_MODE, %eax
    orl $EFER_NXE, %eax
    xorl %edx, %edx
    wrmsr
    /* LA57 cannot change in long mode: it stays as it is. CR4 goes first, as CET forbids clearing CR0.WP. */
    movq %cr4, %rax
    andl $CR4_LA57, %eax
    orq 32(%rsi), %rax
    movq %rax, %cr4
    movl $CR0_VALUE, %eax
    movq %rax, %cr0
    movq 40(%rsi), %rbx
    testq %rbx, %rbx
    jz 1f
    jmpq *%rbx                      /* la57_start, copied below 4 GiB; rbx holds its address */
1:  movq 24(%rsi), %rdi
    movq 16(%rsi), %rax
    movq 8(%rsi), %rdx
    movq 0(%rsi), %rcx
    movq %rcx, %cr3
    movq %rdx, %rsp
    xorl %ebp, %ebp
    pushq $0                        /* the return address of a function that must not return */
    jmpq *%rax

/*
 * The switch to 5-level paging (SDM volume 3, 4.1.2): LA57 may only change with paging off, and paging is only off
 * outside long mode, so the way leads through 32-bit code, in a page that is identity-mapped before and after.
 */
    .balign 16
    .globl la57_start
la57_start:
    lgdt la57_gdt_pointer(%rip)
    ljmpl *la57_far_32(%rip)

    .code32
    .globl la57_code_32
la57_code_32:
    movl $0x18, %eax
    movl %eax, %ds
    movl %cr0, %eax
    andl $0x7fffffff, %eax
    movl %eax, %cr0                 /* paging off, long mode left; EFER.LME stays */
    movl %cr4, %eax
    orl $CR4_LA57, %eax
    movl %eax, %cr4
    movl (la57_hand_off - la57_start)(%ebx), %eax
    movl %eax, %cr3
    movl %cr0, %eax
    orl $0x80000000, %eax
    movl %eax, %cr0                 /* paging on with 5 levels, long mode entered */
    ljmpl *(la57_far_64 - la57_start)(%ebx)

    .code64
    .globl la57_code_64
la57_code_64:
    movq (la57_hand_off + 24)(%rip), %rdi
    movq (la57_hand_off + 16)(%rip), %rax
    movq (la57_hand_off + 8)(%rip), %rsp
    movl $0x18, %ecx
    movl %ecx, %ss
    movl %ecx, %ds
    movl %ecx, %es
    xorl %ebp, %ebp
    pushq $0
    jmpq *%rax

/*
 * The page is mapped read-only, so the descriptors say "accessed" from the start: the CPU would write that bit when it
 * loads one that does not (SDM volume 3, 3.4.5.1), and fault. Emulators do not, processors do.
 */
    .balign 8
    .globl la57_gdt
la57_gdt:
    .quad 0
    .quad 0x00209b0000000000        /* 0x08: 64-bit code, as in the loader's own table */
    .quad 0x00cf9b000000ffff        /* 0x10: 32-bit code */
    .quad 0x00cf93000000ffff        /* 0x18: data */
    .globl la57_gdt_pointer
la57_gdt_pointer:
    .word la57_gdt_pointer - la57_gdt - 1
    .quad 0
    .globl la57_far_32
la57_far_32:
    .long 0
    .word 0x10
    .globl la57_far_64
la57_far_64:
    .long 0
    .word 0x08
    .balign 8
    .globl la57_hand_off
la57_hand_off:
    .skip 48
    .globl la57_end
la57_end:
