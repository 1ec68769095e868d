/*
 * UEFI runtime services; see <ashlar/efi_runtime.h>.
 *
 * The services were never given virtual addresses (SetVirtualAddressMap): they run at their physical
 * addresses, in page tables that have the runtime regions there, code read-only, data not executable, and the
 * kernel's half. All arguments lie in static buffers here, so the firmware never touches user memory or a
 * kernel stack other than its own. It may use SSE and x87 registers, which the kernel does not: what is in
 * them is saved, and CR4.OSFXSR stays on for the firmware.
 *
 * A call that faults is abandoned: the exception returns to firmware_call_abandon, the fault is logged, and
 * the services are not called again, because the state in which the firmware was interrupted is unknown.
 *
 * call_lock guards every call and buffer. It is a mutex, since nobody knows how long a call takes; the
 * firmware itself runs with interrupts off.
 */
#define LOG_SUBSYSTEM "efi"
#include <ashlar/boot.h>
#include <ashlar/command_line.h>
#include <ashlar/efi_runtime.h>
#include <ashlar/format.h>
#include <ashlar/heap.h>
#include <ashlar/lock.h>
#include <ashlar/log.h>
#include <ashlar/memory.h>
#include <ashlar/page_table.h>
#include <ashlar/string.h>
#include <x86/firmware_call.h>
#include <x86/trap_frame.h>

#define STACK_BYTES  KIB(32) /* UEFI promises that 4 KiB are enough (2.3.4.2); some firmware needs more */
#define REASON_BYTES 96
#define STACK_CANARY 0x5ca1ab1e0ddba11ULL

#define SYSTEM_TABLE_SIGNATURE  0x5453595320494249ULL /* "IBI SYST" */
#define RUNTIME_TABLE_SIGNATURE 0x56524553544e5552ULL /* "RUNTSERV" */

struct table_header {
    uint64_t signature; /* which table */
    uint32_t revision;  /* of the specification */
    uint32_t bytes;     /* of the table, with this header */
    uint32_t crc32;     /* of the table, with 0 here */
    uint32_t reserved;  /* 0 */
};

/* EFI_SYSTEM_TABLE as far as we read it (4.3.1); addresses are physical. */
struct system_table {
    struct table_header header;
    uint64_t before[8];        /* vendor, revision, and the consoles of boot services */
    uint64_t runtime_services; /* EFI_RUNTIME_SERVICES */
};

/* EFI_RUNTIME_SERVICES (4.5.1): functions as physical addresses. */
struct runtime_table {
    struct table_header header;
    uint64_t get_time;
    uint64_t set_time;
    uint64_t get_wakeup_time;
    uint64_t set_wakeup_time;
    uint64_t set_virtual_address_map;
    uint64_t convert_pointer;
    uint64_t get_variable;
    uint64_t get_next_variable_name;
    uint64_t set_variable;
    uint64_t get_next_high_monotonic_count;
    uint64_t reset_system;
};

_Static_assert(offsetof(struct system_table, runtime_services) == 88, "UEFI 4.3.1");
_Static_assert(offsetof(struct runtime_table, reset_system) == 104, "UEFI 4.5.1");

/* EFI_TIME (8.3.1). */
struct efi_time {
    uint16_t year;
    uint8_t month;
    uint8_t day;
    uint8_t hour;
    uint8_t minute;
    uint8_t second;
    uint8_t pad1;
    uint32_t nanosecond;
    int16_t zone; /* minutes from UTC: local time = UTC - zone */
    uint8_t daylight;
    uint8_t pad2;
};

/* EFI_MEMORY_DESCRIPTOR (7.2.3), as in boot_info.runtime_map. */
struct runtime_region {
    uint32_t type;
    uint32_t pad;
    uint64_t physical;
    uint64_t virtual;
    uint64_t pages;
    uint64_t attributes;
};

static struct mutex call_lock = MUTEX_INITIALIZER(LOCK_FIRMWARE);
static struct runtime_table services;             /* a copy: the firmware may change its own */
static char reason[REASON_BYTES] = "not started"; /* why there are no services; "" while there are */
static uint64_t *stack PT_GUARDED_BY(call_lock);  /* STACK_BYTES of it, for the firmware to run on */
static struct firmware_call call GUARDED_BY(call_lock);
static struct trap_frame fault_frame GUARDED_BY(call_lock); /* of the exception that ended the last call */

/* The buffers that the firmware is given. */
static struct efi_time time_buffer GUARDED_BY(call_lock);
static struct efi_variable_name name_buffer GUARDED_BY(call_lock);
static uint64_t size_buffer GUARDED_BY(call_lock);
static uint32_t attribute_buffer GUARDED_BY(call_lock);

