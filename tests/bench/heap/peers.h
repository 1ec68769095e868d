/*
 * The allocators of the C world, as Debian packages them, each from its own library in this one process. One
 * that is not installed is left out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct peer {
    const char *name;
    void *(*alloc)(size_t bytes);
    void (*free)(void *pointer);
};

#define PEERS_MAX 4

/* Starts the program anew if it was not started so that all peers can be loaded. */
void peers_prepare(char **arguments);

/* Fills peers[] with glibc and those found; returns how many. */
unsigned peers_load(struct peer peers[PEERS_MAX]);
