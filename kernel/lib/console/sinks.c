/*
 * The sinks of the console, and the lock that keeps lines whole; see <ashlar/console.h>. Below the log, which
 * shows its lines by this; what is printed otherwise comes in above it (console.c).
 */
#include <ashlar/console.h>
#include <ashlar/lock.h>

static struct spinlock console_lock = SPINLOCK_INITIALIZER(LOCK_CONSOLE);
static atomic_bool lock_broken; /* a panic prints: the lock is void */

static struct console_sink *sinks[CONSOLE_SINKS_MAX] GUARDED_BY(console_lock);
static unsigned sink_count GUARDED_BY(console_lock);

static void acquire(void) ACQUIRES(console_lock) NO_LOCK_ANALYSIS
{
    if (!atomic_load_explicit(&lock_broken, memory_order_relaxed)) {
        spinlock_acquire(&console_lock);
    }
}

static bool try_acquire(void) TRY_ACQUIRES(true, console_lock) NO_LOCK_ANALYSIS
{
    return atomic_load_explicit(&lock_broken, memory_order_relaxed) || spinlock_try_acquire(&console_lock);
}

static void release(void) RELEASES(console_lock) NO_LOCK_ANALYSIS
{
    if (!atomic_load_explicit(&lock_broken, memory_order_relaxed)) {
        spinlock_release(&console_lock);
    }
    /* Orders the release before the look for lines that came meanwhile: see log_show_pending(). */
    atomic_thread_fence(memory_order_seq_cst);
    cpu_interleave();
}

static void write_to_sinks(const char *text, size_t bytes) REQUIRES(console_lock)
{
    for (unsigned i = 0; i < sink_count; i++) {
        if (!sinks[i]->failed) {
            sinks[i]->busy = true;
            sinks[i]->write(sinks[i], text, bytes);
            sinks[i]->busy = false;
        }
    }
}

void console_add_sink(struct console_sink *sink)
{
    acquire();
    bool room = sink_count < CONSOLE_SINKS_MAX;
    if (room) {
        sinks[sink_count++] = sink;
    }
    release();
    if (!room) {
        panic("console: no room for the sink \"%s\": there are %d already", sink->name, CONSOLE_SINKS_MAX);
    }
}

static void flush_sinks(void) REQUIRES(console_lock)
{
    for (unsigned i = 0; i < sink_count; i++) {
        if (sinks[i]->flush && !sinks[i]->failed) {
            sinks[i]->busy = true;
            sinks[i]->flush(sinks[i]);
            sinks[i]->busy = false;
        }
    }
}

void console_hold(void) NO_LOCK_ANALYSIS
{
    acquire();
}

bool console_try_hold(void) NO_LOCK_ANALYSIS
{
    return try_acquire();
}

void console_write_held(const char *text, size_t bytes) NO_LOCK_ANALYSIS
{
    write_to_sinks(text, bytes);
}

void console_flush_held(void) NO_LOCK_ANALYSIS
{
    flush_sinks();
}

void console_drop(void) NO_LOCK_ANALYSIS
{
    release();
}

void console_break_lock(void) NO_LOCK_ANALYSIS
{
    if (!atomic_exchange(&lock_broken, true)) {
        return; /* a sink that was only interrupted can go on: what it keeps is bounded, whatever state it is
                   in */
    }
    for (unsigned i = 0; i < sink_count; i++) {
        sinks[i]->failed = sinks[i]->failed || sinks[i]->busy;
    }
}
