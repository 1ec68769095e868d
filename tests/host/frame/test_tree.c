/* The tree of free blocks over 512 units, against one flag for each unit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mm/frame/policy/tree.h"

struct model {
    struct tree tree;
    bool free[TREE_UNITS];
    uint64_t random;
};

static unsigned draw(struct model *model, unsigned below)
{
    model->random = model->random * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(model->random >> 33) % below;
}

static bool all_free(const bool *free, unsigned unit, unsigned count)
{
    unsigned found = 0;
    while (found < count && free[unit + found]) {
        found++;
    }
    return found == count;
}

/* Whether the block at `bit` is free and its parent is not. */
static bool is_largest(const struct model *model, unsigned bit)
{
    unsigned height = tree_bit_height(bit);
    unsigned parent = bit / 2;
    return all_free(model->free, tree_bit_unit(bit), 1U << height) &&
           (parent == 0 || !all_free(model->free, tree_bit_unit(parent), 2U << height));
}

/* A merged tree has exactly the largest free blocks, and its summary is right. */
static void expect_merged(const struct model *model)
{
    int highest = -1;
    for (unsigned bit = 1; bit < 2 * TREE_UNITS; bit++) {
        bool largest = is_largest(model, bit);
        assert_int_equal(tree_test(&model->tree, bit), largest);
        int height = (int)tree_bit_height(bit);
        highest = largest && height > highest ? height : highest;
    }
    for (unsigned word = 0; word < TREE_WORDS; word++) {
        assert_int_equal(model->tree.used >> word & 1, model->tree.words[word] != 0);
    }
    assert_int_equal(model->tree.unmerged, 0);
    assert_int_equal(tree_highest(&model->tree), highest);
}

/* Takes the block that a search finds, and all of it is free. */
static void take(struct model *model, unsigned height)
{
    unsigned bit = tree_find(&model->tree, height);
    if (bit == TREE_NONE) {
        return;
    }
    unsigned unit = tree_bit_unit(bit);
    assert_true(all_free(model->free, unit, 1U << tree_bit_height(bit)));
    tree_carve(&model->tree, bit, tree_bit(unit, height));
    memset(&model->free[unit], 0, 1U << height);
}

/* Frees a block of which nothing is free, with merging or, if it is a unit, maybe without. */
static void give(struct model *model, unsigned height, bool unmerged)
{
    unsigned unit = draw(model, TREE_UNITS) >> height << height;
    for (unsigned i = 0; i < 1U << height; i++) {
        if (model->free[unit + i]) {
            return;
        }
    }
    memset(&model->free[unit], 1, 1U << height);
    if (height == 0 && unmerged) {
        tree_add(&model->tree, unit);
    } else if (tree_give(&model->tree, tree_bit(unit, height)) == 1) {
        tree_set(&model->tree, 1);
    }
}

/* The chance of a unit being free wanders up and down, so that there is something to merge on every level. */
static void unmerged_units_merge_as_if_given_one_by_one(void **state)
{
    (void)state;
    struct model model = {.random = 1};
    tree_init(&model.tree);
    for (unsigned round = 0; round < 3000; round++) {
        unsigned gives = draw(&model, 200);
        for (unsigned i = 0; i < gives; i++) {
            give(&model, draw(&model, 4) == 0 ? draw(&model, 5) : 0, draw(&model, 8) != 0);
        }
        tree_merge(&model.tree);
        expect_merged(&model);
        unsigned takes = draw(&model, 120);
        for (unsigned i = 0; i < takes; i++) {
            take(&model, draw(&model, 8) == 0 ? draw(&model, 9) : 0);
        }
        expect_merged(&model);
    }
}

/* All units one by one, in an order that leaves every merge to the end. */
static void all_units_merge_into_the_whole(void **state)
{
    (void)state;
    struct model model = {.random = 2};
    tree_init(&model.tree);
    for (unsigned i = 0; i < TREE_UNITS; i++) {
        tree_add(&model.tree, i * 77 % TREE_UNITS);
    }
    memset(model.free, 1, sizeof model.free);
    tree_merge(&model.tree);
    expect_merged(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unmerged_units_merge_as_if_given_one_by_one),
        cmocka_unit_test(all_units_merge_into_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
