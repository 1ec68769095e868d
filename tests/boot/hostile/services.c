/*
 * The boot services table the child gets, and the gate in front of every service.
 *
 * The child's table is a copy in which each slot leads to gate_decide() below. The gate counts the call,
 * fails it when the case says so, and otherwise sends it on to the firmware or to one of our own functions.
 * Only the child sees the copy: the firmware's drivers keep calling the real services, so a failure that is
 * injected here never happens inside the firmware.
 *
 * Pool buffers and pages the child gets are noted until it frees them; what is left when it returns is a
 * leak.
 */
#include "hostile.h"
#include <ashlar/string.h>

extern char gate_entries[];
#define ENTRY_BYTES 16
#define TABLES_MAX  64

void *gate_decide(uint32_t slot);

#define SLOT(member) ((offsetof(EFI_BOOT_SERVICES, member) - sizeof(EFI_TABLE_HEADER)) / sizeof(void *))

static void *targets[SERVICES_MAX]; /* where each slot leads when nothing is injected */
static struct injection injection;
static struct gate_report report;
static uint32_t calls_since_exit; /* other than GetMemoryMap, since the last ExitBootServices */
static uint32_t call_slot;        /* of the last such call */

/* The child's tables, in memory of the runtime services, as the firmware's are: the kernel goes on using
 * them. */
static struct child {
    EFI_SYSTEM_TABLE system;
    EFI_BOOT_SERVICES services;
    EFI_CONFIGURATION_TABLE tables[TABLES_MAX];
} * child;

#define LIVE_MAX 512
#define NOWHERE  UINT64_MAX
static struct {
    uint64_t address; /* NOWHERE: free entry */
    uint64_t pages;   /* 0 for a pool buffer */
} live[LIVE_MAX];

static void live_add(uint64_t address, uint64_t pages)
{
    for (unsigned i = 0; i < LIVE_MAX; i++) {
        if (live[i].address == NOWHERE) {
            live[i].address = address;
            live[i].pages = pages;
            return;
        }
    }
    say("error: more than %u live allocations", LIVE_MAX);
}

/* Forgets a pool buffer (pages 0), or pages: the whole block, its head or its tail, as FreePages allows. */
static void live_remove(uint64_t address, uint64_t pages)
{
    for (unsigned i = 0; i < LIVE_MAX; i++) {
        uint64_t start = live[i].address;
        if (start == address && (pages == live[i].pages)) {
            live[i].address = NOWHERE;
            return;
        }
        if (pages == 0 || start == NOWHERE || address < start ||
            address >= start + live[i].pages * FRAME_BYTES) {
            continue;
        }
        uint64_t head = (address - start) / FRAME_BYTES;
        uint64_t tail = live[i].pages - head - pages;
        live[i].pages = head;
        if (head == 0) {
            live[i].address = NOWHERE;
        }
        if (tail != 0) {
            live_add(address + pages * FRAME_BYTES, tail);
        }
        return;
    }
    report.wild_frees++;
    say("violation: free of %" PRIx64 ", %" PRIu64 " pages, which is not allocated", address, pages);
}

static EFI_STATUS EFIAPI injected_failure(void)
{
    return injection.status;
}

/* Services whose failure means nothing to a caller, or that return no status at all. */
static bool can_fail(uint32_t slot)
{
    switch (slot) {
    case SLOT(RaiseTPL):
    case SLOT(RestoreTPL):
    case SLOT(FreePages):
    case SLOT(FreePool):
    case SLOT(CloseEvent):
    case SLOT(CloseProtocol):
    case SLOT(Exit):
    case SLOT(Stall):
    case SLOT(CopyMem):
    case SLOT(SetMem):
        return false;
    default:
        return true;
    }
}

static bool inject(uint32_t slot)
{
    if (slot != injection.service && !(injection.service == ALL_SERVICES && can_fail(slot))) {
        return false;
    }
    report.calls++;
    if (report.calls < injection.first || report.calls - injection.first >= injection.count) {
        return false;
    }
    report.injected++;
    if (report.injected == 1) {
        say("inject %s call=%u slot=%s", current->name, report.calls, service_name(slot));
    }
    return true;
}

