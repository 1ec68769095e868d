/* The framebuffer, from the Graphics Output Protocol in whichever form the firmware has it. */
#include <ashlar/layout.h>
#include <ashlar/memory_type.h>

#include "loader.h"
#include "message.h"

enum {
    VIDEO_SIDE_MAX = 16384, /* pixels; a mode that claims more is taken for wrong */
    GOP_HANDLES_MAX = 64,
};

static struct boot_channel channel_of(uint32_t mask)
{
    struct boot_channel channel = {0, 0};
    if (mask != 0) {
        channel.shift = (uint8_t)__builtin_ctz(mask);
        channel.bits = (uint8_t)__builtin_popcount(mask);
    }
    return channel;
}

/* Whether the mask can be a colour channel: its bits must be contiguous. */
static bool mask_is_channel(uint32_t mask)
{
    uint32_t low = mask & -mask;
    return mask != 0 && ((mask + low) & mask) == 0;
}

static bool describe_masks(const EFI_PIXEL_BITMASK *masks, struct boot_framebuffer *out)
{
    uint32_t all = masks->RedMask | masks->GreenMask | masks->BlueMask | masks->ReservedMask;
    if (!mask_is_channel(masks->RedMask) || !mask_is_channel(masks->GreenMask) ||
        !mask_is_channel(masks->BlueMask)) {
        return false;
    }
    out->bytes_per_pixel = all >> 24 ? 4 : all >> 16 ? 3 : 2;
    out->red = channel_of(masks->RedMask);
    out->green = channel_of(masks->GreenMask);
    out->blue = channel_of(masks->BlueMask);
    return true;
}

static bool describe_format(const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode, struct boot_framebuffer *out)
{
    static const EFI_PIXEL_BITMASK red_first = {0xff, 0xff00, 0xff0000, 0xff000000};
    static const EFI_PIXEL_BITMASK blue_first = {0xff0000, 0xff00, 0xff, 0xff000000};
    switch (mode->PixelFormat) {
    case PixelRedGreenBlueReserved8BitPerColor:
        return describe_masks(&red_first, out);
    case PixelBlueGreenRedReserved8BitPerColor:
        return describe_masks(&blue_first, out);
    case PixelBitMask:
        return describe_masks(&mode->PixelInformation, out);
    case PixelBltOnly:
    case PixelFormatMax:
    default:
        return false; /* pixels only through boot services, which will be gone */
    }
}

/* Whether this output has pixels the kernel can write; fills `out` when it does. */
static bool describe_output(const EFI_GRAPHICS_OUTPUT_PROTOCOL *gop, struct boot_framebuffer *out)
{
    if (!gop->Mode || !gop->Mode->Info) {
        return false;
    }
    const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode = gop->Mode->Info;
    uint32_t width = mode->HorizontalResolution;
    uint32_t height = mode->VerticalResolution;
    *out = (struct boot_framebuffer){.physical_base = phys_addr(gop->Mode->FrameBufferBase)};
    if (gop->Mode->FrameBufferBase == 0 || gop->Mode->FrameBufferBase >= PHYSICAL_END || width == 0 ||
        height == 0 || width > VIDEO_SIDE_MAX || height > VIDEO_SIDE_MAX || !describe_format(mode, out)) {
        return false;
    }
    uint32_t row = mode->PixelsPerScanLine < width ? width : mode->PixelsPerScanLine;
    if (row > 4 * VIDEO_SIDE_MAX) {
        return false;
    }
    out->width = width;
    out->height = height;
    out->pitch = row * out->bytes_per_pixel;
    out->bytes = (uint64_t)out->pitch * height;
    if (out->bytes > PHYSICAL_END - out->physical_base.raw) {
        return false;
    }
    /* If the firmware states the framebuffer's size, the mode must fit into it; 0 means that it does not. */
    if (gop->Mode->FrameBufferSize != 0 && gop->Mode->FrameBufferSize < out->bytes) {
        return false;
    }
    out->virtual_base = virt_addr(BOOT_VIDEO_BASE + (out->physical_base.raw & (FRAME_BYTES - 1)));
    return true;
}

/* The output the firmware's console shows on comes first; of the others the one with the most pixels. */
static bool describe_handle(struct loader *loader, EFI_HANDLE handle, struct boot_framebuffer *out)
{
    EFI_GUID guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
    EFI_GRAPHICS_OUTPUT_PROTOCOL *gop = NULL;
    return handle && !EFI_ERROR(loader->boot->HandleProtocol(handle, &guid, (void **)&gop)) && gop &&
           describe_output(gop, out);
}

static void describe_largest(struct loader *loader, struct boot_framebuffer *best)
{
    EFI_GUID guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
    EFI_HANDLE handles[GOP_HANDLES_MAX];
    UINTN bytes = sizeof handles;
    if (EFI_ERROR(loader->boot->LocateHandle(ByProtocol, &guid, NULL, &bytes, handles))) {
        return;
    }
    for (UINTN i = 0; i < bytes / sizeof handles[0]; i++) {
        struct boot_framebuffer candidate;
        if (describe_handle(loader, handles[i], &candidate) &&
            (uint64_t)candidate.width * candidate.height > (uint64_t)best->width * best->height) {
            *best = candidate;
        }
    }
}

void video_describe(struct loader *loader)
{
    struct boot_framebuffer found = {0};
    if (!describe_handle(loader, loader->system->ConsoleOutHandle, &found)) {
        found = (struct boot_framebuffer){0};
        describe_largest(loader, &found);
    }
    loader->info->framebuffer = found;
}
