/*
 * Normalising the firmware's memory map.
 *
 * Every descriptor and claim becomes an interval of whole frames with a class; an interval is two events, one
 * at its start and one at its end. The events are sorted by address and swept once with a counter per class:
 * between two neighbouring addresses the highest class whose counter is not zero is the type of that piece.
 * So nothing depends on the order, number or nesting of the descriptors, and overlaps are resolved by
 * construction.
 *
 * An event is one word: the addresses are multiples of 4096, and class and kind fit in the low 12 bits.
 *
 * Rejected: sorting descriptors and splitting them pairwise, which needs a case for every way in which two of
 * them can overlap, and more than one pass when three do.
 */
#include "memory_map.h"

#include <ashlar/memory_type.h>
#include <ashlar/string.h>

/* EFI_MEMORY_DESCRIPTOR (UEFI 2.10, 7.2.3 GetMemoryMap), read field by field: the firmware's stride may be
 * odd. */
enum {
    DESCRIPTOR_TYPE = 0,       /* uint32_t */
    DESCRIPTOR_START = 8,      /* uint64_t */
    DESCRIPTOR_PAGES = 24,     /* uint64_t */
    DESCRIPTOR_ATTRIBUTE = 32, /* uint64_t */
    DESCRIPTOR_BYTES = 40
};

/* EFI_MEMORY_TYPE (UEFI 2.10, table 7.6). */
enum {
    EFI_LOADER_CODE = 1,
    EFI_LOADER_DATA = 2,
    EFI_BOOT_SERVICES_CODE = 3,
    EFI_BOOT_SERVICES_DATA = 4,
    EFI_RUNTIME_SERVICES_CODE = 5,
    EFI_RUNTIME_SERVICES_DATA = 6,
    EFI_CONVENTIONAL = 7,
    EFI_UNUSABLE = 8,
    EFI_ACPI_RECLAIM = 9,
    EFI_ACPI_NVS = 10,
    EFI_MMIO = 11,
    EFI_MMIO_PORT_SPACE = 12,
    EFI_PERSISTENT = 14
};

/* Attribute bits (UEFI 2.10, 7.2.3). */
#define EFI_ATTRIBUTE_WRITE_BACK      ((uint64_t)1 << 3)
#define EFI_ATTRIBUTE_NON_VOLATILE    ((uint64_t)1 << 15)
#define EFI_ATTRIBUTE_SPECIAL_PURPOSE ((uint64_t)1 << 18)
#define EFI_ATTRIBUTE_RUNTIME         ((uint64_t)1 << 63)

/*
 * The class of a frame of which a descriptor names only a part. Every type wins over it; where nothing else
 * covers the frame, it becomes reserved.
 */
#define CLASS_PARTIAL  0
/* The class of boot-reclaimable memory that a claim calls usable. */
#define CLASS_RELEASED (MEMORY_BOOT_RECLAIMABLE + 2)
#define CLASS_COUNT    (MEMORY_TYPE_COUNT + 2)

#define EVENT_END         1
#define EVENT_CLASS_SHIFT 1

_Static_assert((CLASS_COUNT << EVENT_CLASS_SHIFT) <= FRAME_BYTES,
               "class and kind fit below the page address");

struct descriptor {
    uint32_t type;      /* EFI_MEMORY_TYPE */
    uint64_t start;     /* physical address */
    uint64_t pages;     /* of 4096 bytes */
    uint64_t attribute; /* EFI_MEMORY_... bits */
};

/* The events gathered so far; memory_map_normalise() has checked that the workspace is large enough. */
struct event_list {
    uint64_t *events; /* the caller's workspace */
    size_t count;     /* events used */
};

/* The map under construction. */
struct range_list {
    struct memory_range *ranges; /* the caller's buffer */
    size_t capacity;             /* entries in it */
    size_t count;                /* entries used */
    bool overflow;               /* one more was needed */
};

/*
 * An entry of a usable type gives at most two intervals (the frames it touches, the frames it fills), and an
 * interval is two events.
 */
static size_t event_limit(size_t descriptors, size_t claims)
{
    return 4 * (descriptors + claims);
}

