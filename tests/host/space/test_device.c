/* Given physical memory: how it is shown, and the claims on it. */
#include "steps.h"

#define REGISTERS GIB(2)

static void device_memory(void **state)
{
    (void)state;
    map((struct vm_request){.source = VM_DEVICE,
                            .bytes = MIB(4),
                            .target = phys_addr(GIB(2)),
                            .cache = CACHE_UNCACHED,
                            .large = true,
                            .address = virt_addr(MIB(2))});
    map((struct vm_request){.source = VM_DEVICE,
                            .bytes = 64 * PAGE,
                            .target = phys_addr(GIB(3)),
                            .cache = CACHE_WRITE_COMBINING,
                            .around = 8,
                            .address = virt_addr(MIB(8))});
    assert_int_equal(vm_space_fault(&space, virt_addr(MIB(3)), VM_READ), VM_FAULT_DEVICE);
    assert_int_equal(vm_space_fault(&space, virt_addr(MIB(8) + 5), VM_READ), VM_FAULT_DEVICE);
    struct page_translation page = page_table_translate(space.table, virt_addr(MIB(3) + 5));
    assert_int_equal(page.target.raw, GIB(2) + MIB(1) + 5);
    assert_int_equal(page.level, PAGE_LEVEL_2M);
    assert_int_equal(page.cache, CACHE_UNCACHED);
    page = page_table_translate(space.table, virt_addr(MIB(8) + 7 * PAGE));
    assert_int_equal(page.target.raw, GIB(3) + 7 * PAGE);
    assert_int_equal(page.cache, CACHE_WRITE_COMBINING);
    assert_false(page_table_translate(space.table, virt_addr(MIB(8) + 8 * PAGE)).mapped);
    assert_int_equal(counts_of(&space).device, 512 + 8);
    assert_int_equal(space.resident, 0);
    struct vm_place place;
    assert_int_equal(vm_frame_places(&vm.manager, phys_addr(GIB(3) + 7 * PAGE + 9), &place, 1), 1);
    assert_int_equal(place.address.raw, MIB(8) + 7 * PAGE);
    assert_true(place.device);
    assert_int_equal(vm_frame_places(&vm.manager, phys_addr(GIB(3) + 8 * PAGE), &place, 1), 0);
    vm_fixture_check(&vm);
    assert_int_equal(vm_space_unmap(&space, virt_addr(MIB(3)), PAGE), VM_OK); /* cuts the large page */
    assert_int_equal(counts_of(&space).device, 511 + 8);
}

/* ---- Claims ---- */

static struct vm_request device_at(uint64_t address, uint64_t target, uint64_t bytes)
{
    return (struct vm_request){.source = VM_DEVICE,
                               .bytes = bytes,
                               .access = RW,
                               .fixed = true,
                               .address = virt_addr(address),
                               .target = phys_addr(target),
                               .cache = CACHE_UNCACHED};
}

static unsigned uncached_claims(uint64_t page, unsigned access)
{
    return claims_on(&vm.claims, REGISTERS + page * PAGE, access, CACHE_UNCACHED);
}

/* Claimed when mapped, released page by page as parts go, and joining two regions loses nothing. */
static void claims_follow_regions(void **state)
{
    (void)state;
    assert_int_equal(try_map(device_at(BASE, REGISTERS, 8 * PAGE)), VM_OK);
    assert_int_equal(vm.claims.claimed, 8);
    assert_int_equal(uncached_claims(7, PAGE_WRITE), 1);
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE + 2 * PAGE), 3 * PAGE), VM_OK);
    assert_int_equal(vm.claims.claimed, 5);
    assert_int_equal(uncached_claims(2, PAGE_WRITE), 0);
    assert_int_equal(uncached_claims(5, PAGE_WRITE), 1);
    assert_int_equal(try_map(device_at(BASE + 2 * PAGE, REGISTERS + 2 * PAGE, 3 * PAGE)), VM_OK);
    assert_int_equal(space.region_count, 1);
    assert_int_equal(vm.claims.claimed, 8);
    assert_int_equal(try_map(device_at(BASE + GIB(1), REGISTERS, 8 * PAGE)), VM_OK);
    assert_int_equal(uncached_claims(2, PAGE_WRITE), 2);
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE), GIB(2)), VM_OK);
    assert_int_equal(vm.claims.claimed, 0);
}

static void another_cache_kind_is_refused(void **state)
{
    (void)state;
    struct vm_request other = device_at(BASE + GIB(1), REGISTERS + 3 * PAGE, 8 * PAGE);
    other.cache = CACHE_WRITE_COMBINING;
    assert_int_equal(try_map(device_at(BASE, REGISTERS, 4 * PAGE)), VM_OK);
    assert_int_equal(try_map(other), VM_CONFLICT);
    assert_string_equal(vm_error_name(VM_CONFLICT), "shown elsewhere in another way");
    assert_int_equal(space.region_count, 1);
    assert_int_equal(vm.claims.claimed, 4);
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE + 3 * PAGE), PAGE), VM_OK);
    assert_int_equal(try_map(other), VM_OK);
    vm_fixture_check(&vm);
}

