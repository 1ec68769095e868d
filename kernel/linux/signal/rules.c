/* The rules of signals; see signal.h. */
#include "signal.h"

enum signal_effect signal_default(uint32_t signal)
{
    switch (signal) {
    case SIGNAL_CHILD:
    case SIGNAL_URGENT:
    case SIGNAL_WINDOW:
        return EFFECT_IGNORE;
    case SIGNAL_CONTINUE:
        return EFFECT_CONTINUE;
    case SIGNAL_STOP:
    case SIGNAL_TERMINAL_STOP:
    case SIGNAL_TERMINAL_READ:
    case SIGNAL_TERMINAL_WRITE:
        return EFFECT_STOP;
    default:
        return EFFECT_END;
    }
}

/* SIGCONT lets a process go on when it is sent, and does nothing when it is taken. */
bool signal_is_ignored(uint32_t signal, uint64_t handler)
{
    enum signal_effect effect = signal_default(signal);
    return handler == ACTION_IGNORE ||
           (handler == ACTION_DEFAULT && (effect == EFFECT_IGNORE || effect == EFFECT_CONTINUE));
}

uint32_t signal_first(uint64_t set)
{
    uint64_t of_faults = set & SIGNALS_OF_FAULTS;
    return (uint32_t)__builtin_ctzll(of_faults ? of_faults : set) + 1;
}

uint64_t signal_handler_mask(uint32_t signal, const struct signal_action *action, uint64_t mask)
{
    uint64_t itself = action->flags & ACTION_NO_DEFER ? 0 : SIGNAL_BIT(signal);
    return (mask | action->mask | itself) & ~SIGNALS_UNMASKABLE;
}
