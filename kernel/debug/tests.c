/* The in-kernel tests that the linker collected from all files; see <ashlar/test.h>. */
#include <ashlar/boot.h>
#include <ashlar/test.h>

/* Bounds of the section "ashlar_tests" (arch/x86_64/boot/kernel.ld). */
extern const struct kernel_test ashlar_tests_start[];
extern const struct kernel_test ashlar_tests_end[];

bool kernel_tests_are_loaded(void)
{
    const struct boot_info *info = boot_info(); /* NULL when the kernel panics before it has looked at it */
    bool loaded = false;
    for (uint32_t i = 0; info != NULL && i < info->kernel.segment_count; i++) {
        uint64_t base = info->kernel.segments[i].virtual_base.raw;
        loaded |= (uintptr_t)ashlar_tests_start - base < info->kernel.segments[i].bytes;
    }
    return loaded;
}

unsigned kernel_tests_run(const char *pattern, const struct kernel_test_order *order)
{
    return kernel_tests_run_array(ashlar_tests_start, (size_t)(ashlar_tests_end - ashlar_tests_start),
                                  pattern, order);
}
