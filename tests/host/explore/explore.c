/* The explorer: CPUs as coroutines, their memory, and the search; see explore.h. */
#include "explore.h"

#include <ashlar/cpu_request.h>
#include <ashlar/lock.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"

#define STACK_WORDS EXPLORE_STACK
#define PATH_MAX    4096
#define SEEN_PLACES (1u << 24)

struct explore_world world;
static const struct explore_scenario *scenario;

/* ---- Coroutines ---- */

static void *scheduler_stack; /* where the search goes on when a CPU stops */
static bool cpus_run;         /* not while the world is made */

/* Saves what a call must preserve on the stack that is left, and goes on on another one. */
void explore_switch(void **left, void *to);
__asm__(".text\n"
        "explore_switch:\n"
        "    push %rbx\n    push %rbp\n    push %r12\n    push %r13\n    push %r14\n    push %r15\n"
        "    mov %rsp, (%rdi)\n"
        "    mov %rsi, %rsp\n"
        "    pop %r15\n    pop %r14\n    pop %r13\n    pop %r12\n    pop %rbp\n    pop %rbx\n"
        "    ret\n");

static void stop_here(void)
{
    explore_switch(&world.cpu[world.at].stack, scheduler_stack);
}

static void *top_of(unsigned number)
{
    return &world.stacks[number][STACK_WORDS];
}

/* What an interrupted CPU runs, on top of what it was about to do. If that was to wait, it looks again. */
static void take_interrupt(struct explore_cpu *cpu)
{
    bool waits = cpu->waits;
    cpu->taking = false;
    cpu->interrupts_on = false;
    cpu->waits = false;
    cpu_serve_requests();
    cpu->interrupts_on = true;
    cpu->waits = waits;
    cpu->news = true;
}

void explore_step(const char *what)
{
    struct explore_cpu *cpu = explore_here();
    if (!cpus_run) {
        return;
    }
    cpu->about_to = what;
    stop_here();
    while (cpu->taking) {
        take_interrupt(cpu);
        cpu->about_to = what;
        stop_here();
    }
}

/* Nothing is to be done until others have written something. */
static void wait_for_others(const char *what)
{
    explore_here()->waits = true;
    explore_step(what);
    explore_here()->waits = false;
}

static _Noreturn void run_cpu(void)
{
    explore_step("begin");
    scenario->run[world.at]();
    explore_here()->done = true;
    explore_here()->interrupts_on = true;
    for (;;) {
        wait_for_others("idle");
    }
}

static void make_cpu(unsigned number)
{
    void **stack = top_of(number);
    *--stack = NULL; /* the stack is aligned as after a call */
    *--stack = (void *)(uintptr_t)run_cpu;
    stack -= 6;
    world.cpu[number].stack = stack;
}

void explore_fail(const char *what)
{
    if (!world.failure) {
        world.failure = what;
    }
}

_Noreturn void panic(const char *format, ...)
{
    (void)format;
    explore_fail("panic");
    for (;;) {
        stop_here();
    }
}

/* ---- What the platform asks ---- */

unsigned explore_cpu(void)
{
    return world.at;
}

bool explore_interrupts_are_on(void)
{
    return explore_here()->interrupts_on;
}

bool explore_interrupts(bool on)
{
    bool before = explore_here()->interrupts_on;
    explore_here()->interrupts_on = on;
    return before;
}

void explore_spin(void)
{
    wait_for_others("wait");
}

struct lock_wait lock_wait_begin(unsigned patiences)
{
    return (struct lock_wait){.left = patiences};
}

bool lock_wait_goes_on(struct lock_wait *wait)
{
    return wait->left != 0; /* nobody is slow here: who never answers is found otherwise */
}

/* ---- The search ---- */

enum event { EVENT_RUN, EVENT_INTERRUPT, EVENT_DRAIN, EVENTS };
static const char *const event_names[] = {"", "takes an interrupt", "a store arrives"};

struct path_step {
    unsigned cpu;
    enum event event;
    const char *what;
};

static uint64_t *seen; /* hashes, 0 where there is none */
static uint64_t states;
static struct path_step path[PATH_MAX];
static unsigned depth;
static unsigned failed_depth;

