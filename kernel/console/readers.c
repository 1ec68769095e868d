/* Waking who waits for input; see <ashlar/console_input.h>. */
#include <ashlar/console_input.h>
#include <stdatomic.h>

struct wait_queue console_readers = WAIT_QUEUE_INITIALIZER;

static void (*_Atomic watcher)(void);

void console_input_watch(void (*arrived)(void))
{
    atomic_store(&watcher, arrived);
}

void console_input_arrived(void)
{
    wake_all(&console_readers);
    void (*arrived)(void) = atomic_load(&watcher);
    if (arrived) {
        arrived();
    }
}
