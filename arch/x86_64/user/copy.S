/*
 * Access to user memory that ends where it faults: the fixup table leads out (arch/x86_64/trap/dispatch.c). The flag AC
 * says that it is on purpose, and is set around the accesses only (SDM volume 3, 4.6); it is set by POPF, since STAC is
 * there only on CPUs with SMAP, and kernel/memory/page_fault.c asks for it on all. See copy.c for who calls these.
 */
    .set FLAG_ACCESS, 0x40000

.macro ACCESS_BEGIN
    pushfq
    orl $FLAG_ACCESS, (%rsp)
    popfq
.endm

.macro ACCESS_END
    pushfq
    andl $~FLAG_ACCESS, (%rsp)
    popfq
.endm

.macro FIXUP instruction, continuation
    .pushsection ashlar_fixups, "a"
    .balign 4
    .long \instruction - .
    .long \continuation - .
    .popsection
.endm

    .section .text.user_copy, "ax"

/* uint64_t user_access_copy(void *to, const void *from, uint64_t bytes): how many could not be copied. */
    .globl user_access_copy
    .type user_access_copy, @function
user_access_copy:
    movq %rdx, %rcx
    shrq $3, %rcx
    andl $7, %edx
    ACCESS_BEGIN
copy_words:
    rep movsq
    movl %edx, %ecx
copy_bytes:
    rep movsb
copy_end:
    ACCESS_END
    movq %rcx, %rax
    ret
copy_rest: /* of the word that faulted, some bytes may be there */
    leaq (%rdx,%rcx,8), %rcx
    jmp copy_bytes
    .size user_access_copy, . - user_access_copy
    FIXUP copy_words, copy_rest
    FIXUP copy_bytes, copy_end

/* uint64_t user_access_clear(void *to, uint64_t bytes): how many could not be cleared. */
    .globl user_access_clear
    .type user_access_clear, @function
user_access_clear:
    movq %rsi, %rcx
    shrq $3, %rcx
    andl $7, %esi
    xorl %eax, %eax
    ACCESS_BEGIN
clear_words:
    rep stosq
    movl %esi, %ecx
clear_bytes:
    rep stosb
clear_end:
    ACCESS_END
    movq %rcx, %rax
    ret
clear_rest:
    leaq (%rsi,%rcx,8), %rcx
    jmp clear_bytes
    .size user_access_clear, . - user_access_clear
    FIXUP clear_words, clear_rest
    FIXUP clear_bytes, clear_end

/* int64_t user_access_string(char *to, const char *from, uint64_t limit): its length, -1: a fault, -2: too long. */
    .globl user_access_string
    .type user_access_string, @function
user_access_string:
    movq %rdi, %r8
    ACCESS_BEGIN
string_load:
    movb (%rsi), %cl
    movb %cl, (%rdi)
    testb %cl, %cl
    jz string_whole
    incq %rsi
    incq %rdi
    decq %rdx
    jnz string_load
    movq $-2, %rax
    jmp string_end
string_whole:
    movq %rdi, %rax
    subq %r8, %rax
    jmp string_end
string_fault:
    movq $-1, %rax
string_end:
    ACCESS_END
    ret
    .size user_access_string, . - user_access_string
    FIXUP string_load, string_fault

/* One access; each returns 0, or 1 when it cannot be reached. A number goes through RAX. */
.macro ONE_ACCESS name, before:vararg
    .globl user_access_\name
    .type user_access_\name, @function
user_access_\name:
    ACCESS_BEGIN
    \before
.endm

.macro ONE_END name, after:vararg
    ACCESS_END
    \after
    xorl %eax, %eax
    ret
\name\()_fault:
    ACCESS_END
    movl $1, %eax
    ret
    .size user_access_\name, . - user_access_\name
    FIXUP \name\()_instruction, \name\()_fault
.endm

/* uint64_t user_access_load_32(uint32_t *value, const void *from), and so on for 64 bits. */
    ONE_ACCESS load_32
load_32_instruction:
    movl (%rsi), %eax
    ONE_END load_32, movl %eax, (%rdi)

    ONE_ACCESS load_64
load_64_instruction:
    movq (%rsi), %rax
    ONE_END load_64, movq %rax, (%rdi)

/* uint64_t user_access_store_32(void *to, uint32_t value), and so on. */
    ONE_ACCESS store_32
store_32_instruction:
    movl %esi, (%rdi)
    ONE_END store_32

    ONE_ACCESS store_64
store_64_instruction:
    movq %rsi, (%rdi)
    ONE_END store_64

/* uint64_t user_access_exchange(void *at, uint32_t *expected, uint32_t desired) */
    ONE_ACCESS exchange, movl (%rsi), %eax
exchange_instruction:
    lock cmpxchgl %edx, (%rdi)
    ONE_END exchange, movl %eax, (%rsi)

/* Vector registers: uint64_t user_access_xsave(void *to, uint64_t components), and so on: each instruction that a fault
 * interrupted begins anew. A form that XRSTOR refuses is a general protection fault, which leads out, too. */
.macro VECTOR_ACCESS name
    ONE_ACCESS \name, movl %esi, %eax ; movq %rsi, %rdx ; shrq $32, %rdx
\name\()_instruction:
    \name\()64 (%rdi)
    ONE_END \name
.endm

    VECTOR_ACCESS xsave
    VECTOR_ACCESS xrstor
    VECTOR_ACCESS fxsave
    VECTOR_ACCESS fxrstor

    .section .note.GNU-stack, "", @progbits
