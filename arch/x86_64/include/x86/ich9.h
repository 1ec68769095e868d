/*
 * Intel's ICH9 chipset, which QEMU's q35 board has: where its ACPI registers are when the firmware has not
 * switched them on. The tables that QEMU makes say 0 then, and firmware such as U-Boot hands them on as they
 * are.
 */
#pragma once

#include <ashlar/types.h>

/*
 * Lets the chipset decode its power-management block, and returns the block's first port; 0 when this is
 * another chipset, or the firmware has given the block no place. By PCI's configuration ports, which nobody
 * else uses yet.
 */
uint16_t ich9_power_block(void);
