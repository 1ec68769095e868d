/* Out of memory in page faults, of every kind. */
#include "shortage.h"

#define AT GIB(7) /* where nothing else is: three tables are missing */

static bool fault_zero(void)
{
    return is_resolved(vm_space_fault(&space, virt_addr(AT), VM_WRITE), VM_FAULT_ZERO);
}

static bool fault_zero_page(void)
{
    return is_resolved(vm_space_fault(&space, virt_addr(AT), VM_READ), VM_FAULT_ZERO_READ);
}

static void map_empty(void)
{
    unmap_all();
    map((struct vm_request){.source = VM_ZERO, .bytes = PAGE, .address = virt_addr(AT)});
}

static bool fault_device(void)
{
    return is_resolved(vm_space_fault(&space, virt_addr(AT), VM_READ), VM_FAULT_DEVICE);
}

static void map_device(void)
{
    unmap_all();
    map((struct vm_request){.source = VM_DEVICE,
                            .bytes = 8 * PAGE,
                            .around = 8,
                            .target = phys_addr(GIB(9)),
                            .address = virt_addr(AT)});
}

static struct vm_space child;

static bool fault_copy(void)
{
    return is_resolved(vm_space_fault(&space, virt_addr(AT), VM_WRITE), VM_FAULT_COPIED);
}

static void map_shared(void)
{
    enum vm_fault fault;
    map_empty();
    vm_touch(&space, AT, MMU_WRITE, &fault);
    if (child.manager) {
        vm_space_destroy(&child);
    }
    assert_int_equal(vm_space_clone(&space, &child, "child"), VM_OK);
}

static bool fault_stack(void)
{
    return is_resolved(vm_space_fault(&space, virt_addr(AT + PAGE), VM_WRITE), VM_FAULT_STACK);
}

static void map_stack(void)
{
    unmap_all();
    map((struct vm_request){
        .source = VM_STACK, .bytes = 2 * PAGE, .guard = PAGE, .around = 2, .address = virt_addr(AT)});
}

static void faulting(void **state)
{
    (void)state;
    map_empty();
    assert_true(exhaust(fault_zero, map_empty) >= 4); /* three tables and the frame */
    assert_true(exhaust(fault_zero_page, map_empty) >= 3);
    map_device();
    assert_true(exhaust(fault_device, map_device) >= 3);
    map_stack();
    assert_true(exhaust(fault_stack, map_stack) >= 4);
    child.manager = NULL;
    map_shared();
    assert_true(exhaust(fault_copy, map_shared) >= 1);
    vm_space_destroy(&child);
}

/* The zero page is there, and a frame must take its place. */
static void map_read(void)
{
    map_empty();
    assert_int_equal(vm_space_fault(&space, virt_addr(AT), VM_READ), VM_FAULT_ZERO_READ);
}

static void faulting_where_a_page_was_read(void **state)
{
    (void)state;
    map_read();
    assert_int_equal(exhaust(fault_zero, map_read), 1); /* the frame */
}

/* ---- 2 MiB ---- */

static bool fault_large(void)
{
    return is_resolved(vm_space_fault(&space, virt_addr(AT + PAGE), VM_WRITE), VM_FAULT_LARGE);
}

static void map_large(void)
{
    unmap_all();
    map((struct vm_request){.source = VM_ZERO, .bytes = MIB(2), .large = true, .address = virt_addr(AT)});
}

static void map_large_device(void)
{
    unmap_all();
    map((struct vm_request){.source = VM_DEVICE,
                            .bytes = MIB(2),
                            .large = true,
                            .target = phys_addr(GIB(9)),
                            .address = virt_addr(AT)});
}

static void faulting_in_large_pages(void **state)
{
    (void)state;
    keeps_block = true;
    map_large();
    assert_int_equal(exhaust(fault_large, map_large), 2); /* two tables; the block is there */
    map_large_device();
    keeps_block = false;
    assert_int_equal(exhaust(fault_device, map_large_device), 2);
    assert_int_equal(vm_space_fault(&space, virt_addr(AT), VM_READ), VM_FAULT_DEVICE);
    assert_int_equal(page_table_translate(space.table, virt_addr(AT)).level, PAGE_LEVEL_2M);
}

/* ---- Pagers ---- */

static struct test_pager pager;

static bool fault_paged(void)
{
    enum vm_fault fault = vm_space_fault(&space, virt_addr(AT), VM_WRITE);
    return fault != VM_FAULT_PAGER_FAILED && is_resolved(fault, VM_FAULT_PAGED);
}

static bool fault_paged_shared(void)
{
    enum vm_fault fault = vm_space_fault(&space, virt_addr(AT), VM_READ);
    return fault != VM_FAULT_PAGER_FAILED && is_resolved(fault, VM_FAULT_PAGED);
}

static void map_pager(void)
{
    unmap_all();
    map((struct vm_request){
        .source = VM_PAGER, .bytes = PAGE, .pager = &pager.pager, .address = virt_addr(AT)});
}

static void map_pager_again(void)
{
    assert_int_equal(vm_space_unmap(&space, virt_addr(AT), PAGE), VM_OK);
    map((struct vm_request){
        .source = VM_PAGER, .bytes = PAGE, .pager = &pager.pager, .address = virt_addr(AT)});
}

static void paging(void **state)
{
    (void)state;
    test_pager_start(&pager, &vm);
    map_pager();
    assert_true(exhaust(fault_paged, map_pager) >= 4);
    /* The page is seen elsewhere already: one more takes tables only. */
    map((struct vm_request){.source = VM_PAGER, .bytes = PAGE, .pager = &pager.pager});
    enum vm_fault fault;
    vm_touch(&space, BASE, MMU_READ, &fault);
    assert_true(exhaust(fault_paged_shared, map_pager_again) >= 2);
    unmap_all();
    test_pager_stop(&pager);
}

/*
 * Neighbours are a favour, for which the page's own table is enough. Each is shown elsewhere already.
 */
static void map_pager_around(void)
{
    unmap_all();
    for (uint64_t copy = 0; copy < 2; copy++) {
        map((struct vm_request){.source = VM_PAGER,
                                .bytes = 8 * PAGE,
                                .pager = &pager.pager,
                                .shared = true,
                                .around = copy == 0 ? 1 : 8,
                                .address = virt_addr(copy == 0 ? BASE : AT)});
    }
    for (uint64_t i = 0; i < 8; i++) {
        assert_int_equal(vm_space_fault(&space, virt_addr(BASE + i * PAGE), VM_READ), VM_FAULT_PAGED);
    }
}

static void paging_neighbours(void **state)
{
    (void)state;
    test_pager_start(&pager, &vm);
    map_pager_around();
    assert_true(exhaust(fault_paged_shared, map_pager_around) >= 2);
    assert_true(vm_fault_resolved(vm_space_fault(&space, virt_addr(AT), VM_READ)));
    assert_int_equal(space.resident, 16);
    unmap_all();
    test_pager_stop(&pager);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(faulting),
        TEST(faulting_where_a_page_was_read),
        TEST(faulting_in_large_pages),
        TEST(paging),
        TEST(paging_neighbours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