size_t memory_map_workspace_bytes(size_t descriptors, size_t claims)
{
    return event_limit(descriptors, claims) * sizeof(uint64_t);
}

size_t memory_map_range_limit(size_t descriptors, size_t claims)
{
    /* n boundaries enclose n - 1 pieces, and frame 0 may be split off. */
    return event_limit(descriptors, claims);
}

static struct descriptor descriptor_read(const struct memory_map_input *input, uint64_t index)
{
    const uint8_t *raw = (const uint8_t *)input->descriptors + index * input->descriptor_size;
    struct descriptor descriptor;
    memcpy(&descriptor.type, raw + DESCRIPTOR_TYPE, sizeof descriptor.type);
    memcpy(&descriptor.start, raw + DESCRIPTOR_START, sizeof descriptor.start);
    memcpy(&descriptor.pages, raw + DESCRIPTOR_PAGES, sizeof descriptor.pages);
    memcpy(&descriptor.attribute, raw + DESCRIPTOR_ATTRIBUTE, sizeof descriptor.attribute);
    return descriptor;
}

static enum memory_type type_of_efi(uint32_t type)
{
    switch (type) {
    case EFI_CONVENTIONAL:
        return MEMORY_USABLE;
    case EFI_LOADER_CODE:
    case EFI_LOADER_DATA:
    case EFI_BOOT_SERVICES_CODE:
    case EFI_BOOT_SERVICES_DATA:
        return MEMORY_BOOT_RECLAIMABLE;
    case EFI_PERSISTENT:
        return MEMORY_PERSISTENT;
    case EFI_ACPI_RECLAIM:
        return MEMORY_ACPI_RECLAIMABLE;
    case EFI_ACPI_NVS:
        return MEMORY_ACPI_NVS;
    case EFI_RUNTIME_SERVICES_CODE:
    case EFI_RUNTIME_SERVICES_DATA:
        return MEMORY_RUNTIME;
    case EFI_MMIO:
    case EFI_MMIO_PORT_SPACE:
        return MEMORY_MMIO;
    case EFI_UNUSABLE:
        return MEMORY_UNUSABLE;
    default: /* reserved, PAL code, unaccepted, OEM, and whatever is defined after this was written */
        return MEMORY_RESERVED;
    }
}

static bool is_free_ram(enum memory_type type)
{
    return type <= MEMORY_BOOT_RECLAIMABLE;
}

static uint64_t class_of(enum memory_type type)
{
    return (uint64_t)type + (is_free_ram(type) ? 1 : 2);
}

static enum memory_type type_of_class(size_t class)
{
    switch (class) {
    case CLASS_PARTIAL:
        return MEMORY_RESERVED;
    case CLASS_RELEASED:
        return MEMORY_USABLE;
    default:
        return (enum memory_type)(class - (class < CLASS_RELEASED ? 1 : 2));
    }
}

static enum memory_type more_reserved(enum memory_type a, enum memory_type b)
{
    return a > b ? a : b;
}

static enum memory_type type_of_descriptor(const struct descriptor *descriptor)
{
    enum memory_type type = type_of_efi(descriptor->type);
    if (is_free_ram(type)) {
        if (descriptor->attribute & EFI_ATTRIBUTE_NON_VOLATILE) {
            type = MEMORY_PERSISTENT;
        }
        if ((descriptor->attribute & EFI_ATTRIBUTE_SPECIAL_PURPOSE) ||
            !(descriptor->attribute & EFI_ATTRIBUTE_WRITE_BACK)) {
            type = MEMORY_RESERVED;
        }
    }
    if (descriptor->attribute & EFI_ATTRIBUTE_RUNTIME) {
        type = more_reserved(type, MEMORY_RUNTIME);
    }
    return type;
}

/* Adds the interval [base, end), page-aligned; nothing when it is empty. */
static void add_interval(struct event_list *list, uint64_t base, uint64_t end, uint64_t class)
{
    if (base >= end) {
        return;
    }
    list->events[list->count++] = base | class << EVENT_CLASS_SHIFT;
    list->events[list->count++] = end | class << EVENT_CLASS_SHIFT | EVENT_END;
}

