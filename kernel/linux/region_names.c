/* Names of anonymous memory; see region_names.h. */
#include "region_names.h"

#include <ashlar/heap.h>
#include <ashlar/memory.h>
#include <ashlar/string.h>
#include <ashlar/vm_advice.h>
#include <ashlar/vm_peek.h>

#include "calls.h"

#define ANON_NAME_SET 0  /* PR_SET_VMA_ANON_NAME */
#define NAME_BYTES    80 /* with the terminator: ANON_VMA_NAME_MAX_LEN */
#define NAMES_MAX     1024
#define PREFIX        "[anon:"
#define PREFIX_BYTES  (sizeof PREFIX - 1)

struct region_name {
    struct region_name *next;
    char text[]; /* as it stands in maps */
};

struct region_names {
    _Atomic(uint32_t) references; /* memories that have it */
    struct mutex lock;            /* guards the rest */
    uint32_t count;
    struct region_name *first;
};

struct region_names *region_names_get(struct region_names *names)
{
    if (names) {
        atomic_fetch_add(&names->references, 1);
    }
    return names;
}

void region_names_put(struct region_names *names)
{
    if (!names || atomic_fetch_sub(&names->references, 1) != 1) {
        return;
    }
    while (names->first) {
        struct region_name *name = names->first;
        names->first = name->next;
        heap_free(&kernel_heap, name);
    }
    heap_free(&kernel_heap, names);
}

/* The memory's set, which is made if there is none yet; NULL: there is no memory. */
static struct region_names *names_of(struct memory *memory)
{
    struct region_names *names = atomic_load(&memory->names);
    if (names) {
        return names;
    }
    struct region_names *made = heap_alloc_zeroed(&kernel_heap, sizeof *made);
    if (!made) {
        return NULL;
    }
    atomic_init(&made->references, 1);
    mutex_init(&made->lock, LOCK_HEAP_END, 1);
    if (atomic_compare_exchange_strong(&memory->names, &names, made)) {
        return made;
    }
    heap_free(&kernel_heap, made); /* another thread was faster */
    return names;
}

static struct region_name *find(const struct region_names *names, const char *text)
{
    struct region_name *name = names->first;
    while (name && strcmp(name->text, text) != 0) {
        name = name->next;
    }
    return name;
}

static struct region_name *add(struct region_names *names, const char *text)
{
    size_t bytes = strlen(text) + 1;
    struct region_name *name =
        names->count < NAMES_MAX ? heap_alloc(&kernel_heap, sizeof *name + bytes) : NULL;
    if (name) {
        memcpy(name->text, text, bytes);
        name->next = names->first;
        names->first = name;
        names->count++;
    }
    return name;
}

/* The one that says so; NULL: there is no memory, or there are too many. */
static const char *intern(struct memory *memory, const char *text)
{
    struct region_names *names = names_of(memory);
    if (!names) {
        return NULL;
    }
    mutex_acquire(&names->lock);
    struct region_name *name = find(names, text);
    name = name ? name : add(names, text);
    mutex_release(&names->lock);
    return name ? name->text : NULL;
}

static bool is_sound(const char *text)
{
    while (*text > 0x1f && *text < 0x7f && !strchr("\\`$[]", *text)) {
        text++;
    }
    return *text == 0;
}

/* Reads the name at `from` and stores what stands for it; NULL for none, at 0. */
static int64_t get_name(struct memory *memory, user_addr_t from, const char **name)
{
    char text[PREFIX_BYTES + NAME_BYTES + 1] = PREFIX;
    char *own = text + PREFIX_BYTES;
    *name = NULL;
    if (from.raw == 0) {
        return 0;
    }
    int64_t length = strncpy_from_user(own, from, NAME_BYTES);
    if (length < 0) {
        return length == USER_STRING_TOO_LONG ? -EINVAL : -EFAULT;
    }
    if (!is_sound(own)) {
        return -EINVAL;
    }
    memcpy(own + length, "]", 2);
    *name = intern(memory, text);
    return *name ? 0 : -ENOMEM;
}

/* Region by region, as madvise() goes: a hole is an error in the end. */
static int64_t name_all(struct vm_space *space, uint64_t base, uint64_t end, const char *name)
{
    struct vm_region_facts region;
    int64_t holes = 0;
    while (base < end && !thread_killed()) {
        if (!vm_space_next(space, virt_addr(base), &region) || region.base.raw >= end) {
            return -ENOMEM;
        }
        holes = region.base.raw > base ? -ENOMEM : holes;
        base = max_u64(base, region.base.raw);
        uint64_t behind = min_u64(region.base.raw + region.bytes, end);
        if (region.source != VM_ZERO && region.source != VM_STACK) {
            return -EBADF;
        }
        enum vm_error error = vm_space_name(space, virt_addr(base), behind - base, name);
        if (error != VM_OK) {
            return error == VM_NOT_MAPPED ? -ENOMEM : -EAGAIN;
        }
        base = behind;
    }
    return base < end ? -EINTR : holes;
}

int64_t prctl_region(const struct trap_frame *frame)
{
    struct memory *memory = process_current()->memory;
    uint64_t base = argument_3(frame);
    uint64_t bytes = align_up(argument_4(frame), FRAME_BYTES);
    const char *name;
    if (argument_2(frame) != ANON_NAME_SET) {
        return -EINVAL;
    }
    int64_t error = get_name(memory, user_addr(argument_5(frame)), &name);
    if (error) {
        return error;
    }
    if (!is_aligned(base, FRAME_BYTES) || (bytes == 0 && argument_4(frame) != 0) || base + bytes < base) {
        return -EINVAL;
    }
    return name_all(&memory->space, base, base + bytes, name);
}
