/* The vDSO's file, which kernel/linux/vdso.c maps into programs. */
    .section .rodata.vdso, "a"
    .balign 8
    .globl vdso_file, vdso_file_end
vdso_file:
    .incbin VDSO_FILE
vdso_file_end:

    .section .note.GNU-stack, "", @progbits
