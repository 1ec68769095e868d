/* Frames of handlers: where they lie, in which form, and what is taken back of them. */
#define _GNU_SOURCE /* the names of registers */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include <x86/segments.h>

#include "kernel/linux/signal/frame.h"

static const struct vectors_form form = {.bytes = 832, .components = 7};
static const struct signal_stack no_stack = {.flags = STACK_NONE};

/* The C library of this machine reads the same form. */
static void form_is_the_libraries(void **state)
{
    (void)state;
    size_t context = offsetof(struct signal_frame, context) - offsetof(struct signal_frame, flags);
    assert_int_equal(context, offsetof(ucontext_t, uc_mcontext));
    assert_int_equal(offsetof(struct signal_frame, mask) - offsetof(struct signal_frame, flags),
                     offsetof(ucontext_t, uc_sigmask));
    assert_int_equal(offsetof(struct signal_context, rip), REG_RIP * sizeof(greg_t));
    assert_int_equal(offsetof(struct signal_context, rflags), REG_EFL * sizeof(greg_t));
    assert_int_equal(offsetof(struct signal_context, fault_address), REG_CR2 * sizeof(greg_t));
    assert_int_equal(offsetof(struct signal_context, vectors), offsetof(mcontext_t, fpregs));
}

static void frames_lie_below_the_red_zone(void **state)
{
    struct signal_place place;
    (void)state;
    for (uint64_t rsp = 0x10000; rsp < 0x10080; rsp++) {
        assert_true(signal_frame_place(&place, rsp, &no_stack, true, &form));
        assert_true(place.vectors + form.bytes + 4 <= rsp - RED_ZONE_BYTES);
        assert_true(place.frame + SIGNAL_FRAME_BYTES <= place.vectors);
        assert_int_equal(place.vectors % 64, 0);
        assert_int_equal(place.frame % 16, 8);
    }
}

static void alternate_stacks(void **state)
{
    struct signal_stack stack = {.base = 0x100000, .bytes = 0x2000};
    struct signal_place place;
    (void)state;
    assert_true(signal_frame_place(&place, 0x5000, &stack, true, &form));
    assert_true(place.frame > stack.base && place.vectors + form.bytes + 4 <= stack.base + stack.bytes);
    assert_true(signal_frame_place(&place, 0x5000, &stack, false, &form));
    assert_true(place.frame < 0x5000);
    assert_true(signal_frame_place(&place, 0x101f00, &stack, true, &form)); /* on it already */
    assert_true(place.frame < 0x101f00 && place.frame > 0x101000);
    assert_false(signal_frame_place(&place, 0x100400, &stack, true, &form));  /* it is full */
    assert_false(signal_frame_place(&place, 0x100400, &stack, false, &form)); /* also without asking for it */
    stack.bytes = 1024;
    assert_false(signal_frame_place(&place, 0x5000, &stack, true, &form));
    assert_int_equal(signal_stack_state(&stack, 0x5000), 0);
    assert_int_equal(signal_stack_state(&stack, 0x100000), 0);
    assert_int_equal(signal_stack_state(&stack, 0x100001), STACK_IN_USE);
    assert_int_equal(signal_stack_state(&stack, 0x100400), STACK_IN_USE);
    assert_int_equal(signal_stack_state(&stack, 0x100401), 0);
    stack.flags = STACK_AUTODISARM;
    assert_int_equal(signal_stack_state(&stack, 0x100001), 0);
    assert_int_equal(signal_stack_state(&no_stack, 1), STACK_NONE);
}

static void registers_come_back(void **state)
{
    struct trap_frame before;
    struct signal_context context;
    (void)state;
    memset(&before, 0x11, sizeof before);
    before.cs = SELECTOR_USER_CODE;
    before.ss = SELECTOR_USER_DATA;
    before.rflags = 0x202;
    signal_context_fill(&context, &before);
    struct trap_frame after = {.rflags = 0x202, .vector = before.vector, .error_code = before.error_code};
    signal_context_take(&context, true, &after);
    assert_memory_equal(&before, &after, sizeof before);
}

static void lies_are_not_taken(void **state)
{
    struct trap_frame frame = {.rflags = 0x202};
    struct signal_context context;
    (void)state;
    memset(&context, 0xff, sizeof context);
    context.cs = 8;
    context.ss = 0x10;
    signal_context_take(&context, true, &frame);
    assert_int_equal(frame.cs, 0xb);
    assert_int_equal(frame.ss, 0x13);
    assert_int_equal(frame.rflags, 0x50dd5 | 0x202); /* no IOPL, NT, VM, VIF, VIP, ID */
    signal_context_take(&context, false, &frame);
    assert_int_equal(frame.ss, SELECTOR_USER_DATA);
    context.rflags = 0;
    signal_context_take(&context, true, &frame);
    assert_int_equal(frame.rflags, 0x202);
}

static void vectors_are_checked(void **state)
{
    struct vectors_beginning beginning;
    (void)state;
    vectors_begin(&beginning, &form);
    const struct vectors_note good = beginning.note;
    assert_int_equal(vectors_components(&good, &form, VECTORS_END_MAGIC), 7);
    assert_int_equal(vectors_components(&good, &form, 0), 0);
    struct vectors_note note = good;
    note.magic++;
    assert_int_equal(vectors_components(&note, &form, VECTORS_END_MAGIC), 0);
    note = good;
    note.bytes = VECTORS_LEAST - 1;
    assert_false(vectors_have_end(&note, &form));
    note.bytes = form.bytes + 1;
    assert_false(vectors_have_end(&note, &form));
    note = good;
    note.all_bytes = note.bytes - 1;
    assert_false(vectors_have_end(&note, &form));
    note = good;
    note.components = UINT64_MAX;
    assert_int_equal(vectors_components(&note, &form, VECTORS_END_MAGIC), 7);
    note.components = 2;
    note.bytes = VECTORS_LEAST;
    assert_int_equal(vectors_components(&note, &form, VECTORS_END_MAGIC), 2);
    const struct vectors_form old = {.bytes = VECTORS_LEGACY_BYTES};
    assert_int_equal(vectors_components(&good, &old, VECTORS_END_MAGIC), 0);
}

static void handlers_begin(void **state)
{
    struct trap_frame frame = {.rflags = 0x10702, .cs = 1, .ss = 1, .rax = 5};
    (void)state;
    signal_frame_enter(&frame, 10, 0x4000, 0x7008);
    assert_int_equal(frame.rdi, 10);
    assert_int_equal(frame.rsi, 0x7008 + 312);
    assert_int_equal(frame.rdx, 0x7010);
    assert_int_equal(frame.rax, 0);
    assert_int_equal(frame.rip, 0x4000);
    assert_int_equal(frame.rsp, 0x7008);
    assert_int_equal(frame.cs, SELECTOR_USER_CODE);
    assert_int_equal(frame.ss, SELECTOR_USER_DATA);
    assert_int_equal(frame.rflags, 0x202);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(form_is_the_libraries), cmocka_unit_test(frames_lie_below_the_red_zone),
        cmocka_unit_test(alternate_stacks),      cmocka_unit_test(registers_come_back),
        cmocka_unit_test(lies_are_not_taken),    cmocka_unit_test(vectors_are_checked),
        cmocka_unit_test(handlers_begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
