/* frame_pool_check() sees what is broken: each rule is broken here, and named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mm/frame/policy/buddy.h"
#include "pc.h"

static void expect_problem(const char *what)
{
    struct frame_problem problem;
    assert_false(frame_pool_check(&pc.pool, &problem));
    if (!strstr(problem.what, what)) {
        fail_msg("\"%s\" is not \"%s\"", problem.what, what);
    }
}

static void the_validator_sees_each_corruption(void **state)
{
    (void)state;
    struct frame_pool *pool = &pc.pool;
    phys_addr_t block = frame_alloc(pool, 2, OWNER_TEST);
    phys_addr_t cached = frame_alloc(pool, 0, OWNER_TEST);
    frame_free(pool, cached, 0);
    struct frame_descriptor *descriptor = frame_descriptor(pool, block);
    uint32_t tag = atomic_load(&descriptor->tag);

    atomic_store(&descriptor->tag, frame_tag(FRAME_FREED, 2, 0));
    expect_problem("neither free nor allocated");
    atomic_store(&descriptor->tag, frame_tag(FRAME_ALLOCATED, 3, 1));
    expect_problem("allocated"); /* it reaches over what is not its own */
    atomic_store(&descriptor->tag, frame_tag(FRAME_ALLOCATED, 2, 0));
    expect_problem("impossible descriptor");
    atomic_store(&descriptor->tag, tag);

    atomic_store(&descriptor->use, OWNER_HEAP);
    expect_problem("account");
    atomic_store(&descriptor->use, OWNER_TEST);

    atomic_store(&descriptor->use, frame_use(OWNER_TEST, 1, false, 0));
    expect_problem("a tag and its marks disagree");
    atomic_store(&descriptor->both, frame_both(tag, frame_use(OWNER_TEST, 0, false, 2)));
    expect_problem("more pins than references");
    atomic_store(&descriptor->both, frame_both(tag, frame_use(OWNER_TEST, 0, false, 0)));
    atomic_store(&descriptor[1].both, frame_both(0, frame_use(OWNER_TEST, 0, true, 0)));
    expect_problem("marks where no allocated block starts");
    atomic_store(&descriptor[1].both, 0);

    atomic_store(&descriptor[1].tag, frame_tag(FRAME_ALLOCATED, 0, 1));
    expect_problem("descriptor says allocated");
    atomic_store(&descriptor[1].tag, 0);

    descriptor = frame_descriptor(pool, cached);
    tag = atomic_load(&descriptor->tag);
    atomic_store(&descriptor->tag, frame_tag(FRAME_ALLOCATED, 0, 1));
    expect_problem("not marked so");
    atomic_store(&descriptor->tag, tag);

    uint64_t *slots = &pool->cpu[0].slots[pool->cpu[0].magazine[0].bottom];
    uint64_t saved = slots[0];
    slots[0] = slots[1];
    expect_problem("twice");
    slots[0] = saved + 1;
    expect_problem("no block can have this address");
    slots[0] = MIB(122); /* the kernel's */
    expect_problem("no block can have this address");
    slots[0] = saved;

    pool->free_frames++;
    expect_problem("count of free frames");
    pool->free_frames--;
    pool->managed_frames++;
    expect_problem("count of managed frames");
    pool->managed_frames--;
    pool->fixed_bytes[OWNER_MMIO]++;
    expect_problem("ledger");
    pool->fixed_bytes[OWNER_MMIO]--;

    pool->config.policy->give(pool->policy_state, block.raw >> FRAME_SHIFT, 0);
    expect_problem("free");
    assert_true(pool->config.policy->take_at(pool->policy_state, block.raw >> FRAME_SHIFT, 0));
}

static void runs_must_be_whole(void **state)
{
    (void)state;
    struct frame_pool *pool = &pc.pool;
    struct frame_request request = {.frames = 7, .owner = OWNER_TEST};
    phys_addr_t run;
    assert_int_equal(frame_alloc_request(pool, &request, &run), FRAME_OK);
    struct frame_descriptor *parts = frame_descriptor(pool, run); /* of 4, 2 and 1 frames */

    atomic_store(&parts[0].tag, frame_tag(FRAME_ALLOCATED, 2, 1));
    expect_problem("part of a run without the one before");
    atomic_store(&parts[0].tag, frame_tag(FRAME_RUN, 2, 1));
    atomic_store(&parts[4].tag, frame_tag(FRAME_ALLOCATED, 1, 1));
    expect_problem("a run of one part");
    atomic_store(&parts[4].tag, frame_tag(FRAME_RUN_PART, 1, 1));
    atomic_store(&parts[4].use, OWNER_HEAP);
    expect_problem("part of a run without the one before");
    atomic_store(&parts[4].use, OWNER_TEST);
    atomic_store(&parts[6].tag, frame_tag(FRAME_RUN, 0, 1)); /* and behind it is free memory */
    expect_problem("a run of one part");
    atomic_store(&parts[6].tag, frame_tag(FRAME_RUN_PART, 0, 1));
}

