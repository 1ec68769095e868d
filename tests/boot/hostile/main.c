/*
 * hostile: what firmware of all kinds does to a loader, in one box.
 *
 * The application takes the place of the product on a test stick (\EFI\BOOT\BOOTX64.EFI), reads the cases in
 * \hostile.txt, and for each starts the real product, \EFI\ASHLAR\BOOTX64.EFI, with a system table of its own
 * whose boot services are distorted as the case says. A copy and not the firmware's own table: the child gets
 * it through LoadedImage->SystemTable, while the firmware and its drivers keep the real one, so nothing but
 * the child meets the distortion and there is nothing to restore.
 *
 *   cases.c                    what a line says
 *   services.c, gate.S         the table, and the gate before each service
 *   memory_map.c               the map, and the exit
 *   protocols.c                what can be found
 *   graphics.c                 the framebuffer
 *   options.c                  load options
 *   exhaust.c                  memory almost used up
 *   configuration.c            which of ACPI and SMBIOS tables there are
 *   acpi.c                     where the ACPI tables lie, and what is wrong with them
 *   rom.c                      memory that becomes ROM
 *   attributes.c               pages that do not execute
 *   levels.c, levels_switch.S  5-level paging
 *
 * A child that returns has refused: one line tells the status and what it left behind, and the next case
 * follows. A child that boots ends the list, for the kernel ends the machine. All lines go to the first
 * serial port and begin with "hostile: "; those the tests read are
 *
 *   begin CASE                              the child is about to be started
 *   inject CASE call=N slot=SERVICE         the first call that was made to fail
 *   exit CASE attempts=N ... TYPE=BYTES     boot services are gone; what the kernel has to find
 *   returned CASE run=N STATUS ...          the child came back
 *   end                                     no case is left; the machine ends with status 33
 *   error: ..., violation: ..., leak: ...   something is wrong with the test, or with the child
 */
#include "hostile.h"
#include <ashlar/string.h>

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table);

#define CASES_BYTES_MAX 32768
#define RUNS_MAX        1000
#define STRETCH_STEP    32 /* pages */
#define MACHINE_GOOD    0x10
#define MACHINE_BAD     0x11

EFI_BOOT_SERVICES *firmware;
EFI_SYSTEM_TABLE *firmware_table;
const struct hostile_case *current;

static EFI_HANDLE own_image;
static EFI_HANDLE stick; /* the volume we were started from */
static void *product;    /* BOOTX64.EFI, as read */
static UINTN product_bytes;
static struct hostile_case box; /* the case, and with a sweep its present run */

static bool failed(EFI_STATUS status, const char *doing)
{
    if (EFI_ERROR(status)) {
        say("error: %s: status %" PRIx64, doing, status);
    }
    return EFI_ERROR(status);
}

/* The size of an open file, or 0. */
static UINTN file_bytes(EFI_FILE_HANDLE file)
{
    union {
        EFI_FILE_INFO info;
        UINT8 room[512];
    } space;
    UINTN bytes = sizeof(space);
    EFI_GUID guid = EFI_FILE_INFO_ID;
    return failed(file->GetInfo(file, &guid, &bytes, &space), "ask for a file's size") ? 0
                                                                                       : space.info.FileSize;
}

/* Reads an open file into pool memory, with a NUL behind it; *bytes gets its size. Returns NULL when it
 * cannot. */
static void *read_open_file(EFI_FILE_HANDLE file, UINTN *bytes)
{
    char *buffer;
    *bytes = file_bytes(file);
    if (*bytes == 0 || failed(firmware->AllocatePool(EfiLoaderData, *bytes + 1, (VOID **)&buffer),
                              "allocate a file's memory")) {
        return NULL;
    }
    if (failed(file->Read(file, bytes, buffer), "read a file")) {
        firmware->FreePool(buffer);
        return NULL;
    }
    buffer[*bytes] = 0;
    return buffer;
}

