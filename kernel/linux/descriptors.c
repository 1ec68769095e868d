/*
 * Tables of descriptors; see descriptors.h.
 *
 * Whoever changes a table holds its mutex for the whole change, and the spinlock for the moment in which an
 * entry, or the table itself, changes; who looks a file up takes only the spinlock. Free numbers are found in
 * a bitmap, a word at a time.
 */
#include "descriptors.h"

#include <ashlar/file_lock.h>
#include <ashlar/memory.h>
#include <ashlar/string.h>
#include <stdatomic.h>

#define FIRST_SIZE 64 /* numbers in a new table; a multiple of 64, as every size */
#define WORD       64

/* Numbers, and what they stand for. In one block: files, then the two bitmaps. */
struct table {
    uint64_t size;
    uint64_t *used;
    uint64_t *close_on_exec;
    struct file *files[];
};

struct descriptors {
    _Atomic(uint32_t) references;
    uint64_t owner; /* of locks */
    struct mutex changing;
    struct spinlock lock;
    struct table *table;
};

static _Atomic(uint64_t) owners; /* numbers given so far */

static struct table *make_table(uint64_t size)
{
    uint64_t bitmap = size / 8;
    struct table *table =
        heap_alloc_zeroed(&kernel_heap, sizeof *table + size * sizeof(struct file *) + 2 * bitmap);
    if (table) {
        table->size = size;
        table->used = (uint64_t *)&table->files[size];
        table->close_on_exec = table->used + size / WORD;
    }
    return table;
}

static bool bit_get(const uint64_t *bits, uint64_t number)
{
    return bits[number / WORD] >> number % WORD & 1;
}

static void bit_set(uint64_t *bits, uint64_t number, bool value)
{
    uint64_t bit = 1ULL << number % WORD;
    bits[number / WORD] = value ? bits[number / WORD] | bit : bits[number / WORD] & ~bit;
}

/* Numbers that are set apart are used, without a file. */
static bool is_set_apart(const struct table *table, uint64_t number)
{
    return bit_get(table->used, number) && !table->files[number];
}

static void copy_entries(struct table *to, const struct table *from)
{
    memcpy(to->files, from->files, from->size * sizeof(void *));
    memcpy(to->used, from->used, from->size / 8);
    memcpy(to->close_on_exec, from->close_on_exec, from->size / 8);
}

/* ---- Life ---- */

static struct descriptors *make(struct table *table)
{
    struct descriptors *made = table ? heap_alloc_zeroed(&kernel_heap, sizeof *made) : NULL;
    if (!made) {
        heap_free(&kernel_heap, table);
        return NULL;
    }
    atomic_init(&made->references, 1);
    made->owner = atomic_fetch_add(&owners, 1) + 1;
    mutex_init(&made->changing, LOCK_DESCRIPTORS, 0);
    spinlock_init(&made->lock, LOCK_DESCRIPTOR, 0);
    made->table = table;
    return made;
}

struct descriptors *descriptors_create(void)
{
    return make(make_table(FIRST_SIZE));
}

struct descriptors *descriptors_copy(struct descriptors *descriptors)
{
    mutex_acquire(&descriptors->changing);
    struct table *from = descriptors->table;
    struct descriptors *copy = make(make_table(from->size));
    if (copy) {
        copy_entries(copy->table, from);
        for (uint64_t i = 0; i < from->size; i++) {
            if (from->files[i]) {
                file_get(from->files[i]);
            } else {
                bit_set(copy->table->used, i, false); /* it may be set apart in the other one */
            }
        }
    }
    mutex_release(&descriptors->changing);
    return copy;
}

struct descriptors *descriptors_get(struct descriptors *descriptors)
{
    atomic_fetch_add(&descriptors->references, 1);
    return descriptors;
}

void descriptors_put(struct descriptors *descriptors)
{
    if (atomic_fetch_sub(&descriptors->references, 1) != 1) {
        return;
    }
    descriptors_close_range(descriptors, 0, DESCRIPTORS_MAX, false);
    heap_free(&kernel_heap, descriptors->table);
    heap_free(&kernel_heap, descriptors);
}

bool descriptors_are_shared(struct descriptors *descriptors)
{
    return atomic_load(&descriptors->references) != 1;
}

uint64_t descriptors_owner(const struct descriptors *descriptors)
{
    return descriptors->owner;
}

