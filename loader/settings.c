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

static EFI_STATUS open_volume(const struct loader *loader, EFI_FILE_HANDLE *root)
{
    EFI_GUID guid = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;
    EFI_FILE_IO_INTERFACE *volume = NULL;
    if (!loader->loaded_image->DeviceHandle) {
        return EFI_NOT_FOUND;
    }
    EFI_STATUS status =
        loader->boot->HandleProtocol(loader->loaded_image->DeviceHandle, &guid, (void **)&volume);
    if (status == EFI_UNSUPPORTED) {
        return EFI_NOT_FOUND; /* started from memory or from a network: there is no file beside us */
    }
    return EFI_ERROR(status) ? status : volume->OpenVolume(volume, root);
}

/* Whether an open file is a directory, whose entries Read() would give (UEFI 2.10, 13.5). */
static bool is_directory(EFI_FILE_HANDLE file)
{
    static union {
        EFI_FILE_INFO info;
        uint8_t room[sizeof(EFI_FILE_INFO) + sizeof configuration_path + 512];
    } space;
    EFI_GUID guid = EFI_FILE_INFO_ID;
    UINTN bytes = sizeof space;
    return !EFI_ERROR(file->GetInfo(file, &guid, &bytes, &space)) &&
           (space.info.Attribute & EFI_FILE_DIRECTORY);
}

/* Reads up to `capacity` bytes of the configuration file; EFI_NOT_FOUND when there is none. */
static EFI_STATUS read_configuration(const struct loader *loader, void *out, UINTN capacity, UINTN *bytes)
{
    EFI_FILE_HANDLE root = NULL;
    EFI_FILE_HANDLE file = NULL;
    EFI_STATUS status = open_volume(loader, &root);
    if (EFI_ERROR(status)) {
        return status;
    }
    status = root->Open(root, &file, (CHAR16 *)configuration_path, EFI_FILE_MODE_READ, 0);
    if (!EFI_ERROR(status)) {
        *bytes = capacity;
        if (is_directory(file)) {
            message_warning("\\EFI\\BOOT\\ashlar.cfg is a directory; it is ignored");
            status = EFI_NOT_FOUND;
        } else {
            status = file->Read(file, bytes, out);
        }
        file->Close(file);
    }
    root->Close(root);
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