static void give_up(const char *text, uint64_t value)
{
    format(reason, sizeof reason, "%s (%#" PRIx64 ")", text, value);
    log_warning("UEFI runtime services are not used: %s", reason);
}

/* Whether a range lies in one region that the firmware declared for use at run time. */
static bool in_runtime_region(uint64_t address, uint64_t bytes)
{
    const struct boot_table *map = &boot_info()->runtime_map;
    const uint8_t *at = physmap_pointer(map->base);
    for (uint32_t i = 0; i < map->count && map->entry_size >= sizeof(struct runtime_region); i++) {
        const struct runtime_region *region = (const void *)(at + (size_t)i * map->entry_size);
        uint64_t offset = address - region->physical;
        uint64_t length = region->pages * FRAME_BYTES;
        if (address >= region->physical && offset < length && bytes <= length - offset) {
            return true;
        }
    }
    return false;
}

/*
 * A table of the firmware in runtime memory; NULL, with the reason noted, when it is not what it should be.
 */
static const void *check_table(uint64_t address, uint64_t signature, uint64_t bytes, const char *what)
{
    if (!is_aligned(address, 8) || !in_runtime_region(address, bytes)) {
        give_up(what, address);
        return NULL;
    }
    const struct table_header *header = physmap_pointer(phys_addr(address));
    if (header->signature != signature || header->bytes < bytes) {
        give_up(what, header->signature);
        return NULL;
    }
    return header;
}

/* Every function we may call lies in runtime memory. */
static bool check_services(void)
{
    const uint64_t functions[] = {services.get_time, services.get_variable, services.get_next_variable_name,
                                  services.reset_system};
    for (size_t i = 0; i < ARRAY_LENGTH(functions); i++) {
        if (!in_runtime_region(functions[i], 1)) {
            give_up("a service lies outside runtime memory", functions[i]);
            return false;
        }
    }
    return true;
}

/* Allocated at start and for good, so that a reset needs no memory; only where there are services. */
static bool take_stack(void)
{
    stack = heap_alloc_aligned(&kernel_heap, STACK_BYTES, 16);
    if (stack == NULL) {
        give_up("no memory for a stack", STACK_BYTES);
    }
    return stack != NULL;
}

/* The option efi-runtime=off, for machines whose services do damage. */
static bool is_switched_off(void)
{
    char wish[4] = "";
    return command_line_get(boot_command_line(), "efi-runtime", wish, sizeof wish) &&
           strcmp(wish, "off") == 0;
}

void efi_runtime_initialise(const struct boot_info *info)
{
    if (is_switched_off()) {
        format(reason, sizeof reason, "switched off on the command line");
        log_info("UEFI runtime services are %s", reason);
        return;
    }
    if (!address_space_runtime()) {
        give_up("the firmware does not tell its code from its data", info->paging.runtime_root.raw);
        return;
    }
    const struct system_table *system = check_table(info->firmware.system_table.raw, SYSTEM_TABLE_SIGNATURE,
                                                    sizeof *system, "no system table");
    if (system == NULL) {
        return;
    }
    const struct runtime_table *table = check_table(system->runtime_services, RUNTIME_TABLE_SIGNATURE,
                                                    sizeof *table, "no runtime services table");
    if (table == NULL) {
        return;
    }
    services = *table;
    if (check_services() && take_stack()) {
        reason[0] = '\0';
        log_info("UEFI %u.%u runtime services ready", table->header.revision >> 16,
                 (table->header.revision & 0xffff) / 10);
    }
}

bool efi_runtime_available(void)
{
    return reason[0] == '\0';
}

const char *efi_runtime_reason(void)
{
    return reason;
}

static void judge_call(void) REQUIRES(call_lock)
{
    if (call.faulted) {
        give_up("a call raised an exception", fault_frame.vector);
        log_error("exception %" PRIu64 " in the firmware at %#" PRIx64 ", error code %#" PRIx64,
                  fault_frame.vector, fault_frame.rip, fault_frame.error_code);
    } else if (stack[0] != STACK_CANARY) {
        give_up("a call used up its stack", STACK_BYTES);
    }
}

/* Calls a service. All addresses among the arguments are the kernel's. */
static efi_status_t call_service(uint64_t function, const uint64_t arguments[5]) REQUIRES(call_lock)
{
    call = (struct firmware_call){.function = function,
                                  .root = address_space_runtime()->root.raw,
                                  .stack_top = (uintptr_t)stack + STACK_BYTES};
    memcpy(call.arguments, arguments, sizeof call.arguments);
    stack[0] = STACK_CANARY;
    bool returned = firmware_call(&call, &fault_frame);
    judge_call();
    return returned ? call.result : EFI_STATUS_ABORTED;
}

