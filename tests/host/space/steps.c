#include "steps.h"

struct vm_fixture vm;
struct vm_space space;

int start(void **state)
{
    (void)state;
    vm_fixture_start(&vm, MIB(24));
    vm_fixture_space(&vm, &space, "test");
    return 0;
}

int stop(void **state)
{
    (void)state;
    vm_fixture_check(&vm);
    vm_fixture_drop(&space);
    vm_fixture_stop(&vm);
    return 0;
}

struct vm_request zeros_at(uint64_t address, uint64_t bytes)
{
    return (struct vm_request){.name = "zeros",
                               .source = VM_ZERO,
                               .bytes = bytes,
                               .access = RW,
                               .fixed = true,
                               .address = virt_addr(address)};
}

enum vm_error try_map(struct vm_request request)
{
    virt_addr_t address;
    return vm_space_map(&space, &request, &address);
}

void map_zeros(uint64_t address, uint64_t bytes)
{
    assert_int_equal(try_map(zeros_at(address, bytes)), VM_OK);
}

void map_in(struct vm_space *in, struct vm_request request)
{
    virt_addr_t address;
    request.fixed = true;
    assert_int_equal(vm_space_map(in, &request, &address), VM_OK);
}

void map(struct vm_request request)
{
    request.address = request.address.raw ? request.address : virt_addr(BASE);
    request.access = request.access ? request.access : RW;
    map_in(&space, request);
}

uint64_t *touch_in(struct vm_space *in, uint64_t address, enum mmu_use use, enum vm_fault expected)
{
    enum vm_fault fault;
    mmu_model_fill();
    uint64_t *memory = vm_touch(in, address, use, &fault);
    assert_string_equal(vm_fault_name(fault), vm_fault_name(expected));
    assert_int_equal(memory != NULL, expected == VM_FAULT_COUNT || vm_fault_resolved(expected));
    mmu_model_check();
    vm_fixture_check(&vm);
    return memory;
}

uint64_t *touch(uint64_t address, enum mmu_use use, enum vm_fault expected)
{
    return touch_in(&space, address, use, expected);
}

struct vm_counts counts_of(struct vm_space *in)
{
    struct vm_counts counts;
    vm_space_count(in, virt_addr(in->base), in->end - in->base, &counts);
    return counts;
}
