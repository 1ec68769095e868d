/* Inside kernel/memory/frames.c: tables that must survive the end of boot services. */
#pragma once

#include <ashlar/boot_info.h>

/* Keeps every table of the firmware that lies in boot services' memory, which the frame pool has just got. */
void memory_keep_firmware_tables(const struct boot_info *info);