/* After a failed ExitBootServices the firmware is half shut down: only the map and the exit may be called. */
static void watch_exit(uint32_t slot)
{
    if (slot == SLOT(ExitBootServices)) {
        if (report.exits > 0 && calls_since_exit > 0) {
            report.between_exits++;
            say("violation: %s between two exits", service_name(call_slot));
        }
        report.exits++;
        calls_since_exit = 0;
    } else if (slot != SLOT(GetMemoryMap)) {
        calls_since_exit++;
        call_slot = slot;
    }
}

/* Called by gate.S for every call of a boot service: returns the function that shall do it. */
void *gate_decide(uint32_t slot)
{
    watch_exit(slot);
    levels_begin();
    return inject(slot) ? (void *)injected_failure : targets[slot];
}

static bool zero_taken; /* the child has the pages at address 0 */

/*
 * A firmware that fills its memory from the bottom, page 0 included: nothing forbids it. OVMF's does not, so
 * it is not asked.
 */
static bool allocate_from_zero(EFI_ALLOCATE_TYPE kind, UINTN pages)
{
    if (!current->zero_page || zero_taken || kind == AllocateAddress) {
        return false;
    }
    say("zero %s pages=%u", current->name, (unsigned)pages);
    live_add(0, pages);
    zero_taken = true;
    return true;
}

#define LOW_MEMORY_END 0x100000ULL

/* A firmware that fills its memory from the bottom. */
static bool allocate_low(EFI_ALLOCATE_TYPE kind, EFI_MEMORY_TYPE type, UINTN pages,
                         EFI_PHYSICAL_ADDRESS *address)
{
    EFI_PHYSICAL_ADDRESS low = LOW_MEMORY_END - 1;
    if (!current->low_memory || kind == AllocateAddress ||
        EFI_ERROR(firmware->AllocatePages(AllocateMaxAddress, type, pages, &low))) {
        return false;
    }
    say("low %s pages=%u address=%" PRIx64, current->name, (unsigned)pages, low);
    live_add(low, pages);
    *address = low;
    return true;
}

/* How many pages below 1 MiB the child keeps. */
static unsigned low_pages(void)
{
    unsigned pages = 0;
    for (unsigned i = 0; i < LIVE_MAX; i++) {
        pages += live[i].address < LOW_MEMORY_END ? (unsigned)live[i].pages : 0;
    }
    return pages;
}

static EFI_STATUS EFIAPI hostile_allocate_pages(EFI_ALLOCATE_TYPE kind, EFI_MEMORY_TYPE type, UINTN pages,
                                                EFI_PHYSICAL_ADDRESS *address)
{
    if (allocate_low(kind, type, pages, address)) {
        return EFI_SUCCESS;
    }
    if ((current->refused == REFUSE_ADDRESS && kind == AllocateAddress) ||
        (current->refused == REFUSE_LIMIT && kind == AllocateMaxAddress)) {
        say("refused %s kind=%u address=%" PRIx64, current->name, (unsigned)kind, *address);
        return EFI_NOT_FOUND;
    }
    if (allocate_from_zero(kind, pages)) {
        *address = 0;
        return EFI_SUCCESS;
    }
    EFI_STATUS status = firmware->AllocatePages(kind, type, pages, address);
    if (!EFI_ERROR(status)) {
        live_add(*address, pages);
    }
    return status;
}

static EFI_STATUS EFIAPI hostile_free_pages(EFI_PHYSICAL_ADDRESS address, UINTN pages)
{
    live_remove(address, pages);
    if (address == 0 && zero_taken) {
        zero_taken = false;
        return EFI_SUCCESS;
    }
    return firmware->FreePages(address, pages);
}

static EFI_STATUS EFIAPI hostile_allocate_pool(EFI_MEMORY_TYPE type, UINTN bytes, VOID **buffer)
{
    EFI_STATUS status = firmware->AllocatePool(type, bytes, buffer);
    if (!EFI_ERROR(status)) {
        live_add((uint64_t)(uintptr_t)*buffer, 0);
    }
    return status;
}

/* A buffer the firmware allocated for its caller (a directory's information, a mode's) is not in our list. */
static EFI_STATUS EFIAPI hostile_free_pool(VOID *buffer)
{
    for (unsigned i = 0; i < LIVE_MAX; i++) {
        if (live[i].address == (uint64_t)(uintptr_t)buffer && live[i].pages == 0) {
            live[i].address = NOWHERE;
            break;
        }
    }
    return firmware->FreePool(buffer);
}