efi_status_t efi_get_time(struct clock_date *date)
{
    if (!efi_runtime_available()) {
        return EFI_STATUS_UNSUPPORTED;
    }
    mutex_acquire(&call_lock);
    time_buffer = (struct efi_time){0};
    const uint64_t arguments[5] = {(uintptr_t)&time_buffer, 0};
    efi_status_t status = call_service(services.get_time, arguments);
    struct clock_date read = {.year = time_buffer.year,
                              .month = time_buffer.month,
                              .day = time_buffer.day,
                              .hour = time_buffer.hour,
                              .minute = time_buffer.minute,
                              .second = time_buffer.second,
                              .zone = time_buffer.zone};
    mutex_release(&call_lock);
    if (status != EFI_STATUS_SUCCESS) {
        return status;
    }
    if (!clock_date_is_valid(&read)) {
        log_warning("the firmware's clock shows %u-%02u-%02u %02u:%02u:%02u, zone %d", read.year, read.month,
                    read.day, read.hour, read.minute, read.second, read.zone);
        return EFI_STATUS_DEVICE_ERROR;
    }
    *date = read;
    return status;
}

efi_status_t efi_next_variable(struct efi_variable_name *name)
{
    if (!efi_runtime_available()) {
        return EFI_STATUS_UNSUPPORTED;
    }
    mutex_acquire(&call_lock);
    name_buffer = *name;
    size_buffer = sizeof name_buffer.name;
    const uint64_t arguments[5] = {(uintptr_t)&size_buffer, (uintptr_t)name_buffer.name,
                                   (uintptr_t)&name_buffer.vendor};
    efi_status_t status = call_service(services.get_next_variable_name, arguments);
    if (status == EFI_STATUS_SUCCESS) {
        name_buffer.name[EFI_VARIABLE_NAME_UNITS - 1] = 0;
        *name = name_buffer;
    }
    mutex_release(&call_lock);
    return status;
}

efi_status_t efi_get_variable(const struct efi_variable_name *name, void *data, uint64_t *bytes,
                              uint32_t *attributes)
{
    if (!efi_runtime_available()) {
        return EFI_STATUS_UNSUPPORTED;
    }
    uint64_t room = min_u64(*bytes, EFI_VARIABLE_BYTES_MAX);
    void *buffer = heap_alloc(&kernel_heap, max_u64(room, 1));
    if (buffer == NULL) {
        return EFI_STATUS_OUT_OF_RESOURCES;
    }
    mutex_acquire(&call_lock);
    name_buffer = *name;
    size_buffer = room;
    attribute_buffer = 0;
    const uint64_t arguments[5] = {(uintptr_t)name_buffer.name, (uintptr_t)&name_buffer.vendor,
                                   (uintptr_t)&attribute_buffer, (uintptr_t)&size_buffer, (uintptr_t)buffer};
    efi_status_t status = call_service(services.get_variable, arguments);
    if (status == EFI_STATUS_SUCCESS && size_buffer > room) {
        status = EFI_STATUS_DEVICE_ERROR; /* a length beyond the buffer's cannot be right */
    }
    if (status == EFI_STATUS_SUCCESS) {
        memcpy(data, buffer, size_buffer);
        *attributes = attribute_buffer;
    }
    *bytes = size_buffer;
    mutex_release(&call_lock);
    heap_free(&kernel_heap, buffer);
    return status;
}

/*
 * Takes no lock: this is the last call, perhaps made by a panic while this CPU holds the lock for another
 * call, whose buffers are not needed any more. If the firmware itself was interrupted, it is not called
 * again.
 */
efi_status_t efi_reset(enum efi_reset kind) NO_LOCK_ANALYSIS
{
    if (!efi_runtime_available()) {
        return EFI_STATUS_UNSUPPORTED;
    }
    if (firmware_call_active()) {
        return EFI_STATUS_ABORTED;
    }
    const uint64_t arguments[5] = {kind, EFI_STATUS_SUCCESS, 0, 0};
    return call_service(services.reset_system, arguments);
}

const char *efi_status_name(efi_status_t status)
{
    switch (status) {
    case EFI_STATUS_SUCCESS:
        return "success";
    case EFI_STATUS_INVALID:
        return "invalid parameter";
    case EFI_STATUS_UNSUPPORTED:
        return "unsupported";
    case EFI_STATUS_BUFFER_TOO_SMALL:
        return "buffer too small";
    case EFI_STATUS_DEVICE_ERROR:
        return "device error";
    case EFI_STATUS_NOT_FOUND:
        return "not found";
    case EFI_STATUS_ABORTED:
        return "aborted";
    default:
        return "error";
    }
}

void efi_guid_format(const struct efi_guid *guid, char text[EFI_GUID_TEXT_BYTES])
{
    const uint8_t *d = guid->d;
    format(text, EFI_GUID_TEXT_BYTES, "%08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x", guid->a, guid->b,
           guid->c, d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7]);
}
