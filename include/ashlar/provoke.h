/*
 * Faults on purpose: one function for each kind of failure that a panic explains. For the `fault` command and
 * for the tests of the panic report; every one but `nmi` ends the machine.
 */
#pragma once

#include <ashlar/types.h>

struct provocation {
    const char *name;  /* as typed: "null" */
    const char *help;  /* one line: what is done, and what to expect */
    void (*run)(void); /* does it; returns only if the fault did not happen */
};

/* All of them; *count: how many. */
const struct provocation *provocations(size_t *count);

/* The one called `name`, or NULL. */
const struct provocation *provocation_find(const char *name);
