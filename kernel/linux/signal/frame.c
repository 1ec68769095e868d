/* The frame of a handler; see frame.h. */
#include "frame.h"

#include <ashlar/string.h>
#include <ashlar/types.h>
#include <x86/segments.h>

/* Flags that a program may have as it likes: those that hold results, DF, TF, AC and RF. */
#define FLAGS_OF_PROGRAM 0x50dd5ULL

#define FLAGS_TRAP      0x100ULL
#define FLAGS_DIRECTION 0x400ULL
#define FLAGS_RESUME    0x10000ULL

#define RING_3 3U

/* ---- Alternate stacks ---- */

static bool is_on(const struct signal_stack *stack, uint64_t stack_pointer)
{
    return stack_pointer > stack->base && stack_pointer - stack->base <= stack->bytes;
}

bool signal_stack_is_used(const struct signal_stack *stack, uint64_t stack_pointer)
{
    return !(stack->flags & STACK_AUTODISARM) && is_on(stack, stack_pointer);
}

uint32_t signal_stack_state(const struct signal_stack *stack, uint64_t stack_pointer)
{
    if (stack->bytes == 0) {
        return STACK_NONE;
    }
    return signal_stack_is_used(stack, stack_pointer) ? STACK_IN_USE : 0;
}

/* ---- Vector registers ---- */

void vectors_begin(struct vectors_beginning *beginning, const struct vectors_form *form)
{
    memset(beginning, 0, sizeof *beginning);
    beginning->note.magic = VECTORS_MAGIC;
    beginning->note.all_bytes = form->bytes + (uint32_t)sizeof(uint32_t);
    beginning->note.components = form->components;
    beginning->note.bytes = form->bytes;
}

bool vectors_have_end(const struct vectors_note *note, const struct vectors_form *form)
{
    return form->components != 0 && note->magic == VECTORS_MAGIC && note->bytes >= VECTORS_LEAST &&
           note->bytes <= form->bytes && note->bytes <= note->all_bytes;
}

uint64_t vectors_components(const struct vectors_note *note, const struct vectors_form *form,
                            uint32_t end_magic)
{
    return vectors_have_end(note, form) && end_magic == VECTORS_END_MAGIC
               ? note->components & form->components
               : 0;
}

/* ---- Where it goes ---- */

static uint64_t vector_bytes(const struct vectors_form *form)
{
    return form->components ? form->bytes + sizeof(uint32_t) : form->bytes;
}

bool signal_frame_place(struct signal_place *place, uint64_t stack_pointer, const struct signal_stack *stack,
                        bool on_stack, const struct vectors_form *form)
{
    bool used = signal_stack_is_used(stack, stack_pointer);
    bool enters = on_stack && stack->bytes != 0 && !used;
    uint64_t top = enters ? stack->base + stack->bytes : stack_pointer - RED_ZONE_BYTES;
    place->vectors = align_down(top - vector_bytes(form), 64);
    place->frame = align_down(place->vectors - SIGNAL_FRAME_BYTES, 16) - 8;
    return !(enters || used) || is_on(stack, place->frame);
}

/* ---- Registers ---- */

/* Field by field: the two could overlap, for all that the compiler knows, and it would copy twice. */
void signal_context_fill(struct signal_context *context, const struct trap_frame *frame)
{
    context->r8 = frame->r8;
    context->r9 = frame->r9;
    context->r10 = frame->r10;
    context->r11 = frame->r11;
    context->r12 = frame->r12;
    context->r13 = frame->r13;
    context->r14 = frame->r14;
    context->r15 = frame->r15;
    context->rdi = frame->rdi;
    context->rsi = frame->rsi;
    context->rbp = frame->rbp;
    context->rbx = frame->rbx;
    context->rdx = frame->rdx;
    context->rax = frame->rax;
    context->rcx = frame->rcx;
    context->rsp = frame->rsp;
    context->rip = frame->rip;
    context->rflags = frame->rflags;
    context->cs = (uint16_t)frame->cs;
    context->ss = (uint16_t)frame->ss;
    context->fs = context->gs = 0;
    context->error_code = context->vector = context->fault_address = 0;
    context->old_mask = context->vectors = 0;
    memset(context->unused, 0, sizeof context->unused);
}

void signal_context_take(const struct signal_context *context, bool strict_ss, struct trap_frame *frame)
{
    frame->r8 = context->r8;
    frame->r9 = context->r9;
    frame->r10 = context->r10;
    frame->r11 = context->r11;
    frame->r12 = context->r12;
    frame->r13 = context->r13;
    frame->r14 = context->r14;
    frame->r15 = context->r15;
    frame->rdi = context->rdi;
    frame->rsi = context->rsi;
    frame->rbp = context->rbp;
    frame->rbx = context->rbx;
    frame->rdx = context->rdx;
    frame->rax = context->rax;
    frame->rcx = context->rcx;
    frame->rsp = context->rsp;
    frame->rip = context->rip;
    frame->cs = context->cs | RING_3;
    frame->ss = strict_ss ? context->ss | RING_3 : SELECTOR_USER_DATA;
    frame->rflags = (frame->rflags & ~FLAGS_OF_PROGRAM) | (context->rflags & FLAGS_OF_PROGRAM);
}

void signal_frame_enter(struct trap_frame *frame, uint32_t signal, uint64_t handler, uint64_t at)
{
    frame->rdi = signal;
    frame->rsi = at + sizeof(struct signal_frame);
    frame->rdx = at + offsetof(struct signal_frame, flags);
    frame->rax = 0;
    frame->rsp = at;
    frame->rip = handler;
    frame->cs = SELECTOR_USER_CODE;
    frame->ss = SELECTOR_USER_DATA;
    frame->rflags &= ~(FLAGS_DIRECTION | FLAGS_RESUME | FLAGS_TRAP);
}