static void copies_claim_what_they_show(void **state)
{
    (void)state;
    struct vm_space child;
    assert_int_equal(try_map(device_at(BASE, REGISTERS, 4 * PAGE)), VM_OK);
    assert_int_equal(vm_space_copy(&space, virt_addr(MIB(8)), &space, virt_addr(BASE + PAGE), 2 * PAGE),
                     VM_OK);
    assert_int_equal(uncached_claims(1, PAGE_WRITE), 2);
    assert_int_equal(uncached_claims(3, PAGE_WRITE), 1);
    assert_int_equal(vm_space_clone(&space, &child, "child"), VM_OK);
    vm_fixture_add(&child);
    assert_int_equal(vm.claims.claimed, 12);
    vm_fixture_drop(&child);
    assert_int_equal(vm.claims.claimed, 6);
}

/* A copy or a fork that is refused half way leaves no claim, no region and no child. */
static void refused_copies_change_nothing(void **state)
{
    (void)state;
    struct vm_space child;
    map_zeros(BASE, PAGE);
    touch(BASE, MMU_WRITE, VM_FAULT_ZERO);
    assert_int_equal(try_map(device_at(BASE + PAGE, REGISTERS, 4 * PAGE)), VM_OK);
    assert_int_equal(try_map(device_at(BASE + 5 * PAGE, REGISTERS + GIB(1), PAGE)), VM_OK);
    for (unsigned call = 1; call <= 2; call++) {
        vm.claims.refuse_at = vm.claims.calls + call;
        assert_int_equal(vm_space_clone(&space, &child, "child"), VM_CONFLICT);
        assert_int_equal(vm.claims.claimed, 5);
        vm.claims.refuse_at = vm.claims.calls + call;
        assert_int_equal(vm_space_copy(&space, virt_addr(GIB(1)), &space, virt_addr(BASE), 6 * PAGE),
                         VM_CONFLICT);
        assert_int_equal(vm.claims.claimed, 5);
        assert_int_equal(space.region_count, 3);
        vm_fixture_check(&vm);
    }
    touch(BASE, MMU_WRITE, VM_FAULT_REUSED); /* what was shared for a while is written in place */
}

/* Another access is another claim; the old one goes once the TLB has forgotten the page. */
static void protecting_claims_anew(void **state)
{
    (void)state;
    assert_int_equal(try_map(device_at(BASE, REGISTERS, 4 * PAGE)), VM_OK);
    assert_int_equal(vm_space_fault(&space, virt_addr(BASE + PAGE), VM_WRITE), VM_FAULT_DEVICE);
    mmu_model_fill();
    assert_int_equal(vm_space_protect(&space, virt_addr(BASE + PAGE), 2 * PAGE, VM_READ), VM_OK);
    mmu_model_check();
    assert_int_equal(uncached_claims(0, PAGE_WRITE), 1);
    assert_int_equal(uncached_claims(1, PAGE_WRITE), 0);
    assert_int_equal(uncached_claims(1, PAGE_READ), 1);
    assert_int_equal(vm.claims.claimed, 4);
    /* Two of the three parts change; the second is refused. */
    vm.claims.refuse_at = vm.claims.calls + 2;
    assert_int_equal(vm_space_protect(&space, virt_addr(BASE), 4 * PAGE, VM_READ), VM_CONFLICT);
    assert_int_equal(vm.claims.claimed, 4);
    assert_int_equal(uncached_claims(0, PAGE_WRITE), 1);
    assert_int_equal(uncached_claims(0, PAGE_READ), 0);
    assert_int_equal(space.region_count, 3);
    assert_int_equal(vm_space_protect(&space, virt_addr(BASE), 4 * PAGE, VM_READ), VM_OK);
    assert_int_equal(space.region_count, 1);
    assert_int_equal(uncached_claims(3, PAGE_READ), 1);
    assert_int_equal(vm_space_protect(&space, virt_addr(BASE), 4 * PAGE, VM_READ), VM_OK); /* no other */
    assert_int_equal(vm.claims.claimed, 4);
}

/* Without anybody to ask, everything may be shown. */
static void nobody_needs_to_be_asked(void **state)
{
    (void)state;
    vm.manager.config.device_claim = NULL;
    vm.manager.config.device_release = NULL;
    struct vm_request other = device_at(BASE + GIB(1), REGISTERS, PAGE);
    other.cache = CACHE_WRITE_COMBINING;
    assert_int_equal(try_map(device_at(BASE, REGISTERS, PAGE)), VM_OK);
    assert_int_equal(try_map(other), VM_OK);
    assert_int_equal(vm_space_protect(&space, virt_addr(BASE), PAGE, VM_READ), VM_OK);
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE), GIB(2)), VM_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(device_memory),
        TEST(claims_follow_regions),
        TEST(another_cache_kind_is_refused),
        TEST(copies_claim_what_they_show),
        TEST(refused_copies_change_nothing),
        TEST(protecting_claims_anew),
        TEST(nobody_needs_to_be_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
