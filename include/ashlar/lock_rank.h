/*
 * The order of all locks, written once: whoever holds a lock takes only locks of a higher rank. Two of the
 * same rank are held together only where each was given a key, and then the lower key's first.
 * docs/architecture.md says what each guards.
 */
#pragma once

enum lock_rank {
    LOCK_UNRANKED, /* never initialised: such a lock cannot be taken in a debug build */

    /* Mutexes. */
    LOCK_SPACE_CHANGE, /* who changes an address space; key: the space's number */
};
