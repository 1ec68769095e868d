/*
 * A page to execute code in while the firmware's page tables are still in force. Firmware that maps its
 * memory no-execute offers EFI_MEMORY_ATTRIBUTE_PROTOCOL to change that; firmware without this protocol lets
 * memory be executed that was allocated as loader code. Where there is the protocol, the page is never
 * writable and executable at once, and it is given back with the attributes it had.
 */
#include "loader.h"

static struct memory_attribute_protocol *find_protocol(const struct loader *loader)
{
    EFI_GUID guid = MEMORY_ATTRIBUTE_PROTOCOL_GUID;
    struct memory_attribute_protocol *protocol = NULL;
    return EFI_ERROR(loader->boot->LocateProtocol(&guid, NULL, (void **)&protocol)) ? NULL : protocol;
}

/* Changes the page's attributes XP and RO from `now` to `wanted`. The new ones are set before the old ones
 * are cleared, so that the page is not writable and executable in between. */
static EFI_STATUS change(const struct code_page *page, UINT64 now, UINT64 wanted)
{
    EFI_STATUS status = EFI_SUCCESS;
    if (wanted & ~now) {
        status = page->protocol->SetMemoryAttributes(page->protocol, page->base, FRAME_BYTES, wanted & ~now);
    }
    if (!EFI_ERROR(status) && (now & ~wanted)) {
        status =
            page->protocol->ClearMemoryAttributes(page->protocol, page->base, FRAME_BYTES, now & ~wanted);
    }
    return status;
}

bool code_page_protect(struct loader *loader)
{
    struct code_page *page = &loader->code_page;
    page->base = (uintptr_t)loader->trampoline;
    page->protocol = find_protocol(loader);
    if (!page->protocol) {
        return true;
    }
    EFI_STATUS status =
        page->protocol->GetMemoryAttributes(page->protocol, page->base, FRAME_BYTES, &page->attributes);
    page->attributes &= EFI_MEMORY_XP | EFI_MEMORY_RO;
    if (!EFI_ERROR(status)) {
        page->changed = true;
        status = change(page, page->attributes, EFI_MEMORY_RO);
    }
    if (EFI_ERROR(status)) {
        return step_fail(loader, status,
                         "the firmware does not let the page at %#" PRIx64
                         " execute, which la57=on needs: %s",
                         page->base, efi_status_name(status));
    }
    return true;
}

void code_page_restore(struct loader *loader)
{
    struct code_page *page = &loader->code_page;
    if (page->changed) {
        page->changed = false;
        /* If a change failed half way, the attributes of now are not known: set and clear both again. */
        change(page, (EFI_MEMORY_XP | EFI_MEMORY_RO) & ~page->attributes, page->attributes);
    }
}
