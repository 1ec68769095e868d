/*
 * The memory map as the case wants it, and leaving boot services with it.
 *
 * The firmware's map is read, distorted as a list, and written out with the stride of the case. Distortions
 * that change what the map means are confined to the quarry: pages of our own, allocated with an OEM type so
 * that they have a descriptor to themselves, which the case replaces by entries of its choice. What the
 * kernel has to make of the map is therefore known to the byte, and is printed at the exit for the test to
 * compare with.
 */
#include "hostile.h"
#include <ashlar/boot_info.h>
#include <ashlar/string.h>

#define DESCRIPTORS_MAX      2048
#define QUARRY_PAGES         64
#define QUARRY_TYPE          ((EFI_MEMORY_TYPE)0x80000042)
#define STALE_MAX            64
#define ATTRIBUTE_RAM        0xfULL /* uncached, write-combining, -through, -back (UEFI 2.10, 7.2.3) */
#define ATTRIBUTE_WRITE_BACK 0x8ULL
#define ATTRIBUTE_SP         0x40000ULL
#define ATTRIBUTE_NV         0x8000ULL
#define ATTRIBUTE_RUNTIME    (1ULL << 63)
#define PHYSICAL_END         (1ULL << 52)
#define ENTRIES_MAX          20
#define PADDING              0xa5 /* what the bytes of a longer descriptor hold */

/* The attribute bit differs by type in some entries; most are plain RAM. */
struct entry {
    uint32_t type;      /* EFI_MEMORY_TYPE */
    uint64_t start;     /* bytes from the start of the quarry, or an address with `absolute` */
    uint64_t pages;     /* 4096 bytes each */
    uint64_t attribute; /* besides ATTRIBUTE_RAM */
    bool absolute;      /* start is an address */
};

/* What the kernel has to find, in bytes; ram is usable and everything reclaimable or taken by the loader. */
struct expectation {
    uint64_t ram;
    uint64_t types[MEMORY_TYPE_COUNT]; /* the others by enum memory_type */
};

struct quarry_case {
    struct entry entries[ENTRIES_MAX]; /* up to the first of 0 type, start and pages */
    struct expectation expected;       /* of these entries */
};

#define PAGES(n) ((uint64_t)(n)*FRAME_BYTES)

