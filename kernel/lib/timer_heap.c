/*
 * A leftist heap; see <ashlar/timer_heap.h>.
 *
 * The distance of a timer is how many steps to the right lead out of the heap. That to the left child is
 * never shorter than that to the right one, so the way along right children is the shortest, and has no more
 * than log2(n + 1) steps. Heaps are merged along these ways, and upwards a distance is corrected only as
 * long as it changes: by then it has grown with each step, so this ends as soon.
 */
#include <ashlar/timer_heap.h>

static uint32_t distance(const struct timer *timer)
{
    return timer ? timer->distance : 0;
}

/* Puts the children in order; whether the distance has changed. */
static bool correct(struct timer *timer)
{
    uint32_t before = timer->distance;
    if (distance(timer->left) < distance(timer->right)) {
        struct timer *left = timer->left;
        timer->left = timer->right;
        timer->right = left;
    }
    timer->distance = distance(timer->right) + 1;
    return timer->distance != before;
}

/* One heap of two; the caller sets what is above it. */
static struct timer *merge(struct timer *one, struct timer *other)
{
    struct timer *top = NULL;
    struct timer *last = NULL;
    while (one && other) {
        struct timer *first = other->deadline < one->deadline ? other : one;
        other = first == one ? other : one;
        *(last ? &last->right : &top) = first;
        first->above = last;
        last = first;
        one = first->right;
    }
    struct timer *rest = one ? one : other;
    *(last ? &last->right : &top) = rest;
    if (rest) {
        rest->above = last;
    }
    for (; last; last = last->above) {
        correct(last);
    }
    return top;
}

void timer_heap_add(struct timer **heap, struct timer *timer)
{
    timer->left = timer->right = NULL;
    timer->distance = 1;
    *heap = merge(*heap, timer);
    (*heap)->above = NULL;
}

void timer_heap_remove(struct timer **heap, struct timer *timer)
{
    struct timer *above = timer->above;
    struct timer *rest = merge(timer->left, timer->right);
    if (rest) {
        rest->above = above;
    }
    if (!above) {
        *heap = rest;
        return;
    }
    *(above->left == timer ? &above->left : &above->right) = rest;
    while (above && correct(above)) {
        above = above->above;
    }
}
