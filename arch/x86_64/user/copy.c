/* Copies from and to user memory; see <ashlar/user_copy.h>. The instructions are in copy.S. */
#include <ashlar/platform.h>
#include <ashlar/user_copy.h>
#include <x86/extended_state.h>

uint64_t user_access_copy(void *to, const void *from, uint64_t bytes);
uint64_t user_access_clear(void *to, uint64_t bytes);
int64_t user_access_string(char *to, const char *from, uint64_t limit);
uint64_t user_access_load_32(uint32_t *value, const void *from);
uint64_t user_access_load_64(uint64_t *value, const void *from);
uint64_t user_access_store_32(void *to, uint32_t value);
uint64_t user_access_store_64(void *to, uint64_t value);
uint64_t user_access_exchange(void *at, uint32_t *expected, uint32_t desired);
uint64_t user_access_xsave(void *to, uint64_t components);
uint64_t user_access_xrstor(const void *from, uint64_t components);
uint64_t user_access_fxsave(void *to, uint64_t components);
uint64_t user_access_fxrstor(const void *from, uint64_t components);

/* Only for the instructions of copy.S. */
static void *pointer(user_addr_t address)
{
    return (void *)(uintptr_t)address.raw;
}

uint64_t copy_some_from_user(void *to, user_addr_t from, uint64_t bytes)
{
    return user_range_is_sound(from, bytes) ? bytes - user_access_copy(to, pointer(from), bytes) : 0;
}

uint64_t copy_some_to_user(user_addr_t to, const void *from, uint64_t bytes)
{
    return user_range_is_sound(to, bytes) ? bytes - user_access_copy(pointer(to), from, bytes) : 0;
}

/* With preemption off no page fault is resolved (kernel/memory/page_fault.c). */
uint64_t copy_some_from_user_no_fault(void *to, user_addr_t from, uint64_t bytes)
{
    preempt_disable();
    uint64_t copied = copy_some_from_user(to, from, bytes);
    preempt_enable();
    return copied;
}

uint64_t copy_some_to_user_no_fault(user_addr_t to, const void *from, uint64_t bytes)
{
    preempt_disable();
    uint64_t copied = copy_some_to_user(to, from, bytes);
    preempt_enable();
    return copied;
}

/* No bytes at a bad address are not all bytes: that is an error like others. */
bool copy_from_user(void *to, user_addr_t from, uint64_t bytes)
{
    return user_range_is_sound(from, bytes) && user_access_copy(to, pointer(from), bytes) == 0;
}

bool copy_to_user(user_addr_t to, const void *from, uint64_t bytes)
{
    return user_range_is_sound(to, bytes) && user_access_copy(pointer(to), from, bytes) == 0;
}

bool copy_from_user_no_fault(void *to, user_addr_t from, uint64_t bytes)
{
    return user_range_is_sound(from, bytes) && copy_some_from_user_no_fault(to, from, bytes) == bytes;
}

bool copy_to_user_no_fault(user_addr_t to, const void *from, uint64_t bytes)
{
    return user_range_is_sound(to, bytes) && copy_some_to_user_no_fault(to, from, bytes) == bytes;
}

bool clear_user(user_addr_t to, uint64_t bytes)
{
    return user_range_is_sound(to, bytes) && user_access_clear(pointer(to), bytes) == 0;
}

/* A string that reaches the end of the user half without a terminator is not all there. */
int64_t strncpy_from_user(char *to, user_addr_t from, uint64_t limit)
{
    if (from.raw >= USER_END) {
        return USER_STRING_FAULT;
    }
    uint64_t room = min_u64(limit, USER_END - from.raw);
    int64_t length = user_access_string(to, pointer(from), room);
    return length == USER_STRING_TOO_LONG && room < limit ? USER_STRING_FAULT : length;
}

bool get_user_32(uint32_t *value, user_addr_t from)
{
    return user_range_is_sound(from, sizeof *value) && user_access_load_32(value, pointer(from)) == 0;
}

bool get_user_64(uint64_t *value, user_addr_t from)
{
    return user_range_is_sound(from, sizeof *value) && user_access_load_64(value, pointer(from)) == 0;
}

bool put_user_32(user_addr_t to, uint32_t value)
{
    return user_range_is_sound(to, sizeof value) && user_access_store_32(pointer(to), value) == 0;
}

bool put_user_64(user_addr_t to, uint64_t value)
{
    return user_range_is_sound(to, sizeof value) && user_access_store_64(pointer(to), value) == 0;
}

bool compare_exchange_user_32(user_addr_t at, uint32_t *expected, uint32_t desired)
{
    return user_range_is_sound(at, sizeof *expected) &&
           user_access_exchange(pointer(at), expected, desired) == 0;
}

/* A thread's vector registers are on the CPU whenever it runs, so a fault in between changes none of them. */
bool extended_state_save_to_user(user_addr_t to)
{
    uint64_t components = extended_state_components();
    if (!user_range_is_sound(to, extended_state_bytes())) {
        return false;
    }
    return (components ? user_access_xsave : user_access_fxsave)(pointer(to), components) == 0;
}

bool extended_state_load_from_user(user_addr_t from, uint64_t components)
{
    if (!user_range_is_sound(from, extended_state_bytes())) {
        return false;
    }
    return (components ? user_access_xrstor : user_access_fxrstor)(pointer(from), components) == 0;
}
