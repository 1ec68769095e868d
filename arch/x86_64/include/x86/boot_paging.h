/* What the kernel does with the loader's page tables before it has its own. */
#pragma once

/*
 * Drops the loader's identity map: from then on the user half maps nothing. Once, by the boot CPU, after
 * cpu_early_init(), which replaces the loader's GDT and IDT.
 */
void identity_map_drop(void);
