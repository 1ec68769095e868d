/* Mistakes with locks, which builds with all assertions notice; see <ashlar/provoke.h>. */
#define LOG_SUBSYSTEM "provoked"
#include <ashlar/console.h>
#include <ashlar/heap.h>
#include <ashlar/lock.h>
#include <ashlar/log.h>
#include <x86/interrupt.h>

#include "internal.h"

/* Of ranks that nothing else has in its hands while a command runs. */
static struct spinlock first = SPINLOCK_INITIALIZER(LOCK_VMALLOC);
static struct spinlock second = SPINLOCK_INITIALIZER(LOCK_TABLE_SLOTS);
static struct mutex mutex = MUTEX_INITIALIZER(LOCK_SPACE_CHANGE);
static struct irq_spinlock irq_lock = IRQ_SPINLOCK_INITIALIZER(LOCK_IO_APIC);

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

__attribute__((noinline)) void provoke_log_locked(void)
{
    irq_spinlock_acquire(&irq_lock);
    log_info("under a lock");
    irq_spinlock_release(&irq_lock);
    say_unnoticed();
}

__attribute__((noinline)) void provoke_alloc_locked(void)
{
    irq_spinlock_acquire(&irq_lock);
    void *block = heap_alloc(&kernel_heap, 40);
    heap_free(&kernel_heap, block);
    irq_spinlock_release(&irq_lock);
    say_unnoticed();
}

static void handle_and_allocate(void *context)
{
    *(void **)context = heap_alloc(&kernel_heap, 40);
}

__attribute__((noinline)) void provoke_alloc_in_handler(void)
{
    void *block = NULL;
    interrupt_register(PROVOKED_VECTOR, handle_and_allocate, &block, "provoked");
    __asm__ volatile("int %0" : : "i"(PROVOKED_VECTOR) : "memory");
    interrupt_unregister(PROVOKED_VECTOR);
    heap_free(&kernel_heap, block);
    say_unnoticed();
}
