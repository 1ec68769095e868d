/* Requests between CPUs: see <ashlar/cpu_request.h>. */
#include <ashlar/cpu_request.h>
#include <ashlar/lock.h>

struct mailbox {
    struct cpu_set asked;           /* who asks this CPU: they enter, it takes them out */
    struct cpu_set waiting;         /* who has not answered this CPU: it puts them in, they leave */
    cpu_request_function *function; /* what it asks for */
    const void *context;
};

bool cpu_mailboxes_are_there;
static struct mailbox *mailboxes; /* by CPU */
static struct cpu_set online;
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
    unsigned length = cpu_set_words(cpus);
    cpu_set_init(&online, words, cpus);
    for (unsigned cpu = 0; cpu < cpus; cpu++) {
        boxes[cpu] = (struct mailbox){.function = NULL};
        cpu_set_init(&boxes[cpu].asked, words += length, cpus);
        cpu_set_init(&boxes[cpu].waiting, words += length, cpus);
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

/* All are noted before the first is asked, since it may answer at once. */
void cpu_request_send(const struct cpu_set *cpus, cpu_request_function *function, const void *context)
{
    const struct cpu_set *from = cpus ? cpus : &online;
    unsigned here = cpu_number();
    struct mailbox *mine = &mailboxes[here];
    mine->function = function;
    mine->context = context;
    for (unsigned i = 0; i < cpu_set_words(from->cpus); i++) {
        uint64_t word = atomic_load_explicit(&from->words[i], memory_order_relaxed);
        word &= i == here / CPU_SET_WORD_BITS ? ~cpu_set_bit(here) : UINT64_MAX;
        DEBUG_ASSERT(atomic_load_explicit(&mine->waiting.words[i], memory_order_relaxed) == 0);
        atomic_store_explicit(&mine->waiting.words[i], word, memory_order_relaxed);
    }
    for (unsigned cpu = cpu_set_next(&mine->waiting, 0); cpu < mine->waiting.cpus;
         cpu = cpu_set_next(&mine->waiting, cpu + 1)) {
        cpu_set_add(&mailboxes[cpu].asked, here);
        cpu_interrupt(cpu);
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

void cpu_request_wait(void)
{
    const struct cpu_set *waiting = &mailboxes[cpu_number()].waiting;
    struct lock_wait wait = lock_wait_begin(1);
    unsigned first;
    while ((first = cpu_set_next(waiting, 0)) < waiting->cpus) {
        cpu_serve_requests();
        cpu_relax();
        if (!lock_wait_goes_on(&wait)) {
            panic_of_silence(first);
        }
    }
}

/* Whoever asks is taken out first: so nobody is served twice when a function waits for a lock, and serves. */
void cpu_serve_requests(void)
{
    if (!cpus_are_several()) {
        return;
    }
    bool were_on = interrupts_disable();
    unsigned here = cpu_number();
    struct cpu_set *asked = &mailboxes[here].asked;
    for (unsigned cpu = cpu_set_next(asked, 0); cpu < asked->cpus; cpu = cpu_set_next(asked, cpu + 1)) {
        if (cpu_set_remove(asked, cpu)) {
            mailboxes[cpu].function(mailboxes[cpu].context);
            cpu_set_remove(&mailboxes[cpu].waiting, here);
        }
    }
    interrupts_restore(were_on);
}
