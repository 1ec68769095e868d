/* Inside the audit: what kernel/memory/audit/pages.c asks of its two helpers. */
#pragma once

#include <ashlar/page_audit.h>
#include <ashlar/vm_space.h>

/* ---- audit/reason.c: the rule that a run of pages breaks, by the part of the address space that it lies in;
 * NULL for none. If the run lies in several, *run becomes the part that breaks the rule. ---- */

const char *page_reason_kernel(struct page_run *run);
const char *page_reason_space(struct vm_space *space, struct page_run *run);
const char *page_reason_firmware(const struct page_run *run);

/* For pages in regions of the space: whether they map the frames that the space put there. Slower than the
 * rules above. */
const char *page_reason_frames(struct vm_space *space, struct page_run *run);

/* For every run, at whatever address: memory that is read-only in the image is writable nowhere. */
const char *page_reason_writable(const struct page_run *run);

/* ---- audit/alias.c: rounds, until none is left: first all runs are noted, then all are compared ---- */

void page_aliases_begin(struct page_audit *audit);
void page_aliases_note(struct page_audit *audit, const struct page_run *run);
bool page_aliases_left(const struct page_audit *audit);

/* The rule that a run breaks together with one that was noted, or by itself; NULL for none. physmap: the run
 * belongs to the physmap. */
const char *page_aliases_broken(const struct page_audit *audit, const struct page_run *run, bool physmap);