static const struct quarry_case quarry_cases[] = {
    [QUARRY_PLAIN] = {{{EfiBootServicesData, 0, 64, 0, false}}, {.ram = PAGES(64)}},
    [QUARRY_LATE] = {{{EfiBootServicesData, 0, 64, 0, false}}, {.types[MEMORY_RESERVED] = PAGES(64)}},
    [QUARRY_NESTED] = {{{EfiBootServicesData, 0, 64, 0, false},
                        {EfiReservedMemoryType, PAGES(16), 8, 0, false},
                        {EfiConventionalMemory, PAGES(18), 2, 0, false}},
                       {.ram = PAGES(56), .types[MEMORY_RESERVED] = PAGES(8)}},
    [QUARRY_OVERLAP] = {{{EfiBootServicesData, 0, 40, 0, false},
                         {EfiReservedMemoryType, PAGES(45), 10, 0, false},
                         {EfiACPIMemoryNVS, PAGES(30), 20, 0, false},
                         {EfiConventionalMemory, PAGES(50), 14, 0, false}},
                        {.ram = PAGES(39),
                         .types[MEMORY_ACPI_NVS] = PAGES(15),
                         .types[MEMORY_RESERVED] = PAGES(10)}},
    [QUARRY_DUPLICATE] = {{{EfiBootServicesData, 0, 64, 0, false},
                           {EfiConventionalMemory, 0, 64, 0, false},
                           {EfiBootServicesData, 0, 64, 0, false}},
                          {.ram = PAGES(64)}},
    [QUARRY_ZERO] = {{{EfiBootServicesData, 0, 64, 0, false},
                      {EfiReservedMemoryType, PAGES(8), 0, 0, false},
                      {EfiConventionalMemory, PAGES(64), 0, 0, false},
                      {EfiUnusableMemory, 0x123456789000, 0, 0, true}},
                     {.ram = PAGES(64)}},
    /* What reaches past the address space is reserved as far as it is inside, and nothing when it begins
       outside. */
    [QUARRY_WRAP] = {{{EfiBootServicesData, 0, 64, 0, false},
                      {EfiConventionalMemory, 0xfffffffffffff000, 2, 0, true},
                      {EfiReservedMemoryType, 0xffffffffffff0000, 0x20, 0, true},
                      {EfiConventionalMemory, PHYSICAL_END - PAGES(16), 0x10000000000000, 0, true},
                      {EfiConventionalMemory, PHYSICAL_END - PAGES(32), 0xffffffffffffffff, 0, true}},
                     {.ram = PAGES(64), .types[MEMORY_RESERVED] = PAGES(32)}},
    [QUARRY_OEM] = {{{EfiBootServicesData, 0, 32, 0, false},
                     {0x80000000, PAGES(32), 4, 0, false},
                     {0x70000001, PAGES(36), 4, 0, false},
                     {0xffffffff, PAGES(40), 4, 0, false},
                     {15, PAGES(44), 4, 0, false}, /* unaccepted memory */
                     {16, PAGES(48), 4, 0, false}, /* not defined yet */
                     {0x6fffffff, PAGES(52), 12, 0, false}},
                    {.ram = PAGES(32), .types[MEMORY_RESERVED] = PAGES(32)}},
    [QUARRY_TYPES] = {{{EfiReservedMemoryType, PAGES(0), 1, 0, false},
                       {EfiLoaderCode, PAGES(1), 1, 0, false},
                       {EfiLoaderData, PAGES(2), 1, 0, false},
                       {EfiBootServicesCode, PAGES(3), 1, 0, false},
                       {EfiBootServicesData, PAGES(4), 1, 0, false},
                       {EfiRuntimeServicesCode, PAGES(5), 1, ATTRIBUTE_RUNTIME, false},
                       {EfiRuntimeServicesData, PAGES(6), 1, ATTRIBUTE_RUNTIME, false},
                       {EfiConventionalMemory, PAGES(7), 1, 0, false},
                       {EfiUnusableMemory, PAGES(8), 1, 0, false},
                       {EfiACPIReclaimMemory, PAGES(9), 1, 0, false},
                       {EfiACPIMemoryNVS, PAGES(10), 1, 0, false},
                       {EfiMemoryMappedIO, PAGES(11), 1, 0, false},
                       {EfiMemoryMappedIOPortSpace, PAGES(12), 1, 0, false},
                       {EfiPalCode, PAGES(13), 1, 0, false},
                       {14, PAGES(14), 1, 0, false}, /* persistent memory */
                       {EfiBootServicesData, PAGES(15), 49, 0, false}},
                      {.ram = PAGES(54),
                       .types[MEMORY_RESERVED] = PAGES(2),
                       .types[MEMORY_RUNTIME] = PAGES(2),
                       .types[MEMORY_UNUSABLE] = PAGES(1),
                       .types[MEMORY_ACPI_RECLAIMABLE] = PAGES(1),
                       .types[MEMORY_ACPI_NVS] = PAGES(1),
                       .types[MEMORY_MMIO] = PAGES(2),
                       .types[MEMORY_PERSISTENT] = PAGES(1)}},
    /* A free entry keeps the whole pages inside it, a reserved one takes the pages it touches. */
    [QUARRY_SUBPAGE] = {{{EfiBootServicesData, 0x200, 31, 0, false},
                         {EfiConventionalMemory, PAGES(32), 32, 0, false},
                         {EfiReservedMemoryType, PAGES(40) + 0x800, 1, 0, false}},
                        {.ram = PAGES(30 + 30), .types[MEMORY_RESERVED] = PAGES(2 + 2)}},
    /* Special-purpose and non-volatile memory is not ordinary RAM, whatever its type. */
    [QUARRY_SPECIAL] = {{{EfiConventionalMemory, 0, 16, ATTRIBUTE_SP, false},
                         {EfiConventionalMemory, PAGES(16), 16, ATTRIBUTE_NV, false},
                         {EfiConventionalMemory, PAGES(32), 32, 0, false}},
                        {.ram = PAGES(32),
                         .types[MEMORY_RESERVED] = PAGES(16),
                         .types[MEMORY_PERSISTENT] = PAGES(16)}},
    /* No CPU of the tests has so many address lines; the second would not fit the physmap of any. */
    [QUARRY_FAR] = {{{EfiBootServicesData, 0, 64, 0, false},
                     {EfiConventionalMemory, 1ULL << 45, 16, 0, true},
                     {EfiConventionalMemory, 1ULL << 47, 16, 0, true},
                     {EfiACPIMemoryNVS, 1ULL << 51, 1, 0, true}},
                    {.ram = PAGES(64), .types[MEMORY_RESERVED] = PAGES(33)}},
    [QUARRY_RESERVED] = {{{EfiReservedMemoryType, 0, 64, 0, false}}, {.types[MEMORY_RESERVED] = PAGES(64)}},
    [QUARRY_DEVICE] = {{{EfiMemoryMappedIO, 0, 64, 0, false}}, {.types[MEMORY_MMIO] = PAGES(64)}},
    [QUARRY_HOLE] = {{{0, 0, 0, 0, false}}, {.ram = 0}}, /* nothing is said of it */
};

