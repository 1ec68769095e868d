/* Requests between CPUs: see <ashlar/cpu_request.h>. */
#include <ashlar/cpu_request.h>
#include <ashlar/lock.h>

struct mailbox {
    struct cpu_set asked;           /* who asks this CPU: they enter, it takes them out */
    struct cpu_set waiting;         /* who has not answered this CPU: it puts them in, they leave */
    cpu_request_function *function; /* what it asks for */
    const void *context;
    _Atomic(uint64_t) requests; /* that this CPU has made; it alone writes this and the next */
    _Atomic(uint64_t) answers;  /* that it has given */
};

bool cpu_mailboxes_are_there;
static struct mailbox *mailboxes; /* by CPU */
static struct cpu_set online;
static unsigned set_words; /* of each set here */
static struct cpu_request_calls given;

size_t cpu_requests_bytes(unsigned cpus)
{
    size_t set_bytes = cpu_set_words(cpus) * sizeof(uint64_t);
    return cpus * (sizeof(struct mailbox) + 2 * set_bytes) + set_bytes;
}

void cpu_requests_start(void *memory, unsigned cpus, const struct cpu_request_calls *calls)
{
    struct mailbox *boxes = memory;
    _Atomic(uint64_t) *words = (_Atomic(uint64_t) *)(boxes + cpus);
    set_words = cpu_set_words(cpus);
    cpu_set_init(&online, words, cpus);
    for (unsigned cpu = 0; cpu < cpus; cpu++) {
        boxes[cpu] = (struct mailbox){.function = NULL};
        cpu_set_init(&boxes[cpu].asked, words += set_words, cpus);
        cpu_set_init(&boxes[cpu].waiting, words += set_words, cpus);
    }
    given = *calls;
    mailboxes = boxes;
    cpu_enter_online();
    cpu_mailboxes_are_there = cpus > 1;
}

unsigned cpus_present(void)
{
    return cpu_mailboxes_are_there ? online.cpus : 1;
}

const struct cpu_set *cpus_online(void)
{
    return &online;
}

void cpu_enter_online(void)
{
    cpu_set_add(&online, cpu_number());
}

void cpu_interrupt(unsigned cpu)
{
    given.interrupt(cpu);
}

static inline void count(_Atomic(uint64_t) *counter)
{
    uint64_t before = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, before + 1, memory_order_relaxed);
}

struct cpu_request_counts cpu_request_counts(unsigned cpu)
{
    if (cpu >= online.cpus) {
        return (struct cpu_request_counts){0, 0};
    }
    return (struct cpu_request_counts){
        .asked = atomic_load_explicit(&mailboxes[cpu].requests, memory_order_relaxed),
        .answered = atomic_load_explicit(&mailboxes[cpu].answers, memory_order_relaxed)};
}

/* Those of one word are noted before the first of them is asked, since it may answer at once. */
void cpu_request_send(const struct cpu_set *cpus, cpu_request_function *function, const void *context)
{
    const struct cpu_set *from = cpus ? cpus : &online;
    const unsigned words = cpu_set_words(from->cpus);
    unsigned here = cpu_number();
    struct mailbox *mine = &mailboxes[here];
    mine->function = function;
    mine->context = context;
    count(&mine->requests);
    for (unsigned i = 0; i < words; i++) {
        uint64_t word = atomic_load_explicit(&from->words[i], memory_order_relaxed);
        word &= i == here / CPU_SET_WORD_BITS ? ~cpu_set_bit(here) : UINT64_MAX;
        DEBUG_ASSERT(atomic_load_explicit(&mine->waiting.words[i], memory_order_relaxed) == 0);
        atomic_store_explicit(&mine->waiting.words[i], word, memory_order_relaxed);
        for (; word != 0; word &= word - 1) {
            unsigned cpu = i * CPU_SET_WORD_BITS + (unsigned)__builtin_ctzll(word);
            cpu_interleave();
            cpu_set_add(&mailboxes[cpu].asked, here);
            cpu_interleave();
            cpu_interrupt(cpu);
        }
    }
}

void cpu_say_where(unsigned cpu)
{
    if (given.silent) {
        given.silent(cpu);
    }
}

_Noreturn static void panic_of_silence(unsigned cpu)
{
    cpu_say_where(cpu);
    panic("CPU %u does not answer what CPU %u asks of it", cpu, cpu_number());
}

static inline bool is_empty(const struct cpu_set *set)
{
    uint64_t any = 0;
    unsigned i = 0;
    do {
        any |= atomic_load_explicit(&set->words[i], memory_order_acquire);
    } while (++i < set_words);
    return any == 0;
}

static inline void serve_and_pause(void)
{
    cpu_serve_requests();
    cpu_relax();
}

static __attribute__((noinline)) void wait_patiently(const struct cpu_set *waiting)
{
    struct lock_wait wait = lock_wait_begin(1);
    while (!is_empty(waiting)) {
        serve_and_pause();
        if (!lock_wait_goes_on(&wait)) {
            panic_of_silence(cpu_set_next(waiting, 0));
        }
    }
}

/* Those who answer before the second look cost no look at the clock. */
void cpu_request_wait(void)
{
    const struct cpu_set *waiting = &mailboxes[cpu_number()].waiting;
    if (is_empty(waiting)) {
        return;
    }
    serve_and_pause();
    if (!is_empty(waiting)) {
        wait_patiently(waiting);
    }
}

/*
 * Whoever asks is taken out first: so nobody is served twice when a function waits for a lock, and serves.
 * Each is looked at once, so that those who ask again and again are left to the next call.
 */
static __attribute__((noinline)) void serve(struct mailbox *mine, unsigned here)
{
    bool were_on = interrupts_disable();
    for (unsigned i = 0; i < set_words; i++) {
        uint64_t left = UINT64_MAX;
        uint64_t word;
        while ((word = left & atomic_load_explicit(&mine->asked.words[i], memory_order_acquire)) != 0) {
            struct mailbox *asking = &mailboxes[i * CPU_SET_WORD_BITS + (unsigned)__builtin_ctzll(word)];
            left = ~(word ^ (word - 1)); /* those above it */
            atomic_fetch_and(&mine->asked.words[i], ~(word & -word));
            cpu_interleave();
            asking->function(asking->context);
            cpu_set_remove(&asking->waiting, here);
            count(&mine->answers);
            cpu_interleave();
        }
    }
    interrupts_restore(were_on);
}

/* Nearly always nobody asks: who begins to meanwhile is served by his interrupt, or the next time. */
void cpu_serve_requests(void)
{
    if (!cpus_are_several()) {
        return;
    }
    unsigned here = cpu_number();
    struct mailbox *mine = &mailboxes[here];
    if (!is_empty(&mine->asked)) {
        serve(mine, here);
    }
}
