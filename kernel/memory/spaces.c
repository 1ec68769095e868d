/* Making the kernel's address spaces: the lazily filled range, and user spaces; see <ashlar/vm_kernel.h>. */
#include <ashlar/heap.h>
#include <ashlar/layout.h>
#include <ashlar/memory.h>
#include <ashlar/mmio.h>
#include <ashlar/platform.h>
#include <ashlar/start.h>
#include <ashlar/user_copy.h>
#include <ashlar/vm_kernel.h>
#include <x86/cpuid.h>

#include "kernel/kernel.h"
#include "spaces.h"

struct vm_space kernel_lazy;
static struct vm_manager manager;

struct vm_manager *kernel_vm_manager(void)
{
    START_REQUIRE(START_SPACES);
    return &manager;
}

struct vm_space *kernel_lazy_space(void)
{
    START_REQUIRE(START_SPACES);
    return &kernel_lazy;
}

enum vm_error user_space_create(struct vm_space *space, const char *name)
{
    START_REQUIRE(START_SPACES);
    struct vm_space_config config = {
        .name = name,
        .base = virt_addr(USER_BASE),
        .bytes = USER_END - USER_BASE, /* with five levels, too, as long as nobody asks for more */
        .owner = OWNER_USER,
        .kernel = kernel_page_table(),
    };
    return vm_space_create(space, &manager, &config);
}

/* Device regions have to agree with the kernel's own mappings of the same memory. */
static bool claim_device(void *context, phys_addr_t base, uint64_t bytes, unsigned access,
                         enum page_cache cache)
{
    return mmio_claim(context, base, bytes, access, cache) == MMIO_OK;
}

static void release_device(void *context, phys_addr_t base, uint64_t bytes, unsigned access,
                           enum page_cache cache)
{
    (void)access;
    mmio_release(context, base, bytes, cache);
}

void spaces_start(void)
{
    struct page_table *tables = kernel_page_table();
    struct vm_manager_config config = {.frames = kernel_frames(),
                                       .slabs = &kernel_heap.slabs,
                                       .access = tables->access,
                                       .levels = tables->levels,
                                       .largest_level = tables->largest_level,
                                       .physical_bits = cpu_physical_address_bits(),
                                       .kernel = tables,
                                       .exclusive = 1ULL << OWNER_USER | 1ULL << OWNER_PAGE_TABLES,
                                       .device_claim = claim_device,
                                       .device_release = release_device,
                                       .device_context = &kernel_mmio};
    struct vm_space_config lazy = {.name = "kernel",
                                   .base = virt_addr(LAZY_BASE),
                                   .bytes = LAZY_END - LAZY_BASE,
                                   .owner = OWNER_VMALLOC,
                                   .tables = tables};
    enum vm_error error = vm_manager_init(&manager, &config);
    if (error == VM_OK) {
        error = vm_space_create(&kernel_lazy, &manager, &lazy);
    }
    if (error != VM_OK) {
        panic("address spaces: %s", vm_error_name(error));
    }
}
