/* Inside vmalloc: what its files share. Not for its users. */
#pragma once

#include <ashlar/vmalloc.h>

/* An ordinary block. */
extern const struct kva_purpose vmalloc_purpose;
