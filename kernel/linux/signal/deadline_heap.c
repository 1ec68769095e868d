/* Timers by deadline; see deadline_heap.h. */
#include "deadline_heap.h"

/* Both are roots, or none: the later one becomes the first child of the other. */
static struct deadline_link *meld(struct deadline_link *one, struct deadline_link *other)
{
    if (!one || !other) {
        return one ? one : other;
    }
    struct deadline_link *root = other->deadline < one->deadline ? other : one;
    struct deadline_link *child = root == one ? other : one;
    child->previous = root;
    child->next = root->child;
    if (child->next) {
        child->next->previous = child;
    }
    root->child = child;
    return root;
}

/* The children of one parent become a heap: in pairs from the first to the last, then all from the last on.
 */
static struct deadline_link *meld_all(struct deadline_link *child)
{
    struct deadline_link *pairs = NULL;
    struct deadline_link *root = NULL;
    while (child) {
        struct deadline_link *second = child->next;
        struct deadline_link *rest = second ? second->next : NULL;
        child->next = child->previous = NULL;
        if (second) {
            second->next = second->previous = NULL;
        }
        struct deadline_link *pair = meld(child, second);
        pair->next = pairs;
        pairs = pair;
        child = rest;
    }
    while (pairs) {
        struct deadline_link *next = pairs->next;
        pairs->next = NULL;
        root = meld(root, pairs);
        pairs = next;
    }
    return root;
}

void deadline_heap_add(struct deadline_heap *heap, struct deadline_link *link)
{
    link->child = link->next = link->previous = NULL;
    link->is_there = true;
    heap->first = meld(heap->first, link);
}

void deadline_heap_remove(struct deadline_heap *heap, struct deadline_link *link)
{
    if (!link->is_there) {
        return;
    }
    struct deadline_link *rest = meld_all(link->child);
    link->is_there = false;
    if (link == heap->first) {
        heap->first = rest;
        return;
    }
    *(link->previous->child == link ? &link->previous->child : &link->previous->next) = link->next;
    if (link->next) {
        link->next->previous = link->previous;
    }
    heap->first = meld(heap->first, rest);
}
