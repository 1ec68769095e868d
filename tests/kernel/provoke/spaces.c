/* Faults on purpose that an address space does not resolve; see <ashlar/provoke.h> and faults.c. */
#include <ashlar/memory.h>
#include <ashlar/panic.h>
#include <ashlar/platform.h>
#include <ashlar/trap.h>
#include <ashlar/vm_kernel.h>

#include "internal.h"

static volatile uint64_t sink;

/* A page of the kernel's lazy range, above a guard. */
static uint64_t lazy_page(enum vm_source source, unsigned access)
{
    virt_addr_t address;
    const struct vm_request request = {
        .source = source, .bytes = FRAME_BYTES, .access = access, .guard = FRAME_BYTES};
    enum vm_error error = vm_space_map(kernel_lazy_space(), &request, &address);
    if (error != VM_OK) {
        panic("no page to provoke with: %s", vm_error_name(error));
    }
    return address.raw;
}

void provoke_lazy_guard(void)
{
    sink = READ_AT(lazy_page(VM_ZERO, VM_READ) - sizeof(uint64_t));
}

void provoke_lazy_reserved(void)
{
    sink = READ_AT(lazy_page(VM_NOTHING, VM_READ));
}

void provoke_lazy_denied(void)
{
    WRITE_AT(lazy_page(VM_ZERO, VM_READ));
}

void provoke_lazy_no_memory(void)
{
    uint64_t address = lazy_page(VM_ZERO, VM_READ | VM_WRITE);
    while (frame_alloc_zeroed(kernel_frames(), OWNER_TEST).raw != 0) {
    }
    WRITE_AT(address);
}

/* As one who holds a lock would do it. */
void provoke_lazy_preempt(void)
{
    uint64_t address = lazy_page(VM_ZERO, VM_READ);
    preempt_disable();
    sink = READ_AT(address);
}

/* Has a space refuse an access that may fail; returns where. */
static uint64_t refused_once(void)
{
    static struct vm_space user;
    virt_addr_t address;
    const struct vm_request request = {.source = VM_NOTHING, .bytes = FRAME_BYTES, .access = VM_READ};
    enum vm_error error = user_space_create(&user, "forbidden");
    error = error == VM_OK ? vm_space_map(&user, &request, &address) : error;
    if (error != VM_OK) {
        panic("no page to provoke with: %s", vm_error_name(error));
    }
    uint64_t word;
    space_load(&user);
    user_access_begin();
    memory_try_read(&word, address, sizeof word);
    user_access_end();
    return address.raw;
}

/* The same without leave: that is not the space's to refuse. */
void provoke_user_forbidden(void)
{
    uint64_t address = refused_once();
    sink = READ_AT(address);
}

/* Nor is anything at the address that stands for none. */
void provoke_null_forbidden(void)
{
    refused_once();
    sink = READ_AT(sink); /* 0 as yet */
}
