/* Copies from and to user memory: where each ends, what it leaves, and memory that goes meanwhile. */
#include <ashlar/heap.h>
#include <ashlar/memory.h>
#include <ashlar/processor.h>
#include <ashlar/string.h>
#include <ashlar/test.h>
#include <ashlar/user_copy.h>
#include <ashlar/vm_kernel.h>
#include <x86/interrupt_flag.h>

#define BASE  0x10000000ULL /* two pages to write; behind them nothing lies */
#define END   (BASE + 2 * FRAME_BYTES)
#define READ  0x20000000ULL /* a page to read, behind it one of a pager that fails */
#define HOLE  0x30000000ULL /* pages of the pager that unmaps */
#define EDGE  24            /* bytes around a boundary */
#define SPACE "copy test"

static struct vm_space space;

static phys_addr_t give_nothing(struct vm_pager *pager, uint64_t offset, bool wait)
{
    (void)pager, (void)offset, (void)wait;
    return phys_addr(0);
}

/* What another thread might do while the copy waits for a page. */
static phys_addr_t unmap_meanwhile(struct vm_pager *pager, uint64_t offset, bool wait)
{
    (void)pager, (void)offset, (void)wait;
    phys_addr_t frame = frame_alloc_zeroed(kernel_frames(), OWNER_USER);
    frame_note_clear(frame_descriptor(kernel_frames(), frame));
    vm_space_unmap(&space, virt_addr(HOLE), 2 * FRAME_BYTES);
    return frame;
}

static struct vm_pager failing;
static struct vm_pager unmapping;

static bool map(uint64_t base, struct vm_request request)
{
    virt_addr_t address;
    request.fixed = true;
    request.address = virt_addr(base);
    return vm_space_map(&space, &request, &address) == VM_OK;
}

static void drop(void *object)
{
    space_load(NULL);
    vm_space_destroy(object);
    vm_pager_put(&failing); /* its maker's references */
    vm_pager_put(&unmapping);
}

static bool begin(void)
{
    failing = (struct vm_pager){.get = give_nothing, .references = 1};
    unmapping = (struct vm_pager){.get = unmap_meanwhile, .references = 1};
    if (user_space_create(&space, SPACE) != VM_OK) {
        return false;
    }
    kernel_test_undo_later(drop, &space);
    space_load(&space);
    return map(BASE,
               (struct vm_request){.source = VM_ZERO, .bytes = END - BASE, .access = VM_READ | VM_WRITE}) &&
           map(READ, (struct vm_request){.source = VM_ZERO, .bytes = FRAME_BYTES, .access = VM_READ}) &&
           map(READ + FRAME_BYTES, (struct vm_request){.source = VM_PAGER,
                                                       .bytes = FRAME_BYTES,
                                                       .access = VM_READ | VM_WRITE,
                                                       .pager = &failing}) &&
           map(HOLE, (struct vm_request){.source = VM_PAGER,
                                         .bytes = 2 * FRAME_BYTES,
                                         .access = VM_READ | VM_WRITE,
                                         .pager = &unmapping});
}

static bool access_is_off(void)
{
    return (rflags_read() & RFLAGS_ACCESS) == 0;
}

KERNEL_TEST(user_copy_ends_at_the_first_byte_that_is_not_there)
{
    uint8_t out[2 * EDGE];
    uint8_t in[2 * EDGE];
    EXPECT(begin());
    for (unsigned i = 0; i < sizeof out; i++) {
        out[i] = (uint8_t)(i + 1);
    }
    for (uint64_t before = 0; before < EDGE; before++) {
        for (uint64_t bytes = 0; bytes <= sizeof out; bytes++) {
            user_addr_t at = user_addr(END - before);
            uint64_t fit = min_u64(before, bytes);
            EXPECT_EQUAL(copy_some_to_user(at, out, bytes), fit);
            memset(in, 0, sizeof in);
            EXPECT_EQUAL(copy_some_from_user(in, at, bytes), fit);
            EXPECT(memcmp(in, out, fit) == 0);
            EXPECT_EQUAL(copy_to_user(at, out, bytes), fit == bytes);
            EXPECT_EQUAL(copy_from_user(in, at, bytes), fit == bytes);
            EXPECT_EQUAL(clear_user(at, bytes), fit == bytes);
            EXPECT_EQUAL(copy_some_from_user(in, at, fit), fit);
            EXPECT(fit == 0 || (in[0] == 0 && in[fit - 1] == 0));
        }
    }
    EXPECT(access_is_off());
}

KERNEL_TEST(user_copy_reaches_no_kernel_memory)
{
    static uint64_t secret = 0x5ec4e7;
    static const uint64_t ends[] = {USER_END, USER_END - 4, 0x0000800000000000ULL, 0xffff800000000000ULL,
                                    UINT64_MAX - 3};
    uint64_t word = 7;
    EXPECT(begin());
    for (size_t i = 0; i <= ARRAY_LENGTH(ends); i++) {
        user_addr_t at = user_addr(i < ARRAY_LENGTH(ends) ? ends[i] : (uintptr_t)&secret);
        uint32_t expected = 0x5ec4e7;
        EXPECT(!copy_from_user(&word, at, sizeof word));
        EXPECT(!copy_to_user(at, &word, sizeof word));
        EXPECT(!copy_from_user_no_fault(&word, at, sizeof word));
        EXPECT(!copy_to_user_no_fault(at, &word, sizeof word));
        EXPECT(!clear_user(at, sizeof word));
        EXPECT(!get_user_64(&word, at));
        EXPECT(!put_user_64(at, 0));
        EXPECT(!compare_exchange_user_32(at, &expected, 0));
        EXPECT_EQUAL(strncpy_from_user((char *)&word, at, sizeof word), USER_STRING_FAULT);
    }
    EXPECT(!copy_from_user(&word, user_addr(BASE), UINT64_MAX));
    EXPECT(!copy_from_user(&word, user_addr((uintptr_t)&secret), 0));
    EXPECT_EQUAL(word, 7);
    EXPECT_EQUAL(secret, 0x5ec4e7);
    EXPECT(access_is_off());
}