/* QUARRY_LATE is not in the map before this call, the loader's last: it has built its page tables by then. */
#define LATE_CALL 3

struct map_list {
    EFI_MEMORY_DESCRIPTOR entries[DESCRIPTORS_MAX];
    size_t count;
};

static struct map_list list;
static uint8_t raw[DESCRIPTORS_MAX * 64];           /* as the firmware gave it */
static EFI_PHYSICAL_ADDRESS quarry_base;            /* 0: none */
static struct expectation expected;                 /* of the last map given out */
static uint32_t map_calls;                          /* of GetMemoryMap since map_begin() */
static uint32_t exits;                              /* of ExitBootServices since map_begin() */
static EFI_PHYSICAL_ADDRESS stale_pages[STALE_MAX]; /* allocated to make the key stale */
static uint32_t stale_count;
static UINTN last_count; /* descriptors in the last map given out */
static UINTN last_stride;

/* Reads the firmware's map into the list. */
static EFI_STATUS list_read(UINTN *key, UINT32 *version)
{
    UINTN bytes = sizeof(raw);
    UINTN stride = 0;
    EFI_STATUS status = firmware->GetMemoryMap(&bytes, (EFI_MEMORY_DESCRIPTOR *)raw, key, &stride, version);
    list.count = 0;
    if (EFI_ERROR(status)) {
        return status;
    }
    for (UINTN at = 0; at < bytes; at += stride) {
        memcpy(&list.entries[list.count++], raw + at, sizeof(EFI_MEMORY_DESCRIPTOR));
    }
    last_stride = stride;
    return EFI_SUCCESS;
}

static bool list_add(const EFI_MEMORY_DESCRIPTOR *entry)
{
    if (list.count == DESCRIPTORS_MAX) {
        say("error: more than %u descriptors", DESCRIPTORS_MAX);
        return false;
    }
    list.entries[list.count++] = *entry;
    return true;
}

/* The free pages the firmware has: to see whether a run gave everything back. */
uint64_t map_free_pages(void)
{
    UINTN key;
    UINT32 version;
    uint64_t pages = 0;
    if (EFI_ERROR(list_read(&key, &version))) {
        return 0;
    }
    for (size_t i = 0; i < list.count; i++) {
        pages += list.entries[i].Type == EfiConventionalMemory ? list.entries[i].NumberOfPages : 0;
    }
    return pages;
}

/* The first pages above 4 GiB that are free and have room for the quarry; 0 when there are none. */
static EFI_PHYSICAL_ADDRESS find_high_pages(void)
{
    UINTN key;
    UINT32 version;
    if (EFI_ERROR(list_read(&key, &version))) {
        return 0;
    }
    for (size_t i = 0; i < list.count; i++) {
        const EFI_MEMORY_DESCRIPTOR *entry = &list.entries[i];
        if (entry->Type == EfiConventionalMemory && entry->PhysicalStart >= GIB(4) &&
            entry->NumberOfPages >= QUARRY_PAGES) {
            return entry->PhysicalStart;
        }
    }
    return 0;
}

EFI_STATUS quarry_make(void)
{
    if (current->place != PLACE_HIGH) {
        return firmware->AllocatePages(AllocateAnyPages, QUARRY_TYPE, QUARRY_PAGES, &quarry_base);
    }
    quarry_base = find_high_pages();
    if (quarry_base == 0) {
        return EFI_NOT_FOUND;
    }
    return firmware->AllocatePages(AllocateAddress, QUARRY_TYPE, QUARRY_PAGES, &quarry_base);
}

uint8_t *quarry_memory(void)
{
    return (uint8_t *)(uintptr_t)quarry_base;
}

void quarry_free(void)
{
    if (quarry_base != 0) {
        firmware->FreePages(quarry_base, QUARRY_PAGES);
        quarry_base = 0;
    }
}

