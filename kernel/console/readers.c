/* Waking who waits for input; see <ashlar/console_input.h>. */
#include <ashlar/console_input.h>

struct wait_queue console_readers = WAIT_QUEUE_INITIALIZER;

void console_input_arrived(void)
{
    wake_all(&console_readers);
}
