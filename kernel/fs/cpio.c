/* Reading cpio archives; see <ashlar/cpio.h>. */
#include <ashlar/cpio.h>
#include <ashlar/fs.h>
#include <ashlar/string.h>

#define TRAILER "TRAILER!!!"

enum {
    MAGIC_BYTES = 6,
    FIELD_BYTES = 8, /* hexadecimal digits */
    HEADER_BYTES = 110,
};

enum field {
    FIELD_NUMBER,
    FIELD_MODE,
    FIELD_USER,
    FIELD_GROUP,
    FIELD_LINKS,
    FIELD_TIME,
    FIELD_BYTES_OF_DATA,
    FIELD_DEVICE_MAJOR,
    FIELD_DEVICE_MINOR,
    FIELD_MAJOR,
    FIELD_MINOR,
    FIELD_BYTES_OF_NAME,
    FIELD_CHECK,
    FIELDS,
};

_Static_assert(MAGIC_BYTES + FIELDS * FIELD_BYTES == HEADER_BYTES, "the format");

void cpio_start(struct cpio_reader *reader, const void *archive, uint64_t bytes)
{
    *reader = (struct cpio_reader){.archive = archive, .bytes = bytes};
}

static int digit(uint8_t character)
{
    if (character >= '0' && character <= '9') {
        return character - '0';
    }
    character |= 0x20;
    return character >= 'a' && character <= 'f' ? character - 'a' + 10 : -1;
}

static bool read_fields(const uint8_t *header, uint32_t fields[FIELDS])
{
    const uint8_t *at = header + MAGIC_BYTES;
    for (unsigned field = 0; field < FIELDS; field++) {
        fields[field] = 0;
        for (unsigned i = 0; i < FIELD_BYTES; i++, at++) {
            int value = digit(*at);
            if (value < 0) {
                return false;
            }
            fields[field] = fields[field] << 4 | (uint32_t)value;
        }
    }
    return true;
}

static enum cpio_result bad(struct cpio_reader *reader, const char *wrong)
{
    reader->wrong = wrong;
    return CPIO_BAD;
}

/* The name's text; NULL when it is not all there, or no text. */
static const char *name_of(const struct cpio_reader *reader, uint32_t bytes)
{
    const char *name = (const char *)reader->archive + reader->offset + HEADER_BYTES;
    uint64_t left = reader->bytes - reader->offset - HEADER_BYTES;
    bool fits = bytes >= 2 && bytes <= CPIO_NAME_MAX && bytes <= left;
    return fits && strnlen(name, bytes) == bytes - 1 ? name : NULL;
}

static void fill(struct cpio_entry *entry, const uint32_t fields[FIELDS])
{
    *entry =
        (struct cpio_entry){.number = fields[FIELD_NUMBER],
                            .mode = fields[FIELD_MODE],
                            .user = fields[FIELD_USER],
                            .group = fields[FIELD_GROUP],
                            .links = fields[FIELD_LINKS],
                            .time = fields[FIELD_TIME],
                            .device = (uint64_t)fields[FIELD_DEVICE_MAJOR] << 32 | fields[FIELD_DEVICE_MINOR],
                            .major = fields[FIELD_MAJOR],
                            .minor = fields[FIELD_MINOR],
                            .bytes = fields[FIELD_BYTES_OF_DATA]};
}

/* What is wrong with an entry of its kind, or NULL. */
static const char *check_kind(const struct cpio_entry *entry)
{
    switch (entry->mode & FS_KIND) {
    case FS_REGULAR:
        break;
    case FS_SYMLINK:
        if (entry->bytes == 0 || entry->bytes >= FS_PATH_MAX) {
            return "is a symbolic link to a path of no length that there is";
        }
        return strnlen(entry->data, entry->bytes) == entry->bytes
                   ? NULL
                   : "is a symbolic link with a zero in its path";
    case FS_DIRECTORY:
    case FS_CHARACTER:
    case FS_BLOCK:
    case FS_PIPE:
    case FS_SOCKET:
        return entry->bytes == 0 ? NULL : "has contents, which its kind has not";
    default:
        return "is of no kind that there is";
    }
    return NULL;
}

static uint32_t sum(const uint8_t *data, uint32_t bytes)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < bytes; i++) {
        total += data[i];
    }
    return total;
}

/* Passes the zeros between archives; whether something follows. */
static bool pass_zeros(struct cpio_reader *reader)
{
    while (reader->next < reader->bytes && reader->archive[reader->next] == 0) {
        reader->next++;
    }
    return reader->next < reader->bytes;
}

/* The data behind the name, and where the next entry begins. */
static const char *find_data(struct cpio_reader *reader, struct cpio_entry *entry,
                             const uint32_t fields[FIELDS])
{
    uint64_t start = align_up(reader->offset + HEADER_BYTES + fields[FIELD_BYTES_OF_NAME], 4);
    if (start > reader->bytes || entry->bytes > reader->bytes - start) {
        return "has contents that the archive does not hold";
    }
    entry->data = reader->archive + start;
    reader->next = min_u64(align_up(start + entry->bytes, 4), reader->bytes);
    if (reader->archive[reader->offset + MAGIC_BYTES - 1] == '2' && /* the format "crc" */
        sum(entry->data, entry->bytes) != fields[FIELD_CHECK]) {
        return "is damaged: the sum of its bytes is another";
    }
    return NULL;
}

enum cpio_result cpio_read(struct cpio_reader *reader, struct cpio_entry *entry)
{
    uint32_t fields[FIELDS];
    if (reader->ended && !pass_zeros(reader)) {
        return CPIO_END;
    }
    const uint8_t *header = reader->archive + reader->next;
    reader->ended = false;
    reader->offset = reader->next;
    reader->name = NULL;
    if (reader->bytes - reader->next < HEADER_BYTES) {
        return bad(reader, "is cut short: the archive has no end");
    }
    if (memcmp(header, "07070", MAGIC_BYTES - 1) != 0 || (header[5] != '1' && header[5] != '2')) {
        return bad(reader, "does not begin as an entry of the formats newc and crc does");
    }
    if (!read_fields(header, fields)) {
        return bad(reader, "has something in its header that is no hexadecimal number");
    }
    reader->name = name_of(reader, fields[FIELD_BYTES_OF_NAME]);
    if (!reader->name) {
        return bad(reader, "has no name, or one that is longer than a path or than the archive");
    }
    fill(entry, fields);
    entry->name = reader->name;
    const char *wrong = find_data(reader, entry, fields);
    if (!wrong && strcmp(entry->name, TRAILER) == 0) {
        reader->ended = true;
        return CPIO_NEXT;
    }
    wrong = wrong ? wrong : check_kind(entry);
    return wrong ? bad(reader, wrong) : CPIO_ENTRY;
}
