/*
 * hostile.txt: one case in a line, its name first, then words KEY=VALUE. A word that is not in the tables
 * below is an error. '#' starts a comment.
 */
#include "hostile.h"
#include <ashlar/string.h>

struct choice {
    const char *word;
    uint32_t value;
};

static const struct choice sweeps[] = {
    {"calls", SWEEP_CALLS}, {"memory", SWEEP_MEMORY}, {"stretch", SWEEP_STRETCH}, {NULL, 0}};
static const struct choice orders[] = {{"reversed", MAP_REVERSED}, {"shuffled", MAP_SHUFFLED}, {NULL, 0}};
static const struct choice quarries[] = {{"plain", QUARRY_PLAIN},         {"late", QUARRY_LATE},
                                         {"nested", QUARRY_NESTED},       {"overlap", QUARRY_OVERLAP},
                                         {"duplicate", QUARRY_DUPLICATE}, {"zero", QUARRY_ZERO},
                                         {"wrap", QUARRY_WRAP},           {"oem", QUARRY_OEM},
                                         {"types", QUARRY_TYPES},         {"subpage", QUARRY_SUBPAGE},
                                         {"special", QUARRY_SPECIAL},     {"far", QUARRY_FAR},
                                         {"reserved", QUARRY_RESERVED},   {"device", QUARRY_DEVICE},
                                         {"hole", QUARRY_HOLE},           {NULL, 0}};
static const struct choice places[] = {{"high", PLACE_HIGH}, {"rom", PLACE_ROM}, {NULL, 0}};
static const struct choice acpis[] = {{"rsdp", ACPI_RSDP},
                                      {"xsdt", ACPI_XSDT},
                                      {"madt", ACPI_MADT},
                                      {"waet", ACPI_WAET},
                                      {"dsdt", ACPI_DSDT},
                                      {"everything", ACPI_EVERYTHING},
                                      {"extended-checksum", ACPI_EXTENDED_CHECKSUM},
                                      {"stray-bytes", ACPI_STRAY_BYTES},
                                      {"bogus-processors", ACPI_BOGUS_PROCESSORS},
                                      {"absent-processors", ACPI_ABSENT_PROCESSORS},
                                      {"broken-madt", ACPI_BROKEN_MADT},
                                      {NULL, 0}};
static const struct choice graphics[] = {{"none", GRAPHICS_NONE},
                                         {"blt-only", GRAPHICS_BLT_ONLY},
                                         {"base-zero", GRAPHICS_BASE_ZERO},
                                         {"in-ram", GRAPHICS_IN_RAM},
                                         {"no-mode", GRAPHICS_NO_MODE},
                                         {"fake-first", GRAPHICS_FAKE_FIRST},
                                         {"rgb", GRAPHICS_RGB},
                                         {"wide", GRAPHICS_WIDE},
                                         {"565", GRAPHICS_MASK_565},
                                         {"555", GRAPHICS_MASK_555},
                                         {"888", GRAPHICS_MASK_888},
                                         {"2101010", GRAPHICS_MASK_2101010},
                                         {"odd-masks", GRAPHICS_MASK_ODD},
                                         {"broken-masks", GRAPHICS_MASK_BROKEN},
                                         {NULL, 0}};
static const struct choice options[] = {{"none", OPTIONS_NONE},
                                        {"plain", OPTIONS_PLAIN},
                                        {"binary", OPTIONS_BINARY},
                                        {"unterminated", OPTIONS_UNTERMINATED},
                                        {"odd-bytes", OPTIONS_ODD_BYTES},
                                        {"byte-order-mark", OPTIONS_BYTE_ORDER_MARK},
                                        {"program-name", OPTIONS_PROGRAM_NAME},
                                        {"whole-load-option", OPTIONS_WHOLE_LOAD_OPTION},
                                        {"huge", OPTIONS_HUGE},
                                        {NULL, 0}};
