/* What the kernel says first: who it is, what it runs on, what memory there is, and how long it took to get
 * here. */
#include <ashlar/boot.h>
#include <ashlar/console.h>
#include <ashlar/format.h>
#include <ashlar/memory_type.h>
#include <ashlar/timeline.h>
#include <x86/cpuid.h>

#include "kernel/kernel.h"

#define BOLD  "\033[1m"
#define DIM   "\033[90m"
#define PLAIN "\033[0m"

static void print_machine(const struct boot_info *info)
{
    char cpu[CPU_NAME_BYTES];
    cpu_name(cpu);
    const struct boot_firmware *firmware = &info->firmware;
    console_print(BOLD "Ashlar " ASHLAR_VERSION PLAIN "\n");
    console_print("cpu       %s\n", cpu);
    console_print("firmware  %s, UEFI %u.%u, Secure Boot %s\n", firmware->vendor,
                  firmware->uefi_revision >> 16, (firmware->uefi_revision & 0xffff) / 10,
                  firmware->secure_boot ? "on" : "off");
    console_print("paging    %u levels, pages up to %s, physmap at %#" PRIx64 "\n", info->paging.levels,
                  info->paging.largest_page_size == GIB(1) ? "1 GiB" : "2 MiB", info->paging.physmap.raw);
    console_print("kernel    %#" PRIx64 ", %" PRIu64 " KiB, slid by %#" PRIx64 "\n",
                  info->kernel.virtual_base.raw, info->kernel.bytes / KIB(1), info->kernel.slide);
}

static void print_tables(const struct boot_firmware *firmware)
{
    char acpi[32] = "no ACPI";
    char smbios[32] = "no SMBIOS";
    if (firmware->acpi_rsdp.raw) {
        format(acpi, sizeof acpi, "ACPI at %#" PRIx64, firmware->acpi_rsdp.raw);
    }
    if (firmware->smbios.raw) {
        format(smbios, sizeof smbios, "SMBIOS %u at %#" PRIx64, firmware->smbios_major, firmware->smbios.raw);
    }
    console_print("tables    %s, %s\n", acpi, smbios);
}

static void print_video_and_seed(const struct boot_info *info)
{
    static const char *const seeds[] = {"EFI_RNG_PROTOCOL", "RDSEED", "RDRAND",
                                        "time stamps, which can be guessed"};
    const struct boot_framebuffer *video = &info->framebuffer;
    if (video->bytes) {
        console_print(
            "screen    %u x %u, %u bytes a pixel, %u bytes a row, red %u:%u green %u:%u blue %u:%u\n",
            video->width, video->height, video->bytes_per_pixel, video->pitch, video->red.shift,
            video->red.bits, video->green.shift, video->green.bits, video->blue.shift, video->blue.bits);
    } else {
        console_print("screen    none\n");
    }
    console_print("seed      from %s\n",
                  info->seed.source < ARRAY_LENGTH(seeds) ? seeds[info->seed.source] : "?");
    console_print("handover  %u firmware descriptors of %u bytes, %u attempts to leave boot services\n",
                  info->firmware_map.count, info->firmware_map.entry_size, info->exit_attempts);
}

static void print_size(const char *name, uint64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    uint64_t tenths = bytes * 10 / KIB(1);
    unsigned unit = 0;
    for (; tenths >= 10240 && unit + 1 < ARRAY_LENGTH(units); unit++) {
        tenths /= 1024;
    }
    console_print("  %-18s %18" PRIu64 " bytes %7" PRIu64 ".%" PRIu64 " %s\n", name, bytes, tenths / 10,
                  tenths % 10, units[unit]);
}

static void print_memory_map(void)
{
    size_t count;
    const struct memory_range *map = boot_memory_map(&count);
    uint64_t totals[MEMORY_TYPE_COUNT];
    uint64_t sum = memory_ranges_totals(map, count, totals);
    console_print("\n" BOLD "memory map" PLAIN " (%zu ranges)\n", count);
    for (size_t i = 0; i < count; i++) {
        uint64_t last = map[i].base.raw + map[i].bytes - 1;
        console_print("  %014" PRIx64 " - %014" PRIx64 "  %10" PRIu64 " KiB  %s%s" PLAIN "\n",
                      map[i].base.raw, last, map[i].bytes / KIB(1), map[i].type == MEMORY_USABLE ? "" : DIM,
                      memory_type_name(map[i].type));
    }
    console_print("\n" BOLD "memory by type" PLAIN "\n");
    for (unsigned type = 0; type < MEMORY_TYPE_COUNT; type++) {
        if (totals[type]) {
            print_size(memory_type_name(type), totals[type]);
        }
    }
    print_size("all", sum);
}

static void print_timeline(void)
{
    console_print("\n" BOLD "timeline" PLAIN " (time-stamp counter ticks since the loader's entry)\n");
    for (unsigned i = 0; i < timeline_count(); i++) {
        struct boot_stage point = timeline_point(i);
        console_print("  %-24s %14" PRIu64 "\n", point.name, point.ticks);
    }
    console_print("\n");
}

void banner_print(void)
{
    print_machine(boot_info());
    print_tables(&boot_info()->firmware);
    print_video_and_seed(boot_info());
    print_memory_map();
    print_timeline();
    console_flush();
}
