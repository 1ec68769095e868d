/*
 * What the loader hands over: the check of its first fields, the accessors, and what an address belongs to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <ashlar/boot.h>
#include <ashlar/layout.h>
#include <ashlar/trap.h>

#define STACK_BOTTOM (BOOT_STACK_BASE + FRAME_BYTES)
#define PHYSMAP      (PHYSMAP_BASE + GIB(7))

/* A machine whose physmap ends at 4 GiB, with a kernel of three segments and a small screen. */
static const struct boot_info sample = {
    .magic = BOOT_INFO_MAGIC,
    .version = BOOT_INFO_VERSION,
    .size = sizeof(struct boot_info),
    .kernel =
        {.stack_bottom = {STACK_BOTTOM},
         .stack_bytes = 4 * FRAME_BYTES,
         .segment_count = 3,
         .segments = {{.virtual_base = {IMAGE_BASE + MIB(1)}, .bytes = MIB(1), .flags = BOOT_SEGMENT_EXECUTE},
                      {.virtual_base = {IMAGE_BASE + MIB(2)}, .bytes = FRAME_BYTES, .flags = 0},
                      {.virtual_base = {IMAGE_BASE + MIB(3)},
                       .bytes = FRAME_BYTES,
                       .flags = BOOT_SEGMENT_WRITE}}},
    .framebuffer = {.virtual_base = {BOOT_VIDEO_BASE}, .bytes = MIB(4)},
    .paging = {.physmap = {PHYSMAP}, .physmap_bytes = GIB(4), .levels = 4},
};

static void a_kernel_takes_what_it_understands(void **state)
{
    (void)state;
    struct boot_info info = sample;
    assert_null(boot_info_check(&info));
    info.size += 8; /* fields added at the end */
    assert_null(boot_info_check(&info));
    info.size = sizeof info - 1;
    assert_non_null(strstr(boot_info_check(&info), "shorter"));
    info.version++;
    assert_non_null(strstr(boot_info_check(&info), "version"));
    info.magic ^= 1;
    assert_non_null(strstr(boot_info_check(&info), "magic"));
}

static void tables_are_read_through_the_physmap(void **state)
{
    (void)state;
    static struct {
        struct memory_range map[2];
        char line[16];
    } memory = {{{{0}, MIB(1), MEMORY_USABLE, 0}}, "quiet"};
    struct boot_info info = sample;
    size_t count;
    info.paging.physmap = virt_addr((uintptr_t)&memory - MIB(1));
    info.memory_map = (struct boot_table){phys_addr(MIB(1)), sizeof memory.map, 2, sizeof memory.map[0]};
    info.command_line.base = phys_addr(MIB(1) + sizeof memory.map);
    boot_info_keep(&info);
    assert_ptr_equal(boot_info(), &info);
    assert_ptr_equal(boot_memory_map(&count), memory.map);
    assert_int_equal(count, 2);
    assert_string_equal(boot_command_line(), "quiet");
    assert_ptr_equal(physmap_pointer(phys_addr(MIB(1) + 5)), (char *)&memory + 5);
}

/* From the first to the last byte of a stretch, and no further. */
static void memory_of_boot_info_is_told_by_the_map(void **state)
{
    (void)state;
    static const struct memory_range map[] = {{{0}, MIB(1), MEMORY_USABLE, 0},
                                              {{MIB(1)}, MIB(2), MEMORY_BOOT_INFO, 0},
                                              {{MIB(3)}, MIB(1), MEMORY_KERNEL, 0}};
    struct boot_info info = sample;
    info.paging.physmap = virt_addr((uintptr_t)map);
    info.memory_map = (struct boot_table){phys_addr(0), sizeof map, ARRAY_LENGTH(map), sizeof map[0]};
    boot_info_keep(&info);
    assert_true(boot_info_holds(phys_addr(MIB(1)), MIB(2)));
    assert_true(boot_info_holds(phys_addr(MIB(3) - 1), 1));
    assert_false(boot_info_holds(phys_addr(MIB(1)), MIB(2) + 1));
    assert_false(boot_info_holds(phys_addr(MIB(3) - 1), 2));
    assert_false(boot_info_holds(phys_addr(MIB(2)), UINT64_MAX));
    assert_false(boot_info_holds(phys_addr(MIB(1) - 1), 1));
    assert_false(boot_info_holds(phys_addr(MIB(3)), 1));
    assert_false(boot_info_holds(phys_addr(MIB(4)), 1));
}

