/* Monitor command that dumps memory without ever faulting: x. */
#include <ashlar/format.h>
#include <ashlar/monitor.h>
#include <ashlar/number.h>
#include <ashlar/string.h>
#include <ashlar/trap.h>

#define ROW_BYTES   16
#define ITEMS_MAX   65536
#define ITEMS_USUAL 16

/* What x/FORMAT asks for. */
struct dump_format {
    uint64_t count; /* items */
    unsigned bytes; /* of an item: 1, 2, 4 or 8 */
};

/* Bytes of the unit that `letter` names; 0 when it names none. */
static unsigned unit_bytes(char letter)
{
    switch (letter) {
    case 'b':
        return 1;
    case 'h':
        return 2;
    case 'w':
        return 4;
    case 'g':
        return 8;
    default:
        return 0;
    }
}

/*
 * Reads COUNT, a unit letter, or both. An 'x' before the unit, as gdb has it, is allowed and changes nothing.
 */
static bool parse_format(struct monitor_call *call, struct dump_format *wanted)
{
    const char *text = call->format;
    size_t digits = 0;
    *wanted = (struct dump_format){ITEMS_USUAL, 8};
    while (text[digits] >= '0' && text[digits] <= '9') {
        digits++;
    }
    if (digits > 0 && number_parse_span(text, digits, &wanted->count) != NUMBER_OK) {
        wanted->count = 0;
    }
    const char *unit = text + digits;
    unit += *unit == 'x';
    if (*unit != '\0') {
        wanted->bytes = unit[1] == '\0' ? unit_bytes(*unit) : 0;
    }
    if (wanted->count == 0 || wanted->count > ITEMS_MAX || wanted->bytes == 0) {
        monitor_error(call, "format '%.20s' is not COUNT (1 to %u) and a unit b, h, w or g", text, ITEMS_MAX);
        return false;
    }
    return true;
}

static uint64_t item_value(const uint8_t *bytes, unsigned length)
{
    uint64_t value = 0;
    memcpy(&value, bytes, length); /* x86 keeps the lowest byte first, and so does the number */
    return value;
}

/* One row: address, items, and the bytes as characters. */
static void print_row(virt_addr_t address, const uint8_t *bytes, size_t length, unsigned item)
{
    char text[128];
    size_t at = format(text, sizeof text, "%016" PRIx64 " ", address.raw);
    for (size_t offset = 0; offset < ROW_BYTES; offset += item) {
        if (offset < length) {
            at += format(text + at, sizeof text - at, " %0*" PRIx64, (int)item * 2,
                         item_value(bytes + offset, item));
        } else {
            at += format(text + at, sizeof text - at, " %*s", (int)item * 2, "");
        }
    }
    at += format(text + at, sizeof text - at, "  ");
    for (size_t offset = 0; offset < length; offset++) {
        bool printable = bytes[offset] >= ' ' && bytes[offset] < 0x7f;
        text[at++] = (char)(printable ? bytes[offset] : '.');
    }
    text[at] = '\0';
    monitor_print("%s\n", text);
}

/* The first address from `address` on, within `bytes`, that cannot be read. */
static virt_addr_t first_unreadable(virt_addr_t address, size_t bytes)
{
    uint8_t byte;
    size_t offset = 0;
    while (offset + 1 < bytes && memory_try_read(&byte, virt_add(address, offset), 1)) {
        offset++;
    }
    return virt_add(address, offset);
}

static void dump(struct monitor_call *call, virt_addr_t address, const struct dump_format *wanted)
{
    uint8_t row[ROW_BYTES];
    uint64_t left = wanted->count * wanted->bytes;
    while (left > 0 && !monitor_interrupted()) {
        size_t length = left < ROW_BYTES ? left : ROW_BYTES;
        if (!memory_try_read(row, address, length)) {
            monitor_error(call, "cannot read 0x%" PRIx64, first_unreadable(address, length).raw);
            return;
        }
        print_row(address, row, length, wanted->bytes);
        address = virt_add(address, length);
        left -= length;
    }
}

static void dump_json(struct monitor_call *call, virt_addr_t address, const struct dump_format *wanted)
{
    struct json json;
    uint8_t item[8];
    uint64_t bytes = wanted->count * wanted->bytes;
    for (uint64_t offset = 0; offset < bytes;
         offset += wanted->bytes) { /* all or nothing: one line, one answer */
        virt_addr_t at = virt_add(address, offset);
        if (!memory_try_read(item, at, wanted->bytes)) {
            monitor_error(call, "cannot read 0x%" PRIx64, first_unreadable(at, wanted->bytes).raw);
            return;
        }
    }
    monitor_json_begin(&json);
    json_object_begin(&json, NULL);
    json_hex(&json, "address", address.raw);
    json_number(&json, "unit", wanted->bytes);
    json_array_begin(&json, "items");
    for (uint64_t offset = 0; offset < bytes && !monitor_interrupted(); offset += wanted->bytes) {
        if (!memory_try_read(item, virt_add(address, offset), wanted->bytes)) {
            break; /* it was unmapped meanwhile */
        }
        json_hex(&json, NULL, item_value(item, wanted->bytes));
    }
    json_array_end(&json);
    json_object_end(&json);
    json_end(&json);
}

static void x_run(struct monitor_call *call)
{
    struct dump_format wanted;
    uint64_t address;
    if (!parse_format(call, &wanted) || !monitor_address(call, call->arguments[0], &address)) {
        return;
    }
    if (address > UINT64_MAX - (wanted.count * wanted.bytes - 1)) {
        monitor_error(call, "0x%" PRIx64 " and %" PRIu64 " items of %u bytes leave the address space",
                      address, wanted.count, wanted.bytes);
        return;
    }
    if (call->json) {
        dump_json(call, virt_addr(address), &wanted);
    } else {
        dump(call, virt_addr(address), &wanted);
    }
}

MONITOR_COMMAND(
    x, x_run, "ADDRESS", "dumps memory; what is not mapped is an error, not a fault",
    "FORMAT is a count, a unit (b 1, h 2, w 4, g 8 bytes), or both; 16g without one. Shows hexadecimal\n"
    "numbers, lowest byte last, and the bytes as characters.\n"
    "Examples:\n"
    "  x kernel_main              128 bytes of a function\n"
    "  x/4 kernel_main+0x10       4 numbers of 8 bytes\n"
    "  x/64b 0xffff800000000000   64 bytes\n"
    "  x/2w -j kernel_main        {\"address\":\"0x...\",\"unit\":4,\"items\":[\"0x...\",\"0x...\"]}\n",
    .arguments_min = 1, .arguments_max = 1, .flags = MONITOR_JSON | MONITOR_FORMAT | MONITOR_SYMBOLS);
