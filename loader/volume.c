/* Files beside the loader, on the volume that it was started from; see loader.h. */
#include "loader.h"

#define FILE_INFO_BYTES 1024 /* EFI_FILE_INFO with any name that FAT has */

static EFI_STATUS open_root(const struct loader *loader, EFI_FILE_HANDLE *root)
{
    EFI_GUID guid = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;
    EFI_FILE_IO_INTERFACE *volume = NULL;
    if (!loader->loaded_image->DeviceHandle) {
        return EFI_NOT_FOUND;
    }
    EFI_STATUS status =
        loader->boot->HandleProtocol(loader->loaded_image->DeviceHandle, &guid, (void **)&volume);
    if (status == EFI_UNSUPPORTED) {
        return EFI_NOT_FOUND; /* started from memory or from a network: there is no file beside us */
    }
    return EFI_ERROR(status) ? status : volume->OpenVolume(volume, root);
}

/* The length of an open file. A directory, whose entries Read() would give, is no file (UEFI 2.10, 13.5). */
static EFI_STATUS measure(EFI_FILE_HANDLE file, UINT64 *bytes)
{
    static union {
        EFI_FILE_INFO info;
        uint8_t room[FILE_INFO_BYTES];
    } space;
    EFI_GUID guid = EFI_FILE_INFO_ID;
    UINTN room = sizeof space;
    EFI_STATUS status = file->GetInfo(file, &guid, &room, &space);
    *bytes = EFI_ERROR(status) ? 0 : space.info.FileSize;
    return !EFI_ERROR(status) && (space.info.Attribute & EFI_FILE_DIRECTORY) ? EFI_INVALID_PARAMETER
                                                                             : EFI_SUCCESS;
}

EFI_STATUS volume_open(const struct loader *loader, const CHAR16 *path, EFI_FILE_HANDLE *file, UINT64 *bytes)
{
    EFI_FILE_HANDLE root = NULL;
    EFI_STATUS status = open_root(loader, &root);
    if (EFI_ERROR(status)) {
        return status;
    }
    status = root->Open(root, file, (CHAR16 *)(uintptr_t)path, EFI_FILE_MODE_READ, 0);
    root->Close(root);
    if (EFI_ERROR(status)) {
        return status;
    }
    status = measure(*file, bytes);
    if (EFI_ERROR(status)) {
        (*file)->Close(*file);
    }
    return status;
}
