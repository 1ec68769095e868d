/* Watching system calls; see trace.h. */
#include "trace.h"

#include <ashlar/console.h>
#include <ashlar/format.h>
#include <ashlar/string.h>
#include <stdatomic.h>
#include <x86/user_mode.h>

#include "kernel/linux/calls.h"
#include "kernel/linux/tree.h"
#include "words.h"

#define LINE_BYTES 400
#define TEXT_SHOWN 40 /* bytes of a string or a buffer */
#define ARGUMENTS  6
#define ERRORS_END 4096   /* answers from here on are no errors */
#define HERE       (-100) /* AT_FDCWD */

/* What an argument of a call is beyond its kind. */
struct special {
    uint16_t call;
    uint8_t argument; /* from 0 on */
    uint8_t words;    /* enum trace_words; or how a buffer is shown: */
};

/* What the program gives, or gets: the next argument is its length. Or a mode, in octal. */
enum shown { BUFFER_IN = 100, BUFFER_OUT, OCTAL };

static const struct special specials[] = {
    {0, 1, BUFFER_OUT},    {1, 1, BUFFER_IN},     {2, 1, WORDS_OPEN},     {2, 2, OCTAL},
    {9, 2, WORDS_PROTECT}, {9, 3, WORDS_MAP},     {10, 2, WORDS_PROTECT}, {17, 1, BUFFER_OUT},
    {18, 1, BUFFER_IN},    {28, 2, WORDS_ADVICE}, {56, 0, WORDS_CLONE},   {83, 1, OCTAL},
    {85, 1, OCTAL},        {89, 1, BUFFER_OUT},   {90, 1, OCTAL},         {91, 1, OCTAL},
    {95, 0, OCTAL},        {257, 2, WORDS_OPEN},  {257, 3, OCTAL},        {258, 2, OCTAL},
    {267, 2, BUFFER_OUT},  {268, 2, OCTAL},       {292, 2, WORDS_OPEN},   {293, 1, WORDS_OPEN},
};

struct line {
    char text[LINE_BYTES];
    size_t used;
};

/* ---- Parts of a line; what does not fit is cut ---- */

static void add(struct line *line, const char *text, ...) __attribute__((format(printf, 2, 3)));
static void add(struct line *line, const char *text, ...)
{
    va_list arguments;
    size_t room = sizeof line->text - line->used;
    va_start(arguments, text);
    size_t length = format_list(line->text + line->used, room, text, arguments);
    va_end(arguments);
    line->used += length < room ? length : room - 1;
}

/* Bytes between quotes, those that are no plain ones as C has them. */
static void add_quoted(struct line *line, const char *bytes, size_t count, bool more)
{
    add(line, "\"");
    for (size_t i = 0; i < count; i++) {
        char c = bytes[i];
        if (c == '\n' || c == '\t' || c == '"' || c == '\\') {
            add(line, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : c);
        } else if (c < ' ' || c == 0x7f) {
            add(line, "\\%o", (unsigned char)c);
        } else {
            add(line, "%c", c);
        }
    }
    add(line, more ? "\"..." : "\"");
}

static void add_address(struct line *line, uint64_t address)
{
    if (address == 0) {
        add(line, "NULL");
    } else {
        add(line, "%#" PRIx64, address);
    }
}

static void add_string(struct line *line, uint64_t address)
{
    char text[TEXT_SHOWN + 1];
    uint64_t copied = address != 0 ? copy_some_from_user(text, user_addr(address), sizeof text) : 0;
    if (copied == 0) {
        add_address(line, address);
        return;
    }
    size_t length = strnlen(text, (size_t)copied);
    add_quoted(line, text, length < TEXT_SHOWN ? length : TEXT_SHOWN, length > TEXT_SHOWN);
}

static void add_buffer(struct line *line, uint64_t address, uint64_t bytes)
{
    char text[TEXT_SHOWN];
    uint64_t copied = copy_some_from_user(text, user_addr(address), min_u64(bytes, sizeof text));
    if (copied == 0 && bytes != 0) {
        add_address(line, address);
        return;
    }
    add_quoted(line, text, (size_t)copied, bytes > copied);
}

/* ---- A call ---- */

static bool is_error(uint64_t answer)
{
    return answer > UINT64_MAX - ERRORS_END;
}

/* What a call is: as it stands in calls.h. */
struct call {
    uint64_t number;
    const char *name;  /* or NULL */
    const char *kinds; /* of its arguments */
    uint64_t arguments[ARGUMENTS];
};

static struct call call_of(const struct trap_frame *frame)
{
    struct call call = {.number = frame->rax,
                        .arguments = {argument_1(frame), argument_2(frame), argument_3(frame),
                                      argument_4(frame), argument_5(frame), argument_6(frame)}};
    call.name = system_call_name(call.number, &call.kinds);
    return call;
}

static unsigned special_of(const struct call *call, unsigned argument)
{
    for (size_t i = 0; i < ARRAY_LENGTH(specials); i++) {
        if (specials[i].call == call->number && specials[i].argument == argument) {
            return specials[i].words;
        }
    }
    return WORDS_NONE;
}

