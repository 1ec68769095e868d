/* Monitor command that lists and shows the firmware's variables: efivars. Nothing is ever written. */
#include <ashlar/boot.h>
#include <ashlar/efi_runtime.h>
#include <ashlar/memory.h>
#include <ashlar/monitor.h>
#include <ashlar/string.h>

#define NAME_BYTES    EFI_VARIABLE_NAME_UNITS
#define VARIABLES_MAX 4096 /* then the firmware's list is taken to be endless */
#define BUFFER_ORDER  5    /* of the block of frames for the answer */
#define DUMP_BYTES    16   /* on a line */

/*
 * The answer's buffer while the command runs; the monitor runs one command at a time. A variable is read into
 * the upper half and turned into hexadecimal digits front to back in the lower one: the digits never
 * overwrite a byte that is still to be read.
 */
_Static_assert((FRAME_BYTES << BUFFER_ORDER) > 2 * EFI_VARIABLE_BYTES_MAX, "it fits");
static char *hex;
static uint8_t *content;
static struct efi_variable_name variable;

/* Names are ASCII in practice; what is not shows as '?'. */
static void name_text(const struct efi_variable_name *name, char text[NAME_BYTES])
{
    size_t length = 0;
    for (; length < NAME_BYTES - 1 && name->name[length] != 0; length++) {
        uint16_t unit = name->name[length];
        text[length] = '?';
        if (unit >= ' ' && unit <= '~') {
            text[length] = (char)unit;
        }
    }
    text[length] = '\0';
}

/* "NV BS RT": non-volatile, for boot services, at run time (UEFI 8.2). */
static const char *attribute_text(uint32_t attributes)
{
    static const char *const names[] = {"-", "NV", "BS", "NV BS", "RT", "NV RT", "BS RT", "NV BS RT"};
    return names[attributes & 7];
}

static bool is_printable(uint8_t byte)
{
    return byte >= ' ' && byte <= '~';
}

static void print_dump(const uint8_t *bytes, uint64_t count)
{
    for (uint64_t at = 0; at < count && !monitor_interrupted(); at += DUMP_BYTES) {
        monitor_print("%04" PRIx64 " ", at);
        for (uint64_t i = 0; i < DUMP_BYTES; i++) {
            if (at + i < count) {
                monitor_print(" %02x", bytes[at + i]);
            } else {
                monitor_print("   ");
            }
        }
        monitor_print("  ");
        for (uint64_t i = at; i < at + DUMP_BYTES && i < count; i++) {
            monitor_print("%c", is_printable(bytes[i]) ? bytes[i] : '.');
        }
        monitor_print("\n");
    }
}

/* One variable as a line, with its content when it was asked for. */
static void show(const char *name, bool dump)
{
    char vendor[EFI_GUID_TEXT_BYTES];
    uint64_t bytes = EFI_VARIABLE_BYTES_MAX;
    uint32_t attributes = 0;
    efi_status_t status = efi_get_variable(&variable, content, &bytes, &attributes);
    efi_guid_format(&variable.vendor, vendor);
    if (status == EFI_STATUS_SUCCESS) {
        monitor_print("%s %'8" PRIu64 " %-8s %s\n", vendor, bytes, attribute_text(attributes), name);
    } else {
        monitor_print("%s %8s %-8s %s\n", vendor, "?", efi_status_name(status), name);
    }
    if (dump && status == EFI_STATUS_SUCCESS) {
        print_dump(content, bytes);
    }
}

static void show_json(struct json *json, const char *name, bool dump)
{
    static const char digits[] = "0123456789abcdef";
    char vendor[EFI_GUID_TEXT_BYTES];
    uint64_t bytes = EFI_VARIABLE_BYTES_MAX;
    uint32_t attributes = 0;
    efi_status_t status = efi_get_variable(&variable, content, &bytes, &attributes);
    efi_guid_format(&variable.vendor, vendor);
    json_object_begin(json, NULL);
    json_string(json, "name", name);
    json_string(json, "vendor", vendor);
    json_string(json, "status", efi_status_name(status));
    json_number(json, "bytes", bytes);
    json_number(json, "attributes", attributes);
    if (dump && status == EFI_STATUS_SUCCESS) {
        for (uint64_t i = 0; i < bytes; i++) {
            uint8_t byte = content[i];
            hex[2 * i] = digits[byte >> 4];
            hex[2 * i + 1] = digits[byte & 15];
        }
        hex[2 * bytes] = '\0';
        json_string(json, "content", hex);
    }
    json_object_end(json);
}

/* Walks all variables and shows those named `wanted` (NULL: all). Returns the status that ended the walk. */
static efi_status_t walk(struct json *json, const char *wanted, unsigned *shown)
{
    efi_status_t status = EFI_STATUS_SUCCESS;
    memset(&variable, 0, sizeof variable);
    for (unsigned i = 0; i < VARIABLES_MAX && !monitor_interrupted(); i++) {
        char name[NAME_BYTES];
        status = efi_next_variable(&variable);
        if (status != EFI_STATUS_SUCCESS) {
            return status;
        }
        name_text(&variable, name);
        if (wanted == NULL || strcmp(wanted, name) == 0) {
            ++*shown;
            if (json != NULL) {
                show_json(json, name, wanted != NULL);
            } else {
                show(name, wanted != NULL);
            }
        }
    }
    return status;
}

static efi_status_t walk_json(const char *wanted, unsigned *shown)
{
    struct json json;
    monitor_json_begin(&json);
    json_object_begin(&json, NULL);
    json_array_begin(&json, "variables");
    efi_status_t status = walk(&json, wanted, shown);
    json_array_end(&json);
    json_object_end(&json);
    json_end(&json);
    return status;
}

static void answer(struct monitor_call *call)
{
    const char *wanted = call->arguments[0];
    unsigned shown = 0;
    if (call->json) {
        walk_json(wanted, &shown);
        return;
    }
    efi_status_t status = walk(NULL, wanted, &shown);
    if (status != EFI_STATUS_SUCCESS && status != EFI_STATUS_NOT_FOUND) {
        monitor_error(call, "the firmware answered: %s", efi_status_name(status));
    } else if (wanted != NULL && shown == 0 && !monitor_interrupted()) {
        monitor_error(call, "no variable is named %s", wanted);
    }
}

static void efivars_run(struct monitor_call *call)
{
    if (!efi_runtime_available()) {
        monitor_error(call, "no UEFI runtime services: %s", efi_runtime_reason());
        return;
    }
    phys_addr_t block = frame_alloc(kernel_frames(), BUFFER_ORDER, OWNER_OTHER);
    if (block.raw == 0) {
        monitor_error(call, "no memory for the longest variable (%" PRIu64 " bytes)",
                      FRAME_BYTES << BUFFER_ORDER);
        return;
    }
    hex = physmap_pointer(block);
    content = (uint8_t *)hex + EFI_VARIABLE_BYTES_MAX;
    answer(call);
    frame_free(kernel_frames(), block, BUFFER_ORDER);
}

MONITOR_COMMAND(
    efivars, efivars_run, "[NAME]", "the firmware's variables, and what is in one",
    "Vendor, length, attributes and name of each: NV is kept without power, BS and RT are visible\n"
    "before and after the start of the kernel. Variables are only ever read.\n"
    "Examples:\n"
    "  efivars\n"
    "  efivars BootOrder    with its content\n",
    .flags = MONITOR_JSON, .arguments_max = 1);