static void magazines_must_have_bounds(void **state)
{
    (void)state;
    struct frame_pool *pool = &pc.pool;
    struct frame_magazine *magazine = &pool->cpu[1].magazine[3];
    uint32_t end = magazine->end;
    magazine->bottom++;
    expect_problem("bounds of a magazine");
    magazine->bottom--;
    magazine->end = magazine->bottom - 1;
    expect_problem("bounds of a magazine");
    magazine->end = end;
    struct frame_magazine *last = &pool->cpu[1].magazine[FRAME_MAGAZINES - 1];
    uint32_t last_end = last->end;
    last->end = FRAME_SLOTS + 1;
    expect_problem("bounds of a magazine");
    last->end = last_end;
    atomic_store(&magazine->top, end + 1);
    expect_problem("length of a magazine");
    atomic_store(&magazine->top, magazine->bottom - 1);
    expect_problem("length of a magazine");
    atomic_store(&magazine->top, magazine->bottom);
    atomic_store(&magazine->limit, end - 1);
    expect_problem("limit of a magazine");
    atomic_store(&magazine->limit, end);
}

static void zeroed_frames_must_be_zero(void **state)
{
    (void)state;
    struct frame_pool *pool = &pc.pool;
    assert_true(frame_pool_idle(pool));
    struct frame_cpu *cpu = &pool->cpu[0];
    uint8_t *bytes = frame_pointer(pool, phys_addr(cpu->slots[cpu->magazine[FRAME_MAGAZINE_ZERO].bottom]));
    bytes[FRAME_BYTES - 1] = 1;
    expect_problem("a frame of the zeroed stock is not zero");
    bytes[FRAME_BYTES - 1] = 0;
}

static void the_reserve_must_be_the_descriptors(void **state)
{
    (void)state;
    struct frame_pool *pool = &pc.pool;
    phys_addr_t block = frame_alloc(pool, 5, OWNER_TEST);
    struct frame_reserve saved = pool->reserve[1];
    pool->reserve[1] = (struct frame_reserve){block.raw >> FRAME_SHIFT, (block.raw >> FRAME_SHIFT) + 1};
    expect_problem("reserve for descriptors");
    pool->reserve[1] = (struct frame_reserve){MIB(90) >> FRAME_SHIFT, (MIB(90) >> FRAME_SHIFT) + 1};
    expect_problem("reserve for descriptors"); /* free */
    pool->reserve[1] = (struct frame_reserve){MIB(122) >> FRAME_SHIFT, (MIB(122) >> FRAME_SHIFT) + 1};
    expect_problem("reserve for descriptors"); /* the kernel's */
    pool->reserve[1] = saved;
    struct frame_reserve *first = &pool->reserve[0];
    assert_true(first->next < first->end);
    saved = *first;
    first->end += 1024;
    expect_problem("reserve for descriptors");
    *first = saved;
    first->next = first->end + 1;
    expect_problem("reserve for descriptors");
    *first = saved;
    uint64_t used = pool->backed[0];
    pool->backed[0] = ~0ULL; /* more pages than frames were taken for */
    expect_problem("backed pages of descriptors");
    pool->backed[0] = used;
}