KERNEL_TEST(user_copy_obeys_the_regions)
{
    uint64_t word = 7;
    uint32_t half = 7;
    EXPECT(begin());
    EXPECT(get_user_64(&word, user_addr(READ)) && word == 0);
    EXPECT(!put_user_64(user_addr(READ), 1));
    EXPECT(!put_user_32(user_addr(READ), 1));
    EXPECT(!compare_exchange_user_32(user_addr(READ), &half, 1) && half == 7);
    EXPECT(!get_user_32(&half, user_addr(READ + FRAME_BYTES)) && half == 7); /* its pager fails */
    EXPECT(put_user_64(user_addr(BASE + 4), 0x1122334455667788));
    EXPECT(get_user_32(&half, user_addr(BASE + 4)) && half == 0x55667788);
    EXPECT(put_user_32(user_addr(BASE), 9));
    half = 8;
    EXPECT(compare_exchange_user_32(user_addr(BASE), &half, 1) && half == 9);
    EXPECT(compare_exchange_user_32(user_addr(BASE), &half, 1) && half == 9);
    EXPECT(get_user_64(&word, user_addr(BASE)) && word == 0x5566778800000001);
    EXPECT(access_is_off());
}

KERNEL_TEST(user_copy_of_strings_knows_their_ends)
{
    char text[8];
    EXPECT(begin());
    EXPECT(copy_to_user(user_addr(END - 5), "word", 5));
    EXPECT_EQUAL(strncpy_from_user(text, user_addr(END - 5), sizeof text), 4);
    EXPECT(strcmp(text, "word") == 0);
    EXPECT_EQUAL(strncpy_from_user(text, user_addr(END - 5), 5), 4);
    EXPECT_EQUAL(strncpy_from_user(text, user_addr(END - 5), 4), USER_STRING_TOO_LONG);
    EXPECT_EQUAL(strncpy_from_user(text, user_addr(END - 1), 1), 0);
    EXPECT(copy_to_user(user_addr(END - 1), "d", 1));
    EXPECT_EQUAL(strncpy_from_user(text, user_addr(END - 5), sizeof text), USER_STRING_FAULT);
    EXPECT_EQUAL(strncpy_from_user(text, user_addr(END), sizeof text), USER_STRING_FAULT);
    EXPECT(access_is_off());
}

KERNEL_TEST(user_copy_without_faults_takes_only_what_is_there)
{
    uint64_t word = 7;
    EXPECT(begin());
    EXPECT(!copy_from_user_no_fault(&word, user_addr(BASE), sizeof word));
    EXPECT(!copy_to_user_no_fault(user_addr(BASE), &word, sizeof word));
    EXPECT_EQUAL(space.resident, 0);
    EXPECT(put_user_64(user_addr(BASE + FRAME_BYTES - 4), word));
    EXPECT(copy_to_user_no_fault(user_addr(BASE + FRAME_BYTES - 4), &word, sizeof word));
    EXPECT_EQUAL(copy_some_from_user_no_fault(&word, user_addr(END - 4), sizeof word), 4);
    EXPECT_EQUAL(copy_some_to_user_no_fault(user_addr(END - 4), &word, sizeof word), 4);
    EXPECT(access_is_off());
}

/* The pager takes the region away under the copy that waits for its page. */
KERNEL_TEST(user_copy_survives_that_its_memory_goes)
{
    uint8_t bytes[64] = {0};
    EXPECT(begin());
    EXPECT_EQUAL(copy_some_to_user(user_addr(HOLE + 8), bytes, sizeof bytes), 0);
    EXPECT(!vm_space_find(&space, virt_addr(HOLE), &(struct vm_region_facts){0}));
    EXPECT(access_is_off());
}

#define ROUNDS 2000
#define COPIED (3 * FRAME_BYTES / 2)

static bool copied_well;

/* The boot CPU copies; the others unmap and map what it copies to. */
static void copy_or_unmap(void *context, unsigned cpu)
{
    const uint8_t *bytes = context;
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (cpu == 0) {
            uint64_t copied = copy_some_to_user(user_addr(BASE), bytes, COPIED);
            copied_well = copied_well && copied <= COPIED && access_is_off();
        } else if (vm_space_unmap(&space, virt_addr(BASE), END - BASE) == VM_OK) {
            map(BASE,
                (struct vm_request){.source = VM_ZERO, .bytes = END - BASE, .access = VM_READ | VM_WRITE});
        }
    }
}

KERNEL_TEST(user_copy_survives_other_cpus_that_unmap)
{
    if (processors_online() < 2) {
        kernel_test_skip("one CPU only");
        return;
    }
    EXPECT(begin());
    void *bytes = heap_alloc_zeroed(&kernel_heap, COPIED);
    EXPECT(bytes != NULL);
    copied_well = true;
    EXPECT(processors_run(copy_or_unmap, bytes));
    heap_free(&kernel_heap, bytes);
    EXPECT(copied_well);
    struct vm_problem problem;
    EXPECT(vm_space_check(&space, &problem));
}
