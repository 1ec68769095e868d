/*
 * The initrd: \EFI\BOOT\initrd.cpio, read as it is into memory that the kernel takes over. Unpacking it is
 * the kernel's work. Where Secure Boot is on, it is taken only if its hash stands in the loader, which is
 * signed.
 */
#include <ashlar/string.h>

#include "loader.h"
#include "loader/portable/sha256.h"
#include "message.h"

#define NAME      "\\EFI\\BOOT\\initrd.cpio"
#define READ_MOST MIB(4) /* in one call */

extern const uint8_t embedded_initrd_hash[SHA256_BYTES]; /* of the only one that Secure Boot allows */

static const CHAR16 path[] = L"\\EFI\\BOOT\\initrd.cpio";

/* Reads all of the file, however little of it a call gives. */
static EFI_STATUS read_all(EFI_FILE_HANDLE file, uint8_t *to, uint64_t bytes)
{
    for (uint64_t done = 0; done < bytes;) {
        UINTN part = min_u64(bytes - done, READ_MOST);
        EFI_STATUS status = file->Read(file, &part, to + done);
        if (EFI_ERROR(status)) {
            return status;
        }
        if (part == 0) {
            message_warning(NAME " ends after %" PRIu64 " of its %" PRIu64 " bytes", done, bytes);
            return EFI_END_OF_FILE;
        }
        done += part;
    }
    return EFI_SUCCESS;
}

static bool is_signed(const void *data, uint64_t bytes)
{
    uint8_t hash[SHA256_BYTES];
    sha256(data, bytes, hash);
    return memcmp(hash, embedded_initrd_hash, sizeof hash) == 0;
}

/* Gives the memory of the newest allocation back. */
static void give_back(struct loader *loader, phys_addr_t base)
{
    loader_trim(loader, base);
    if (loader->claims[loader->claim_count - 1].bytes == 0) {
        loader->claim_count--;
    }
}

/* Reads the open file into memory of its own. */
static void take(struct loader *loader, EFI_FILE_HANDLE file, uint64_t bytes)
{
    phys_addr_t base;
    if (bytes > physmap_limit() || !loader_allocate(loader, bytes, MEMORY_INITRD, 0, NAME, &base)) {
        message_warning("no memory for " NAME " (%" PRIu64 " bytes); it is ignored", bytes);
        return;
    }
    void *memory = (void *)(uintptr_t)base.raw;
    EFI_STATUS status = read_all(file, memory, bytes);
    if (EFI_ERROR(status)) {
        message_warning(NAME " cannot be read: %s; it is ignored", efi_status_name(status));
    } else if (loader->info->firmware.secure_boot && !is_signed(memory, bytes)) {
        message_warning("Secure Boot is on: " NAME " is not the one whose hash was signed, and is ignored");
    } else {
        loader->info->initrd_base = base;
        loader->info->initrd_bytes = bytes;
        return;
    }
    give_back(loader, base);
}

void initrd_read(struct loader *loader)
{
    EFI_FILE_HANDLE file;
    UINT64 bytes = 0;
    EFI_STATUS status = volume_open(loader, path, &file, &bytes);
    if (status == EFI_NOT_FOUND) {
        return;
    }
    if (EFI_ERROR(status)) {
        message_warning(NAME " %s; it is ignored",
                        status == EFI_INVALID_PARAMETER ? "is a directory" : "cannot be opened");
        return;
    }
    if (bytes == 0) {
        message_warning(NAME " is empty; it is ignored");
    } else {
        take(loader, file, bytes);
    }
    file->Close(file);
}