static uint64_t hash_words(uint64_t hash, const void *from, const void *to)
{
    for (const uint64_t *word = from; (const void *)word < to; word++) {
        hash = (hash ^ *word) * 0x9e3779b97f4a7c15;
        hash ^= hash >> 29;
    }
    return hash;
}

/* Of the stacks what is in use, of the rest all. */
static uint64_t hash_world(void)
{
    uint64_t hash = hash_words(1, &world.cpu, &world.stacks);
    for (unsigned i = 0; i < scenario->cpus; i++) {
        hash = hash_words(hash, world.cpu[i].stack, top_of(i));
    }
    return hash | 1;
}

/* Whether this state is new; it is not any more. */
static bool is_new(void)
{
    uint64_t hash = hash_world();
    uint32_t place = (uint32_t)(hash >> 20) % SEEN_PLACES;
    while (seen[place] != 0 && seen[place] != hash) {
        place = (place + 1) % SEEN_PLACES;
    }
    if (seen[place] == hash) {
        return false;
    }
    if (++states > SEEN_PLACES / 2) {
        fprintf(stderr, "explore: %s has too many states\n", scenario->name);
        abort();
    }
    seen[place] = hash;
    return true;
}

static bool is_possible(unsigned number, enum event event)
{
    const struct explore_cpu *cpu = &world.cpu[number];
    switch (event) {
    case EVENT_RUN:
        return !cpu->waits || cpu->news;
    case EVENT_INTERRUPT:
        return cpu->interrupted && cpu->interrupts_on;
    case EVENT_DRAIN:
        return cpu->stores != 0;
    case EVENTS:
        break;
    }
    abort();
}

static void do_event(unsigned number, enum event event)
{
    struct explore_cpu *cpu = &world.cpu[number];
    world.at = number;
    if (event == EVENT_DRAIN) {
        explore_drain_one(cpu);
    } else {
        if (cpu->waits) {
            cpu->news = false; /* what comes from now on makes it look once more */
        }
        if (event == EVENT_INTERRUPT) {
            cpu->interrupted = false;
            cpu->taking = true;
        }
        explore_switch(&scheduler_stack, cpu->stack);
    }
    explore_read_ahead();
    explore_check();
}

/* Nothing can happen any more: then all must be done. */
static void check_end(void)
{
    for (unsigned i = 0; i < scenario->cpus; i++) {
        if (!world.cpu[i].done) {
            explore_fail("nobody can go on");
        }
    }
}

static void search(void);

/* Does one thing that is possible, and goes on from there; false when something went wrong. */
static bool try_event(unsigned number, enum event event)
{
    path[depth++] = (struct path_step){number, event, world.cpu[number].about_to};
    do_event(number, event);
    failed_depth = depth;
    if (!world.failure && depth < PATH_MAX && is_new()) {
        search();
    }
    depth--;
    return !world.failure;
}

static void search(void)
{
    struct explore_world *here = malloc(sizeof *here);
    bool any = false;
    memcpy(here, &world, sizeof world);
    for (unsigned i = 0; i < scenario->cpus * EVENTS; i++) {
        unsigned number = i / EVENTS;
        enum event event = (enum event)(i % EVENTS);
        if (is_possible(number, event)) {
            any = true;
            if (!try_event(number, event)) {
                break;
            }
            memcpy(&world, here, sizeof world);
        }
    }
    free(here);
    if (!any) {
        check_end();
    }
}

const char *explore(const struct explore_scenario *which, uint64_t *count)
{
    scenario = which;
    seen = calloc(SEEN_PLACES, sizeof *seen);
    states = 0;
    depth = 0;
    failed_depth = 0;
    cpus_run = false;
    explore_make_world(scenario);
    cpus_run = true;
    for (unsigned i = 0; i < scenario->cpus; i++) {
        make_cpu(i);
    }
    explore_read_ahead();
    search();
    free(seen);
    *count = states;
    return world.failure;
}

void explore_print_path(void)
{
    for (unsigned i = 0; i < failed_depth; i++) {
        fprintf(stderr, "%4u  CPU %u  %s %s\n", i, path[i].cpu, path[i].what, event_names[path[i].event]);
    }
}
