/* The vDSO's two pages, the clock's and the code's, and how programs get them; see vdso.h. */
#include "vdso.h"

#include <ashlar/clock.h>
#include <ashlar/memory.h>
#include <ashlar/string.h>

enum vdso_page { VDSO_CLOCK, VDSO_CODE, VDSO_PAGES };

extern const uint8_t vdso_file[];
extern const uint8_t vdso_file_end[];

static phys_addr_t frames[VDSO_PAGES]; /* written once, before programs are loaded */
static bool prepared;

/* All programs have the same frames, which are the kernel's for good. */
static phys_addr_t give(struct vm_pager *pager, uint64_t offset, bool wait)
{
    phys_addr_t frame = frames[offset / FRAME_BYTES];
    (void)pager;
    (void)wait;
    return frame_try_get(kernel_frames(), frame) == FRAME_OK ? frame : FRAME_NONE;
}

static struct vm_pager pager = {.get = give, .references = 1};

void vdso_prepare(void)
{
    size_t bytes = (size_t)(vdso_file_end - vdso_file);
    if (prepared || bytes > FRAME_BYTES) {
        return;
    }
    for (unsigned i = 0; i < VDSO_PAGES; i++) {
        frames[i] = frames[i].raw != 0 ? frames[i] : frame_alloc_zeroed(kernel_frames(), OWNER_OTHER);
        if (frames[i].raw == 0) {
            return;
        }
    }
    memcpy(frame_pointer(kernel_frames(), frames[VDSO_CODE]), vdso_file, bytes);
    clock_share(frame_pointer(kernel_frames(), frames[VDSO_CLOCK]));
    prepared = true;
}

static bool map(struct memory *memory, const char *name, enum vdso_page page, unsigned access, bool fixed,
                virt_addr_t *address)
{
    const struct vm_request request = {.name = name,
                                       .source = VM_PAGER,
                                       .bytes = FRAME_BYTES,
                                       .access = access,
                                       .fixed = fixed,
                                       .address = *address,
                                       .pager = &pager,
                                       .offset = (uint64_t)page * FRAME_BYTES};
    return vm_space_map(&memory->space, &request, address) == VM_OK;
}

/* The clock's page alone would be of no use, and does no harm. */
uint64_t vdso_map(struct memory *memory, uint64_t base)
{
    virt_addr_t clock = virt_addr(base);
    if (!prepared || !map(memory, "[vvar]", VDSO_CLOCK, VM_READ, false, &clock)) {
        return 0;
    }
    virt_addr_t code = virt_addr(clock.raw + FRAME_BYTES);
    return map(memory, "[vdso]", VDSO_CODE, VM_READ | VM_EXECUTE, true, &code) ? code.raw : 0;
}
