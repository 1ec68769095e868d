/*
 * UEFI load options (EFI_LOADED_IMAGE_PROTOCOL.LoadOptions, UEFI 2.10, 9.1): what a boot entry or the UEFI
 * shell passes to a program. The specification leaves the content open, and firmware fills it in many ways.
 */
#pragma once

#include "loader_error.h"

/*
 * Turns load options into one NUL-terminated ASCII line in `out`, which has room for `capacity` bytes, at
 * least 1.
 *
 * options, bytes: as the firmware gave them; NULL or 0 means none. Any alignment.
 *
 * Understood are UTF-16 text (with or without byte order mark and final NUL), 8-bit ASCII text (as efibootmgr
 * writes it without its -u), and a whole EFI_LOAD_OPTION (UEFI 2.10, 3.1.3), of which the optional data
 * counts. A first word that is a path (the UEFI shell puts the program's name there) is dropped. Line ends
 * and tabs become blanks; blanks at both ends go.
 *
 * Options that are no such text are ignored, because some firmware leaves binary data there: returns true
 * with an empty line and the reason in `error`, which is empty in all other cases of success. Fails, with an
 * empty line and the reason in `error`, when the text does not fit `capacity`.
 */
bool load_options_parse(const void *options, size_t bytes, char *out, size_t capacity,
                        struct loader_error *error);
