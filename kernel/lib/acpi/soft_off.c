/*
 * Finding \_S5 in AML without an interpreter. The package that says what to write to switch the machine off
 * is a constant in practice: NameOp "_S5_" PackageOp PkgLength NumElements Element...  (20.2.5). We look for
 * exactly these bytes; anything else, and anything ambiguous, counts as not found, because a wrong value
 * would put the machine into another sleep state.
 */
#include "private.h"

/* AML opcodes (20.2). */
#define AML_ZERO        0x00
#define AML_ONE         0x01
#define AML_NAME        0x08
#define AML_BYTE        0x0a
#define AML_WORD        0x0b
#define AML_DWORD       0x0c
#define AML_PACKAGE     0x12
#define AML_ROOT_PREFIX 0x5c

#define SLEEP_TYPE_MAX 7 /* SLP_TYP has three bits (4.8.3.2.1) */

/* A place in AML and where it ends. */
struct cursor {
    const uint8_t *at;
    const uint8_t *end;
};

static bool take(struct cursor *cursor, uint8_t *byte)
{
    if (cursor->at == cursor->end) {
        return false;
    }
    *byte = *cursor->at++;
    return true;
}

/*
 * PkgLength (20.2.4): the top two bits of the first byte say how many bytes follow. Narrows the cursor to it.
 */
static bool enter_package(struct cursor *cursor)
{
    const uint8_t *begin = cursor->at;
    uint8_t lead;
    if (!take(cursor, &lead)) {
        return false;
    }
    unsigned more = lead >> 6;
    uint64_t length = more == 0 ? lead & 0x3f : lead & 0x0f;
    for (unsigned i = 0; i < more; i++) {
        uint8_t byte;
        if (!take(cursor, &byte)) {
            return false;
        }
        length |= (uint64_t)byte << (4 + 8 * i);
    }
    if (length > (uint64_t)(cursor->end - begin) || begin + length < cursor->at) {
        return false;
    }
    cursor->end = begin + length;
    return true;
}

/* A constant integer no larger than a sleep type can be. */
static bool take_sleep_type(struct cursor *cursor, uint8_t *type)
{
    uint8_t opcode;
    if (!take(cursor, &opcode)) {
        return false;
    }
    if (opcode == AML_ZERO || opcode == AML_ONE) {
        *type = opcode;
        return true;
    }
    unsigned rest = opcode == AML_BYTE ? 0 : opcode == AML_WORD ? 1 : opcode == AML_DWORD ? 3 : 4;
    if (rest == 4 || !take(cursor, type) || *type > SLEEP_TYPE_MAX) {
        return false;
    }
    for (unsigned i = 0; i < rest; i++) {
        uint8_t zero;
        if (!take(cursor, &zero) || zero != 0) {
            return false;
        }
    }
    return true;
}

/* Reads what follows the name. */
static bool read_soft_off(struct cursor cursor, struct acpi_soft_off *soft_off)
{
    uint8_t opcode;
    uint8_t elements;
    if (!take(&cursor, &opcode) || opcode != AML_PACKAGE || !enter_package(&cursor) ||
        !take(&cursor, &elements) || elements < 2) {
        return false;
    }
    struct acpi_soft_off found = {.known = true};
    if (!take_sleep_type(&cursor, &found.type_a) || !take_sleep_type(&cursor, &found.type_b)) {
        return false;
    }
    *soft_off = found;
    return true;
}

/* Whether the name at `at` is being defined: "Name (_S5_" or "Name (\_S5_". */
static bool is_definition(const uint8_t *aml, uint64_t at)
{
    return (at >= 1 && aml[at - 1] == AML_NAME) ||
           (at >= 2 && aml[at - 1] == AML_ROOT_PREFIX && aml[at - 2] == AML_NAME);
}

bool acpi_find_soft_off(const uint8_t *aml, uint64_t bytes, struct acpi_soft_off *soft_off)
{
    struct acpi_soft_off found = {0};
    for (uint64_t at = 0; at + 4 <= bytes; at++) {
        struct acpi_soft_off candidate = {0};
        if (aml[at] != '_' || memcmp(aml + at, "_S5_", 4) != 0 || !is_definition(aml, at) ||
            !read_soft_off((struct cursor){aml + at + 4, aml + bytes}, &candidate)) {
            continue;
        }
        if (found.known && (found.type_a != candidate.type_a || found.type_b != candidate.type_b)) {
            return false;
        }
        found = candidate;
    }
    if (found.known) {
        *soft_off = found;
    }
    return found.known;
}

void acpi_parse_aml(const struct acpi_view *view)
{
    struct acpi_soft_off found;
    const uint8_t *aml = view->bytes + ACPI_HEADER_BYTES;
    if (!acpi_find_soft_off(aml, view->length - ACPI_HEADER_BYTES, &found)) {
        return;
    }
    struct acpi_soft_off *known = &view->info->soft_off;
    if (known->known && (known->type_a != found.type_a || known->type_b != found.type_b)) {
        acpi_complain(view, "\\_S5 is %u, %u here, elsewhere %u, %u: ignored", found.type_a, found.type_b,
                      known->type_a, known->type_b);
        return;
    }
    *known = found;
}
