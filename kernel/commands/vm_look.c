/* What lies at one address of a space, for the monitor command vm. */
#include "vm.h"

const char *command_vm_access(const struct vm_region_facts *region, char text[4])
{
    text[0] = region->access & VM_READ ? 'r' : '-';
    text[1] = region->access & VM_WRITE ? 'w' : '-';
    text[2] = region->access & VM_EXECUTE ? 'x' : '-';
    text[3] = 0;
    return text;
}

static const char *what_lies_there(const struct vm_look *look)
{
    if (look->guard) {
        return "guard gap";
    }
    return look->found ? "region" : "no region";
}

static const char *mapped_text(const struct page_translation *mapped)
{
    if (mapped->access & PAGE_INACCESSIBLE) {
        return "inaccessible";
    }
    return mapped->access & PAGE_WRITE ? "writable" : "read-only";
}

/* Why a page of a region is not mapped. */
static const char *absent_text(const struct page_translation *page)
{
    switch (page_entry_kind(page->leaf, page->level)) {
    case ENTRY_SWAPPED:
        return "; on disk";
    case ENTRY_ABSENT:
    case ENTRY_TABLE: /* these are mapped, or no page */
    case ENTRY_LEAF:
    case ENTRY_INACCESSIBLE:
    case ENTRY_HELD:
        break;
    }
    return "; not delivered yet";
}

static void look_text(const struct vm_space *space, uint64_t address, const struct vm_look *look)
{
    char access[4];
    monitor_print("space %u \"%s\": %s", space->number, space->name, what_lies_there(look));
    if (look->found || look->guard) {
        monitor_print(" %016" PRIx64 " + %" PRIu64 " KiB, %s, %s, \"%s\"", look->region.base.raw,
                      look->region.bytes >> 10, command_vm_access(&look->region, access),
                      vm_source_name(look->region.source), look->region.name);
    }
    if (!look->mapped.mapped) {
        monitor_print("%s\n", look->found ? absent_text(&look->mapped) : "");
        return;
    }
    monitor_print("\n  %#" PRIx64 " -> physical %#" PRIx64 ", page of %" PRIu64 " KiB, %s", address,
                  look->mapped.target.raw, page_level_bytes(look->mapped.level) >> 10,
                  mapped_text(&look->mapped));
    if (look->zero_page) {
        monitor_print(", the shared zero page\n");
    } else {
        monitor_print(", %u references\n", look->references);
    }
}

static void look_json(struct json *json, const struct vm_space *space, const struct vm_look *look)
{
    json_object_begin(json, NULL);
    json_number(json, "space", space->number);
    json_string(json, "name", space->name);
    json_string(json, "what", what_lies_there(look));
    if (look->found || look->guard) {
        json_hex(json, "base", look->region.base.raw);
        json_number(json, "bytes", look->region.bytes);
        json_string(json, "source", vm_source_name(look->region.source));
        json_string(json, "region", look->region.name);
    }
    json_bool(json, "mapped", look->mapped.mapped);
    if (look->mapped.mapped) {
        json_hex(json, "physical", look->mapped.target.raw);
        json_number(json, "page_bytes", page_level_bytes(look->mapped.level));
        json_bool(json, "writable", look->mapped.access & PAGE_WRITE);
        json_bool(json, "inaccessible", look->mapped.access & PAGE_INACCESSIBLE);
        json_bool(json, "zero_page", look->zero_page);
        json_number(json, "references", look->references);
    }
    json_object_end(json);
}

void command_vm_look(struct vm_space *space, uint64_t address, struct json *json)
{
    struct vm_look look;
    vm_space_look(space, virt_addr(address), &look);
    if (json) {
        look_json(json, space, &look);
    } else {
        look_text(space, address, &look);
    }
}
