/* The console as a terminal; see console_file.h. */
#include "console_file.h"

#include <ashlar/clock.h>
#include <ashlar/console.h>
#include <ashlar/console_input.h>
#include <ashlar/memory.h>
#include <ashlar/string.h>
#include <ashlar/thread.h>

#include "event.h"
#include "kernel/linux/signal/signal.h"
#include "kernel/linux/terminal.h"

#define CELLS      4096
#define PART_BYTES 128
#define LINE_END   0x100U /* of a cell: its byte ends a line */
#define FILE_END   0x200U /* of a cell: ^D, which ends a line and is no byte */

#define IGNORE_RETURN 0000200U /* IGNCR */
#define RETURN_IS_END 0000400U /* ICRNL */
#define END_IS_RETURN 0000100U /* INLCR */

#define SIGNALS      0000001U /* ISIG */
#define LINES        0000002U /* ICANON */
#define ECHO         0000010U
#define ECHO_END     0000100U /* ECHONL */
#define KEEP         0000200U /* NOFLSH: signals throw nothing away */
#define STOP_WRITERS 0000400U /* TOSTOP */
#define ECHO_CONTROL 0001000U /* ECHOCTL */

#define TENTH 100000000ULL /* of a second, in nanoseconds */

enum character {
    ON_INTERRUPT,
    ON_QUIT,
    ON_ERASE,
    ON_KILL,
    ON_END,
    MOST_TENTHS,
    LEAST_BYTES,
    ON_SUSPEND = 10,
    ON_LINE = 11,
    ON_ERASE_WORD = 14,
};

static const struct console_settings initial = {
    .input = 0002400, /* ICRNL, IXON */
    .output = 05,     /* OPOST, ONLCR */
    .control = 0277,  /* 38400 baud, 8 bits, CREAD, HUPCL */
    .local = 0105073, /* ISIG, ICANON, ECHO, ECHOE, ECHOK, ECHOCTL, ECHOKE, IEXTEN */
    .characters = {3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22}};

/* What was typed: a ring, in memory that is there while somebody has the console open. */
struct typed {
    uint16_t cells[CELLS]; /* a byte, and the two bits above */
    size_t first;          /* place of the oldest */
    size_t count;
    size_t editing; /* the last ones of these, in a line that is not ended */
};

/* `lock` guards all of it. */
static struct {
    struct mutex lock;
    struct console_settings settings;
    unsigned files; /* that are open */
    bool watched;   /* somebody waits for the key that leads to the monitor */
    bool away;      /* it was pressed: what is typed is the monitor's */
    struct typed *typed;
} console = {.lock = MUTEX_INITIALIZER(LOCK_FILE_CONTENTS)};

static bool local(uint32_t flag)
{
    return console.settings.local & flag;
}

static bool is_character(uint8_t byte, enum character which)
{
    return byte != 0 && byte == console.settings.characters[which];
}

/* ---- What is typed ---- */

static void forget(void)
{
    console.typed->count = console.typed->editing = 0;
}

static uint16_t *cell(size_t index)
{
    return &console.typed->cells[(console.typed->first + index) % CELLS];
}

/* A line that is too long can still be ended. */
static bool append(uint16_t what)
{
    struct typed *typed = console.typed;
    if (typed->count >= (what > UINT8_MAX || !local(LINES) ? CELLS : CELLS - 1)) {
        return false;
    }
    *cell(typed->count++) = what;
    typed->editing = what > UINT8_MAX || !local(LINES) ? 0 : typed->editing + 1;
    return true;
}

static bool is_shown_as_two(uint8_t byte)
{
    return byte < ' ' && byte != '\t' && byte != '\n';
}

static void echo(uint8_t byte)
{
    char text[2] = {'^', (char)(byte ^ 0x40)};
    if (!local(ECHO) && !(byte == '\n' && local(ECHO_END))) {
        return;
    }
    if ((is_shown_as_two(byte) || byte == 0x7f) && local(ECHO_CONTROL)) {
        console_write(text, 2);
    } else {
        console_write((const char *)&byte, 1);
    }
}

static bool is_continuation(uint16_t what)
{
    return (what & 0xc0) == 0x80;
}

/* Takes the last character of the line away, on the screen too. */
static void erase(void)
{
    struct typed *typed = console.typed;
    uint16_t what = 0;
    if (typed->editing == 0) {
        return;
    }
    do {
        what = *cell(--typed->count);
        typed->editing--;
    } while (is_continuation(what) && typed->editing != 0);
    if (local(ECHO)) {
        console_write("\b \b", 3);
        if (is_shown_as_two((uint8_t)what) && local(ECHO_CONTROL)) {
            console_write("\b \b", 3);
        }
    }
}

