/*
 * The graphics output as the case wants it.
 *
 * Whoever looks for the Graphics Output Protocol is given a copy whose mode says what the case says; the real
 * one, which the firmware's own console draws with, stays as it is. Where QEMU's display adapter can really
 * show the mode (fewer bits per pixel, rows longer than the screen is wide) it is set to it at the exit,
 * through the registers of the Bochs adapter: a picture of the screen then proves that the kernel drew right.
 * Formats no adapter has (10 bits per channel) are proven by reading the video memory.
 */
#include "hostile.h"
#include <ashlar/string.h>

/* Registers of the Bochs display adapter, QEMU's "std" VGA (qemu/docs/specs/standard-vga). */
#define PORT_INDEX 0x1ce
#define PORT_DATA  0x1cf
enum adapter_register {
    ADAPTER_WIDTH = 1,
    ADAPTER_HEIGHT = 2,
    ADAPTER_BITS = 3,
    ADAPTER_ENABLE = 4,
    ADAPTER_VIRTUAL_WIDTH = 6,
};
#define ADAPTER_ON 0x41 /* enabled, linear framebuffer */

#define OUTPUTS_MAX 8
#define RAM_BASE    0x1000000 /* where every machine has RAM, and the kernel uses it */

struct pixels {
    uint32_t format;        /* EFI_GRAPHICS_PIXEL_FORMAT */
    EFI_PIXEL_BITMASK mask; /* where the channels are, in every format */
    uint32_t bits;          /* per pixel */
    uint32_t width;         /* pixels */
    uint32_t height;        /* rows; enough of them for all the kernel says at start */
    uint32_t stride;        /* pixels */
    bool real;              /* the adapter can show it */
};

static const struct pixels pixel_cases[] = {
    [GRAPHICS_RGB] =
        {PixelRedGreenBlueReserved8BitPerColor, {0xff, 0xff00, 0xff0000, 0}, 32, 1280, 1600, 1280, false},
    [GRAPHICS_WIDE] =
        {PixelBlueGreenRedReserved8BitPerColor, {0xff0000, 0xff00, 0xff, 0}, 32, 1366, 1600, 1376, true},
    [GRAPHICS_MASK_565] = {PixelBitMask, {0xf800, 0x7e0, 0x1f, 0}, 16, 1280, 1600, 1312, true},
    [GRAPHICS_MASK_555] = {PixelBitMask, {0x7c00, 0x3e0, 0x1f, 0}, 15, 1280, 1600, 1280, true},
    [GRAPHICS_MASK_888] = {PixelBitMask, {0xff0000, 0xff00, 0xff, 0}, 24, 1280, 1600, 1280, true},
    [GRAPHICS_MASK_2101010] =
        {PixelBitMask, {0x3ff00000, 0xffc00, 0x3ff, 0xc0000000}, 32, 1280, 1600, 1280, false},
    [GRAPHICS_MASK_ODD] = {PixelBitMask, {0x1f0, 0xfff00000, 0x7e00, 0}, 32, 1280, 1600, 1280, false},
    [GRAPHICS_MASK_BROKEN] = {PixelBitMask, {0xf0f000, 0, 0xff, 0}, 32, 1280, 1600, 1280, false},
};

/* What PixelInformation holds when the format does not need it. */
static const EFI_PIXEL_BITMASK no_mask = {0xa5a5a5a5, 0xa5a5a5a5, 0xa5a5a5a5, 0xa5a5a5a5};

/* What a child sees in place of one real output. */
static struct output {
    EFI_GRAPHICS_OUTPUT_PROTOCOL gop;
    EFI_GRAPHICS_OUTPUT_PROTOCOL_MODE mode;
    EFI_GRAPHICS_OUTPUT_MODE_INFORMATION info;
    EFI_GRAPHICS_OUTPUT_PROTOCOL *real;
} outputs[OUTPUTS_MAX];
static unsigned output_count;

static inline void adapter_write(enum adapter_register index, uint32_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"((uint16_t)index), "Nd"((uint16_t)PORT_INDEX));
    __asm__ volatile("outw %0, %1" : : "a"((uint16_t)value), "Nd"((uint16_t)PORT_DATA));
}

static EFI_STATUS EFIAPI query_mode(EFI_GRAPHICS_OUTPUT_PROTOCOL *gop, UINT32 number, UINTN *bytes,
                                    EFI_GRAPHICS_OUTPUT_MODE_INFORMATION **info)
{
    if (number != 0 || gop->Mode == NULL) {
        return EFI_INVALID_PARAMETER;
    }
    EFI_STATUS status = firmware->AllocatePool(EfiBootServicesData, sizeof(**info), (VOID **)info);
    if (!EFI_ERROR(status)) {
        **info = *gop->Mode->Info;
        *bytes = sizeof(**info);
    }
    return status;
}

static EFI_STATUS EFIAPI set_mode(EFI_GRAPHICS_OUTPUT_PROTOCOL *gop, UINT32 number)
{
    return number == 0 && gop->Mode != NULL ? EFI_SUCCESS : EFI_UNSUPPORTED;
}