/* What the kernel calls memory of an EFI type; MEMORY_USABLE for all that is RAM to it in the end. */
static enum memory_type kernel_type(uint32_t efi_type)
{
    static const enum memory_type types[] = {
        [EfiReservedMemoryType] = MEMORY_RESERVED,
        [EfiRuntimeServicesCode] = MEMORY_RUNTIME,
        [EfiRuntimeServicesData] = MEMORY_RUNTIME,
        [EfiUnusableMemory] = MEMORY_UNUSABLE,
        [EfiACPIReclaimMemory] = MEMORY_ACPI_RECLAIMABLE,
        [EfiACPIMemoryNVS] = MEMORY_ACPI_NVS,
        [EfiMemoryMappedIO] = MEMORY_MMIO,
        [EfiMemoryMappedIOPortSpace] = MEMORY_MMIO,
        [EfiPalCode] = MEMORY_RESERVED,
    };
    return efi_type < ARRAY_LENGTH(types) ? types[efi_type] : MEMORY_RESERVED;
}

static void expect_bytes(enum memory_type type, uint64_t bytes)
{
    if (type == MEMORY_USABLE) {
        expected.ram += bytes;
    } else {
        expected.types[type] += bytes;
    }
}

/* Expects what the list says now, before any distortion; the quarry, if there is one, is not counted. */
static void expect_list(void)
{
    memset(&expected, 0, sizeof(expected));
    for (size_t i = 0; i < list.count; i++) {
        const EFI_MEMORY_DESCRIPTOR *entry = &list.entries[i];
        enum memory_type type = kernel_type(entry->Type);
        if (entry->Type == (uint32_t)QUARRY_TYPE && quarry_base != 0) {
            continue;
        }
        expect_bytes(type, entry->NumberOfPages * FRAME_BYTES);
        if (entry->PhysicalStart == 0 && type == MEMORY_USABLE) {
            /* The null page is never free memory. */
            expected.ram -= FRAME_BYTES;
            expect_bytes(MEMORY_RESERVED, FRAME_BYTES);
        }
    }
}

/* Replaces the quarry's descriptor by the entries of the case. */
static void distort_quarry(void)
{
    if (quarry_base == 0) {
        return;
    }
    const struct quarry_case *wanted = &quarry_cases[current->quarry];
    size_t keep = 0;
    for (size_t i = 0; i < list.count; i++) {
        if (list.entries[i].Type != (uint32_t)QUARRY_TYPE) {
            list.entries[keep++] = list.entries[i];
        }
    }
    list.count = keep;
    for (unsigned i = 0; i < ENTRIES_MAX && (current->quarry != QUARRY_LATE || map_calls >= LATE_CALL); i++) {
        const struct entry *entry = &wanted->entries[i];
        if (entry->type == 0 && entry->start == 0 && entry->pages == 0) {
            break;
        }
        list_add(&(EFI_MEMORY_DESCRIPTOR){.Type = entry->type,
                                          .PhysicalStart = entry->start + (entry->absolute ? 0 : quarry_base),
                                          .NumberOfPages = entry->pages,
                                          .Attribute = ATTRIBUTE_RAM | entry->attribute});
    }
    expected.ram += wanted->expected.ram;
    for (unsigned type = 0; type < MEMORY_TYPE_COUNT; type++) {
        expected.types[type] += wanted->expected.types[type];
    }
}

/* Cuts single pages off the largest free entry until the list has `wanted` entries. */
static void distort_count(size_t wanted)
{
    size_t largest = 0;
    for (size_t i = 0; i < list.count; i++) {
        if (list.entries[i].Type == EfiConventionalMemory &&
            (list.entries[largest].Type != EfiConventionalMemory ||
             list.entries[i].NumberOfPages > list.entries[largest].NumberOfPages)) {
            largest = i;
        }
    }
    while (list.count < wanted && list.entries[largest].NumberOfPages > 1) {
        EFI_MEMORY_DESCRIPTOR page = list.entries[largest];
        page.NumberOfPages = 1;
        list.entries[largest].PhysicalStart += FRAME_BYTES;
        list.entries[largest].NumberOfPages--;
        if (!list_add(&page)) {
            return;
        }
    }
}

static void swap(size_t a, size_t b)
{
    EFI_MEMORY_DESCRIPTOR entry = list.entries[a];
    list.entries[a] = list.entries[b];
    list.entries[b] = entry;
}

