/*
 * Frames of handlers that libFuzzer makes: a program writes what it likes to its frame, and gives it back.
 * What is taken over of it leaves ring 3 nowhere and changes no flag that is the kernel's, no more is loaded
 * of the vector registers than there is, and a frame lies where it was asked for.
 */
#include <string.h>

#include "kernel/linux/signal/frame.h"

#include "tests/fuzz/require.h"

#define KERNEL_FLAGS (~0x50dd5ULL) /* what a program does not set by its frame */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    struct signal_context context;
    struct trap_frame before;
    struct vectors_note note;
    struct signal_stack stack;
    uint64_t stack_pointer;
    uint64_t components;
    uint32_t end_magic;
    uint16_t bytes;
    uint8_t options;
};

static void check_registers(const struct input *input)
{
    struct trap_frame frame = input->before;
    struct signal_context again;
    bool strict = input->options & 1;
    signal_context_take(&input->context, strict, &frame);
    require((frame.cs & 3) == 3 && (frame.ss & 3) == 3 && frame.cs <= UINT16_MAX && frame.ss <= UINT16_MAX);
    require((frame.rflags & KERNEL_FLAGS) == (input->before.rflags & KERNEL_FLAGS));
    require(frame.vector == input->before.vector && frame.error_code == input->before.error_code);
    signal_context_fill(&again, &frame);
    require(again.rip == input->context.rip && again.rsp == input->context.rsp);
    require(memcmp(&again, &input->context, offsetof(struct signal_context, rflags)) == 0);
    signal_frame_enter(&frame, 10, 0x1000, 0x2000);
    require((frame.rflags & 0x10500) == 0 && (frame.rflags & ~0x10500ULL & KERNEL_FLAGS) ==
                                                 (input->before.rflags & ~0x10500ULL & KERNEL_FLAGS));
}

static void check_vectors(const struct input *input)
{
    const struct vectors_form form = {.bytes = input->components ? VECTORS_LEAST + input->bytes
                                                                 : VECTORS_LEGACY_BYTES,
                                      .components = input->components};
    uint64_t loaded = vectors_components(&input->note, &form, input->end_magic);
    require((loaded & ~form.components) == 0);
    if (vectors_have_end(&input->note, &form)) {
        require(input->note.bytes >= VECTORS_LEAST && input->note.bytes <= form.bytes);
    } else {
        require(loaded == 0);
    }
    struct signal_place place;
    bool on_stack = input->options & 2;
    if (signal_frame_place(&place, input->stack_pointer, &input->stack, on_stack, &form)) {
        require(place.vectors % 64 == 0 && place.frame % 16 == 8);
        bool moved =
            input->stack.bytes != 0 && on_stack && !signal_stack_is_used(&input->stack, input->stack_pointer);
        uint64_t top = moved ? input->stack.base + input->stack.bytes : input->stack_pointer - RED_ZONE_BYTES;
        require(top - place.vectors >= form.bytes && place.vectors - place.frame >= SIGNAL_FRAME_BYTES);
        require(top - place.frame <= form.bytes + SIGNAL_FRAME_BYTES + 128);
        if (moved) {
            require(place.frame > input->stack.base || input->stack.base > UINT64_MAX - input->stack.bytes);
            require(place.frame - input->stack.base <= input->stack.bytes);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input;
    memset(&input, 0, sizeof input);
    memcpy(&input, data, size < sizeof input ? size : sizeof input);
    check_registers(&input);
    check_vectors(&input);
    return 0;
}