static void *read_file(EFI_FILE_HANDLE root, CHAR16 *path, UINTN *bytes)
{
    EFI_FILE_HANDLE file;
    if (failed(root->Open(root, &file, path, EFI_FILE_MODE_READ, 0), "open a file of the stick")) {
        return NULL;
    }
    void *text = read_open_file(file, bytes);
    file->Close(file);
    return text;
}

static UINTN path_bytes(const EFI_DEVICE_PATH *path)
{
    UINTN bytes = 0;
    for (;;) {
        const EFI_DEVICE_PATH *node = (const EFI_DEVICE_PATH *)((const UINT8 *)path + bytes);
        if (IsDevicePathEndType(node)) {
            return bytes;
        }
        bytes += DevicePathNodeLength(node);
    }
}

/* The device path of the product on the stick, in a static buffer; NULL when the stick's is too long. */
static EFI_DEVICE_PATH *product_path(void)
{
    static UINT8 path[1024];
    static const CHAR16 name[] = L"\\EFI\\ASHLAR\\BOOTX64.EFI";
    EFI_GUID guid = EFI_DEVICE_PATH_PROTOCOL_GUID;
    EFI_DEVICE_PATH *device;
    if (failed(firmware->HandleProtocol(stick, &guid, (VOID **)&device), "find the stick's device path")) {
        return NULL;
    }
    UINTN at = path_bytes(device);
    EFI_DEVICE_PATH file = {MEDIA_DEVICE_PATH, MEDIA_FILEPATH_DP, {sizeof(file) + sizeof(name), 0}};
    EFI_DEVICE_PATH end = {END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {sizeof(end), 0}};
    if (at + sizeof(file) + sizeof(name) + sizeof(end) > sizeof(path)) {
        say("error: the stick's device path is %u bytes long", (unsigned)at);
        return NULL;
    }
    memcpy(path, device, at);
    memcpy(path + at, &file, sizeof(file));
    memcpy(path + at + sizeof(file), name, sizeof(name));
    memcpy(path + at + sizeof(file) + sizeof(name), &end, sizeof(end));
    return (EFI_DEVICE_PATH *)path;
}

/* Loads the product and gives it the distorted table and options. */
static EFI_STATUS load_child(EFI_HANDLE *child)
{
    EFI_GUID guid = EFI_LOADED_IMAGE_PROTOCOL_GUID;
    EFI_LOADED_IMAGE *image;
    EFI_STATUS status = firmware->LoadImage(FALSE, own_image, product_path(), product, product_bytes, child);
    if (failed(status, "load the product")) {
        return status;
    }
    status = firmware->HandleProtocol(*child, &guid, (VOID **)&image);
    if (failed(status, "find the product's image")) {
        return status;
    }
    options_make(current->options, image);
    image->SystemTable = services_make();
    return EFI_SUCCESS;
}

/* What the case needs around the child, besides its table. */
static EFI_STATUS surround(void)
{
    map_begin();
    graphics_begin();
    EFI_STATUS status = protocols_begin();
    if (!EFI_ERROR(status)) {
        status = attributes_begin();
    }
    if (!EFI_ERROR(status) && current->quarry != QUARRY_NONE) {
        status = quarry_make();
    }
    if (!EFI_ERROR(status) && current->acpi != ACPI_AS_IT_IS) {
        EFI_CONFIGURATION_TABLE *tables;
        UINTN count = services_tables(&tables);
        acpi_distort(tables, count);
    }
    if (!EFI_ERROR(status)) {
        status = memory_take();
    }
    failed(status, "prepare the case");
    return status;
}

static void clear_away(void)
{
    memory_give_back();
    quarry_free();
    map_end();
    protocols_end();
    attributes_end();
}

