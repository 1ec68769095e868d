/* Takes the machine's free memory away, all but what the case leaves, and gives it back. */
#include "hostile.h"

#define BLOCKS_MAX    4096
#define LARGEST_BLOCK ((UINTN)1 << 24) /* pages */

static struct {
    EFI_PHYSICAL_ADDRESS base;
    UINTN pages;
} blocks[BLOCKS_MAX];
static unsigned block_count;

/* Allocates `pages` contiguous pages; none for 0. */
static EFI_STATUS take_stretch(UINTN pages, EFI_PHYSICAL_ADDRESS *base)
{
    return pages == 0 ? EFI_SUCCESS : firmware->AllocatePages(AllocateAnyPages, EfiLoaderData, pages, base);
}

static void take_rest(void)
{
    for (UINTN pages = LARGEST_BLOCK; pages != 0 && block_count < BLOCKS_MAX;) {
        blocks[block_count].pages = pages;
        if (EFI_ERROR(take_stretch(pages, &blocks[block_count].base))) {
            pages /= 2;
        } else {
            block_count++;
        }
    }
}

/* Frees every second page of a stretch, and keeps the others. What lies before it is taken. */
static void leave_single_pages(EFI_PHYSICAL_ADDRESS base, uint32_t count)
{
    for (uint32_t i = 0; i < count && block_count < BLOCKS_MAX; i++, base += 2 * FRAME_BYTES) {
        blocks[block_count].base = base + FRAME_BYTES;
        blocks[block_count++].pages = 1;
        firmware->FreePages(base, 1);
    }
}

/*
 * What is to be left is taken first and freed last, so that nothing else is left. Returns
 * EFI_OUT_OF_RESOURCES when there is not so much.
 */
EFI_STATUS memory_take(void)
{
    EFI_PHYSICAL_ADDRESS spare = 0;
    EFI_PHYSICAL_ADDRESS singles = 0;
    if (current->spare_pages == ALL_MEMORY) {
        return EFI_SUCCESS;
    }
    EFI_STATUS status = take_stretch(current->spare_pages, &spare);
    if (!EFI_ERROR(status)) {
        status = take_stretch(2 * (UINTN)current->single_pages, &singles);
    }
    if (EFI_ERROR(status)) {
        return status;
    }
    take_rest();
    leave_single_pages(singles, current->single_pages);
    if (current->spare_pages != 0) {
        firmware->FreePages(spare, current->spare_pages);
    }
    return EFI_SUCCESS;
}

void memory_give_back(void)
{
    while (block_count > 0) {
        block_count--;
        firmware->FreePages(blocks[block_count].base, blocks[block_count].pages);
    }
}
