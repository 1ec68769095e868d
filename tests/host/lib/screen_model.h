/* A plain model of the screen: what each pixel is, computed from the terminal's cells one by one. */
#pragma once

#include "terminal_model.h"

/*
 * Compares the whole framebuffer, its gaps (filled with 0xa5 before) included. Returns whether it is right.
 */
bool screen_model_matches(const struct terminal_model *model, const struct boot_framebuffer *framebuffer);

/* A framebuffer of exactly the bytes it needs, filled with 0xa5; free() its first byte. */
struct boot_framebuffer screen_model_framebuffer(uint32_t width, uint32_t height, uint32_t gap_bytes,
                                                 int format);

enum { MODEL_FORMATS = 6 };