/* One start of the child. Returns only when the child does, with what it left behind. */
static struct gate_report run_once(uint32_t run)
{
    struct gate_report report = {0};
    EFI_HANDLE child = NULL;
    uint64_t free_before = map_free_pages();
    if (EFI_ERROR(load_child(&child))) {
        return report;
    }
    EFI_STATUS status = surround();
    if (!EFI_ERROR(status)) {
        services_begin(&current->injection);
        status = firmware->StartImage(child, NULL, NULL);
        report = services_end();
    }
    clear_away();
    say("returned %s run=%u status=%" PRIx64
        " calls=%u injected=%u exits=%u pools=%u pages=%u wild=%u between=%u "
        "free=%" PRId64,
        current->name, run, status, report.calls, report.injected, report.exits, report.live_pools,
        report.live_pages, report.wild_frees, report.between_exits, (map_free_pages() - free_before));
    return report;
}

/* Fails call after call, until a run had no such call. */
static void sweep_calls(void)
{
    for (uint32_t run = 1; run < RUNS_MAX; run++) {
        box.injection.first = run;
        if (run_once(run).injected == 0) {
            return;
        }
    }
    say("error: case %s does not end", current->name);
}

/* Leaves more and more memory, doubling or (step not 0) adding pages, until the child gets to the exit. */
static void sweep_memory(uint32_t step)
{
    uint32_t spare = 0;
    for (uint32_t run = 1; run < RUNS_MAX; run++) {
        box.spare_pages = spare;
        if (run_once(run).exits != 0) {
            return;
        }
        spare = step != 0 ? spare + step : spare != 0 ? 2 * spare : 1;
    }
    say("error: case %s does not end", current->name);
}

/* Has the firmware's own records of memory grow as they must for so many pieces: it never gives that back. */
static void grow_records(void)
{
    struct hostile_case wanted = box;
    box.spare_pages = 0;
    box.single_pages += STRETCH_STEP; /* the child makes some more */
    failed(memory_take(), "cut the memory in pieces");
    memory_give_back();
    box = wanted;
}

static void run_case(char *line)
{
    if (!case_parse(line, &box)) {
        return;
    }
    current = &box;
    say("begin %s", box.name);
    switch (box.sweep) {
    case SWEEP_CALLS:
        sweep_calls();
        break;
    case SWEEP_MEMORY:
        sweep_memory(0);
        break;
    case SWEEP_STRETCH:
        grow_records();
        sweep_memory(STRETCH_STEP);
        break;
    default:
        run_once(1);
        break;
    }
}

static bool open_stick(EFI_FILE_HANDLE *root)
{
    EFI_GUID image_guid = EFI_LOADED_IMAGE_PROTOCOL_GUID;
    EFI_GUID volume_guid = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;
    EFI_LOADED_IMAGE *image;
    EFI_FILE_IO_INTERFACE *volume;
    if (failed(firmware->HandleProtocol(own_image, &image_guid, (VOID **)&image), "find our own image")) {
        return false;
    }
    stick = image->DeviceHandle;
    return !failed(firmware->HandleProtocol(stick, &volume_guid, (VOID **)&volume), "find the stick") &&
           !failed(volume->OpenVolume(volume, root), "open the stick");
}

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
    own_image = image;
    firmware_table = table;
    firmware = table->BootServices;
    firmware->SetWatchdogTimer(0, 0, 0, NULL);
    EFI_FILE_HANDLE root;
    UINTN bytes;
    if (!open_stick(&root) || failed(services_init(), "allocate the child's tables")) {
        machine_end(MACHINE_BAD);
        return EFI_LOAD_ERROR;
    }
    char *line = read_file(root, L"\\hostile.txt", &bytes);
    product = read_file(root, L"\\EFI\\ASHLAR\\BOOTX64.EFI", &product_bytes);
    if (line == NULL || product == NULL) {
        machine_end(MACHINE_BAD);
        return EFI_LOAD_ERROR;
    }
    while (line != NULL) {
        char *end = strchr(line, '\n');
        if (end != NULL) {
            *end++ = 0;
        }
        run_case(line);
        line = end;
    }
    say("end");
    machine_end(MACHINE_GOOD);
    return EFI_SUCCESS;
}
