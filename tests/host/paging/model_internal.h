/* Inside the reference model of page tables: what its two files share. */
#pragma once

#include "model.h"
#include "tests/host/support/model_check.h"

/* The tables that a window lies in. */
struct page_table *table_model_table(struct table_model *model, const struct table_model_window *window);

/*
 * Whether an entry has all that the CPU has noted in it. It may say more: whoever reads ahead marks entries
 * as accessed, and a large page says of all its parts what is true of one.
 */
bool table_model_bits_are_kept(const struct table_model_page *page, page_table_entry_t entry);

/* Aborts unless every page of the window is as the model has it. */
void table_model_agree(struct table_model *model, struct table_model_window *window);