/* Adds [base, end), end at most PHYSICAL_END, as whole frames. */
static void add_bytes(struct event_list *list, uint64_t base, uint64_t end, enum memory_type type)
{
    uint64_t outer_base = align_down(base, FRAME_BYTES);
    uint64_t outer_end = align_up(end, FRAME_BYTES);
    if (!is_free_ram(type)) {
        add_interval(list, outer_base, outer_end, class_of(type));
        return;
    }
    uint64_t inner_base = align_up(base, FRAME_BYTES);
    uint64_t inner_end = align_down(end, FRAME_BYTES);
    add_interval(list, inner_base, inner_end, class_of(type));
    if (inner_base != outer_base || inner_end != outer_end) {
        add_interval(list, outer_base, outer_end, CLASS_PARTIAL);
    }
}

static void add_claim(struct event_list *list, const struct memory_claim *claim)
{
    uint64_t end = claim->base.raw + claim->bytes;
    if (claim->type == MEMORY_USABLE) {
        add_interval(list, align_up(claim->base.raw, FRAME_BYTES), align_down(end, FRAME_BYTES),
                     CLASS_RELEASED);
    } else if (claim->bytes != 0) {
        add_bytes(list, claim->base.raw, end, claim->type);
    }
}

static void add_descriptor(struct event_list *list, const struct descriptor *descriptor)
{
    if (descriptor->pages == 0 || descriptor->start >= PHYSICAL_END) {
        return;
    }
    enum memory_type type = type_of_descriptor(descriptor);
    /* The start is below 2^52, so a page count up to 2^40 cannot wrap the sum, and a larger one passes the
     * end. */
    if (descriptor->pages > PHYSICAL_END >> FRAME_SHIFT ||
        descriptor->start + (descriptor->pages << FRAME_SHIFT) > PHYSICAL_END) {
        add_bytes(list, descriptor->start, PHYSICAL_END, more_reserved(type, MEMORY_RESERVED));
        return;
    }
    add_bytes(list, descriptor->start, descriptor->start + (descriptor->pages << FRAME_SHIFT), type);
}

static void sift_down(uint64_t *heap, size_t root, size_t count)
{
    uint64_t value = heap[root];
    for (size_t child = 2 * root + 1; child < count; child = 2 * root + 1) {
        if (child + 1 < count && heap[child + 1] > heap[child]) {
            child++;
        }
        if (heap[child] <= value) {
            break;
        }
        heap[root] = heap[child];
        root = child;
    }
    heap[root] = value;
}

/* Heap sort, ascending: no recursion, no extra memory, and no input that makes it slow. */
static void sort_words(uint64_t *words, size_t count)
{
    for (size_t root = count / 2; root-- > 0;) {
        sift_down(words, root, count);
    }
    for (size_t last = count; last-- > 1;) {
        uint64_t largest = words[0];
        words[0] = words[last];
        words[last] = largest;
        sift_down(words, 0, last);
    }
}

/* Adds one piece above all others; merges it with the last when they touch and agree. */
static void append_range(struct range_list *list, uint64_t base, uint64_t end, enum memory_type type)
{
    if (list->count > 0) {
        struct memory_range *last = &list->ranges[list->count - 1];
        if (last->type == (uint32_t)type && last->base.raw + last->bytes == base) {
            last->bytes += end - base;
            return;
        }
    }
    if (list->count == list->capacity) {
        list->overflow = true;
        return;
    }
    list->ranges[list->count++] = (struct memory_range){phys_addr(base), end - base, type, 0};
}

static void append_class(struct range_list *list, uint64_t base, uint64_t end, size_t class)
{
    enum memory_type type = type_of_class(class);
    if (base == 0 && is_free_ram(type)) {
        append_range(list, 0, FRAME_BYTES, MEMORY_RESERVED);
        base = FRAME_BYTES;
    }
    if (base < end) {
        append_range(list, base, end, type);
    }
}

/* The highest class that covers the piece, or CLASS_COUNT for none. */
static size_t highest_class(const uint32_t covering[CLASS_COUNT])
{
    for (size_t class = CLASS_COUNT; class -- > 0;) {
        if (covering[class] != 0) {
            return class;
        }
    }
    return CLASS_COUNT;
}

