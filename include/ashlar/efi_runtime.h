/*
 * What the UEFI firmware still does for the kernel after boot services have ended (UEFI specification 2.10,
 * chapter 8): the clock, the variables (read only: writing them can brick machines), and reset.
 *
 * A call runs with page tables of its own, which have the firmware's runtime regions at their physical
 * addresses (address_space_runtime()), with interrupts off, on a stack of its own. One call at a time: all
 * but efi_reset() take a mutex (rank LOCK_FIRMWARE), so the caller holds no spinlock and is no interrupt
 * handler.
 */
#pragma once

#include <ashlar/clock.h>
#include <ashlar/types.h>

/* Status codes we tell apart (UEFI appendix D). */
#define EFI_STATUS_SUCCESS          0ULL
#define EFI_STATUS_ERROR            (1ULL << 63)
#define EFI_STATUS_INVALID          (EFI_STATUS_ERROR | 2)
#define EFI_STATUS_UNSUPPORTED      (EFI_STATUS_ERROR | 3)
#define EFI_STATUS_BUFFER_TOO_SMALL (EFI_STATUS_ERROR | 5)
#define EFI_STATUS_DEVICE_ERROR     (EFI_STATUS_ERROR | 7)
#define EFI_STATUS_OUT_OF_RESOURCES (EFI_STATUS_ERROR | 9)
#define EFI_STATUS_NOT_FOUND        (EFI_STATUS_ERROR | 14)
#define EFI_STATUS_ABORTED          (EFI_STATUS_ERROR | 21)
typedef uint64_t efi_status_t;

struct efi_guid {
    uint32_t a;
    uint16_t b;
    uint16_t c;
    uint8_t d[8];
};

#define EFI_GUID_TEXT_BYTES     37  /* "8be4df61-93ca-11d2-aa0d-00e098032b8c" and NUL */
#define EFI_VARIABLE_NAME_UNITS 512 /* longest name, UCS-2 units with the final 0 */
#define EFI_VARIABLE_BYTES_MAX  KIB(32)

struct efi_variable_name {
    uint16_t name[EFI_VARIABLE_NAME_UNITS]; /* 0-terminated */
    struct efi_guid vendor;
};

enum efi_reset {
    EFI_RESET_COLD = 0,
    EFI_RESET_WARM = 1,
    EFI_RESET_SHUTDOWN = 2,
};

struct boot_info;

/* Checks the firmware's tables and makes the services ready, or logs why they cannot be used. */
void efi_runtime_initialise(const struct boot_info *info);

/* Whether calls can be made; becomes false when one of them faulted. */
bool efi_runtime_available(void);

/* Why calls cannot be made; "" while they can. */
const char *efi_runtime_reason(void);

/*
 * The date on the firmware's clock. EFI_STATUS_DEVICE_ERROR when the firmware gives an impossible date. Like
 * all calls, EFI_STATUS_UNSUPPORTED when no calls can be made, EFI_STATUS_ABORTED when this one faulted.
 */
efi_status_t efi_get_time(struct clock_date *date);

/*
 * The variable after *name in the firmware's order; a name of "" gives the first. EFI_STATUS_NOT_FOUND after
 * the last one. *name changes only on success.
 */
efi_status_t efi_next_variable(struct efi_variable_name *name);

/*
 * Reads a variable of at most *bytes bytes into `data`, sets *bytes to its length and *attributes to its
 * EFI_VARIABLE_... bits. EFI_STATUS_BUFFER_TOO_SMALL: *bytes says how long it is. EFI_STATUS_OUT_OF_RESOURCES
 * without memory for it.
 */
efi_status_t efi_get_variable(const struct efi_variable_name *name, void *data, uint64_t *bytes,
                              uint32_t *attributes);

/* Resets or switches off. Returns only when that failed. Takes no lock: from any context, also in a panic. */
efi_status_t efi_reset(enum efi_reset kind);

/* "success", "not found", ...; "error" for codes without a name here. */
const char *efi_status_name(efi_status_t status);

/* Writes the usual text of a GUID. */
void efi_guid_format(const struct efi_guid *guid, char text[EFI_GUID_TEXT_BYTES]);
