/* What the programs about /proc share. */
#pragma once

#include "check.h"

#include <fcntl.h>
#include <stdlib.h>

#define PAGE    4096L
#define LARGEST 65536

static char text[LARGEST];

/* The whole file in `text`; its length, or an error with a minus. step: bytes of a read. */
static inline long whole(const char *name, size_t step)
{
    long done = 0, got = 0;
    int file = open(name, O_RDONLY);
    if (file < 0) {
        return -errno;
    }
    while ((got = read(file, text + done, step < LARGEST - 1 - done ? step : (size_t)(LARGEST - 1 - done))) >
           0) {
        done += got;
    }
    done = got < 0 ? -errno : done;
    close(file);
    text[done > 0 ? done : 0] = 0;
    return done;
}
