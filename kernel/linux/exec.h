/* Finding the program that a path means; see exec_file.c. */
#pragma once

#include "image/script.h"
#include "program_file.h"
#include "strings.h"

#define SCRIPTS_MOST 5 /* that name one another, as Linux has it */

/* What is to be executed, and the strings that take the place of the first argument. */
struct executable {
    char path[FS_PATH_MAX];  /* that was asked for, or by which a script's program finds the script */
    const char *name;        /* that was asked for */
    const struct path *at;   /* where it begins; NULL: the working directory */
    const struct file *open; /* the file itself, and there is no name; or NULL */
    unsigned flags;          /* FS_AT_NO_FOLLOW */
    bool closes;             /* nobody finds the file by its path when the program runs */
    struct program_file program;
    char lines[SCRIPTS_MOST][SCRIPT_LINE_BYTES + 1];
    const char *first[2 * SCRIPTS_MOST + 1]; /* arguments; none where it is no script */
    unsigned first_count;
};

/* Opens what is to be executed: a program, or that of a script. 0, or an error of execve(). */
int executable_find(const struct fs_view *view, struct executable *executable);
