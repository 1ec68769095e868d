/*
 * Walking up the stack; see <x86/unwind.h>. Everything is compiled with frame pointers: RBP points at the
 * saved RBP of the caller, with the return address above it (System V ABI, 3.2.2). Three places need more:
 *   - a return into arch/x86_64/trap/entry.S: the trap frame lies at the stack pointer, and the walk
 *     goes on in the code that was interrupted;
 *   - a function that was interrupted in its prologue or at its RET, or that has no frame: its
 *     return address lies at the stack pointer or one word above;
 *   - a broken chain: the stack is searched for what looks like return addresses, and these are marked.
 */
#include <ashlar/hooks.h>
#include <ashlar/symbols.h>
#include <ashlar/trap.h>
#include <x86/segments.h>
#include <x86/unwind.h>

#include "arch/x86_64/trap/internal.h"

#define SCAN_BYTES       2048    /* how far above the stack pointer a broken stack is searched */
#define LINK_REACH_BYTES KIB(64) /* two linked frames are taken to be no farther apart */
#define RET              0xc3
#define PUSH_RBP         0x55
#define PROLOGUE_BYTES   4 /* push %rbp; mov %rsp, %rbp */

extern const uint8_t text_start[];
extern const uint8_t text_end[];
extern const uint8_t tests_text_start[]; /* of the tests, which may not be in memory */
extern const uint8_t tests_text_end[];

static bool in_text(uint64_t address)
{
    return (address >= (uintptr_t)text_start && address < (uintptr_t)text_end) ||
           (address >= (uintptr_t)tests_text_start && address < (uintptr_t)tests_text_end);
}

bool unwind_is_code(virt_addr_t address)
{
    return in_text(address.raw);
}

static bool read_word(uint64_t address, uint64_t *word)
{
    return is_aligned(address, sizeof *word) && memory_try_read(word, virt_addr(address), sizeof *word);
}

struct unwind unwind_frame(const struct trap_frame *frame)
{
    return (struct unwind){.address = virt_addr(frame->rip),
                           .trap = (unsigned)frame->vector,
                           .frame_pointer = trap_from_user(frame) ? 0 : frame->rbp,
                           .stack = frame->rsp};
}

static bool returns_to_trap_entry(uint64_t address)
{
    const uint8_t *const returns[] = {trap_return,
                                      trap_debug_return,
                                      trap_nmi_return,
                                      trap_double_fault_return,
                                      trap_machine_check_return,
                                      trap_page_fault_return};
    for (size_t i = 0; i < ARRAY_LENGTH(returns); i++) {
        if (address == (uintptr_t)returns[i]) {
            return true;
        }
    }
    return false;
}

/* A return address may be all that is left of a trap that is over. */
static bool is_sound(const struct trap_frame *frame)
{
    return frame->vector < UNWIND_NO_TRAP &&
           (frame->cs == SELECTOR_KERNEL_CODE || frame->cs == SELECTOR_USER_CODE);
}

/* The step's return address is `address`, found below `stack`. */
static bool step_to(struct unwind *at, uint64_t address, uint64_t frame_pointer, uint64_t stack)
{
    struct trap_frame frame;
    if (returns_to_trap_entry(address) && memory_try_read(&frame, virt_addr(stack), sizeof frame)) {
        if (is_sound(&frame)) {
            *at = unwind_frame(&frame);
        }
        return is_sound(&frame);
    }
    if (!in_text(address)) {
        return false;
    }
    at->address = virt_addr(address);
    at->is_return = true;
    at->trap = UNWIND_NO_TRAP;
    at->frame_pointer = frame_pointer;
    at->stack = stack;
    return true;
}

/* Whether the bytes before `address` are a call: E8 with its displacement, or FF /2 in its usual lengths. */
static bool follows_call(uint64_t address)
{
    uint8_t code[7];
    if (!in_text(address - sizeof code) ||
        !memory_try_read(code, virt_addr(address - sizeof code), sizeof code)) {
        return false;
    }
    if (code[2] == 0xe8) {
        return true;
    }
    for (unsigned bytes = 2; bytes <= 7; bytes++) {
        if (code[7 - bytes] == 0xff && (code[8 - bytes] & 0x38) == 0x10) {
            return true;
        }
    }
    return false;
}

