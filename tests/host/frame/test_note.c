/*
 * The notes in descriptors: which kind one is of, what goes in comes out, and whose notes one may not write.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pc.h"
#include "tests/host/support/host.h"

/* The descriptor of a new single frame of an owner. */
static struct frame_descriptor *descriptor_for(enum frame_owner owner)
{
    struct frame_descriptor *descriptor = frame_descriptor(&pc.pool, frame_alloc(&pc.pool, 0, owner));
    frame_note_clear(descriptor);
    return descriptor;
}

static enum frame_note_kind kind_of(uint64_t raw)
{
    return frame_note_kind((union frame_note){.raw = raw});
}

static void the_lowest_bits_tell_the_kind(void **state)
{
    (void)state;
    static const enum frame_note_kind kinds[] = {FRAME_NOTE_PLAIN, FRAME_NOTE_PAGE, FRAME_NOTE_SLAB,
                                                 FRAME_NOTE_PAGE,  FRAME_NOTE_SLAB, FRAME_NOTE_PAGE,
                                                 FRAME_NOTE_SLAB,  FRAME_NOTE_PAGE};
    for (uint64_t low = 0; low < 1 << FRAME_NOTE_KIND_BITS; low++) {
        assert_int_equal(kind_of(low), kinds[low]);
        assert_int_equal(kind_of(0xffff812345678900 | low), kinds[low]);
    }
}

static void a_record_and_its_number_come_back(void **state)
{
    (void)state;
    static const uint64_t addresses[] = {0x1000, 0x7ffffffff000, 0xffff800000000008, 0xfffffffffffffff8};
    for (size_t i = 0; i < ARRAY_LENGTH(addresses); i++) {
        union frame_note note = frame_note_of_record((void *)addresses[i], 250);
        assert_int_equal((uintptr_t)frame_note_record(note), addresses[i]);
        assert_int_equal(note.number, 250);
        assert_int_equal(frame_note_kind(note), FRAME_NOTE_SLAB);
    }
}

static void a_table_counts_its_entries(void **state)
{
    (void)state;
    struct frame_descriptor *descriptor = descriptor_for(OWNER_PAGE_TABLES);
    assert_int_equal(frame_note_used(descriptor), 0);
    frame_note_use(descriptor, 512);
    frame_note_use(descriptor, -2);
    assert_int_equal(frame_note_used(descriptor), 510);
    assert_true(frame_note_used_exceeds(descriptor, 509));
    assert_false(frame_note_used_exceeds(descriptor, 510));
    assert_int_equal(frame_note_kind(descriptor->note), FRAME_NOTE_PLAIN);
}

static void a_slab_is_noted_in_all_its_frames(void **state)
{
    (void)state;
    struct frame_descriptor *descriptor = frame_descriptor(&pc.pool, frame_alloc(&pc.pool, 2, OWNER_SLABS));
    struct slab *slab = (struct slab *)(void *)&pc; /* any record will do */
    union frame_note before = descriptor[4].note;
    frame_note_set_slab(descriptor, 2, slab, 6);
    for (unsigned i = 0; i < 4; i++) {
        assert_ptr_equal(frame_note_slab(descriptor[i].note), slab);
        assert_int_equal(descriptor[i].note.number, 6);
    }
    assert_int_equal(descriptor[4].note.raw, before.raw);
    frame_note_clear_slab(descriptor, 2);
    assert_int_equal(descriptor[0].note.raw | descriptor[3].note.raw, 0);
}

#define EXPECT_REFUSED(call)                                                                                 \
    do {                                                                                                     \
        struct host_panic_trap trap;                                                                         \
        volatile bool panicked;                                                                              \
        CATCH_PANIC(trap, panicked, call);                                                                   \
        assert_true(panicked);                                                                               \
        assert_non_null(strstr(trap.message, "frame_note"));                                                 \
    } while (0)

static void nobody_writes_the_notes_of_others(void **state)
{
    (void)state;
    struct frame_descriptor *slab = descriptor_for(OWNER_SLABS);
    struct frame_descriptor *table = descriptor_for(OWNER_PAGE_TABLES);
    struct frame_descriptor *user = descriptor_for(OWNER_USER);
    struct frame_descriptor *heap = descriptor_for(OWNER_HEAP);
    EXPECT_REFUSED(frame_note_set_next(slab, phys_addr(MIB(1))));
    EXPECT_REFUSED(frame_note_set_page(slab, 1));
    EXPECT_REFUSED(frame_note_set_page(table, 1));
    EXPECT_REFUSED(frame_note_set_page(user, 2));
    EXPECT_REFUSED(frame_note_set_range(table, NULL));
    EXPECT_REFUSED(frame_note_use(user, 1));
    EXPECT_REFUSED((void)frame_note_used(user));
    EXPECT_REFUSED((void)frame_note_used_exceeds(user, 1));
    EXPECT_REFUSED(frame_note_set_root(user, NULL));
    EXPECT_REFUSED(frame_note_set_slab(user, 0, NULL, 2));
    EXPECT_REFUSED(frame_note_set_slab(slab, 0, NULL, 8)); /* no cache has this number */
    EXPECT_REFUSED(frame_note_clear_slab(user, 0));
    EXPECT_REFUSED(frame_note_set_large(user, (union frame_note){.raw = 8}));
    EXPECT_REFUSED(frame_note_set_large(heap, (union frame_note){.raw = 2}));
    frame_note_set_page(user, 1);
    EXPECT_REFUSED((void)frame_note_next(user));
    EXPECT_REFUSED((void)frame_note_slab(user->note));
    assert_int_equal(slab->note.raw | table->note.raw | heap->note.raw, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PC_TEST(the_lowest_bits_tell_the_kind),     PC_TEST(a_record_and_its_number_come_back),
        PC_TEST(a_table_counts_its_entries),        PC_TEST(a_slab_is_noted_in_all_its_frames),
        PC_TEST(nobody_writes_the_notes_of_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