static void sweep(const struct event_list *list, struct range_list *output)
{
    uint32_t covering[CLASS_COUNT] = {0};
    uint64_t previous = 0;
    for (size_t i = 0; i < list->count; i++) {
        uint64_t address = align_down(list->events[i], FRAME_BYTES);
        size_t class = (list->events[i] & (FRAME_BYTES - 1)) >> EVENT_CLASS_SHIFT;
        if (address != previous) {
            size_t highest = highest_class(covering);
            if (highest != CLASS_COUNT) {
                append_class(output, previous, address, highest);
            }
            previous = address;
        }
        if (list->events[i] & EVENT_END) {
            covering[class]--;
        } else {
            covering[class]++;
        }
    }
}

static bool check_claims(const struct memory_map_input *input, struct loader_error *error)
{
    for (size_t i = 0; i < input->claim_count; i++) {
        const struct memory_claim *claim = &input->claims[i];
        if (claim->base.raw > PHYSICAL_END || claim->bytes > PHYSICAL_END - claim->base.raw) {
            return loader_fail(
                error, "memory claim %zu: 0x%" PRIx64 " + 0x%" PRIx64 " bytes ends beyond the address space",
                i, claim->base.raw, claim->bytes);
        }
        if ((uint32_t)claim->type >= MEMORY_TYPE_COUNT) {
            return loader_fail(error, "memory claim %zu: unknown type %u", i, (unsigned)claim->type);
        }
    }
    return true;
}

static bool check_input(const struct memory_map_input *input, const void *workspace, size_t workspace_bytes,
                        struct loader_error *error)
{
    if (input->descriptor_size < DESCRIPTOR_BYTES) {
        return loader_fail(error, "memory map: descriptor size %" PRIu64 " is below %d",
                           input->descriptor_size, DESCRIPTOR_BYTES);
    }
    if (input->bytes == 0 || input->bytes % input->descriptor_size != 0) {
        return loader_fail(
            error, "memory map: %" PRIu64 " bytes are not one or more descriptors of %" PRIu64 " bytes",
            input->bytes, input->descriptor_size);
    }
    size_t needed = memory_map_workspace_bytes(input->bytes / input->descriptor_size, input->claim_count);
    if (workspace_bytes < needed || !is_aligned((uintptr_t)workspace, sizeof(uint64_t))) {
        return loader_fail(error, "memory map: workspace of %zu bytes at %p, needed are %zu, 8-byte aligned",
                           workspace_bytes, workspace, needed);
    }
    return check_claims(input, error);
}

bool memory_map_check_cache(const struct memory_map_input *input, struct loader_error *error)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < input->bytes / input->descriptor_size; i++) {
        struct descriptor descriptor = descriptor_read(input, i);
        if (descriptor.type != EFI_CONVENTIONAL || descriptor.pages == 0) {
            continue;
        }
        if (descriptor.attribute & EFI_ATTRIBUTE_WRITE_BACK) {
            return true;
        }
        count++;
    }
    return count == 0 ||
           loader_fail(error,
                       "memory map: none of its %" PRIu64 " entries of free memory has the attribute "
                       "write-back (EFI_MEMORY_WB), without which memory is not used",
                       count);
}

bool memory_map_normalise(const struct memory_map_input *input, void *workspace, size_t workspace_bytes,
                          struct memory_range *ranges, size_t capacity, size_t *count,
                          struct loader_error *error)
{
    *count = 0;
    if (!check_input(input, workspace, workspace_bytes, error)) {
        return false;
    }
    struct event_list events = {workspace, 0};
    for (uint64_t i = 0; i < input->bytes / input->descriptor_size; i++) {
        struct descriptor descriptor = descriptor_read(input, i);
        add_descriptor(&events, &descriptor);
    }
    for (size_t i = 0; i < input->claim_count; i++) {
        add_claim(&events, &input->claims[i]);
    }
    sort_words(events.events, events.count);
    struct range_list output = {ranges, capacity, 0, false};
    sweep(&events, &output);
    if (output.overflow) {
        return loader_fail(error, "memory map: needs more than the %zu ranges there is room for", capacity);
    }
    *count = output.count;
    return true;
}
