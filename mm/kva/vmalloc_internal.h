/* Shared by the files of vmalloc; not for its users. */
#pragma once

#include <ashlar/vmalloc.h>

/* The purpose of ordinary blocks. */
extern const struct kva_purpose vmalloc_purpose;
