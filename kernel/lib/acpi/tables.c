/*
 * Finding the ACPI tables: root pointer -> XSDT or RSDT -> tables. Specification 6.5, 5.2.5 to 5.2.8.
 *
 * Nothing is used before it is checked: a table's header is mapped first and its length checked, then the
 * whole table is mapped and its checksum compared. A table that fails is named in a complaint, and the walk
 * goes on. What a table contains is read by madt.c and fixed.c; the \_S5 package by soft_off.c.
 *
 * No locks: a parse works on its caller's structures alone.
 */
#include "private.h"

#define ROOT_POINTER_BYTES          20 /* ACPI 1.0 */
#define ROOT_POINTER_EXTENDED_BYTES 36 /* ACPI 2.0 and later */
#define ROOT_POINTER_BYTES_MAX      4096

static uint8_t sum_of(const uint8_t *bytes, uint64_t count)
{
    uint8_t sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        sum = (uint8_t)(sum + bytes[i]);
    }
    return sum;
}

/* Copies a fixed-width text without its trailing blanks; what is not printable ASCII becomes '?'. */
static void copy_text(char *to, const uint8_t *from, size_t width)
{
    size_t end = 0;
    for (size_t i = 0; i < width && from[i] != '\0'; i++) {
        bool printable = from[i] >= ' ' && from[i] <= '~';
        to[i] = '?';
        if (printable) {
            to[i] = (char)from[i];
        }
        end = to[i] == ' ' ? end : i + 1;
    }
    memset(to + end, '\0', width + 1 - end);
}

/* Maps view->length bytes at view->address; complains when the memory cannot be read. */
static bool map_view(struct acpi_view *view)
{
    view->bytes = NULL;
    if (view->address.raw == 0 || view->address.raw + view->length < view->address.raw) {
        acpi_complain(view, "no such address");
        return false;
    }
    view->bytes = view->source->map(view->source->context, view->address, view->length);
    if (view->bytes == NULL) {
        acpi_complain(view, "%" PRIu64 " bytes cannot be read", view->length);
    }
    return view->bytes != NULL;
}

static bool check_sum(const struct acpi_view *view, uint64_t bytes, const char *what)
{
    uint8_t sum = sum_of(view->bytes, bytes);
    if (sum != 0) {
        acpi_complain(view, "%s 0x%02x, expected 0", what, sum);
    }
    return sum == 0;
}

/* Opens the table at view->address: header, length, whole table, checksum. `signature` receives its name. */
static bool open_table(struct acpi_view *view, char signature[5])
{
    view->length = ACPI_HEADER_BYTES;
    if (!map_view(view)) {
        return false;
    }
    copy_text(signature, view->bytes, 4);
    view->name = signature;
    view->length = acpi_read32(view->bytes + 4);
    view->revision = view->bytes[8];
    if (view->length < ACPI_HEADER_BYTES || view->length > ACPI_TABLE_BYTES_MAX) {
        acpi_complain(view, "length %" PRIu64 ", expected %u to %" PRIu64, view->length, ACPI_HEADER_BYTES,
                      ACPI_TABLE_BYTES_MAX);
        return false;
    }
    return map_view(view) && check_sum(view, view->length, "checksum");
}

static void remember_table(const struct acpi_view *view)
{
    struct acpi_info *info = view->info;
    if (info->table_count == ACPI_TABLES_MAX) {
        acpi_complain(view, "not listed, more than %u tables", ACPI_TABLES_MAX);
        return;
    }
    struct acpi_table *table = &info->tables[info->table_count++];
    copy_text(table->signature, view->bytes, 4);
    table->revision = view->revision;
    table->bytes = (uint32_t)view->length;
    table->address = view->address;
    copy_text(table->oem, view->bytes + 10, 6);
    copy_text(table->oem_table, view->bytes + 16, 8);
}

/* One kind of table that is read further than its header. */
struct table_kind {
    const char *signature;
    const char *name; /* as people call it */
    void (*parse)(const struct acpi_view *view);
};

static const struct table_kind table_kinds[] = {
    {"APIC", "MADT", acpi_parse_madt}, {"FACP", "FADT", acpi_parse_fadt}, {"HPET", "HPET", acpi_parse_hpet},
    {"MCFG", "MCFG", acpi_parse_mcfg}, {"SRAT", "SRAT", acpi_parse_srat}, {"SSDT", "SSDT", acpi_parse_aml},
};

/* Some kinds may come several times: an HPET for each timer block, and any number of SSDTs. */
static bool may_repeat(const struct table_kind *kind)
{
    return kind->parse == acpi_parse_hpet || kind->parse == acpi_parse_aml;
}

static bool already_seen(const struct acpi_info *info, const char *signature)
{
    for (uint32_t i = 0; i < info->table_count; i++) {
        if (strcmp(info->tables[i].signature, signature) == 0) {
            return true;
        }
    }
    return false;
}

static void parse_kind(struct acpi_view *view, const struct table_kind *kind, bool again)
{
    view->name = kind->name;
    if (again && !may_repeat(kind)) {
        acpi_complain(view, "a second one, ignored");
        return;
    }
    kind->parse(view);
}

