/*
 * What a handler finds on its stack, in Linux's form (arch/x86/include/asm/sigframe.h and
 * uapi/asm/sigcontext.h), since C libraries and unwinders read it; and what is taken over of it when the
 * handler is done. It is the program's memory then: nothing of it is trusted.
 *
 * From above: the red zone, the vector registers as XSAVE stores them, aligned to 64, and the frame, which is
 * so aligned as after a call. Pure; the copies from and to the program are in kernel/linux/signal_frame.c.
 */
#pragma once

#include <x86/trap_frame.h>

#include "signal.h"

#define RED_ZONE_BYTES 128 /* below the stack pointer, that the interrupted code may use (ABI, 3.2.2) */

/* ---- Alternate stacks ---- */

#define STACK_IN_USE     1U         /* SS_ONSTACK */
#define STACK_NONE       2U         /* SS_DISABLE */
#define STACK_AUTODISARM (1U << 31) /* SS_AUTODISARM: there is none while a handler runs on it */
#define STACK_LEAST      2048       /* MINSIGSTKSZ */

/* stack_t */
struct signal_stack {
    uint64_t base;
    uint32_t flags;
    uint32_t unused;
    uint64_t bytes; /* 0: there is none */
};

/* Whether the stack pointer is on it, so that it cannot be changed. */
bool signal_stack_is_used(const struct signal_stack *stack, uint64_t stack_pointer);

/* What sigaltstack() tells of it. */
uint32_t signal_stack_state(const struct signal_stack *stack, uint64_t stack_pointer);

/* ---- The frame ---- */

/* struct sigcontext_64 */
struct signal_context {
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
    uint16_t cs, gs, fs, ss;
    uint64_t error_code;
    uint64_t vector;
    uint64_t old_mask;
    uint64_t fault_address;
    uint64_t vectors; /* address of the vector registers; 0: none */
    uint64_t unused[8];
};

#define CONTEXT_HAS_XSAVE 1U /* UC_FP_XSTATE */
#define CONTEXT_HAS_SS    6U /* UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS */
#define CONTEXT_STRICT_SS 4U

/* struct rt_sigframe; the signal's information follows. */
struct signal_frame {
    uint64_t restorer; /* where the handler returns to */
    uint64_t flags;
    uint64_t link;
    struct signal_stack stack;
    struct signal_context context;
    uint64_t mask; /* of signals, that is set again */
};

_Static_assert(sizeof(struct signal_context) == 256, "Linux's struct sigcontext");
_Static_assert(sizeof(struct signal_frame) == 312, "Linux's struct rt_sigframe, without the information");

#define SIGNAL_FRAME_BYTES (sizeof(struct signal_frame) + INFORMATION_BYTES)

/* ---- Vector registers ---- */

#define VECTORS_LEGACY_BYTES 512
#define VECTORS_NOTE_AT      464 /* of what FXSAVE leaves to software */
#define VECTORS_MAGIC        0x46505853U
#define VECTORS_END_MAGIC    0x46505845U
#define VECTORS_LEAST        576 /* the legacy region and the header of XSAVE */

/* What of struct _fpx_sw_bytes is used. */
struct vectors_note {
    uint32_t magic;
    uint32_t all_bytes; /* with the magic at the end */
    uint64_t components;
    uint32_t bytes; /* as XSAVE stores them */
    uint32_t unused;
};

/* All of it, and the header of XSAVE behind it, of which XSAVE stores a part and the rest has to be zeros. */
struct vectors_beginning {
    struct vectors_note note;
    uint64_t unused[3];
    uint64_t header[8];
};

_Static_assert(VECTORS_NOTE_AT + sizeof(struct vectors_beginning) == VECTORS_LEAST, "they end together");

/* What this CPU stores: bytes, and the components of XSAVE; 0: it has FXSAVE alone. */
struct vectors_form {
    uint32_t bytes;
    uint64_t components;
};

void vectors_begin(struct vectors_beginning *beginning, const struct vectors_form *form);

/*
 * Which components a program's note lets be loaded; 0: the legacy region alone, by FXRSTOR. end_magic: what
 * stands at note->bytes, if vectors_have_end() says that it is to be read.
 */
bool vectors_have_end(const struct vectors_note *note, const struct vectors_form *form);
uint64_t vectors_components(const struct vectors_note *note, const struct vectors_form *form,
                            uint32_t end_magic);

/* ---- Making and taking it ---- */

struct signal_place {
    uint64_t frame;
    uint64_t vectors;
};

/*
 * Where they go: below the red zone, or on the alternate stack, if the action is to run there. False: on that
 * stack there is no room.
 */
bool signal_frame_place(struct signal_place *place, uint64_t stack_pointer, const struct signal_stack *stack,
                        bool on_stack, const struct vectors_form *form);

/* The registers of a trap; and back: what a program may have as it likes is taken over. RFLAGS keep what is
 * not a program's; a selector that is none of ring 3 is refused by the CPU on the way there. */
void signal_context_fill(struct signal_context *context, const struct trap_frame *frame);
void signal_context_take(const struct signal_context *context, bool strict_ss, struct trap_frame *frame);

/* The registers with which a handler begins. */
void signal_frame_enter(struct trap_frame *frame, uint32_t signal, uint64_t handler, uint64_t at);