static void distort_order(void)
{
    uint32_t state = 12345;
    for (size_t i = 0; current->order == MAP_SHUFFLED && i + 1 < list.count; i++) {
        state = state * 1664525 + 1013904223;
        swap(i, i + (state >> 8) % (list.count - i));
    }
    for (size_t i = 0; current->order == MAP_REVERSED && i < list.count / 2; i++) {
        swap(i, list.count - 1 - i);
    }
}

static void distort_attributes(void)
{
    for (size_t i = 0; current->runtime_attribute && i < list.count; i++) {
        list.entries[i].Attribute &= ~ATTRIBUTE_RUNTIME;
    }
    for (size_t i = 0; current->write_back && i < list.count; i++) {
        list.entries[i].Attribute &= ~ATTRIBUTE_WRITE_BACK;
    }
}

static void list_distort(void)
{
    expect_list();
    distort_quarry();
    if (current->descriptors != 0) {
        distort_count(current->descriptors);
    }
    distort_count(list.count + (size_t)current->growth * map_calls);
    distort_attributes();
    distort_order();
}

EFI_STATUS EFIAPI hostile_get_memory_map(UINTN *bytes, EFI_MEMORY_DESCRIPTOR *map, UINTN *key, UINTN *stride,
                                         UINT32 *version)
{
    UINTN own_key = 0;
    UINT32 own_version = 0;
    if (bytes == NULL || (*bytes != 0 && map == NULL)) {
        return EFI_INVALID_PARAMETER;
    }
    map_calls++;
    EFI_STATUS status = list_read(&own_key, &own_version);
    if (EFI_ERROR(status)) {
        return status;
    }
    list_distort();
    UINTN own_stride = current->stride != 0 ? current->stride : last_stride;
    UINTN room = *bytes;
    *bytes = list.count * own_stride;
    if (stride != NULL) {
        *stride = own_stride;
    }
    if (version != NULL) {
        *version = own_version;
    }
    if (room < *bytes) {
        return EFI_BUFFER_TOO_SMALL;
    }
    memset(map, PADDING, *bytes);
    for (size_t i = 0; i < list.count; i++) {
        memcpy((uint8_t *)map + i * own_stride, &list.entries[i], sizeof(EFI_MEMORY_DESCRIPTOR));
    }
    last_count = list.count;
    last_stride = own_stride;
    if (key != NULL) {
        *key = own_key;
    }
    return EFI_SUCCESS;
}

static void say_expectation(void)
{
    say("exit %s attempts=%u descriptors=%u stride=%u ram=%" PRIu64 " persistent=%" PRIu64
        " acpi-reclaimable=%" PRIu64 " "
        "acpi-nvs=%" PRIu64 " runtime=%" PRIu64 " mmio=%" PRIu64 " reserved=%" PRIu64 " unusable=%" PRIu64,
        current->name, exits, (unsigned)last_count, (unsigned)last_stride, expected.ram,
        expected.types[MEMORY_PERSISTENT], expected.types[MEMORY_ACPI_RECLAIMABLE],
        expected.types[MEMORY_ACPI_NVS], expected.types[MEMORY_RUNTIME], expected.types[MEMORY_MMIO],
        expected.types[MEMORY_RESERVED], expected.types[MEMORY_UNUSABLE]);
}

/* A key is made stale as it happens in life: somebody allocates a page after the map was read. */
static void make_stale(void)
{
    if (stale_count < STALE_MAX && !EFI_ERROR(firmware->AllocatePages(AllocateAnyPages, EfiBootServicesData,
                                                                      1, &stale_pages[stale_count]))) {
        stale_count++;
    } else {
        say("error: cannot make the key stale");
    }
}

EFI_STATUS EFIAPI hostile_exit_boot_services(EFI_HANDLE image, UINTN key)
{
    exits++;
    attributes_at_exit();
    if (current->dry) {
        return EFI_ABORTED; /* not EFI_INVALID_PARAMETER, which would ask for another try */
    }
    if (exits <= current->stale) {
        make_stale();
    }
    levels_change();
    EFI_STATUS status = firmware->ExitBootServices(image, key);
    levels_change();
    if (!EFI_ERROR(status)) {
        graphics_at_exit();
        say_expectation();
    }
    return status;
}

void map_begin(void)
{
    map_calls = 0;
    exits = 0;
}

void map_end(void)
{
    while (stale_count > 0) {
        firmware->FreePages(stale_pages[--stale_count], 1);
    }
}

uint32_t map_exits(void)
{
    return exits;
}
