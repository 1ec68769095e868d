/* What the child finds when it looks for protocols: everything the firmware has, but for what the case
 * changes. */
#include "hostile.h"
#include <ashlar/string.h>

static EFI_GUID graphics_guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
static EFI_GUID file_system_guid = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;
static EFI_GUID loaded_image_guid = EFI_LOADED_IMAGE_PROTOCOL_GUID;
static EFI_GUID random_guid = EFI_RNG_PROTOCOL_GUID;
static EFI_HANDLE random_handle; /* ours, while a case has a random generator */

bool guid_equal(const EFI_GUID *a, const EFI_GUID *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

static bool hidden(const EFI_GUID *guid)
{
    return (current->graphics == GRAPHICS_NONE && guid_equal(guid, &graphics_guid)) ||
           (current->hidden == HIDE_FILE_SYSTEM && guid_equal(guid, &file_system_guid)) ||
           (current->hidden == HIDE_LOADED_IMAGE && guid_equal(guid, &loaded_image_guid));
}

/* Puts our graphics output in place of the firmware's; the console's is a fake one when the case says so. */
static void substitute(EFI_HANDLE handle, const EFI_GUID *guid, VOID **interface)
{
    if (interface == NULL || !guid_equal(guid, &graphics_guid)) {
        return;
    }
    bool console = handle == NULL || handle == firmware_table->ConsoleOutHandle;
    if (current->graphics == GRAPHICS_FAKE_FIRST && console) {
        say("fake %s", current->name);
        *interface = &graphics_fake;
    } else {
        *interface = graphics_distort(*interface);
    }
}

EFI_STATUS EFIAPI hostile_handle_protocol(EFI_HANDLE handle, EFI_GUID *guid, VOID **interface)
{
    if (hidden(guid)) {
        say("hidden %s", current->name);
        return EFI_UNSUPPORTED;
    }
    EFI_STATUS status = firmware->HandleProtocol(handle, guid, interface);
    if (!EFI_ERROR(status)) {
        substitute(handle, guid, interface);
    }
    return status;
}

EFI_STATUS EFIAPI hostile_open_protocol(EFI_HANDLE handle, EFI_GUID *guid, VOID **interface, EFI_HANDLE agent,
                                        EFI_HANDLE controller, UINT32 attributes)
{
    if (hidden(guid)) {
        say("hidden %s", current->name);
        return EFI_UNSUPPORTED;
    }
    EFI_STATUS status = firmware->OpenProtocol(handle, guid, interface, agent, controller, attributes);
    if (!EFI_ERROR(status) && attributes != EFI_OPEN_PROTOCOL_TEST_PROTOCOL) {
        substitute(handle, guid, interface);
    }
    return status;
}

EFI_STATUS EFIAPI hostile_locate_protocol(EFI_GUID *guid, VOID *registration, VOID **interface)
{
    if (hidden(guid)) {
        say("hidden %s", current->name);
        return EFI_NOT_FOUND;
    }
    EFI_STATUS status = firmware->LocateProtocol(guid, registration, interface);
    if (!EFI_ERROR(status)) {
        substitute(NULL, guid, interface);
    }
    return status;
}

EFI_STATUS EFIAPI hostile_locate_handle(EFI_LOCATE_SEARCH_TYPE search, EFI_GUID *guid, VOID *key,
                                        UINTN *bytes, EFI_HANDLE *handles)
{
    if (search == ByProtocol && hidden(guid)) {
        return EFI_NOT_FOUND;
    }
    return firmware->LocateHandle(search, guid, key, bytes, handles);
}

EFI_STATUS EFIAPI hostile_locate_handle_buffer(EFI_LOCATE_SEARCH_TYPE search, EFI_GUID *guid, VOID *key,
                                               UINTN *count, EFI_HANDLE **handles)
{
    if (search == ByProtocol && hidden(guid)) {
        return EFI_NOT_FOUND;
    }
    return firmware->LocateHandleBuffer(search, guid, key, count, handles);
}

static EFI_STATUS EFIAPI random_info(EFI_RNG_PROTOCOL *rng, UINTN *bytes, EFI_RNG_ALGORITHM *algorithms)
{
    (void)rng;
    (void)bytes;
    (void)algorithms;
    return EFI_UNSUPPORTED;
}

static EFI_STATUS EFIAPI random_bytes(EFI_RNG_PROTOCOL *rng, EFI_RNG_ALGORITHM *algorithm, UINTN length,
                                      UINT8 *value)
{
    (void)rng;
    (void)algorithm;
    say("random %s bytes=%u", current->name, (unsigned)length);
    if (current->random == RANDOM_BROKEN) {
        return EFI_DEVICE_ERROR;
    }
    for (UINTN i = 0; i < length; i++) {
        value[i] = (UINT8)(37 * i + 11);
    }
    return EFI_SUCCESS;
}

/* Installs what the case adds. */
EFI_STATUS protocols_begin(void)
{
    static EFI_RNG_PROTOCOL rng = {random_info, random_bytes};
    if (current->random == RANDOM_AS_IT_IS) {
        return EFI_SUCCESS;
    }
    random_handle = NULL;
    return firmware->InstallProtocolInterface(&random_handle, &random_guid, EFI_NATIVE_INTERFACE, &rng);
}

void protocols_end(void)
{
    VOID *rng = NULL;
    if (random_handle != NULL && !EFI_ERROR(firmware->HandleProtocol(random_handle, &random_guid, &rng))) {
        firmware->UninstallProtocolInterface(random_handle, &random_guid, rng);
    }
    random_handle = NULL;
}