static bool ends_in_blank(void)
{
    uint16_t what = *cell(console.typed->count - 1);
    return what == ' ' || what == '\t';
}

static void erase_word(void)
{
    while (console.typed->editing != 0 && ends_in_blank()) {
        erase();
    }
    while (console.typed->editing != 0 && !ends_in_blank()) {
        erase();
    }
}

static void erase_line(void)
{
    while (console.typed->editing != 0) {
        erase();
    }
}

/* Whether the byte is a command to the line's editor; then it is carried out. */
static bool edits(uint8_t byte)
{
    if (is_character(byte, ON_ERASE)) {
        erase();
    } else if (is_character(byte, ON_KILL)) {
        erase_line();
    } else if (is_character(byte, ON_ERASE_WORD)) {
        erase_word();
    } else if (is_character(byte, ON_END)) {
        append(FILE_END);
    } else {
        return false;
    }
    return true;
}

/* The signal that the byte stands for; 0: none. */
static uint32_t signal_of(uint8_t byte)
{
    if (!local(SIGNALS)) {
        return 0;
    }
    return is_character(byte, ON_INTERRUPT) ? SIGNAL_INTERRUPT
           : is_character(byte, ON_QUIT)    ? SIGNAL_QUIT
           : is_character(byte, ON_SUSPEND) ? SIGNAL_TERMINAL_STOP
                                            : 0;
}

static void feed(uint8_t byte)
{
    uint32_t input = console.settings.input;
    if (byte == CONSOLE_SWITCH_KEY && console.watched) {
        console.away = true;
        return;
    }
    if (byte == '\r' && (input & IGNORE_RETURN)) {
        return;
    }
    if (byte == '\r' && (input & RETURN_IS_END)) {
        byte = '\n';
    } else if (byte == '\n' && (input & END_IS_RETURN)) {
        byte = '\r';
    }
    uint32_t signal = signal_of(byte);
    if (signal != 0) {
        if (!local(KEEP)) {
            forget();
        }
        echo(byte);
        terminal_signal(signal);
        return;
    }
    if (local(LINES) && edits(byte)) {
        return;
    }
    bool ends = local(LINES) && (byte == '\n' || is_character(byte, ON_LINE));
    if (append(byte | (ends ? LINE_END : 0))) {
        echo(byte);
    }
}

/* Takes in what has arrived; returns how much may be read. */
static size_t take_in(void)
{
    for (int byte; !console.away && (byte = console_read()) >= 0;) {
        feed((uint8_t)byte);
    }
    console_flush();
    return console.typed->count - console.typed->editing;
}

/* ---- Reading ---- */

/* Moves up to `bytes` bytes to `part`, of one line if there are lines. *ended: the line ends there. */
static size_t take_out(uint8_t *part, size_t bytes, bool *ended)
{
    struct typed *typed = console.typed;
    size_t done = 0;
    while (done < bytes && typed->count > typed->editing && !*ended) {
        uint16_t what = *cell(0);
        typed->first = (typed->first + 1) % CELLS;
        typed->count--;
        *ended = local(LINES) && what > UINT8_MAX;
        if (!(what & FILE_END)) {
            part[done++] = (uint8_t)what;
        }
    }
    return done;
}

static int64_t read_typed(struct file_buffer *buffer)
{
    uint8_t part[PART_BYTES];
    int64_t done = 0;
    bool ended = false;
    while (buffer->left != 0 && !ended && console.typed->count > console.typed->editing) {
        size_t bytes = take_out(part, (size_t)min_u64(buffer->left, sizeof part), &ended);
        size_t put = buffer->put(buffer, part, bytes);
        done += (int64_t)put;
        if (put < bytes) {
            return done != 0 ? done : -EFAULT;
        }
    }
    return done;
}

size_t console_file_waiting(void)
{
    mutex_acquire(&console.lock);
    size_t count = take_in();
    mutex_release(&console.lock);
    return count;
}

void console_file_watch(bool watched)
{
    mutex_acquire(&console.lock);
    console.watched = watched;
    mutex_release(&console.lock);
}

bool console_file_is_left(void)
{
    mutex_acquire(&console.lock);
    if (console.typed) {
        take_in();
    }
    bool away = console.away;
    mutex_release(&console.lock);
    return away;
}

void console_file_return(void)
{
    mutex_acquire(&console.lock);
    console.away = false;
    mutex_release(&console.lock);
    wake_all(&console_readers); /* what was typed behind the key may be there already */
}

