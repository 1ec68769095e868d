/* Where the loader jumps: boot_info in rdi, on the boot stack, interrupts off (<ashlar/boot_info.h>). */
    .cfi_sections .debug_frame
    .section .text.entry, "ax"
    .globl kernel_entry
    .type kernel_entry, @function
kernel_entry:
    .cfi_startproc
    .cfi_undefined rip      /* the same for debuggers */
    movabsq $0x595e9fbd94fda700, %rax
    movq %rax, __stack_chk_guard(%rip)
    xorl %ebp, %ebp         /* the end of every backtrace */
    subq $8, %rsp           /* as the ABI asks at a call: kernel_entry was itself entered as if by one */
    call *kernel_hooks(%rip) /* its first member, start: <ashlar/hooks.h> */
    ud2
    .cfi_endproc
    .size kernel_entry, . - kernel_entry

    .section .note.GNU-stack, "", @progbits
