/* Inside the audit: what kernel/memory/audit/pages.c asks of its two helpers. */
#pragma once

#include <ashlar/page_audit.h>
#include <ashlar/vm_space.h>

/* ---- audit/reason.c: the rule that a run of pages breaks in its room; NULL for none. Of a run that lies in
 * several, *run becomes the part that it is about. ---- */

const char *page_reason_kernel(struct page_run *run);
const char *page_reason_space(struct vm_space *space, struct page_run *run);
const char *page_reason_firmware(const struct page_run *run);

/* Of pages that have a region in the space: they show the frames that the space put there. Slower than the
 * rules above. */
const char *page_reason_frames(struct vm_space *space, struct page_run *run);

/* For every run, wherever it is: no address writes what the image has read-only. */
const char *page_reason_writable(const struct page_run *run);

/* ---- audit/alias.c: rounds, until none is left: first all runs are noted, then all are compared ---- */

void page_aliases_begin(struct page_audit *audit);
void page_aliases_note(struct page_audit *audit, const struct page_run *run);
bool page_aliases_left(const struct page_audit *audit);

/* The rule that a run breaks together with one that was noted, or by itself. physmap: it is the kernel's way
 * to its RAM. */
const char *page_aliases_broken(const struct page_audit *audit, const struct page_run *run, bool physmap);