void descriptors_take_owner(struct descriptors *to, struct descriptors *from)
{
    uint64_t owner = to->owner;
    to->owner = from->owner;
    from->owner = owner;
}

/* A descriptor of the file is closed, whichever it is: that ends the locks of those who have the table. */
static void close_file(const struct descriptors *descriptors, struct file *file)
{
    file_locks_end(file, FILE_LOCK_PROCESS, descriptors->owner);
    file_put(file);
}

/* ---- Looking up ---- */

struct file *descriptor_file(struct descriptors *descriptors, uint64_t number)
{
    struct file *file = NULL;
    number = (uint32_t)number;
    spinlock_acquire(&descriptors->lock);
    if (number < descriptors->table->size) {
        file = descriptors->table->files[number];
    }
    if (file) {
        file_get(file);
    }
    spinlock_release(&descriptors->lock);
    return file;
}

/* Looks at as many entries as a hold may. */
static bool look_from(struct descriptors *descriptors, uint64_t *number, bool *ended)
{
    spinlock_acquire(&descriptors->lock);
    const struct table *table = descriptors->table;
    uint64_t end = min_u64(*number + WORD, table->size);
    while (*number < end && !table->files[*number]) {
        ++*number;
    }
    *ended = *number >= table->size;
    bool found = *number < end;
    spinlock_release(&descriptors->lock);
    return found;
}

bool descriptor_next(struct descriptors *descriptors, uint64_t *number)
{
    bool ended = false;
    bool found = false;
    while (!found && !ended) {
        found = look_from(descriptors, number, &ended);
    }
    return found;
}

uint64_t descriptors_size(struct descriptors *descriptors)
{
    spinlock_acquire(&descriptors->lock);
    uint64_t size = descriptors->table->size;
    spinlock_release(&descriptors->lock);
    return size;
}

int64_t descriptor_flag(struct descriptors *descriptors, uint64_t number)
{
    int64_t flag = -EBADF;
    number = (uint32_t)number;
    spinlock_acquire(&descriptors->lock);
    if (number < descriptors->table->size && descriptors->table->files[number]) {
        flag = bit_get(descriptors->table->close_on_exec, number);
    }
    spinlock_release(&descriptors->lock);
    return flag;
}

int64_t descriptor_set_flag(struct descriptors *descriptors, uint64_t number, bool close_on_exec)
{
    int64_t result = -EBADF;
    number = (uint32_t)number;
    spinlock_acquire(&descriptors->lock);
    if (number < descriptors->table->size && descriptors->table->files[number]) {
        bit_set(descriptors->table->close_on_exec, number, close_on_exec);
        result = 0;
    }
    spinlock_release(&descriptors->lock);
    return result;
}

/* ---- Changing: the caller holds the mutex ---- */

/* Makes the table larger than `number`. */
static bool grow(struct descriptors *descriptors, uint64_t number)
{
    struct table *old = descriptors->table;
    uint64_t size = old->size;
    while (size <= number) {
        size *= 2;
    }
    if (size == old->size) {
        return true;
    }
    struct table *table = make_table(size);
    if (!table) {
        return false;
    }
    copy_entries(table, old);
    spinlock_acquire(&descriptors->lock);
    memcpy(table->close_on_exec, old->close_on_exec, old->size / 8); /* which may have changed meanwhile */
    descriptors->table = table;
    spinlock_release(&descriptors->lock);
    heap_free(&kernel_heap, old);
    return true;
}

/* The lowest number from `lowest` on that is free; the table's size if none is. */
static uint64_t find_free(const struct table *table, uint64_t lowest)
{
    for (uint64_t word = lowest / WORD; word < table->size / WORD; word++) {
        uint64_t used = table->used[word];
        if (word == lowest / WORD) {
            used |= (1ULL << lowest % WORD) - 1;
        }
        if (~used != 0) {
            return word * WORD + (uint64_t)__builtin_ctzll(~used);
        }
    }
    return max_u64(table->size, lowest);
}

/* Puts the file in, or NULL; returns what was there. */
static struct file *exchange(struct descriptors *descriptors, uint64_t number, struct file *file,
                             bool close_on_exec)
{
    struct table *table = descriptors->table;
    spinlock_acquire(&descriptors->lock);
    struct file *before = table->files[number];
    table->files[number] = file;
    bit_set(table->used, number, file != NULL);
    bit_set(table->close_on_exec, number, file != NULL && close_on_exec);
    spinlock_release(&descriptors->lock);
    return before;
}