/* Every level of every index: a bit too many and one too few. */
static void indexes_must_agree(void **state)
{
    (void)state;
    struct frame_pool *pool = &pc.pool;
    struct buddy *buddy = pool->policy_state;
    phys_addr_t block = frame_alloc(pool, 0, OWNER_TEST);
    for (unsigned order = 0; order < FRAME_ORDERS; order++) {
        for (unsigned level = 0; level < SET_LEVELS; level++) {
            buddy->available[order].level[level][0] ^= 1;
            expect_problem(level == 0 ? "set of a" : "summary of a set of arenas");
            buddy->available[order].level[level][0] ^= 1;
            buddy->available[order].level[level][0] ^= 1ULL << 63;
            expect_problem("summary of a set of arenas");
            buddy->available[order].level[level][0] ^= 1ULL << 63;
        }
    }
    buddy->untouched.level[1][0] ^= 1;
    expect_problem("summary of the set of untouched arenas");
    buddy->untouched.level[1][0] ^= 1;
    buddy->unmerged.level[1][0] ^= 1;
    expect_problem("summary of the set of unmerged arenas");
    buddy->unmerged.level[1][0] ^= 1;
    struct arena *arena = buddy->arenas[block.raw >> 30];
    unsigned leaf = block.raw / MIB(2) % 512;
    for (unsigned order = 0; order < LEAF_ORDER; order++) {
        arena->best[order].words[7] ^= 1;
        expect_problem("set of leaves");
        arena->best[order].words[7] ^= 1;
        arena->best[order].summary ^= 1;
        expect_problem("summary of a set of leaves");
        arena->best[order].summary ^= 1;
    }
    arena->orders ^= 1;
    expect_problem("summary of a set of leaves");
    arena->orders ^= 1;
    arena->highest++;
    expect_problem("published best order of an arena");
    arena->highest--;
    arena->leaves[leaf].highest++;
    expect_problem("published largest block");
    arena->leaves[leaf].highest--;
    arena->leaves[leaf].used ^= 1;
    expect_problem("summary of a tree");
    arena->leaves[leaf].used ^= 1;
    arena->leaves[leaf].free++;
    expect_problem("count of a leaf's free frames");
    arena->leaves[leaf].free--;
    arena->leaves[leaf].unmerged ^= 1;
    expect_problem("set of unmerged leaves");
    arena->unmerged.words[leaf / 64] ^= 1ULL << leaf % 64;
    expect_problem("summary of the set of unmerged leaves");
    arena->unmerged.summary ^= 1ULL << leaf / 64;
    expect_problem("set of unmerged arenas");
    arena->unmerged.summary ^= 1ULL << leaf / 64;
    arena->unmerged.words[leaf / 64] ^= 1ULL << leaf % 64;
    arena->leaves[leaf].unmerged ^= 1;
    arena->blocks.words[0] ^= 1;
    expect_problem("");
    arena->blocks.words[0] ^= 1;
    arena->split[0] ^= 1ULL << 63;
    expect_problem("");
    arena->split[0] ^= 1ULL << 63;
}

static void blocks_must_be_described_and_used(void **state)
{
    (void)state;
    struct frame_pool *pool = &pc.pool;
    const struct frame_policy *policy = pool->config.policy;
    phys_addr_t block = frame_alloc(pool, 2, OWNER_TEST);
    uint64_t frame = block.raw >> FRAME_SHIFT;
    uint64_t page = frame >> FRAME_PAGE_SHIFT;
    pool->backed[page / 64] ^= 1ULL << page % 64;
    expect_problem("neither free nor described");
    pool->backed[page / 64] ^= 1ULL << page % 64;

    policy->give(pool->policy_state, frame + 1, 0);
    expect_problem("a free frame inside an allocated block");
    assert_int_equal(policy->take_at(pool->policy_state, frame + 1, 0), FRAME_NUMBER_NONE);

    struct frame_descriptor *descriptor = frame_descriptor(pool, block);
    uint64_t both = atomic_load(&descriptor->both);
    atomic_store(&descriptor->both, frame_both(frame_tag(FRAME_CACHED, 2, 1), OWNER_TEST));
    expect_problem("blocks in magazines");
    atomic_store(&descriptor->both, both);

    policy->give(pool->policy_state, MIB(122) >> FRAME_SHIFT, 0); /* the kernel's */
    expect_problem("free frames the policy holds outside managed memory");
    assert_int_equal(policy->take_at(pool->policy_state, MIB(122) >> FRAME_SHIFT, 0), FRAME_NUMBER_NONE);
    frame_free(pool, block, 2);
}

/* Bits of the trees, of a leaf and of an arena, that contradict others. */
static void trees_must_hold_each_frame_once(void **state)
{
    (void)state;
    struct frame_pool *pool = &pc.pool;
    struct buddy *buddy = pool->policy_state;
    phys_addr_t block = phys_addr(MIB(50));
    assert_int_equal(frame_alloc_at(pool, block, 0, OWNER_TEST), FRAME_OK);
    uint64_t gib = block.raw >> 30;
    struct arena *arena = buddy->arenas[gib];
    unsigned leaf = block.raw / MIB(2) % TREE_UNITS;
    struct tree *tree = &arena->leaves[leaf];
    struct tree saved = *tree;
    unsigned bit = tree_bit((unsigned)(block.raw >> FRAME_SHIFT) % TREE_UNITS, 0);
    assert_true(tree_test(tree, bit ^ 1) && !tree_test(tree, bit));

    tree_set(tree, 0);
    expect_problem("a bit that stands for no block");
    *tree = saved;
    tree_set(tree, 1); /* a whole leaf is a block of the arena's tree */
    expect_problem("a bit that stands for no block");
    *tree = saved;
    tree_set(tree, bit);
    tree->unmerged = 0;
    expect_problem("free buddies are not merged");
    *tree = saved;

    tree_set(tree, tree_bit(TREE_UNITS / 2, 0)); /* in the upper half, which is free as a whole */
    expect_problem("a free block inside a free block");
    *tree = saved;
    phys_addr_t neighbour = phys_addr(align_down(block.raw, MIB(2)) ^ MIB(2));
    assert_int_equal(frame_alloc_at(pool, neighbour, FRAME_ORDER_2M, OWNER_TEST), FRAME_OK);
    struct tree taken = arena->blocks;
    tree_set(&arena->blocks, tree_bit(leaf, 0));
    expect_problem("a split leaf is also free");
    arena->blocks = taken;
    frame_free(pool, neighbour, FRAME_ORDER_2M);

    set_add(&buddy->untouched, gib);
    expect_problem("an untouched arena is in use");
    set_remove(&buddy->untouched, gib);
    frame_free(pool, block, 0);
}

