/* What the loader and the kernel's entry leave behind. */
#include <ashlar/test.h>
#include <ashlar/types.h>

/* Every function keeps the stack as its caller had it, so one that is wrong here was wrong at the entry
 * (System V ABI, 3.2.2: 16-byte aligned at a call, and the saved frame pointer lies two words below). */
KERNEL_TEST(boot_stack_is_aligned)
{
    EXPECT_EQUAL((uintptr_t)__builtin_frame_address(0) % 16, 0);
}