static void set_apart(struct descriptors *descriptors, uint64_t number)
{
    spinlock_acquire(&descriptors->lock);
    bit_set(descriptors->table->used, number, true);
    spinlock_release(&descriptors->lock);
}

int64_t descriptor_set_apart(struct descriptors *descriptors, uint64_t lowest, uint64_t limit)
{
    int64_t result = -EMFILE;
    mutex_acquire(&descriptors->changing);
    uint64_t number = find_free(descriptors->table, lowest);
    if (number < min_u64(limit, DESCRIPTORS_MAX)) {
        result = -ENOMEM;
        if (grow(descriptors, number)) {
            set_apart(descriptors, number);
            result = (int64_t)number;
        }
    }
    mutex_release(&descriptors->changing);
    return result;
}

void descriptor_fill(struct descriptors *descriptors, uint64_t number, struct file *file, bool close_on_exec)
{
    mutex_acquire(&descriptors->changing);
    DEBUG_ASSERT(is_set_apart(descriptors->table, number));
    exchange(descriptors, number, file, close_on_exec);
    mutex_release(&descriptors->changing);
}

int64_t descriptor_add(struct descriptors *descriptors, struct file *file, bool close_on_exec,
                       uint64_t lowest, uint64_t limit)
{
    int64_t number = descriptor_set_apart(descriptors, lowest, limit);
    if (number >= 0) {
        descriptor_fill(descriptors, (uint64_t)number, file, close_on_exec);
    }
    return number;
}

int64_t descriptor_put_at(struct descriptors *descriptors, struct file *file, bool close_on_exec,
                          uint64_t number, uint64_t limit)
{
    struct file *before = NULL;
    int64_t result = -ENOMEM;
    number = (uint32_t)number;
    if (number >= min_u64(limit, DESCRIPTORS_MAX)) {
        return -EBADF;
    }
    mutex_acquire(&descriptors->changing);
    if (number < descriptors->table->size && is_set_apart(descriptors->table, number)) {
        result = -EBUSY;
    } else if (grow(descriptors, number)) {
        before = exchange(descriptors, number, file, close_on_exec);
        result = (int64_t)number;
    }
    mutex_release(&descriptors->changing);
    if (before) {
        close_file(descriptors, before);
    }
    return result;
}

/* ---- Closing ---- */

static struct file *take_out(struct descriptors *descriptors, uint64_t number)
{
    struct file *file = NULL;
    mutex_acquire(&descriptors->changing);
    if (number < descriptors->table->size && descriptors->table->files[number]) {
        file = exchange(descriptors, number, NULL, false);
    }
    mutex_release(&descriptors->changing);
    return file;
}

int64_t descriptor_close(struct descriptors *descriptors, uint64_t number)
{
    struct file *file = take_out(descriptors, (uint32_t)number);
    if (!file) {
        return -EBADF;
    }
    close_file(descriptors, file);
    return 0;
}

/* The first number in [first, last] that is used; beyond `last` if none is. */
static uint64_t next_used(struct descriptors *descriptors, uint64_t first, uint64_t last)
{
    mutex_acquire(&descriptors->changing);
    const struct table *table = descriptors->table;
    uint64_t number = first;
    while (number <= last && number < table->size && !bit_get(table->used, number)) {
        number++;
    }
    number = number < table->size ? number : UINT64_MAX;
    mutex_release(&descriptors->changing);
    return number;
}

void descriptors_close_range(struct descriptors *descriptors, uint64_t first, uint64_t last, bool on_exec)
{
    for (uint64_t at = first; (at = next_used(descriptors, at, last)) <= last && at != UINT64_MAX; at++) {
        if (on_exec) {
            descriptor_set_flag(descriptors, at, true);
        } else {
            descriptor_close(descriptors, at);
        }
    }
}

void descriptors_close_on_exec(struct descriptors *descriptors)
{
    for (uint64_t at = 0; (at = next_used(descriptors, at, DESCRIPTORS_MAX)) != UINT64_MAX; at++) {
        if (descriptor_flag(descriptors, at) == 1) {
            descriptor_close(descriptors, at);
        }
    }
}