static void expect_region(uint64_t address, const char *name, uint64_t base, uint64_t bytes)
{
    struct memory_region region = {.name = ""};
    assert_true(region_find(virt_addr(address), &region));
    assert_string_equal(region.name, name);
    assert_int_equal(region.base.raw, base);
    assert_int_equal(region.bytes, bytes);
    assert_int_equal(region.guard, strstr(name, "guard") != NULL);
}

/* From its first to its last byte. */
static void expect_whole(const char *name, uint64_t base, uint64_t bytes)
{
    expect_region(base, name, base, bytes);
    expect_region(base + bytes - 1, name, base, bytes);
}

static void every_room_has_a_name(void **state)
{
    (void)state;
    boot_info_keep(&sample);
    expect_whole("null area", 0, KIB(64));
    expect_region(KIB(64), "user half", 0, 1ULL << 47);
    expect_whole("physmap", PHYSMAP, GIB(4));
    expect_region(PHYSMAP - 1, "unused room around the physmap", PHYSMAP_BASE, PHYSMAP_END - PHYSMAP_BASE);
    expect_region(PHYSMAP + GIB(4), "unused room around the physmap", PHYSMAP_BASE,
                  PHYSMAP_END - PHYSMAP_BASE);
    expect_whole("frame descriptors", DESCRIPTORS_BASE, ARENA_BASE - DESCRIPTORS_BASE);
    expect_whole("kernel address arena", ARENA_BASE, ARENA_END - ARENA_BASE);
    expect_whole("framebuffer", BOOT_VIDEO_BASE, MIB(4));
    expect_whole("temporary mappings", TEMPORARY_BASE, TEMPORARY_BYTES);
}

static void the_image_and_its_stack_are_told_apart(void **state)
{
    (void)state;
    boot_info_keep(&sample);
    expect_whole("kernel code", IMAGE_BASE + MIB(1), MIB(1));
    expect_whole("kernel constants", IMAGE_BASE + MIB(2), FRAME_BYTES);
    expect_whole("kernel data", IMAGE_BASE + MIB(3), FRAME_BYTES);
    expect_region(IMAGE_BASE, "unused room around the kernel image", IMAGE_BASE, IMAGE_END - IMAGE_BASE);
    expect_whole("boot stack", STACK_BOTTOM, 4 * FRAME_BYTES);
    expect_whole("guard page below the boot stack", STACK_BOTTOM - FRAME_BYTES, FRAME_BYTES);
}

static void an_address_of_nobody_has_none(void **state)
{
    (void)state;
    struct memory_region region;
    boot_info_keep(&sample);
    assert_false(region_find(virt_addr(1ULL << 47), &region));
    assert_false(region_find(virt_addr(STACK_BOTTOM + 4 * FRAME_BYTES), &region));
    assert_false(region_find(virt_addr(UINT64_MAX), &region));
}

static unsigned described;

static bool resolve(virt_addr_t address, struct memory_region *region)
{
    *region = (struct memory_region){address, 1, "mine", false};
    return address.raw == ARENA_BASE + 1;
}

static bool describe(virt_addr_t address)
{
    described += address.raw == ARENA_BASE + 1;
    return address.raw == ARENA_BASE + 1;
}

/* What a subsystem says of its own addresses goes first, and others are asked when it does not know. */
static void subsystems_answer_for_their_own(void **state)
{
    (void)state;
    static struct region_resolver speaking = {.resolve = resolve, .describe = describe};
    static struct region_resolver silent = {.resolve = resolve};
    boot_info_keep(&sample);
    region_describe(virt_addr(ARENA_BASE + 1));
    assert_int_equal(described, 0);
    region_resolver_add(&speaking);
    region_resolver_add(&silent);
    expect_region(ARENA_BASE + 1, "mine", ARENA_BASE + 1, 1);
    expect_region(ARENA_BASE + 2, "kernel address arena", ARENA_BASE, ARENA_END - ARENA_BASE);
    region_describe(virt_addr(ARENA_BASE + 1));
    region_describe(virt_addr(ARENA_BASE + 2));
    assert_int_equal(described, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kernel_takes_what_it_understands),
        cmocka_unit_test(tables_are_read_through_the_physmap),
        cmocka_unit_test(memory_of_boot_info_is_told_by_the_map),
        cmocka_unit_test(every_room_has_a_name),
        cmocka_unit_test(the_image_and_its_stack_are_told_apart),
        cmocka_unit_test(an_address_of_nobody_has_none),
        cmocka_unit_test(subsystems_answer_for_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
