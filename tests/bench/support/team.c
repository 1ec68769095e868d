#include "team.h"

#include <ashlar/platform.h>

static void prepare(struct team *team, unsigned member)
{
    if (team->prepare) {
        team->prepare(team->context, member);
    }
}

static void *member_main(void *context)
{
    struct team *team = context;
    host_cpu = atomic_load(&team->arrived) + 1; /* they come one at a time */
    prepare(team, host_cpu);
    atomic_fetch_add(&team->arrived, 1);
    while (!atomic_load_explicit(&team->open, memory_order_acquire)) {
        cpu_relax();
    }
    team->work(team->context, host_cpu);
    atomic_fetch_add_explicit(&team->finished, 1, memory_order_release);
    return NULL;
}

void team_gather(struct team *team)
{
    atomic_store(&team->arrived, 0);
    atomic_store(&team->finished, 0);
    atomic_store(&team->open, false);
    prepare(team, 0);
    for (unsigned member = 1; member < team->members; member++) {
        if (pthread_create(&team->threads[member], NULL, member_main, team) != 0) {
            panic("cannot start thread %u of %u", member, team->members);
        }
        while (atomic_load(&team->arrived) != member) {
            cpu_relax();
        }
    }
}

void team_work(struct team *team)
{
    atomic_store_explicit(&team->open, true, memory_order_release);
    team->work(team->context, 0);
    while (atomic_load_explicit(&team->finished, memory_order_acquire) != team->members - 1) {
        cpu_relax();
    }
}

void team_leave(struct team *team)
{
    for (unsigned member = 1; member < team->members; member++) {
        pthread_join(team->threads[member], NULL);
    }
}
