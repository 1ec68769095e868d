/* What the UEFI specification defines and gnu-efi 3.0.15 does not. Section numbers are of UEFI 2.10. */
#pragma once

#include <efi.h>

/* EFI_MEMORY_ATTRIBUTES_TABLE (4.6.4): which parts of the runtime regions are code and which data. */
#define MEMORY_ATTRIBUTES_TABLE_GUID                                                                         \
    {                                                                                                        \
        0xdcfa911d, 0x26eb, 0x469f,                                                                          \
        {                                                                                                    \
            0xa2, 0x20, 0x38, 0xb7, 0xdc, 0x46, 0x12, 0x20                                                   \
        }                                                                                                    \
    }

struct memory_attributes_table {
    UINT32 version;         /* 1 or 2 */
    UINT32 entries;         /* descriptors that follow */
    UINT32 descriptor_size; /* bytes from one to the next */
    UINT32 flags;           /* version 2: control-flow guards; 0 in version 1 */
    UINT8 descriptors[];    /* EFI_MEMORY_DESCRIPTORs with XP and RO attributes */
};

/*
 * EFI_MEMORY_ATTRIBUTE_PROTOCOL (UEFI 2.10): what the firmware's page tables allow. Attributes: RP, XP, RO.
 */
#define MEMORY_ATTRIBUTE_PROTOCOL_GUID                                                                       \
    {                                                                                                        \
        0xf4560cf6, 0x40ec, 0x4b4a,                                                                          \
        {                                                                                                    \
            0xa1, 0x92, 0xbf, 0x1d, 0x57, 0xd0, 0xb1, 0x89                                                   \
        }                                                                                                    \
    }

struct memory_attribute_protocol {
    EFI_STATUS(EFIAPI *GetMemoryAttributes)
    (struct memory_attribute_protocol *, EFI_PHYSICAL_ADDRESS base, UINT64 bytes, UINT64 *attributes);
    EFI_STATUS(EFIAPI *SetMemoryAttributes)
    (struct memory_attribute_protocol *, EFI_PHYSICAL_ADDRESS base, UINT64 bytes, UINT64 attributes);
    EFI_STATUS(EFIAPI *ClearMemoryAttributes)
    (struct memory_attribute_protocol *, EFI_PHYSICAL_ADDRESS base, UINT64 bytes, UINT64 attributes);
};

#ifndef EFI_MEMORY_RO
#define EFI_MEMORY_RO 0x0000000000020000ULL
#endif

/* EFI_GLOBAL_VARIABLE (3.3), home of SecureBoot. */
#define GLOBAL_VARIABLE_GUID                                                                                 \
    {                                                                                                        \
        0x8be4df61, 0x93ca, 0x11d2,                                                                          \
        {                                                                                                    \
            0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c                                                   \
        }                                                                                                    \
    }
