/*
 * What every step of the loader uses: saying why it failed, and noting the time at which it was done.
 * See loader.h.
 */
#include <ashlar/format.h>
#include <stdarg.h>

#include "cpu.h"
#include "loader.h"

bool step_fail(struct loader *loader, EFI_STATUS status, const char *text, ...)
{
    va_list arguments;
    va_start(arguments, text);
    format_list(loader->error.text, sizeof loader->error.text, text, arguments);
    va_end(arguments);
    loader->status = status;
    return false;
}

const char *efi_status_name(EFI_STATUS status)
{
    static const char *const names[] = {
        "success",          "load error",       "invalid parameter",
        "unsupported",      "bad buffer size",  "buffer too small",
        "not ready",        "device error",     "write protected",
        "out of resources", "volume corrupted", "volume full",
        "no media",         "media changed",    "not found",
        "access denied",    "no response",      "no mapping",
        "timeout",          "not started",      "already started",
        "aborted",          "ICMP error",       "TFTP error",
        "protocol error",   "unknown version",  "security violation",
        "CRC error",
    };
    uint64_t number = status & ~EFI_ERROR_MASK;
    return number < ARRAY_LENGTH(names) ? names[number] : "an unusual EFI status";
}

void stage_mark(struct loader *loader, const char *name)
{
    struct boot_info *info = loader->info;
    if (info && info->stage_count < BOOT_STAGES_MAX) {
        struct boot_stage *stage = &info->stages[info->stage_count++];
        stage->ticks = cpu_ticks();
        format(stage->name, sizeof stage->name, "%s", name);
    }
}
