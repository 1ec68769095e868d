/* Of kernel/memory/address_space.c, for the other files of this folder. */
#pragma once

#include <ashlar/page_table.h>

/*
 * The tables that the loader made at `root`, for reading only: they have no use counts. While
 * sealed memory can be written (<ashlar/sealed.h>).
 */
struct page_table loader_tables(phys_addr_t root);