static const struct choice tables[] = {{"no-acpi", TABLES_NO_ACPI},
                                       {"no-smbios", TABLES_NO_SMBIOS},
                                       {"none", TABLES_NONE},
                                       {"endless-attributes", TABLES_ENDLESS_ATTRIBUTES},
                                       {NULL, 0}};
static const struct choice randoms[] = {{"good", RANDOM_GOOD}, {"broken", RANDOM_BROKEN}, {NULL, 0}};
static const struct choice attributes[] = {{"good", ATTRIBUTES_GOOD}, {"fixed", ATTRIBUTES_FIXED}, {NULL, 0}};
static const struct choice hides[] = {
    {"file-system", HIDE_FILE_SYSTEM}, {"loaded-image", HIDE_LOADED_IMAGE}, {NULL, 0}};
static const struct choice refusals[] = {{"address", REFUSE_ADDRESS}, {"limit", REFUSE_LIMIT}, {NULL, 0}};
static const struct choice statuses[] = {{"out-of-resources", EFI_OUT_OF_RESOURCES & 0xff},
                                         {"device-error", EFI_DEVICE_ERROR & 0xff},
                                         {"not-found", EFI_NOT_FOUND & 0xff},
                                         {"unsupported", EFI_UNSUPPORTED & 0xff},
                                         {"invalid-parameter", EFI_INVALID_PARAMETER & 0xff},
                                         {"security-violation", EFI_SECURITY_VIOLATION & 0xff},
                                         {NULL, 0}};
static const struct choice missing[] = {{"missing", 1}, {NULL, 0}};

static const char *const services[SERVICES_MAX] = {"RaiseTPL",
                                                   "RestoreTPL",
                                                   "AllocatePages",
                                                   "FreePages",
                                                   "GetMemoryMap",
                                                   "AllocatePool",
                                                   "FreePool",
                                                   "CreateEvent",
                                                   "SetTimer",
                                                   "WaitForEvent",
                                                   "SignalEvent",
                                                   "CloseEvent",
                                                   "CheckEvent",
                                                   "InstallProtocolInterface",
                                                   "ReinstallProtocolInterface",
                                                   "UninstallProtocolInterface",
                                                   "HandleProtocol",
                                                   "PCHandleProtocol",
                                                   "RegisterProtocolNotify",
                                                   "LocateHandle",
                                                   "LocateDevicePath",
                                                   "InstallConfigurationTable",
                                                   "LoadImage",
                                                   "StartImage",
                                                   "Exit",
                                                   "UnloadImage",
                                                   "ExitBootServices",
                                                   "GetNextMonotonicCount",
                                                   "Stall",
                                                   "SetWatchdogTimer",
                                                   "ConnectController",
                                                   "DisconnectController",
                                                   "OpenProtocol",
                                                   "CloseProtocol",
                                                   "OpenProtocolInformation",
                                                   "ProtocolsPerHandle",
                                                   "LocateHandleBuffer",
                                                   "LocateProtocol",
                                                   "InstallMultipleProtocolInterfaces",
                                                   "UninstallMultipleProtocolInterfaces",
                                                   "CalculateCrc32",
                                                   "CopyMem",
                                                   "SetMem",
                                                   "CreateEventEx"};

const char *service_name(uint32_t service)
{
    return service < SERVICES_MAX ? services[service] : "?";
}

#define FIELD(member) offsetof(struct hostile_case, member)

