/* Whole validators run at random moments in builds with assertions, and never in others. */
#include <ashlar/assert.h>
#include <ashlar/frame.h>
#include <ashlar/memory.h>
#include <ashlar/test.h>
#include <ashlar/validate.h>

#ifdef ASHLAR_DEBUG
#define EXPECTED true
#else
#define EXPECTED false
#endif

KERNEL_TEST(validators_run_now_and_then)
{
    uint64_t before = validate_runs();
    const struct frame_request request = {.frames = 3, .owner = OWNER_TEST};
    for (unsigned i = 0; i < 20 * VALIDATE_ONE_IN; i++) {
        phys_addr_t run;
        EXPECT_EQUAL(frame_alloc_request(kernel_frames(), &request, &run), FRAME_OK);
        frame_free_run(kernel_frames(), run, request.frames);
    }
    EXPECT((validate_runs() > before) == EXPECTED);
}