static EFI_STATUS EFIAPI blt(EFI_GRAPHICS_OUTPUT_PROTOCOL *gop, EFI_GRAPHICS_OUTPUT_BLT_PIXEL *pixels,
                             EFI_GRAPHICS_OUTPUT_BLT_OPERATION operation, UINTN source_x, UINTN source_y,
                             UINTN x, UINTN y, UINTN width, UINTN height, UINTN delta)
{
    for (unsigned i = 0; i < output_count; i++) {
        if (gop == &outputs[i].gop) {
            EFI_GRAPHICS_OUTPUT_PROTOCOL *real = outputs[i].real;
            return real->Blt(real, pixels, operation, source_x, source_y, x, y, width, height, delta);
        }
    }
    return EFI_DEVICE_ERROR;
}

static EFI_GRAPHICS_OUTPUT_MODE_INFORMATION fake_info = {0, 16000, 16000, PixelBltOnly, {0, 0, 0, 0}, 16000};
static EFI_GRAPHICS_OUTPUT_PROTOCOL_MODE fake_mode = {1, 0, &fake_info, sizeof(fake_info), 0, 0};
EFI_GRAPHICS_OUTPUT_PROTOCOL graphics_fake = {query_mode, set_mode, blt, &fake_mode};

static void set_pixels(struct output *output, const struct pixels *pixels)
{
    EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *info = &output->info;
    info->HorizontalResolution = pixels->width;
    info->VerticalResolution = pixels->height;
    info->PixelsPerScanLine = pixels->stride;
    info->PixelFormat = (EFI_GRAPHICS_PIXEL_FORMAT)pixels->format;
    info->PixelInformation = pixels->format == PixelBitMask ? pixels->mask : no_mask;
    output->mode.FrameBufferSize =
        (UINTN)info->PixelsPerScanLine * info->VerticalResolution * ((pixels->bits + 7) / 8);
}

static void set_case(struct output *output)
{
    switch (current->graphics) {
    case GRAPHICS_BLT_ONLY:
        output->info.PixelFormat = PixelBltOnly;
        output->mode.FrameBufferBase = 0;
        output->mode.FrameBufferSize = 0;
        break;
    case GRAPHICS_BASE_ZERO:
        output->mode.FrameBufferBase = 0;
        break;
    case GRAPHICS_IN_RAM:
        output->mode.FrameBufferBase = RAM_BASE;
        break;
    case GRAPHICS_NO_MODE:
        output->gop.Mode = NULL;
        break;
    default:
        set_pixels(output, &pixel_cases[current->graphics]);
        break;
    }
}

static void say_output(const struct output *output)
{
    EFI_PIXEL_BITMASK mask = {0, 0, 0, 0};
    if (current->graphics < ARRAY_LENGTH(pixel_cases)) {
        mask = pixel_cases[current->graphics].mask;
    }
    say("video %s base=%" PRIx64 " width=%u height=%u stride=%u bytes=%" PRIu64 " format=%u masks=%x,%x,%x",
        current->name, output->mode.FrameBufferBase, output->info.HorizontalResolution,
        output->info.VerticalResolution, output->info.PixelsPerScanLine, output->mode.FrameBufferSize,
        (unsigned)output->info.PixelFormat, mask.RedMask, mask.GreenMask, mask.BlueMask);
}

EFI_GRAPHICS_OUTPUT_PROTOCOL *graphics_distort(EFI_GRAPHICS_OUTPUT_PROTOCOL *real)
{
    if (current->graphics == GRAPHICS_AS_IT_IS || current->graphics == GRAPHICS_FAKE_FIRST) {
        return real;
    }
    for (unsigned i = 0; i < output_count; i++) {
        if (outputs[i].real == real) {
            return &outputs[i].gop;
        }
    }
    if (output_count == OUTPUTS_MAX) {
        say("error: more than %u graphics outputs", OUTPUTS_MAX);
        return real;
    }
    struct output *output = &outputs[output_count++];
    output->real = real;
    output->info = *real->Mode->Info;
    output->mode = (EFI_GRAPHICS_OUTPUT_PROTOCOL_MODE){
        1, 0, &output->info, sizeof(output->info), real->Mode->FrameBufferBase, real->Mode->FrameBufferSize};
    output->gop = (EFI_GRAPHICS_OUTPUT_PROTOCOL){query_mode, set_mode, blt, &output->mode};
    set_case(output);
    say_output(output);
    return &output->gop;
}

void graphics_begin(void)
{
    output_count = 0;
}

void graphics_at_exit(void)
{
    if (current->graphics >= ARRAY_LENGTH(pixel_cases) || !pixel_cases[current->graphics].real) {
        return;
    }
    const struct pixels *pixels = &pixel_cases[current->graphics];
    adapter_write(ADAPTER_ENABLE, 0);
    adapter_write(ADAPTER_WIDTH, pixels->width);
    adapter_write(ADAPTER_HEIGHT, pixels->height);
    adapter_write(ADAPTER_BITS, pixels->bits);
    adapter_write(ADAPTER_ENABLE, ADAPTER_ON);
    adapter_write(ADAPTER_VIRTUAL_WIDTH, pixels->stride);
}
