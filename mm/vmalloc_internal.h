/* Inside vmalloc: what its files share. Not for its users. */
#pragma once

#include <ashlar/vmalloc.h>

/* An ordinary block, and a block that is freed and waits for a flush. */
extern const struct kva_purpose vmalloc_purpose;
extern const struct kva_purpose vmalloc_purpose_retired;
