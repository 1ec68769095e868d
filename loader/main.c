/*
 * Ashlar's UEFI loader: firmware's map in, one boot_info out, the kernel running.
 *
 * The steps are listed in efi_main(), in order; each has its file. Until boot services end a step that fails
 * is reported in one line, all memory goes back, and the firmware gets a status. After that a fault is
 * reported by gap_report.c. docs/boot.md tells the whole story.
 */
#include <ashlar/command_line.h>

#include "cpu.h"
#include "gap_faults.h"
#include "loader.h"
#include "message.h"

/*
 * Static, because it is too large to be put on the firmware's stack, whose size is not known.
 */
static struct loader the_loader;

static bool firmware_open(struct loader *loader, EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
    EFI_GUID guid = EFI_LOADED_IMAGE_PROTOCOL_GUID;
    loader->image_handle = image;
    loader->system = system;
    loader->boot = system->BootServices;
    EFI_STATUS status = loader->boot->HandleProtocol(image, &guid, (void **)&loader->loaded_image);
    if (EFI_ERROR(status)) {
        return step_fail(loader, status, "the firmware does not tell where the loader lies: %s",
                         efi_status_name(status));
    }
    /* The firmware's watchdog would reset the machine after five minutes. If this fails, there is none. */
    loader->boot->SetWatchdogTimer(0, 0, 0, NULL);
    return true;
}

/* One line for debuggers: where loader and kernel lie. */
static void announce(const struct loader *loader)
{
    message_debug_console("ashlar: loader=%#" PRIx64 " kernel=%#" PRIx64,
                          (uintptr_t)loader->loaded_image->ImageBase, loader->info->kernel.virtual_base.raw);
}

/* All that happens while the firmware is still there. */
static bool prepare(struct loader *loader, EFI_HANDLE image, EFI_SYSTEM_TABLE *system, uint64_t entry_ticks)
{
    if (!firmware_open(loader, image, system) || !processor_check(loader) || !boot_info_allocate(loader)) {
        return false;
    }
    stage_mark(loader, "loader.entry");
    loader->info->stages[0].ticks = entry_ticks;
    loader->info->loader_base = phys_addr((uintptr_t)loader->loaded_image->ImageBase);
    loader->info->loader_bytes = loader->loaded_image->ImageSize;
    firmware_describe(loader);
    if (!settings_collect(loader)) {
        return false;
    }
    stage_mark(loader, "loader.settings");
    video_describe(loader);
    seed_collect(loader);
    stage_mark(loader, "loader.devices");
    if (!memory_survey(loader) || !kernel_image_load(loader)) {
        return false;
    }
    stage_mark(loader, "loader.kernel");
    initrd_read(loader);
    stage_mark(loader, "loader.initrd");
    if (!acpi_tables_copy(loader)) {
        return false;
    }
    screen_prepare(loader);
    if (!address_space_build(loader)) {
        return false;
    }
    if (!hand_off_prepare(loader)) {
        return false;
    }
    stage_mark(loader, "loader.page-tables");
    announce(loader);
    return exit_boot_services(loader);
}

/* All that happens after boot services have ended: there is nothing to return to. */
static _Noreturn void leave(struct loader *loader)
{
    stage_mark(loader, "loader.exit");
    char fault[16] = "";
    if (command_line_get(loader->command_line, "loader-fault", fault, sizeof fault)) {
        gap_faults_provoke(fault);
    }
    if (!boot_info_complete(loader)) {
        message_error("%s", loader->error.text);
        gap_faults_stop();
    }
    stage_mark(loader, "loader.hand-off");
    gap_faults_tables(loader->info->paging.root, loader->info->paging.physmap.raw);
    kernel_enter(&loader->hand_off);
}

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
    uint64_t entry_ticks = cpu_ticks();
    struct loader *loader = &the_loader;
    message_init(system);
    if (prepare(loader, image, system, entry_ticks)) {
        leave(loader);
    }
    message_error("%s", loader->error.text);
    loader_free_all(loader);
    return loader->status;
}