static void parse_table(struct acpi_view view)
{
    char signature[5] = "";
    view.name = "table";
    if (!open_table(&view, signature)) {
        return;
    }
    bool again = already_seen(view.info, signature);
    remember_table(&view);
    for (size_t i = 0; i < ARRAY_LENGTH(table_kinds); i++) {
        if (strcmp(signature, table_kinds[i].signature) == 0) {
            parse_kind(&view, &table_kinds[i], again);
        }
    }
}

/* The DSDT is named by the FADT, not by the root table. */
static void parse_dsdt(struct acpi_view view)
{
    char signature[5] = "";
    view.name = "DSDT";
    view.address = view.info->fadt.dsdt;
    if (view.address.raw == 0 || !open_table(&view, signature)) {
        return;
    }
    if (strcmp(signature, "DSDT") != 0) {
        acpi_complain(&view, "named by the FADT as its DSDT");
        return;
    }
    remember_table(&view);
    acpi_parse_aml(&view);
}

/* Walks the entries of a root table that is open and sound; each is the address of a table. */
static void parse_root_entries(const struct acpi_view *root, uint64_t entry_bytes)
{
    for (uint64_t at = ACPI_HEADER_BYTES; at + entry_bytes <= root->length; at += entry_bytes) {
        const uint8_t *entry = root->bytes + at;
        struct acpi_view view = *root;
        view.address = phys_addr(entry_bytes == 8 ? acpi_read64(entry) : acpi_read32(entry));
        if (view.address.raw != 0) { /* some firmware blanks the tables it takes back */
            parse_table(view);
        }
    }
}

/*
 * Opens the XSDT or RSDT at `address` and reads all it names. Returns false when it is no sound root table.
 */
static bool parse_root(struct acpi_view root, phys_addr_t address, const char *wanted)
{
    char signature[5] = "";
    uint64_t entry_bytes = strcmp(wanted, "XSDT") == 0 ? 8 : 4;
    root.name = wanted;
    root.address = address;
    if (!open_table(&root, signature)) {
        return false;
    }
    root.name = wanted;
    if (strcmp(signature, wanted) != 0) {
        acpi_complain(&root, "signature \"%s\", expected \"%s\"", signature, wanted);
        return false;
    }
    if ((root.length - ACPI_HEADER_BYTES) % entry_bytes != 0) {
        acpi_complain(&root, "length %" PRIu64 " is not a whole number of entries", root.length);
        return false;
    }
    root.info->present = true;
    root.info->root = address;
    root.info->extended = entry_bytes == 8;
    parse_root_entries(&root, entry_bytes);
    if (root.info->fadt.present) {
        parse_dsdt(root);
    }
    return true;
}

/* The fields that ACPI 2.0 added to a root pointer whose older part is sound: whether they are, too. */
static bool check_extension(struct acpi_view *view)
{
    view->length = ROOT_POINTER_EXTENDED_BYTES;
    if (!map_view(view)) {
        return false;
    }
    view->length = acpi_read32(view->bytes + 20);
    if (view->length < ROOT_POINTER_EXTENDED_BYTES || view->length > ROOT_POINTER_BYTES_MAX) {
        acpi_complain(view, "length %" PRIu64 ", expected %u to %u", view->length,
                      ROOT_POINTER_EXTENDED_BYTES, ROOT_POINTER_BYTES_MAX);
        return false;
    }
    return map_view(view) && check_sum(view, view->length, "extended checksum");
}

/* Opens the root pointer as one of ACPI 1.0. */
static bool open_root_pointer(struct acpi_view *view)
{
    view->length = ROOT_POINTER_BYTES;
    if (!map_view(view)) {
        return false;
    }
    if (memcmp(view->bytes, "RSD PTR ", 8) != 0) {
        acpi_complain(view, "signature is not \"RSD PTR \"");
        return false;
    }
    view->revision = view->bytes[15];
    return check_sum(view, ROOT_POINTER_BYTES, "checksum");
}

/* The XSDT that a root pointer names, if it names one and the field can be read: 0 if not. */
static phys_addr_t xsdt_of(struct acpi_view view)
{
    view.length = ROOT_POINTER_EXTENDED_BYTES;
    return phys_addr(view.revision >= 2 && map_view(&view) ? acpi_read64(view.bytes + 24) : 0);
}

bool acpi_parse(struct acpi_info *info, const struct acpi_source *source, phys_addr_t rsdp)
{
    memset(info, 0, sizeof *info);
    struct acpi_view view = {.info = info, .source = source, .name = "RSDP", .address = rsdp};
    if (rsdp.raw == 0 || !open_root_pointer(&view)) {
        return false;
    }
    info->revision = view.revision;
    copy_text(info->oem, view.bytes + 9, 6);
    phys_addr_t rsdt = phys_addr(acpi_read32(view.bytes + 16));
    phys_addr_t xsdt = phys_addr(0);
    if (view.revision >= 2) {
        /* What the sound part names comes first: the XSDT, unless its field is in doubt (5.2.5.3). */
        bool sound = check_extension(&view);
        xsdt = xsdt_of(view);
        if (!sound && parse_root(view, rsdt, "RSDT")) {
            return true;
        }
    }
    if (xsdt.raw != 0 && parse_root(view, xsdt, "XSDT")) {
        return true;
    }
    return parse_root(view, rsdt, "RSDT");
}
