/* For the reference models: ends the program when model and subject disagree. The model counts its steps. */
#pragma once

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define MODEL_CHECK(condition)                                                                               \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: model: %s (step %" PRIu64 ")\n", __FILE__, __LINE__, #condition,         \
                    model->steps);                                                                           \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)
