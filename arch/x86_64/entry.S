/* Where the loader jumps: boot_info in rdi, on the boot stack, interrupts off (<ashlar/boot_info.h>). */
    .section .text.entry, "ax"
    .globl kernel_entry
    .type kernel_entry, @function
kernel_entry:
    xorl %ebp, %ebp         /* the end of every backtrace */
    subq $8, %rsp           /* as the ABI asks at a call: kernel_entry was itself entered as if by one */
    call kernel_main
    ud2
    .size kernel_entry, . - kernel_entry

    .section .note.GNU-stack, "", @progbits
