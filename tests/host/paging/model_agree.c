/* Whether page tables and their reference model agree; see model.h. */
#include "model_internal.h"

struct page_table *table_model_table(struct table_model *model, const struct table_model_window *window)
{
    return window->of_space ? &model->space : &model->tables.kernel;
}

bool table_model_bits_are_kept(const struct table_model_page *page, page_table_entry_t entry)
{
    return (!page->read || (entry.raw & PAGE_ENTRY_ACCESSED)) &&
           (!page->written || (entry.raw & PAGE_ENTRY_DIRTY));
}

struct table_model_visit {
    struct table_model *model;
    struct table_model_window *window;
    uint64_t pages;
};

static void table_model_visit_leaf(void *context, virt_addr_t base, page_table_entry_t entry,
                                   enum page_level level)
{
    struct table_model_visit *visit = context;
    struct table_model *model = visit->model;
    uint64_t first = (base.raw - visit->window->base) >> visit->window->shift;
    uint64_t units = page_level_bytes(level) >> visit->window->shift;
    MODEL_CHECK(units != 0 && first < MODEL_UNITS && first + units <= MODEL_UNITS);
    for (uint64_t i = 0; i < units; i++) {
        const struct table_model_page *page = &visit->window->pages[first + i];
        MODEL_CHECK(page->mapped);
        MODEL_CHECK(page->target == page_entry_leaf_address(entry, level).raw + (i << visit->window->shift));
        MODEL_CHECK(page->access == page_entry_access(entry));
        MODEL_CHECK(page->cache == page_entry_cache(entry, level));
        MODEL_CHECK(table_model_bits_are_kept(page, entry));
    }
    struct mmu_walk walk = mmu_model_walk(table_model_table(model, visit->window), base.raw);
    MODEL_CHECK(walk.result == MMU_OK && walk.target == visit->window->pages[first].target);
    MODEL_CHECK(walk.level == level && walk.pat == visit->window->pages[first].cache);
    visit->pages += units;
}

/* Every slot that is noted stands in its entry. */
static void table_model_agree_slots(struct table_model *model, const struct table_model_window *window)
{
    for (unsigned i = 0; i < MODEL_UNITS; i++) {
        const struct table_model_page *page = &window->pages[i];
        if (page->swapped) {
            struct page_translation found = page_table_translate(
                table_model_table(model, window), virt_addr(window->base + ((uint64_t)i << window->shift)));
            MODEL_CHECK(page_entry_kind(found.leaf, found.level) == ENTRY_SWAPPED);
            MODEL_CHECK(page_entry_slot(found.leaf) == page->target);
        }
    }
}

void table_model_agree(struct table_model *model, struct table_model_window *window)
{
    struct table_model_visit visit = {.model = model, .window = window};
    uint64_t bytes = (uint64_t)MODEL_UNITS << window->shift;
    MODEL_CHECK(page_table_each(table_model_table(model, window), virt_addr(window->base), bytes,
                                table_model_visit_leaf, &visit) == PAGE_TABLE_OK);
    for (unsigned i = 0; i < MODEL_UNITS; i++) {
        visit.pages -= window->pages[i].mapped;
    }
    MODEL_CHECK(visit.pages == 0);
    table_model_agree_slots(model, window);
}
