/* Takes the machine's free memory away, all but a given number of pages, and gives it back. */
#include "hostile.h"

#define BLOCKS_MAX    4096
#define LARGEST_BLOCK ((UINTN)1 << 24) /* pages */

static struct {
    EFI_PHYSICAL_ADDRESS base;
    UINTN pages;
} blocks[BLOCKS_MAX];
static unsigned block_count;

/*
 * Leaves `spare_pages` contiguous pages free. They are taken first and freed last, so that they are the only
 * ones. Nothing is taken for ALL_MEMORY. Returns EFI_OUT_OF_RESOURCES when there are not so many.
 */
EFI_STATUS memory_take(uint32_t spare_pages)
{
    EFI_PHYSICAL_ADDRESS spare = 0;
    if (spare_pages == ALL_MEMORY) {
        return EFI_SUCCESS;
    }
    if (spare_pages != 0) {
        EFI_STATUS status = firmware->AllocatePages(AllocateAnyPages, EfiLoaderData, spare_pages, &spare);
        if (EFI_ERROR(status)) {
            return status;
        }
    }
    for (UINTN pages = LARGEST_BLOCK; pages != 0 && block_count < BLOCKS_MAX;) {
        blocks[block_count].pages = pages;
        if (EFI_ERROR(
                firmware->AllocatePages(AllocateAnyPages, EfiLoaderData, pages, &blocks[block_count].base))) {
            pages /= 2;
        } else {
            block_count++;
        }
    }
    if (spare_pages != 0) {
        firmware->FreePages(spare, spare_pages);
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
