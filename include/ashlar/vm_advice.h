/*
 * What is said of memory whose regions stay: marks, and that its contents are not needed any more.
 * <ashlar/vm_space.h> says who may call what.
 */
#pragma once

#include <ashlar/vm_space.h>

/*
 * Sets and clears marks (enum vm_mark) of the range; regions it cuts become several, alike ones become one.
 * Fails with VM_NO_MEMORY, VM_NOT_MAPPED, VM_BAD_ACCESS (unknown marks, or VM_WIPE_ON_FORK for what cannot
 * have it), VM_BUSY, or for a bad range.
 */
enum vm_error vm_space_mark(struct vm_space *space, virt_addr_t base, uint64_t bytes, unsigned set,
                            unsigned clear) EXCLUDES(space->change, space->lock);

/*
 * Gives the range a name for people, which stays where it is as long as the space and its clones; NULL: none.
 * Regions it cuts become several, alike ones with the same pointer for a name become one. Fails with
 * VM_NO_MEMORY, VM_NOT_MAPPED, VM_BUSY, or for a bad range.
 */
enum vm_error vm_space_name(struct vm_space *space, virt_addr_t base, uint64_t bytes, const char *name)
    EXCLUDES(space->change, space->lock);

/*
 * Empties the range: pages go, and their frames, as by vm_space_unmap(), but the regions stay, and the next
 * access finds what they begin with: zeros, or the pager's page. Holes, and regions of given frames, of
 * devices and of nothing are left as they are, as are those marked VM_LOCKED unless `locked`. Faults are
 * resolved meanwhile; what another CPU touches first while the operation is under way may stay. Fails with
 * VM_NO_MEMORY or VM_BUSY (the range cuts a large page), or for a bad range.
 */
enum vm_error vm_space_discard(struct vm_space *space, virt_addr_t base, uint64_t bytes, bool locked)
    EXCLUDES(space->change, space->lock);