/* How long a read waits: without lines, the settings may have it end after a time. */
static struct wait_how patience(bool *at_all)
{
    struct wait_how how = {.deadline = WAIT_FOREVER, .killable = true, .from_outside = true};
    mutex_acquire(&console.lock);
    const uint8_t *characters = console.settings.characters;
    if (!local(LINES) && characters[LEAST_BYTES] == 0) {
        *at_all = characters[MOST_TENTHS] != 0;
        how.deadline = clock_nanoseconds() + characters[MOST_TENTHS] * TENTH;
    }
    mutex_release(&console.lock);
    return how;
}

static int64_t console_file_read(struct file *file, struct file_buffer *buffer, uint64_t *offset)
{
    bool at_all = true;
    struct wait_how how = patience(&at_all);
    (void)offset;
    if (buffer->left == 0) {
        return 0;
    }
    for (;;) {
        mutex_acquire(&console.lock);
        bool some = take_in() != 0;
        int64_t done = some ? read_typed(buffer) : 0;
        mutex_release(&console.lock);
        if (some || !at_all) {
            return done;
        }
        if (atomic_load_explicit(&file->flags, memory_order_relaxed) & FILE_NO_WAIT) {
            return -EAGAIN;
        }
        switch (WAIT_UNTIL(&console_readers, console_file_waiting() != 0, "input", how)) {
        case WAIT_KILLED:
            return -EINTR;
        case WAIT_TIMED_OUT:
            return 0;
        case WAIT_WOKEN:
            break;
        }
    }
}

/* ---- The rest ---- */

/* A signal ends it between two parts, as a serial line takes hours for what a program can hand over at once.
 */
static int64_t console_file_write(struct file *file, struct file_buffer *buffer, uint64_t *offset)
{
    char part[PART_BYTES];
    int64_t done = 0;
    (void)file;
    (void)offset;
    while (buffer->left != 0) {
        size_t wanted = (size_t)min_u64(buffer->left, sizeof part);
        size_t bytes = buffer->take(buffer, part, wanted);
        console_write(part, bytes);
        done += (int64_t)bytes;
        if (bytes < wanted) {
            return done != 0 ? done : -EFAULT;
        }
        if (thread_interrupted()) {
            break;
        }
    }
    return done;
}

static unsigned console_file_ready(struct file *file)
{
    (void)file;
    return FILE_READY_WRITE | (console_file_waiting() != 0 ? (unsigned)FILE_READY_READ : 0u);
}

static struct fs_event arrival; /* of input */

static struct fs_event *console_file_event(struct file *file)
{
    (void)file;
    return &arrival;
}

static void note_arrival(void)
{
    event_notify_ready(&arrival, FILE_READY_READ);
}

static int console_file_open(struct file *file)
{
    int error = 0;
    (void)file;
    console_input_watch(note_arrival);
    mutex_acquire(&console.lock);
    if (console.files == 0) {
        console.typed = heap_alloc_zeroed(&kernel_heap, sizeof *console.typed);
        console.settings = initial;
        error = console.typed ? 0 : -ENOMEM;
    }
    console.files += error ? 0 : 1;
    mutex_release(&console.lock);
    return error;
}

static void console_file_release(struct file *file)
{
    (void)file;
    mutex_acquire(&console.lock);
    if (--console.files == 0) {
        heap_free(&kernel_heap, console.typed);
        console.typed = NULL;
    }
    mutex_release(&console.lock);
}

static int own_terminal_open(struct file *file)
{
    return terminal_is_own() ? console_file_open(file) : -ENXIO;
}

#define OPERATIONS(open_function)                                                                            \
    {                                                                                                        \
        .open = (open_function), .read = console_file_read, .write = console_file_write,                     \
        .ready = console_file_ready, .event = console_file_event, .release = console_file_release,           \
        .stream = true                                                                                       \
    }
const struct file_operations console_file_operations = OPERATIONS(console_file_open);
const struct file_operations own_terminal_operations = OPERATIONS(own_terminal_open);
#undef OPERATIONS

bool console_file_stops_writers(void)
{
    return local(STOP_WRITERS); /* one word: whoever changes it does so at once */
}

void console_file_get(struct console_settings *settings)
{
    mutex_acquire(&console.lock);
    *settings = console.settings;
    mutex_release(&console.lock);
}

void console_file_set(const struct console_settings *settings, bool forget_typed)
{
    mutex_acquire(&console.lock);
    bool lines = local(LINES);
    console.settings = *settings;
    if (forget_typed) {
        forget();
    }
    if (lines && !local(LINES)) {
        console.typed->editing = 0; /* a line that was begun can be read at once */
    }
    mutex_release(&console.lock);
}
