/* What the loader's page tables allowed; see <ashlar/page_audit.h>. */
#include <ashlar/boot.h>
#include <ashlar/page_audit.h>
#include <ashlar/platform.h>

#include "kernel/kernel.h"
#include "kernel/memory/address_space.h"

static struct page_audit loader_audit; /* of them */

void loader_tables_audit(const struct boot_info *info)
{
    struct page_table loader = loader_tables(info->paging.root);
    struct page_table runtime = loader_tables(info->paging.runtime_root);
    struct page_table *const tables[] = {&loader, &runtime};
    size_t count = info->paging.runtime_root.raw != 0 ? ARRAY_LENGTH(tables) : 1;
    page_audit_aliases(&loader_audit, tables, count);
}

void loader_tables_judge(void)
{
    if (loader_audit.problems != 0) {
        panic("boot: the loader's page tables: %s: %#" PRIx64 ", %" PRIu64 " bytes, to %#" PRIx64,
              loader_audit.what, loader_audit.run.base.raw, loader_audit.run.bytes,
              loader_audit.run.target.raw);
    }
}