/* The handle array belongs to the caller, who has to free it. */
static EFI_STATUS EFIAPI counted_locate_handle_buffer(EFI_LOCATE_SEARCH_TYPE search, EFI_GUID *guid,
                                                      VOID *key, UINTN *count, EFI_HANDLE **handles)
{
    EFI_STATUS status = hostile_locate_handle_buffer(search, guid, key, count, handles);
    if (!EFI_ERROR(status)) {
        live_add((uint64_t)(uintptr_t)*handles, 0);
    }
    return status;
}

/* As the firmware does: after the exit the system table no longer leads to boot services or consoles. */
static EFI_STATUS EFIAPI last_exit_boot_services(EFI_HANDLE image, UINTN key)
{
    if (current->low_memory) {
        say("kept %s low=%u", current->name, low_pages());
    }
    EFI_STATUS status = hostile_exit_boot_services(image, key);
    if (!EFI_ERROR(status)) {
        child->system.BootServices = NULL;
        child->system.ConIn = NULL;
        child->system.ConOut = NULL;
        child->system.StdErr = NULL;
    }
    return status;
}

static void checksum(EFI_TABLE_HEADER *header)
{
    header->CRC32 = 0;
    UINT32 sum = 0;
    firmware->CalculateCrc32(header, header->HeaderSize, &sum);
    header->CRC32 = sum;
}

static void set_targets(void)
{
    memcpy(targets, (const char *)firmware + sizeof(EFI_TABLE_HEADER), sizeof(targets));
    targets[SLOT(AllocatePages)] = (void *)hostile_allocate_pages;
    targets[SLOT(FreePages)] = (void *)hostile_free_pages;
    targets[SLOT(AllocatePool)] = (void *)hostile_allocate_pool;
    targets[SLOT(FreePool)] = (void *)hostile_free_pool;
    targets[SLOT(GetMemoryMap)] = (void *)hostile_get_memory_map;
    targets[SLOT(ExitBootServices)] = (void *)last_exit_boot_services;
    targets[SLOT(HandleProtocol)] = (void *)hostile_handle_protocol;
    targets[SLOT(OpenProtocol)] = (void *)hostile_open_protocol;
    targets[SLOT(LocateProtocol)] = (void *)hostile_locate_protocol;
    targets[SLOT(LocateHandle)] = (void *)hostile_locate_handle;
    targets[SLOT(LocateHandleBuffer)] = (void *)counted_locate_handle_buffer;
}

EFI_STATUS services_init(void)
{
    return firmware->AllocatePool(EfiRuntimeServicesData, sizeof(*child), (VOID **)&child);
}

EFI_SYSTEM_TABLE *services_make(void)
{
    child->services = *firmware;
    for (unsigned slot = 0; slot < SERVICES_MAX; slot++) {
        void *entry = gate_entries + (size_t)slot * ENTRY_BYTES;
        memcpy((char *)&child->services + sizeof(EFI_TABLE_HEADER) + slot * sizeof(void *), &entry,
               sizeof(entry));
    }
    child->services.Hdr.HeaderSize = sizeof(child->services);
    checksum(&child->services.Hdr);
    child->system = *firmware_table;
    child->system.Hdr.HeaderSize = sizeof(child->system);
    child->system.BootServices = &child->services;
    child->system.NumberOfTableEntries = configuration_copy(child->tables, TABLES_MAX);
    child->system.ConfigurationTable = child->tables;
    checksum(&child->system.Hdr);
    set_targets();
    return &child->system;
}

UINTN services_tables(EFI_CONFIGURATION_TABLE **tables)
{
    *tables = child->tables;
    return child->system.NumberOfTableEntries;
}

/* Starts counting, with `wanted` calls to fail. */
void services_begin(const struct injection *wanted)
{
    injection = *wanted;
    calls_since_exit = 0;
    memset(&report, 0, sizeof(report));
    memset(live, 0xff, sizeof(live));
}

struct gate_report services_end(void)
{
    for (unsigned i = 0; i < LIVE_MAX; i++) {
        if (live[i].address != NOWHERE) {
            report.live_pools += live[i].pages == 0;
            report.live_pages += (uint32_t)live[i].pages;
            say("leak: %" PRIx64 ", %" PRIu64 " pages", live[i].address, live[i].pages);
        }
    }
    return report;
}
