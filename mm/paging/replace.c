/*
 * Changing what an address leads to while CPUs may use it.
 *
 * A CPU may hold the old translation until it is flushed, and another one read the new entry the moment it is
 * written. Where both lead to the same memory in the same way that does no harm: rights that widen are found
 * by a fault, rights that narrow are noted in the batch, which the caller finishes before it lets go the lock
 * that it works under. But two CPUs must never see different frames at one address, nor one frame with two
 * cache kinds, nor pages of two sizes. So these are changed in three steps: clear the entry, flush it on all
 * CPUs, set it (SDM volume 3, 4.10.4.3). For a change of size alone the manual asks for less (4.10.2.3); but
 * there are CPUs that stop with a machine check when they find two sizes cached for one address, and after
 * the flush the accessed and dirty bits of what went are final, so that none gets lost.
 *
 * Who uses the address between the first step and the last finds nothing there and faults. It waits for the
 * lock that the operation is done under, and then finds the fault spurious. Therefore mappings that must not
 * fault, the kernel's own, are neither replaced nor cut nor merged while others may use them.
 */
#include "internal.h"

bool leaf_narrows(page_table_entry_t old, page_table_entry_t now)
{
    if (!page_entry_present(old)) {
        return false;
    }
    unsigned taken = page_entry_access(old) & ~page_entry_access(now);
    /*
     * One that becomes global is flushed as global from now on, which reaches no old copy of another space.
     */
    bool joins = now.raw & ~old.raw & PAGE_ENTRY_GLOBAL;
    return !page_entry_present(now) || taken != 0 || joins || (old.raw & ~now.raw & PAGE_ENTRY_SET_BY_CPU) ||
           page_entry_key(old) != page_entry_key(now);
}

page_table_entry_t leaf_take(page_table_entry_t *entry, uint64_t base, unsigned level,
                             struct tlb_batch *batch)
{
    page_table_entry_t old = entry_exchange(entry, (page_table_entry_t){0});
    tlb_batch_add(batch, virt_addr(base), page_level_bytes(level), (enum page_level)level,
                  old.raw & PAGE_ENTRY_GLOBAL);
    tlb_batch_finish(batch);
    return old;
}

page_table_entry_t leaf_replace(page_table_entry_t *entry, uint64_t base, unsigned level,
                                page_table_entry_t now, struct tlb_batch *batch)
{
    if (leaf_moves(entry_read(entry), now)) {
        page_table_entry_t old = leaf_take(entry, base, level, batch);
        entry_write(entry, now);
        return old;
    }
    page_table_entry_t old = entry_exchange(entry, now);
    if (leaf_narrows(old, now)) {
        tlb_batch_add(batch, virt_addr(base), page_level_bytes(level), (enum page_level)level,
                      page_entry_access(old) & PAGE_GLOBAL);
    }
    return old;
}
