/* Reading an SMBIOS entry point; see <ashlar/smbios.h>. Offsets are those of DSP0134, 5.2.1 and 5.2.2. */
#include <ashlar/smbios.h>
#include <ashlar/string.h>

/* One kind of entry point: where its fields are. */
struct kind {
    const char *anchor;   /* what it starts with */
    uint8_t length_at;    /* the byte that holds its length */
    uint8_t length_least; /* a shorter one is damaged */
    uint8_t size_at;      /* length of the table */
    uint8_t size_bytes;
    uint8_t address_at; /* address of the table */
    uint8_t address_bytes;
};

static const struct kind kinds[] = {
    {"_SM3_", 0x06, 0x18, 0x0c, 4, 0x10, 8},
    {"_SM_", 0x05, 0x1e, 0x16, 2, 0x18, 4}, /* version 2.1 says 0x1e where it means 0x1f */
};

static uint64_t field(const uint8_t *entry, unsigned at, unsigned bytes)
{
    uint64_t value = 0;
    memcpy(&value, entry + at, bytes); /* little endian, as this machine is */
    return value;
}

static bool sum_is_zero(const uint8_t *entry, size_t bytes)
{
    uint8_t sum = 0;
    for (size_t i = 0; i < bytes; i++) {
        sum = (uint8_t)(sum + entry[i]);
    }
    return sum == 0;
}

static bool read_kind(const struct kind *kind, const uint8_t *entry, size_t bytes,
                      struct smbios_extent *extent)
{
    if (bytes < kind->length_least || memcmp(entry, kind->anchor, strlen(kind->anchor)) != 0) {
        return false;
    }
    uint8_t length = entry[kind->length_at];
    uint64_t size = field(entry, kind->size_at, kind->size_bytes);
    uint64_t address = field(entry, kind->address_at, kind->address_bytes);
    if (length < kind->length_least || length > bytes || !sum_is_zero(entry, length) || size == 0 ||
        size > SMBIOS_TABLE_BYTES_MAX || address == 0 || address >> 52 != 0) {
        return false;
    }
    *extent = (struct smbios_extent){length, phys_addr(address), (uint32_t)size};
    return true;
}

bool smbios_read_entry(const uint8_t *entry, size_t bytes, struct smbios_extent *extent)
{
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        if (read_kind(&kinds[i], entry, bytes, extent)) {
            return true;
        }
    }
    return false;
}
