/* Monitor commands that show the machine's memory: mem and firmware. */
#include <ashlar/boot.h>
#include <ashlar/memory.h>
#include <ashlar/memory_type.h>
#include <ashlar/monitor.h>
#include <ashlar/number.h>
#include <ashlar/string.h>

/* EFI_MEMORY_DESCRIPTOR (UEFI specification 2.10, 7.2.3). Entries may be longer: a table says how long. */
struct efi_memory_descriptor {
    uint32_t type;           /* EFI_MEMORY_TYPE */
    uint32_t padding;        /* unused */
    uint64_t physical_start; /* first byte */
    uint64_t virtual_start;  /* of no use before SetVirtualAddressMap() */
    uint64_t pages;          /* of 4 KiB */
    uint64_t attributes;     /* EFI_MEMORY_... */
};

_Static_assert(sizeof(struct efi_memory_descriptor) == 40, "as in the specification");

static struct efi_memory_descriptor firmware_descriptor(uint32_t index)
{
    const struct boot_table *table = &boot_info()->firmware_map;
    struct efi_memory_descriptor descriptor;
    const uint8_t *first = physmap_pointer(table->base);
    memcpy(&descriptor, first + (size_t)index * table->entry_size, sizeof descriptor);
    return descriptor;
}

/* The first byte of the descriptor's frames, in whole frames as in the normalised map: partial ones count. */
static uint64_t descriptor_start(const struct efi_memory_descriptor *descriptor)
{
    return align_down(min_u64(descriptor->physical_start, PHYSICAL_END), FRAME_BYTES);
}

/* Its end; what passes the physical address space is cut off there, and an empty one ends where it starts. */
static uint64_t descriptor_end(const struct efi_memory_descriptor *descriptor)
{
    uint64_t start = min_u64(descriptor->physical_start, PHYSICAL_END);
    uint64_t room = (PHYSICAL_END - start) >> FRAME_SHIFT;
    if (descriptor->pages == 0) {
        return descriptor_start(descriptor);
    }
    return align_up(start + (min_u64(descriptor->pages, room) << FRAME_SHIFT), FRAME_BYTES);
}

/*
 * End of the stretch of described memory that holds `from`; or, when nothing describes `from`, `from` itself
 * and in *next the first described byte after it.
 */
static uint64_t covered_until(uint64_t from, uint64_t *next)
{
    uint64_t end = from;
    *next = PHYSICAL_END;
    for (uint32_t i = 0; i < boot_info()->firmware_map.count; i++) {
        struct efi_memory_descriptor descriptor = firmware_descriptor(i);
        uint64_t descriptor_first = descriptor_start(&descriptor);
        uint64_t descriptor_last = descriptor_end(&descriptor);
        if (descriptor_first <= from && descriptor_last > end) {
            end = descriptor_last;
        }
        if (descriptor_first > from && descriptor_last > descriptor_first) {
            *next = min_u64(*next, descriptor_first);
        }
    }
    return end;
}

/*
 * Bytes that the firmware's own map names, each counted once however often descriptors overlap. Computed from
 * the raw map, so that comparing it with the normalised one says something.
 */
static uint64_t firmware_bytes(void)
{
    uint64_t bytes = 0;
    for (uint64_t at = 0; at < PHYSICAL_END;) {
        uint64_t next;
        uint64_t end = covered_until(at, &next);
        bytes += end - at;
        at = end > at ? end : next;
    }
    return bytes;
}

/* What the frame pool says now, and what the firmware said. */
struct account {
    struct frame_ledger ledger; /* the pool's */
    uint64_t firmware;          /* bytes that the firmware's raw map names */
    uint64_t free;              /* bytes that nobody has */
    uint64_t accounted;         /* bytes of all owners and the free ones */
};

static struct account take_account(void)
{
    struct account account;
    memory_ledger(&account.ledger);
    account.firmware = firmware_bytes();
    account.free = account.ledger.free_bytes + account.ledger.magazine_bytes;
    account.accounted = account.free;
    for (unsigned owner = 0; owner < OWNER_COUNT; owner++) {
        account.accounted += account.ledger.owner_bytes[owner];
    }
    return account;
}

static void mem_json(const struct account *account)
{
    struct json json;
    monitor_json_begin(&json);
    json_object_begin(&json, NULL);
    json_number(&json, "firmware_bytes", account->firmware);
    json_number(&json, "accounted_bytes", account->accounted);
    json_signed(&json, "difference", (int64_t)(account->firmware - account->accounted));
    json_number(&json, "free_bytes", account->free);
    json_array_begin(&json, "owners");
    for (unsigned owner = 0; owner < OWNER_COUNT; owner++) {
        json_object_begin(&json, NULL);
        json_string(&json, "name", frame_owner_name(owner));
        json_number(&json, "bytes", account->ledger.owner_bytes[owner]);
        json_object_end(&json);
    }
    json_array_end(&json);
    json_object_end(&json);
    json_end(&json);
}

static void mem_map(const struct memory_range *ranges, size_t count)
{
    char size[NUMBER_SIZE_BYTES];
    monitor_print("%-16s  %-16s %11s  %s\n", "first byte", "last byte", "size", "type");
    for (size_t i = 0; i < count && !monitor_interrupted(); i++) {
        monitor_print("0x%014" PRIx64 "  0x%014" PRIx64 " %11s  %s\n", ranges[i].base.raw,
                      (ranges[i].base.raw + ranges[i].bytes - 1), number_format_size(size, ranges[i].bytes),
                      memory_type_name((enum memory_type)ranges[i].type));
    }
}

static void mem_line(const char *name, uint64_t bytes)
{
    char size[NUMBER_SIZE_BYTES];
    if (bytes > 0) {
        monitor_print("%-22s %18" PRIu64 " B %11s\n", name, bytes, number_format_size(size, bytes));
    }
}

