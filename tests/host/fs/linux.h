/* What the parts of test_linux.c share: the tree here, the place in Linux's, and the files open in both. */
#pragma once

#include "fixture.h"
#include "tests/host/support/random.h"

#include <sys/stat.h>

#define LINUX_FILES      8
#define LINUX_BYTES_MOST 40000
#define LINUX_PATH_BYTES 600

extern struct fs_fixture compared;
extern uint64_t seed;
extern struct linux_file {
    struct file *ours;
    int theirs;
} files[LINUX_FILES];
extern bool is_root;
extern unsigned long steps;

unsigned below(unsigned bound);
/* A system call's result, or its error with a minus. */
int real_errno_of(long result);
/* A path of few names, so that operations meet, which does not lead out of the test's directory. */
void pick_path(char to[LINUX_PATH_BYTES]);
/* Fails unless both say the same. */
void agree(const char *what, const char *a, const char *b, int64_t ours, int64_t theirs);
void compare_status(const char *what, const char *path, const struct fs_status *ours,
                    const struct stat *theirs);

/* Operations on open files. */
void close_file(unsigned i);
uint32_t group_of(unsigned i);
void do_open(void);
void do_write(void);
void do_read(void);
void do_seek(void);
void do_ftruncate(void);
void do_fstat(void);
