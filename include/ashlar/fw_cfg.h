/* Files that QEMU hands in (-fw_cfg name=opt/...,file=...). One user at a time. */
#pragma once

#include <ashlar/types.h>

struct fw_cfg_file {
    uint16_t item;
    uint32_t bytes; /* its length */
};

/* Finds the file of that name; false when there is none, or no QEMU. */
bool fw_cfg_find(const char *name, struct fw_cfg_file *file);

/* Goes to the file's first byte; fw_cfg_read() goes on from there. Behind its end there are zeros. */
void fw_cfg_begin(const struct fw_cfg_file *file);
void fw_cfg_read(void *to, uint64_t bytes);
