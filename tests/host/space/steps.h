/*
 * What the tests of address spaces share: a fixture with one space, and accesses that must come to a fault.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"
#include "tests/host/support/host.h"

#define PAGE FRAME_BYTES
#define BASE 0x400000ULL
#define RW   (VM_READ | VM_WRITE)

extern struct vm_fixture vm;
extern struct vm_space space;

int start(void **state);
int stop(void **state);
struct vm_request zeros_at(uint64_t address, uint64_t bytes);
enum vm_error try_map(struct vm_request request);
void map_zeros(uint64_t address, uint64_t bytes);
void map_in(struct vm_space *in, struct vm_request request);
void map(struct vm_request request);

/* An access that must come to this fault (VM_FAULT_COUNT for none); returns the memory. */
uint64_t *touch_in(struct vm_space *in, uint64_t address, enum mmu_use use, enum vm_fault expected);
uint64_t *touch(uint64_t address, enum mmu_use use, enum vm_fault expected);
struct vm_counts counts_of(struct vm_space *in);

#define TEST(function) cmocka_unit_test_setup_teardown(function, start, stop)