static void mem_totals(const struct account *account)
{
    for (unsigned owner = 0; owner < OWNER_COUNT; owner++) {
        mem_line(frame_owner_name(owner), account->ledger.owner_bytes[owner]);
    }
    mem_line("free", account->ledger.free_bytes);
    mem_line("free, in magazines", account->ledger.magazine_bytes);
    mem_line("all", account->accounted);
    monitor_print("%-22s %18" PRIu64 " B, difference %" PRId64 "\n", "firmware's map", account->firmware,
                  (account->firmware - account->accounted));
}

static void mem_run(struct monitor_call *call)
{
    struct account account = take_account();
    if (call->json) {
        mem_json(&account);
        return;
    }
    if (!monitor_option(call, "-t")) {
        size_t count;
        const struct memory_range *ranges = boot_memory_map(&count);
        mem_map(ranges, count);
    }
    mem_totals(&account);
}

MONITOR_COMMAND(
    mem, mem_run, "", "memory map of the machine, and who has how much of it",
    "Shows the memory map as the loader normalised it: sorted, without overlaps, every byte typed;\n"
    "then how many bytes each owner has now and how many are free, and how the sum compares with the\n"
    "firmware's own map (difference 0). 'frames' shows more of the free ones.\n"
    "Examples:\n"
    "  mem       map and owners\n"
    "  mem -t    owners only\n"
    "  mem -j    {\"firmware_bytes\":N,\"accounted_bytes\":N,\"difference\":0,\"free_bytes\":N,\n"
    "             \"owners\":[{\"name\":...,\"bytes\":N},...]}\n",
    .options = MONITOR_OPTIONS({"-t", NULL, "owners only"}), .flags = MONITOR_JSON);

/* The name of an EFI_MEMORY_TYPE (UEFI specification 2.10, 7.2.1); beyond those, types of vendors and
 * loaders. */
static const char *efi_type_name(uint32_t type)
{
    static const char *const names[] = {
        "reserved",     "loader code", "loader data", "boot code",   "boot data", "runtime code",
        "runtime data", "free",        "unusable",    "ACPI tables", "ACPI NVS",  "MMIO",
        "MMIO ports",   "PAL code",    "persistent",  "unaccepted",
    };
    return type < ARRAY_LENGTH(names) ? names[type] : type >= 0x80000000 ? "OS loader's" : "OEM's";
}

/* One letter for each attribute that is set, '-' for those that are not (UEFI specification 2.10, 7.2.3). */
static const char *attribute_letters(uint64_t attributes, char text[16])
{
    static const struct {
        uint8_t bit;
        char letter;
    } known[] = {
        {0, 'u'},  {1, 'c'},  {2, 't'},  {3, 'b'},  {4, 'e'},  {12, 'w'}, {13, 'r'},
        {14, 'x'}, {15, 'n'}, {16, 'm'}, {17, 'o'}, {18, 's'}, {63, 'R'},
    };
    size_t at = 0;
    for (; at < ARRAY_LENGTH(known); at++) {
        bool set = attributes >> known[at].bit & 1;
        text[at] = (char)(set ? known[at].letter : '-');
    }
    text[at] = '\0';
    return text;
}

static void firmware_json(void)
{
    struct json json;
    monitor_json_begin(&json);
    json_object_begin(&json, NULL);
    json_number(&json, "descriptor_bytes", boot_info()->firmware_map.entry_size);
    json_array_begin(&json, "descriptors");
    for (uint32_t i = 0; i < boot_info()->firmware_map.count && !monitor_interrupted(); i++) {
        struct efi_memory_descriptor descriptor = firmware_descriptor(i);
        json_object_begin(&json, NULL);
        json_number(&json, "type", descriptor.type);
        json_hex(&json, "start", descriptor.physical_start);
        json_number(&json, "pages", descriptor.pages);
        json_hex(&json, "attributes", descriptor.attributes);
        json_object_end(&json);
    }
    json_array_end(&json);
    json_object_end(&json);
    json_end(&json);
}

static void firmware_run(struct monitor_call *call)
{
    if (call->json) {
        firmware_json();
        return;
    }
    char letters[16];
    const struct boot_table *table = &boot_info()->firmware_map;
    monitor_print("%u descriptors of %u bytes; %u calls of ExitBootServices\n", table->count,
                  table->entry_size, boot_info()->exit_attempts);
    monitor_print("   #  %-18s %12s  %-13s  %s\n", "start", "pages", "attributes", "type");
    for (uint32_t i = 0; i < table->count && !monitor_interrupted(); i++) {
        struct efi_memory_descriptor descriptor = firmware_descriptor(i);
        monitor_print("%4u  0x%016" PRIx64 " %12" PRIu64 "  %s  %u %s\n", i, descriptor.physical_start,
                      descriptor.pages, attribute_letters(descriptor.attributes, letters), descriptor.type,
                      efi_type_name(descriptor.type));
    }
}

MONITOR_COMMAND(
    firmware, firmware_run, "", "the firmware's own memory map, as it was handed over",
    "For bug reports: every descriptor in the firmware's order, unchanged.\n"
    "Attributes: u uncached, c write-combining, t write-through, b write-back, e exported, w write-\n"
    "protected, r read-protected, x execute-protected, n non-volatile, m more reliable, o read-only,\n"
    "s specific purpose, R runtime.\n"
    "Examples:\n"
    "  firmware\n"
    "  firmware -j    {\"descriptor_bytes\":N,\"descriptors\":[{\"type\":N,\"start\":\"0x...\",...},...]}\n",
    .flags = MONITOR_JSON);