static bool read_byte(virt_addr_t address, uint8_t *byte)
{
    return memory_try_read(byte, address, sizeof *byte);
}

static bool return_address_at(uint64_t stack)
{
    uint64_t address;
    return read_word(stack, &address) && in_text(address) && follows_call(address);
}

/*
 * Where an interrupted function's return address lies when its frame is not there: words above the stack
 * pointer; -1 when the frame is there, as RBP says.
 */
static int words_to_return_address(const struct unwind *at)
{
    struct symbol symbol;
    uint8_t first;
    uint8_t current;
    if (at->is_return) {
        return -1;
    }
    if (!in_text(at->address.raw)) {
        return 0; /* a call to an address that is no code */
    }
    if (!kernel_hooks.symbol_find(at->address, &symbol) || !read_byte(symbol.start, &first) ||
        !read_byte(at->address, &current)) {
        return -1;
    }
    if (first != PUSH_RBP) { /* assembler without a frame */
        return return_address_at(at->stack) ? 0 : -1;
    }
    uint64_t offset = at->address.raw - symbol.start.raw;
    if (offset == 0 || current == RET) {
        return 0;
    }
    return offset < PROLOGUE_BYTES ? 1 : -1;
}

/* Whether `frame`, found at `slot`, looks like a link of an intact chain: above it, near, with a return
 * address. */
static bool plausible_frame(uint64_t slot, uint64_t frame)
{
    uint64_t address;
    return frame > slot && frame - slot < LINK_REACH_BYTES && read_word(frame + sizeof address, &address) &&
           (returns_to_trap_entry(address) || (in_text(address) && follows_call(address)));
}

/*
 * Looks above the stack pointer for a saved RBP with a return address, where the chain is whole again, so
 * that the walk goes on as usual from there.
 */
static bool rejoin(struct unwind *at)
{
    uint64_t frame;
    uint64_t address;
    uint64_t end = at->stack + SCAN_BYTES;
    for (uint64_t slot = align_up(at->stack, sizeof frame); slot < end && read_word(slot, &frame);
         slot += sizeof frame) {
        if (plausible_frame(slot, frame) && read_word(slot + sizeof frame, &address) && in_text(address) &&
            follows_call(address) && step_to(at, address, frame, slot + 2 * sizeof frame)) {
            at->scanned = true;
            return true;
        }
    }
    return false;
}

/* Without any chain: whatever looks like a return address. */
static bool scan(struct unwind *at)
{
    if (at->scan_end == 0) {
        if (rejoin(at)) {
            return true;
        }
        at->scan_end = at->stack + SCAN_BYTES;
        at->stack = align_up(at->stack, sizeof(uint64_t));
    }
    uint64_t word;
    while (at->stack < at->scan_end && read_word(at->stack, &word)) {
        at->stack += sizeof word;
        if (in_text(word) && follows_call(word)) {
            at->address = virt_addr(word);
            at->is_return = true;
            at->scanned = true;
            at->trap = UNWIND_NO_TRAP;
            return true;
        }
    }
    return false;
}

bool unwind_next(struct unwind *at)
{
    if (at->scan_end != 0) {
        return scan(at);
    }
    uint64_t caller;
    uint64_t caller_frame;
    if (at->frame_pointer == 0) {
        return false; /* kernel_entry and each new thread start with 0, and user code has none of ours */
    }
    int words = words_to_return_address(at);
    if (words >= 0) {
        uint64_t slot = at->stack + (uint64_t)words * sizeof caller;
        if (read_word(slot, &caller) && step_to(at, caller, at->frame_pointer, slot + sizeof caller)) {
            return true;
        }
        return scan(at);
    }
    uint64_t frame = at->frame_pointer;
    if (read_word(frame, &caller_frame) && caller_frame != frame &&
        read_word(frame + sizeof caller, &caller) &&
        step_to(at, caller, caller_frame, frame + 2 * sizeof caller)) {
        return true;
    }
    return scan(at);
}
