/*
 * A small PC (machine_make_pc()) with two CPUs, made before each test; afterwards its pool is verified, and
 * a pool that is not sound fails the test.
 */
#pragma once

#include "fixture.h"

extern struct machine pc;

/* For cmocka: with the buddy policy, and with that of the bitmap. */
int pc_setup(void **state);
int pc_setup_bitmap(void **state);
int pc_teardown(void **state);

#define PC_TEST(function) cmocka_unit_test_setup_teardown(function, pc_setup, pc_teardown)
