/*
 * The kernel's command line: the text file \EFI\BOOT\ashlar.cfg, then the firmware's load options, which win.
 */
#include <ashlar/command_line.h>
#include <ashlar/string.h>

#include "loader.h"
#include "loader/portable/configuration.h"
#include "loader/portable/load_options.h"
#include "message.h"

static const CHAR16 configuration_path[] = L"\\EFI\\BOOT\\ashlar.cfg";

/* Reads up to `capacity` bytes of the configuration file; EFI_NOT_FOUND when there is none. */
static EFI_STATUS read_configuration(const struct loader *loader, void *out, UINTN capacity, UINTN *bytes)
{
    EFI_FILE_HANDLE file;
    UINT64 ignored;
    EFI_STATUS status = volume_open(loader, configuration_path, &file, &ignored);
    if (EFI_ERROR(status)) {
        return status;
    }
    *bytes = capacity;
    status = file->Read(file, bytes, out);
    file->Close(file);
    return status;
}

/* The file's text into `out`; an unusable file is reported and counts as empty. */
static void configuration_text(struct loader *loader, char *out, size_t capacity)
{
    static char file[CONFIGURATION_BYTES_MAX + 1]; /* one more than allowed, to notice what is too long */
    UINTN bytes = 0;
    struct loader_error error;
    out[0] = 0;
    EFI_STATUS status = read_configuration(loader, file, sizeof file, &bytes);
    if (status == EFI_NOT_FOUND) {
        return;
    }
    if (status == EFI_INVALID_PARAMETER) {
        message_warning("\\EFI\\BOOT\\ashlar.cfg is a directory; it is ignored");
        return;
    }
    if (EFI_ERROR(status)) {
        message_warning("\\EFI\\BOOT\\ashlar.cfg cannot be read: %s; it is ignored", efi_status_name(status));
    } else if (loader->info->firmware.secure_boot) {
        message_warning("Secure Boot is on: \\EFI\\BOOT\\ashlar.cfg is not signed and is ignored");
    } else if (!configuration_parse(file, bytes, out, capacity, &error)) {
        message_warning("\\EFI\\BOOT\\ashlar.cfg: %s; it is ignored", error.text);
        out[0] = 0;
    }
}

static void load_options_text(struct loader *loader, char *out, size_t capacity)
{
    struct loader_error error;
    if (!load_options_parse(loader->loaded_image->LoadOptions, loader->loaded_image->LoadOptionsSize, out,
                            capacity, &error) ||
        error.text[0] != 0) {
        message_warning("load options: %s; they are ignored", error.text);
    }
}

static void report_option(void *context, const char *complaint)
{
    (void)context;
    message_warning("command line: %s", complaint);
}

bool settings_collect(struct loader *loader)
{
    static char file_text[CONFIGURATION_BYTES_MAX + 1];
    static char option_text[COMMAND_LINE_BYTES];
    configuration_text(loader, file_text, sizeof file_text);
    load_options_text(loader, option_text, sizeof option_text);
    if (!configuration_join(file_text, option_text, loader->command_line, COMMAND_LINE_BYTES,
                            &loader->error)) {
        loader->status = EFI_BUFFER_TOO_SMALL;
        return false;
    }
    command_line_check(loader->command_line, command_line_options, command_line_option_count, report_option,
                       NULL);
    struct boot_table *table = &loader->info->command_line;
    table->bytes = strlen(loader->command_line) + 1;
    table->count = (uint32_t)table->bytes;
    table->entry_size = 1;
    return true;
}
