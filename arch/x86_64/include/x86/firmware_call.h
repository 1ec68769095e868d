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

/*
 * Makes the call. Interrupts are off. Returns when the firmware does, or when an exception in it was handed
 * to firmware_call_abandon(): then `faulted` is 1. Not reentrant.
 */
void firmware_call_enter(struct firmware_call *call);

/* Where an exception during the call continues, with rsp = firmware_call_saved_stack: returns from the call.
 */
extern const uint8_t firmware_call_abandon[];
extern uint64_t firmware_call_saved_stack;
