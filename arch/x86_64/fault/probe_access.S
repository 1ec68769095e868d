/* Copies that stop at the first byte that faults: the fixup table leads out of them (see arch/x86_64/trap/dispatch.c). */

/* uint64_t probe_copy(void *destination in rdi, const void *source in rsi, uint64_t bytes in rdx): bytes not copied. */
    .section .text.probe_copy, "ax"
    .globl probe_copy
    .type probe_copy, @function
probe_copy:
    movq %rdx, %rcx
probe_copy_instruction:
    rep movsb
probe_copy_end:
    movq %rcx, %rax
    ret
    .size probe_copy, . - probe_copy

    .section ashlar_fixups, "a"
    .balign 4
    .long probe_copy_instruction - .
    .long probe_copy_end - .

    .section .note.GNU-stack, "", @progbits