static void a_bitmap_ends_where_memory_does(void **state)
{
    (void)state;
    static struct machine small;
    struct frame_problem problem;
    machine_make(&small, MIB(32));
    machine_range(&small, MIB(1), MIB(7) + 5 * FRAME_BYTES, MEMORY_USABLE);
    assert_int_equal(machine_start(&small, 1, &frame_policy_bitmap), FRAME_OK);
    assert_true(frame_pool_check(&small.pool, &problem));
    uint64_t behind = small.pool.frame_limit;
    frame_policy_bitmap.give(small.pool.policy_state, behind, 0);
    assert_false(frame_pool_check(&small.pool, &problem));
    assert_string_equal(problem.what, "a free frame behind the end");
    assert_int_equal(problem.frame, behind);
    machine_destroy(&small);
}

/* RAM from address 0 on, `first` bytes of it, and `more` bytes up to the end. */
static void expect_sound_from_0(uint64_t first, enum memory_type type, uint64_t more,
                                const struct frame_policy *policy)
{
    static struct machine low;
    uint64_t end = more != 0 ? MIB(32) : MIB(1);
    machine_make(&low, end);
    machine_range(&low, 0, first, type);
    if (more != 0) {
        machine_range(&low, end - more, more, MEMORY_USABLE);
    }
    assert_int_equal(machine_start(&low, 1, policy), FRAME_OK);
    assert_true(machine_is_sound(&low));
    frame_pool_reclaim(&low.pool, MEMORY_BOOT_RECLAIMABLE);
    assert_true(machine_is_sound(&low));
    uint64_t taken = 0;
    while (frame_alloc(&low.pool, 0, OWNER_TEST).raw != 0) {
        taken++;
    }
    assert_true(taken > 0 && machine_is_sound(&low));
    machine_destroy(&low);
}

/* Frame 0 is nobody's, whatever comes after it: the pool's own state, RAM, nothing, or memory that is managed
 * later. */
static void memory_may_begin_at_address_0(void **state)
{
    (void)state;
    static const struct frame_policy *const policies[] = {&frame_policy_buddy, &frame_policy_bitmap};
    for (unsigned i = 0; i < ARRAY_LENGTH(policies); i++) {
        expect_sound_from_0(KIB(640), MEMORY_USABLE, 0, policies[i]);
        expect_sound_from_0(MIB(1), MEMORY_USABLE, 0, policies[i]);
        expect_sound_from_0(MIB(32) - FRAME_BYTES, MEMORY_USABLE, FRAME_BYTES, policies[i]);
        for (uint64_t first = FRAME_BYTES; first <= MIB(31); first *= 31) {
            expect_sound_from_0(first, MEMORY_USABLE, MIB(1), policies[i]);
            expect_sound_from_0(first, MEMORY_USABLE, MIB(32) - first, policies[i]);
            expect_sound_from_0(first, MEMORY_BOOT_RECLAIMABLE, MIB(1), policies[i]);
            expect_sound_from_0(first, MEMORY_BOOT_RECLAIMABLE, MIB(32) - first, policies[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PC_TEST(the_validator_sees_each_corruption),
        PC_TEST(runs_must_be_whole),
        PC_TEST(magazines_must_have_bounds),
        PC_TEST(zeroed_frames_must_be_zero),
        PC_TEST(the_reserve_must_be_the_descriptors),
        PC_TEST(indexes_must_agree),
        PC_TEST(blocks_must_be_described_and_used),
        PC_TEST(trees_must_hold_each_frame_once),
        cmocka_unit_test(memory_may_begin_at_address_0),
        cmocka_unit_test(a_bitmap_ends_where_memory_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
