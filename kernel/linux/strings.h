/* The strings of a program that begins, collected one behind the other. */
#pragma once

#include "process.h"

struct strings {
    char *bytes; /* NULL: none yet */
    uint64_t length;
    uint64_t room;
};

/* Adds a string, of the kernel's memory or of the program's. 0, -E2BIG, -EFAULT or -ENOMEM. */
int strings_add(struct strings *strings, const char *text);
int strings_add_from_user(struct strings *strings, user_addr_t at);

/* Adds those that a list of the program's memory points to, from the entry `first` on up to its NULL, and
 * counts them in *count. A list at 0 has none. */
int strings_add_list(struct strings *strings, user_addr_t list, uint32_t first, uint32_t *count);

void strings_free(struct strings *strings);
