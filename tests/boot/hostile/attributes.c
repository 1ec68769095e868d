/*
 * EFI_MEMORY_ATTRIBUTE_PROTOCOL of a firmware that maps what it allocates no-execute. The pages do execute in
 * truth: what is watched is that the child asks for what it needs, never for a page both writable and
 * executable, and that it leaves each page as it was.
 */
#include "hostile.h"

/* UEFI 2.10; gnu-efi does not have it. */
struct attribute_protocol {
    EFI_STATUS(EFIAPI *get)
    (struct attribute_protocol *protocol, EFI_PHYSICAL_ADDRESS base, UINT64 bytes, UINT64 *attributes);
    EFI_STATUS(EFIAPI *set)
    (struct attribute_protocol *protocol, EFI_PHYSICAL_ADDRESS base, UINT64 bytes, UINT64 attributes);
    EFI_STATUS(EFIAPI *clear)
    (struct attribute_protocol *protocol, EFI_PHYSICAL_ADDRESS base, UINT64 bytes, UINT64 attributes);
};

#define NO_EXECUTE 0x4000ULL
#define READ_ONLY  0x20000ULL
#define UNTOUCHED  NO_EXECUTE
#define PAGES_MAX  8

static EFI_GUID attribute_guid = {
    0xf4560cf6, 0x40ec, 0x4b4a, {0xa1, 0x92, 0xbf, 0x1d, 0x57, 0xd0, 0xb1, 0x89}};
static EFI_HANDLE handle;
static struct {
    uint64_t base;       /* 0: free entry */
    uint64_t attributes; /* of this page */
} pages[PAGES_MAX];

/* The attributes of the page at `base`; NULL, and said, when that is no page or one too many. */
static uint64_t *attributes_of(EFI_PHYSICAL_ADDRESS base, UINT64 bytes)
{
    for (unsigned i = 0; base % FRAME_BYTES == 0 && bytes == FRAME_BYTES && i < PAGES_MAX; i++) {
        if (pages[i].base == 0) {
            pages[i].base = base;
            pages[i].attributes = UNTOUCHED;
        }
        if (pages[i].base == base) {
            return &pages[i].attributes;
        }
    }
    say("violation: attributes of %" PRIx64 ", %" PRIu64 " bytes", base, bytes);
    return NULL;
}

static EFI_STATUS EFIAPI get(struct attribute_protocol *protocol, EFI_PHYSICAL_ADDRESS base, UINT64 bytes,
                             UINT64 *attributes)
{
    (void)protocol;
    const uint64_t *now = attributes_of(base, bytes);
    if (now == NULL) {
        return EFI_INVALID_PARAMETER;
    }
    *attributes = *now;
    return EFI_SUCCESS;
}

static EFI_STATUS change(EFI_PHYSICAL_ADDRESS base, UINT64 bytes, uint64_t add, uint64_t remove)
{
    uint64_t *now = attributes_of(base, bytes);
    if (now == NULL || (add | remove) == 0) {
        return EFI_INVALID_PARAMETER;
    }
    if (current->attributes == ATTRIBUTES_FIXED && (remove & NO_EXECUTE)) {
        return EFI_ACCESS_DENIED;
    }
    *now = (*now | add) & ~remove;
    say("attributes %s page=%" PRIx64 " now=%" PRIx64, current->name, base, *now);
    if (!(*now & NO_EXECUTE) && !(*now & READ_ONLY)) {
        say("violation: %" PRIx64 " is writable and executable", base);
    }
    return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI set(struct attribute_protocol *protocol, EFI_PHYSICAL_ADDRESS base, UINT64 bytes,
                             UINT64 attributes)
{
    (void)protocol;
    return change(base, bytes, attributes, 0);
}

static EFI_STATUS EFIAPI clear(struct attribute_protocol *protocol, EFI_PHYSICAL_ADDRESS base, UINT64 bytes,
                               UINT64 attributes)
{
    (void)protocol;
    return change(base, bytes, 0, attributes);
}

static struct attribute_protocol attribute_protocol = {get, set, clear};

EFI_STATUS attributes_begin(void)
{
    for (unsigned i = 0; i < PAGES_MAX; i++) {
        pages[i].base = 0;
    }
    handle = NULL;
    return current->attributes == ATTRIBUTES_NONE
               ? EFI_SUCCESS
               : firmware->InstallProtocolInterface(&handle, &attribute_guid, EFI_NATIVE_INTERFACE,
                                                    &attribute_protocol);
}

/* Whether the child has made a page executable when it leaves boot services. */
void attributes_at_exit(void)
{
    for (unsigned i = 0; i < PAGES_MAX; i++) {
        if (pages[i].base != 0 && !(pages[i].attributes & NO_EXECUTE)) {
            return;
        }
    }
    if (current->attributes != ATTRIBUTES_NONE) {
        say("violation: no page was made executable");
    }
}

void attributes_end(void)
{
    if (handle == NULL) {
        return;
    }
    firmware->UninstallProtocolInterface(handle, &attribute_guid, &attribute_protocol);
    handle = NULL;
    for (unsigned i = 0; i < PAGES_MAX && pages[i].base != 0; i++) {
        if (pages[i].attributes != UNTOUCHED) {
            say("violation: %" PRIx64 " is given back with attributes %" PRIx64, pages[i].base,
                pages[i].attributes);
        }
    }
}
