/* Frames of handlers in a program's memory: made, and taken back by rt_sigreturn(). */
#define LOG_SUBSYSTEM "program"
#include <ashlar/log.h>
#include <ashlar/string.h>
#include <x86/extended_state.h>

#include "calls.h"

static struct vectors_form form_here(void)
{
    return (struct vectors_form){(uint32_t)extended_state_bytes(), extended_state_components()};
}

/* ---- Making ---- */

static bool put_vectors(uint64_t at, const struct vectors_form *form)
{
    if (form->components == 0) {
        return extended_state_save_to_user(user_addr(at));
    }
    struct vectors_beginning beginning;
    vectors_begin(&beginning, form);
    return copy_to_user(user_addr(at + VECTORS_NOTE_AT), &beginning, sizeof beginning) &&
           put_user_32(user_addr(at + form->bytes), VECTORS_END_MAGIC) &&
           extended_state_save_to_user(user_addr(at));
}

static bool put_information(uint64_t at, const struct signal_information *information)
{
    return copy_to_user(user_addr(at), information, sizeof *information) &&
           clear_user(user_addr(at + sizeof *information), INFORMATION_BYTES - sizeof *information);
}

bool signal_information_put(user_addr_t at, const struct signal_information *information)
{
    return put_information(at.raw, information);
}

bool signal_frame_push(struct trap_frame *frame, const struct signal_information *information,
                       const struct signal_action *action, uint64_t mask)
{
    struct task_signals *signals = &task_current()->signals;
    const struct vectors_form form = form_here();
    struct signal_place place;
    if (!(action->flags & ACTION_RESTORER) ||
        !signal_frame_place(&place, frame->rsp, &signals->stack, action->flags & ACTION_ON_STACK, &form)) {
        return false;
    }
    struct signal_frame made; /* all of it is filled */
    made.restorer = action->restorer;
    made.flags = CONTEXT_HAS_SS | (form.components ? CONTEXT_HAS_XSAVE : 0);
    made.link = 0;
    made.stack = signals->stack;
    made.mask = mask;
    signal_context_fill(&made.context, frame);
    made.context.error_code = signals->fault_error;
    made.context.vector = signals->fault_vector;
    made.context.fault_address = signals->fault_address;
    made.context.old_mask = mask;
    made.context.vectors = place.vectors;
    if (!put_vectors(place.vectors, &form) || !copy_to_user(user_addr(place.frame), &made, sizeof made) ||
        ((action->flags & ACTION_INFORMATION) && !put_information(place.frame + sizeof made, information))) {
        return false;
    }
    if (signals->stack.flags & STACK_AUTODISARM) {
        signals->stack = (struct signal_stack){.flags = STACK_NONE};
    }
    extended_state_reset();
    signal_frame_enter(frame, (uint32_t)information->signal, action->handler, place.frame);
    return true;
}

/* ---- Taking back ---- */

/* What the note says decides what is loaded; the memory may change meanwhile, but not what the CPU refuses.
 */
static bool take_vectors(uint64_t at)
{
    const struct vectors_form form = form_here();
    struct vectors_note note;
    uint32_t end = 0;
    extended_state_reset();
    if (at == 0) {
        return true;
    }
    if (!copy_from_user(&note, user_addr(at + VECTORS_NOTE_AT), sizeof note)) {
        return false;
    }
    if (vectors_have_end(&note, &form) && !get_user_32(&end, user_addr(at + note.bytes))) {
        end = 0;
    }
    return extended_state_load_from_user(user_addr(at), vectors_components(&note, &form, end));
}

int64_t signal_stack_set(struct task_signals *signals, const struct signal_stack *stack)
{
    uint32_t mode = stack->flags & ~STACK_AUTODISARM;
    if (mode != STACK_NONE && mode != STACK_IN_USE && mode != 0) {
        return -EINVAL;
    }
    if (stack->base == signals->stack.base && stack->bytes == signals->stack.bytes &&
        stack->flags == signals->stack.flags) {
        return 0;
    }
    if (mode != STACK_NONE && stack->bytes < STACK_LEAST) {
        return -ENOMEM;
    }
    bool none = mode == STACK_NONE;
    signals->stack = (struct signal_stack){
        .base = none ? 0 : stack->base, .flags = stack->flags, .bytes = none ? 0 : stack->bytes};
    return 0;
}

/* A stack that cannot be is not taken over, which is no error. */
static void take_stack(struct task_signals *signals, const struct signal_stack *stack, uint64_t stack_pointer)
{
    if (!signal_stack_is_used(&signals->stack, stack_pointer)) {
        signal_stack_set(signals, stack);
    }
}

static bool take_frame(struct trap_frame *frame)
{
    struct task_signals *signals = &task_current()->signals;
    struct signal_frame taken;
    if (!copy_from_user(&taken, user_addr(frame->rsp - sizeof taken.restorer), sizeof taken)) {
        return false;
    }
    signal_mask_set(taken.mask);
    signal_context_take(&taken.context, taken.flags & CONTEXT_STRICT_SS, frame);
    frame->error_code = NO_CALL;
    if (!take_vectors(taken.context.vectors)) {
        extended_state_reset();
        return false;
    }
    take_stack(signals, &taken.stack, frame->rsp);
    return true;
}

/* The frame is this call's own, and what it returns goes into it. */
int64_t call_rt_sigreturn(const struct trap_frame *frame)
{
    struct trap_frame *own = (struct trap_frame *)frame;
    const struct task *task = task_current();
    const struct signal_information information = signal_by_kernel(SIGNAL_SEGV);
    if (!take_frame(own)) {
        own->error_code = NO_CALL;
        if (!signal_fault(&information)) {
            log_warning("%s (%u): SIGSEGV: the frame of a handler cannot be taken back", task->process->name,
                        task->process->number);
            process_end(PROCESS_KILLED(SIGNAL_SEGV));
        }
        return 0;
    }
    return (int64_t)own->rax;
}
