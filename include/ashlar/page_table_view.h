/*
 * The kernel's page tables, seen by any of the five ways (<ashlar/page_table.h>), for the monitor and for
 * tests. The kernel itself uses the physmap; the other ways are made for as long as a view is open.
 */
#pragma once

#include <ashlar/page_table.h>

struct vm_space;

struct page_table_view {
    const struct page_table_access *access; /* the way: for page_table_walk() of kernel_page_table() */
    enum page_table_path path;              /* which it is */
    struct vm_space *user;                  /* the user space to be loaded again, or NULL */
    struct page_table_access window;        /* identity and offset */
    struct page_table space;                /* for these: tables with RAM in their lower half, loaded */
    struct page_table_recursive recursive;  /* recursive */
};

/*
 * Opens *view on kernel_page_table(). Until it is closed preemption is off and no user space is loaded: with
 * identity and offset other tables are, which share the kernel's half, else the kernel's own. The user space
 * that was loaded stays whole until then. One recursive view at a time. Fails with PAGE_TABLE_NO_MEMORY.
 */
enum page_table_error page_table_view_open(struct page_table_view *view, enum page_table_path path);

/* Loads again what was loaded before. */
void page_table_view_close(struct page_table_view *view);
