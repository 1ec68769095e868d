/* What the files of the model of spaces share. */
#pragma once

#include "model.h"

/* Whether something lies in the pages, or a guard. */
bool space_model_taken(const struct space_model_space *space, unsigned first, unsigned count);

bool space_model_access_is_good(unsigned access);

/* The first page from `at` on, around the end, that is mapped or not; `at` itself if there is none. */
unsigned space_model_next(const struct space_model_space *space, unsigned at, bool mapped);

/* A request for `count` pages, or as many as what they show has, without its place. */
struct vm_request space_model_request(unsigned first, unsigned count, uint8_t how);

/* What was asked for is there, from page `first` on. */
void space_model_mapped(struct space_model_space *space, const struct vm_request *request, unsigned first);

/* model_move.c: replaces, moves or lengthens something. */
void space_model_change(struct space_model_space *space, unsigned first, const uint8_t bytes[4]);
