/*
 * void levels_switch(uint64_t base in rcx, uint64_t root in rdx): from 4-level to 5-level paging, or the other way,
 * with tables from that root, and back to the caller. LA57 only changes with paging off, and paging is only off outside long mode (SDM volume 3, 4.1.2), so the
 * way leads through 32-bit code. It runs as a copy at `base`, below 4 GiB and identity-mapped.
 */
    .set CR4_LA57, 1 << 12

    .text
    .globl levels_switch
levels_switch:
    pushfq
    cli
    pushq %rbx
    movq %rcx, %rbx
    movl %edx, (root - levels_switch)(%rbx)
    movq %rsp, (stack - levels_switch)(%rbx)
    movw %cs, (selectors - levels_switch)(%rbx)
    movw %ss, (selectors - levels_switch + 2)(%rbx)
    movw %ds, (selectors - levels_switch + 4)(%rbx)
    movw %es, (selectors - levels_switch + 6)(%rbx)
    sgdt (old_table - levels_switch)(%rbx)
    leaq (table - levels_switch)(%rbx), %rax
    movq %rax, (new_table - levels_switch + 2)(%rbx)
    lgdt (new_table - levels_switch)(%rbx)
    leaq (code_32 - levels_switch)(%rbx), %rax
    movl %eax, (far_32 - levels_switch)(%rbx)
    leaq (code_64 - levels_switch)(%rbx), %rax
    movl %eax, (far_64 - levels_switch)(%rbx)
    ljmpl *(far_32 - levels_switch)(%rbx)

    .code32
code_32:
    movl $0x18, %eax
    movl %eax, %ds
    movl %cr0, %eax
    andl $0x7fffffff, %eax
    movl %eax, %cr0                 /* paging off, long mode left; EFER.LME stays */
    movl %cr4, %eax
    xorl $CR4_LA57, %eax
    movl %eax, %cr4
    movl (root - levels_switch)(%ebx), %eax
    movl %eax, %cr3
    movl %cr0, %eax
    orl $0x80000000, %eax
    movl %eax, %cr0                 /* paging on, long mode entered */
    ljmpl *(far_64 - levels_switch)(%ebx)

    .code64
code_64:
    movl %ebx, %ebx                 /* the upper half is lost in 32-bit code */
    lgdt (old_table - levels_switch)(%rbx)
    movw (selectors - levels_switch + 2)(%rbx), %ss
    movw (selectors - levels_switch + 4)(%rbx), %ds
    movw (selectors - levels_switch + 6)(%rbx), %es
    movq (stack - levels_switch)(%rbx), %rsp
    movzwl (selectors - levels_switch)(%rbx), %eax
    pushq %rax
    leaq (back - levels_switch)(%rbx), %rax
    pushq %rax
    lretq
back:
    popq %rbx
    popfq
    retq

    .balign 8
table:
    .quad 0
    .quad 0x00209b0000000000        /* 0x08: 64-bit code */
    .quad 0x00cf9b000000ffff        /* 0x10: 32-bit code */
    .quad 0x00cf93000000ffff        /* 0x18: data */
new_table:
    .word new_table - table - 1
    .quad 0
old_table:
    .word 0
    .quad 0
far_32:
    .long 0
    .word 0x10
far_64:
    .long 0
    .word 0x08
    .balign 8
stack:
    .quad 0
root:
    .long 0
selectors:
    .word 0, 0, 0, 0                /* CS, SS, DS, ES */
    .globl levels_switch_end
levels_switch_end:
