/* Calling firmware: another page table, another stack, another calling convention. */
#pragma once

#include <ashlar/types.h>

struct firmware_call {
    uint64_t function;     /* address in the firmware's page table */
    uint64_t arguments[5]; /* for the Microsoft convention: rcx, rdx, r8, r9, stack */
    uint64_t root;         /* CR3 to use during the call */
    uint64_t stack_top;    /* kernel address, 16-byte aligned */
    uint64_t result;       /* out: rax */
    uint64_t faulted;      /* out: 1 when an exception ended the call */
};

struct trap_frame;

/*
 * Makes the call with interrupts off. Returns whether it came back by itself; when an exception ended it,
 * false, and *fault is the state at that exception. One call at a time, on one CPU: the caller holds a lock.
 */
bool firmware_call(struct firmware_call *call, struct trap_frame *fault);

/* Whether a firmware call is under way on any CPU: a panic in the middle of it must not make another. */
bool firmware_call_active(void);

/*
 * For the trap dispatch, on a CPU whose firmware_fault is not NULL: notes the exception there and makes it
 * return to the end of the call. False when the exception is none that firmware raises.
 */
bool firmware_call_end(struct trap_frame *frame);

/*
 * The assembly part (arch/x86_64/firmware/call_entry.S). firmware_call_enter() makes the call. After an
 * exception in it, execution goes on at firmware_call_abandon with the saved stack pointer; from there
 * firmware_call_enter() returns with `faulted` set.
 */
void firmware_call_enter(struct firmware_call *call);
extern const uint8_t firmware_call_abandon[];
extern uint64_t firmware_call_saved_stack;
