/* Reading the headers of a loaded PE32+ image: ours, to map it and to name addresses in it. */
#pragma once

#include <ashlar/types.h>

struct pe_section {
    char name[9];    /* NUL-terminated */
    uint64_t first;  /* offset of its first byte from the image base, page-aligned */
    uint64_t bytes;  /* rounded up to whole pages */
    bool writable;   /* characteristics say so */
    bool executable; /* characteristics say so */
};

/* The sections of the image at `base`, whose headers firmware has checked. Returns how many there are. */
unsigned pe_section_count(const void *base);
struct pe_section pe_section_at(const void *base, unsigned index);

/* Length of the headers, rounded up to whole pages. */
uint64_t pe_header_bytes(const void *base);
