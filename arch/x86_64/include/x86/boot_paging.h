/* What the kernel does with the loader's page tables before it has its own. */
#pragma once

/*
 * Takes the identity map away: from here on the user half maps nothing. Once, by the boot CPU, at its start.
 */
void identity_map_drop(void);
