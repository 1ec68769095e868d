/* Choosing the device that the time-stamp counter is measured against; see reference.h. */
#include "reference.h"

#define COUNTING_LOOKS 1000

bool clock_reference_counts(const struct clock_reference *reference)
{
    uint64_t mask = ((uint64_t)1 << reference->bits) - 1;
    uint64_t first = reference->read() & mask;
    for (unsigned i = 0; i < COUNTING_LOOKS; i++) {
        if ((reference->read() & mask) != first) {
            return true;
        }
    }
    return false;
}

const struct clock_reference *clock_reference_find(void)
{
    /* From the most exact to the least. */
    static const struct clock_reference *(*const devices[])(void) = {hpet_reference, pm_timer_reference,
                                                                     pit_reference};
    for (size_t i = 0; i < ARRAY_LENGTH(devices); i++) {
        const struct clock_reference *reference = devices[i]();
        if (reference != NULL && clock_reference_counts(reference)) {
            return reference;
        }
    }
    return NULL;
}
