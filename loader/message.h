/*
 * What the loader says to people: errors and warnings, one line each, on the serial port and the firmware's
 * console; and facts for tools on the debug console (port 0xE9).
 */
#pragma once

#include <ashlar/types.h>
#include <efi.h>

/* Probes the serial port and the debug console. The console of `system` is used, too, until
 * message_leave_firmware(). */
void message_init(EFI_SYSTEM_TABLE *system);

/* From here on only the serial port and the debug console are written: boot services are gone. */
void message_leave_firmware(void);

/* One line: "ashlar loader: " and the text. */
void message_error(const char *text, ...) __attribute__((format(printf, 1, 2)));
void message_warning(const char *text, ...) __attribute__((format(printf, 1, 2)));

/* Text for the serial port and the debug console, for the fault report; no prefix, "\n" ends a line. */
void message_raw(const char *text, ...) __attribute__((format(printf, 1, 2)));

/* One line for tools, on the debug console only. */
void message_debug_console(const char *text, ...) __attribute__((format(printf, 1, 2)));
