/* Scripts: files that name the program that is to read them, in their first line (execve(2)). */
#pragma once

#include <ashlar/types.h>

#define SCRIPT_LINE_BYTES 256 /* of the file, that are looked at */

/* What the first line says; both point into the line that was given. */
struct script {
    char *program;
    char *argument; /* all that follows, as one; NULL: none */
};

enum script_kind {
    SCRIPT_NONE,   /* it does not begin with #! */
    SCRIPT_BROKEN, /* it does, but names no program, or one whose name does not end in these bytes */
    SCRIPT_SOUND,
};

/* Reads the first bytes of a file, with zeros behind a shorter one; puts terminators into them. */
enum script_kind script_read(char line[SCRIPT_LINE_BYTES + 1], struct script *script);
