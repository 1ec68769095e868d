/*
 * Files that QEMU was told to hand in (-fw_cfg name=opt/...,file=...): see <ashlar/fw_cfg.h>. A number is
 * written to one port, the item's bytes are read from the other; item 25 is the directory (QEMU,
 * docs/specs/fw_cfg.txt).
 */
#include <ashlar/fw_cfg.h>
#include <ashlar/string.h>
#include <x86/cpuid.h>
#include <x86/port.h>

#define PORT_SELECT    0x510
#define PORT_DATA      0x511
#define ITEM_SIGNATURE 0
#define ITEM_DIRECTORY 0x19
#define FILES_MAX      1024 /* a directory that claims more is none */

struct __attribute__((packed)) entry {
    uint32_t bytes; /* big-endian, as is the next */
    uint16_t item;
    uint16_t reserved;
    char name[56];
};

static void read_on(void *to, uint64_t bytes)
{
    __asm__ volatile("rep insb" : "+D"(to), "+c"(bytes) : "d"((uint16_t)PORT_DATA) : "memory");
}

/* Only under a hypervisor: on other machines the ports may be anything's. */
static bool is_there(void)
{
    char signature[4];
    if (!cpu_has(CPU_FEATURE_HYPERVISOR)) {
        return false;
    }
    port_write16(PORT_SELECT, ITEM_SIGNATURE);
    read_on(signature, sizeof signature);
    return memcmp(signature, "QEMU", sizeof signature) == 0;
}

bool fw_cfg_find(const char *name, struct fw_cfg_file *file)
{
    uint32_t count = 0;
    struct entry entry = {.bytes = 0};
    if (!is_there()) {
        return false;
    }
    port_write16(PORT_SELECT, ITEM_DIRECTORY);
    read_on(&count, sizeof count);
    count = __builtin_bswap32(count);
    for (uint32_t i = 0; i < count && i < FILES_MAX; i++) {
        read_on(&entry, sizeof entry);
        entry.name[sizeof entry.name - 1] = 0;
        if (strcmp(entry.name, name) == 0) {
            *file = (struct fw_cfg_file){__builtin_bswap16(entry.item), __builtin_bswap32(entry.bytes)};
            return true;
        }
    }
    return false;
}

void fw_cfg_begin(const struct fw_cfg_file *file)
{
    port_write16(PORT_SELECT, file->item);
}

void fw_cfg_read(void *to, uint64_t bytes)
{
    read_on(to, bytes);
}