static void add_special(struct line *line, unsigned special, uint64_t argument, uint64_t next)
{
    char words[160];
    if (special == BUFFER_IN) {
        add_buffer(line, argument, next);
        return;
    }
    if (special == OCTAL) {
        add(line, "%#o", (uint32_t)argument);
        return;
    }
    trace_words((enum trace_words)special, argument, words, sizeof words);
    add(line, "%s", words);
}

static void add_plain(struct line *line, char kind, uint64_t argument)
{
    switch (kind) {
    case 'd':
        if ((int32_t)argument == HERE) {
            add(line, "AT_FDCWD");
        } else {
            add(line, "%d", (int32_t)argument);
        }
        break;
    case 's':
        add_string(line, argument);
        break;
    case 'n': /* a small negative one of 32 bits comes without the upper ones */
        add(line, "%" PRId64, argument >> 16 == 0xffff ? (int32_t)argument : (int64_t)argument);
        break;
    case 'x':
        add(line, argument != 0 ? "%#" PRIx64 : "%" PRIx64, argument);
        break;
    default:
        add_address(line, argument);
    }
}

static void add_argument(struct line *line, const struct call *call, unsigned i)
{
    unsigned special = special_of(call, i);
    if (special == WORDS_NONE || special == BUFFER_OUT) {
        add_plain(line, call->kinds[i], call->arguments[i]);
    } else {
        add_special(line, special, call->arguments[i], i + 1 < ARGUMENTS ? call->arguments[i + 1] : 0);
    }
}

/* Those up to the first whose contents come with the answer; returns its number, or how many there are. */
static unsigned add_known(struct line *line, const struct call *call)
{
    unsigned i = 0;
    for (; call->kinds[i] && special_of(call, i) != BUFFER_OUT; i++) {
        add(line, i != 0 ? ", " : "");
        add_argument(line, call, i);
    }
    return i;
}

/* The others, when the call has returned. */
static void add_rest(struct line *line, const struct call *call, unsigned first, uint64_t answer)
{
    for (unsigned i = first; call->kinds[i]; i++) {
        add(line, i != 0 ? ", " : "");
        if (i == first && !is_error(answer)) {
            add_buffer(line, call->arguments[i], answer);
        } else {
            add_argument(line, call, i);
        }
    }
}

static void add_answer(struct line *line, const struct call *call, uint64_t answer)
{
    if (is_error(answer)) {
        const char *name = trace_error(-answer);
        if (name) {
            add(line, ") = -1 %s\n", name);
        } else {
            add(line, ") = -1 error %" PRIu64 "\n", -answer);
        }
    } else if (call->number == 9 || call->number == 12) { /* mmap, brk */
        add(line, ") = %#" PRIx64 "\n", answer);
    } else {
        add(line, ") = %" PRIu64 "\n", answer);
    }
}

static bool returns(uint64_t number)
{
    return number != 60 && number != 231; /* exit, exit_group */
}

/* A line that was cut still ends. */
static void show(struct line *line)
{
    line->text[sizeof line->text - 2] = '\n';
    console_write(line->text, line->used < sizeof line->text - 1 ? line->used : sizeof line->text - 1);
    console_flush();
}

static uint64_t watched_call(struct trap_frame *frame)
{
    struct call call = call_of(frame);
    struct line line = {.used = 0};
    add(&line, "%5u ", task_current()->number);
    if (call.name) {
        add(&line, "%s(", call.name);
    } else {
        add(&line, "syscall_%" PRIu64 "(", call.number);
    }
    unsigned known = add_known(&line, &call);
    if (!returns(call.number)) {
        add(&line, ") = ?\n");
        show(&line);
        return process_system_call(frame);
    }
    uint64_t answer = process_system_call(frame);
    add_rest(&line, &call, known, answer);
    add_answer(&line, &call, answer);
    show(&line);
    return answer;
}

static uint64_t call_or_watch(struct trap_frame *frame)
{
    return (atomic_load_explicit(&process_current()->traced, memory_order_relaxed)
                ? watched_call
                : process_system_call)(frame);
}

/* ---- Beginning and ending ---- */

static _Atomic(uint32_t) watchers;

void trace_begin(void)
{
    tree_lock();
    if (watchers++ == 0) {
        system_call_set_handler(call_or_watch);
    }
    tree_unlock();
}

void trace_end(void)
{
    tree_lock();
    if (--watchers == 0) {
        system_call_set_handler(process_system_call);
        for (struct process *process = tree_next(0); process; process = tree_next(process->number + 1)) {
            atomic_store_explicit(&process->traced, false, memory_order_relaxed); /* children inherited it */
        }
    }
    tree_unlock();
}

bool trace_set(uint32_t number, bool traced)
{
    tree_lock();
    struct process *process = process_find(number);
    if (process) {
        atomic_store_explicit(&process->traced, traced, memory_order_relaxed);
    }
    tree_unlock();
    return process;
}