/* A word without choices takes a number, or "ever" for FOR_EVER. */
static const struct {
    const char *word;
    size_t field;
    const struct choice *choices;
} keys[] = {
    {"dry", FIELD(dry), NULL},
    {"stale", FIELD(stale), NULL},
    {"sweep", FIELD(sweep), sweeps},
    {"order", FIELD(order), orders},
    {"quarry", FIELD(quarry), quarries},
    {"place", FIELD(place), places},
    {"acpi", FIELD(acpi), acpis},
    {"descriptors", FIELD(descriptors), NULL},
    {"stride", FIELD(stride), NULL},
    {"growth", FIELD(growth), NULL},
    {"runtime-attribute", FIELD(runtime_attribute), missing},
    {"write-back", FIELD(write_back), missing},
    {"graphics", FIELD(graphics), graphics},
    {"options", FIELD(options), options},
    {"tables", FIELD(tables), tables},
    {"random", FIELD(random), randoms},
    {"hide", FIELD(hidden), hides},
    {"refuse", FIELD(refused), refusals},
    {"attributes", FIELD(attributes), attributes},
    {"zero-page", FIELD(zero_page), NULL},
    {"low-memory", FIELD(low_memory), NULL},
    {"levels", FIELD(levels), NULL},
    {"spare-pages", FIELD(spare_pages), NULL},
    {"single-pages", FIELD(single_pages), NULL},
    {"first", FIELD(injection.first), NULL},
    {"count", FIELD(injection.count), NULL},
};

static bool parse_number(const char *text, uint32_t *value)
{
    if (strcmp(text, "ever") == 0) {
        *value = FOR_EVER;
        return true;
    }
    *value = 0;
    for (const char *at = text; *at; at++) {
        if (*at < '0' || *at > '9' || *value > 100000000) {
            return false;
        }
        *value = *value * 10 + (uint32_t)(*at - '0');
    }
    return *text != 0;
}

static bool parse_choice(const char *text, const struct choice *choices, uint32_t *value)
{
    for (; choices->word; choices++) {
        if (strcmp(text, choices->word) == 0) {
            *value = choices->value;
            return true;
        }
    }
    return false;
}

static bool parse_service(const char *text, uint32_t *service)
{
    if (strcmp(text, "all") == 0) {
        *service = ALL_SERVICES;
        return true;
    }
    for (uint32_t i = 0; i < SERVICES_MAX; i++) {
        if (strcmp(text, services[i]) == 0) {
            *service = i;
            return true;
        }
    }
    return false;
}

static bool parse_word(const char *key, const char *value, struct hostile_case *into)
{
    uint32_t code = 0;
    if (strcmp(key, "fail") == 0) {
        return parse_service(value, &into->injection.service);
    }
    if (strcmp(key, "status") == 0) {
        bool known = parse_choice(value, statuses, &code);
        into->injection.status = EFIERR(code);
        return known;
    }
    for (unsigned i = 0; i < ARRAY_LENGTH(keys); i++) {
        uint32_t *field = (uint32_t *)((char *)into + keys[i].field);
        if (strcmp(key, keys[i].word) == 0) {
            return keys[i].choices ? parse_choice(value, keys[i].choices, field) : parse_number(value, field);
        }
    }
    return false;
}

/* Cuts the next word off the line; NULL at its end. */
static char *next_word(char **line)
{
    char *at = *line;
    while (*at == ' ' || *at == '\t' || *at == '\r') {
        at++;
    }
    if (*at == 0 || *at == '#') {
        return NULL;
    }
    char *end = at;
    while (*end != 0 && *end != ' ' && *end != '\t' && *end != '\r') {
        end++;
    }
    *line = *end != 0 ? end + 1 : end;
    *end = 0;
    return at;
}

bool case_parse(char *line, struct hostile_case *into)
{
    char *name = next_word(&line);
    if (name == NULL) {
        return false;
    }
    memset(into, 0, sizeof(*into));
    memcpy(into->name, name, strnlen(name, CASE_NAME_BYTES - 1));
    into->spare_pages = ALL_MEMORY;
    into->injection = (struct injection){NO_SERVICE, 1, 1, EFI_OUT_OF_RESOURCES};
    for (char *word = next_word(&line); word != NULL; word = next_word(&line)) {
        char *value = strchr(word, '=');
        if (value != NULL) {
            *value++ = 0;
        }
        if (value == NULL || !parse_word(word, value, into)) {
            say("error: case %s: unknown word %s=%s", into->name, word, value != NULL ? value : "");
            return false;
        }
    }
    return true;
}
