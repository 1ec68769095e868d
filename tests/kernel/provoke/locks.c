/* Mistakes with locks, which builds with all assertions notice; see <ashlar/provoke.h>. */
#include <ashlar/console.h>
#include <ashlar/lock.h>
#include <x86/interrupt.h>

#include "internal.h"

/* Of ranks that nothing else has in its hands while a command runs. */
static struct spinlock first = SPINLOCK_INITIALIZER(LOCK_VMALLOC);
static struct spinlock second = SPINLOCK_INITIALIZER(LOCK_TABLE_SLOTS);
static struct mutex mutex = MUTEX_INITIALIZER(LOCK_SPACE_CHANGE);

static void say_unnoticed(void)
{
    console_print("nobody noticed: only a build with all assertions does\n");
}

__attribute__((noinline)) void provoke_lock_order(void)
{
    spinlock_acquire(&second);
    spinlock_acquire(&first);
    spinlock_release(&first);
    spinlock_release(&second);
    say_unnoticed();
}

static void handle_and_lock(void *context)
{
    (void)context;
    spinlock_acquire(&first);
    spinlock_release(&first);
}

__attribute__((noinline)) void provoke_lock_in_handler(void)
{
    interrupt_register(PROVOKED_VECTOR, handle_and_lock, NULL, "provoked");
    __asm__ volatile("int %0" : : "i"(PROVOKED_VECTOR) : "memory");
    interrupt_unregister(PROVOKED_VECTOR);
    say_unnoticed();
}

__attribute__((noinline)) void provoke_wait_forbidden(void)
{
    spinlock_acquire(&first);
    mutex_acquire(&mutex);
    mutex_release(&mutex);
    spinlock_release(&first);
    say_unnoticed();
}
