/*
 * What the files of this room share: nodes, entries, and the path walk. docs/files.md tells how they fit
 * together.
 *
 * Locks: `names` of the tree is held for one whole change of names, so nobody else changes any directory
 * meanwhile. A node's spinlock guards what is read without it: the tree of a directory, attributes, the pages
 * of a regular file.
 */
#pragma once

#include <ashlar/assert.h>
#include <ashlar/file.h>
#include <ashlar/made.h>
#include <ashlar/platform.h>
#include <ashlar/string.h>

#define FS_LINK_BYTES_MAX  (FS_PATH_MAX - 1) /* of what a symbolic link says */
#define FS_NODE_LINKS_MAX  UINT32_C(65000)   /* names of one node; the same as ext4 */
#define FS_DIRECTORY_BYTES 40                /* length that an empty directory shows, and */
#define FS_ENTRY_BYTES     20                /* what each name adds: as tmpfs has it */
#define FS_REFERENCES_MAX  UINT32_C(0x7fffffff)

/* The pages of a regular file: a tree of 64 places a node, by the number of the page. */
struct fs_pages {
    void *root;      /* of the tree, or the one frame at height 0 */
    unsigned height; /* levels of nodes */
};

struct fs_regular {
    struct mutex writing;  /* one writes, cuts or extends at a time */
    struct fs_pages pages; /* (N) */
    struct vm_pager pager; /* for mappings; its references keep the node's memory */
    uint64_t bytes;        /* (N) length; written with `writing` held, too */
    uint64_t frames;       /* (N) in the pages */
    struct fs_entry *name; /* (N) it was opened by last, without a reference; NULL: none that is left */
    char *title;           /* of one that never has a name: what is shown in place of it; constant */
    int32_t writers;       /* (N) files open for writing; below 0: those who execute it */
    unsigned seals;        /* enum file_seal, and FS_SEALABLE; written with `writing` held */
};

struct fs_directory {
    struct fs_entry *tree; /* (N) its names, by hash; written with `names` held, too */
    uint64_t count;        /* (N) how many */
};

struct fs_lock_list;

struct fs_node {
    struct fs *fs;                /* whose it is */
    const struct made *made;      /* whoever makes it when it is asked for; NULL: it is kept; constant */
    _Atomic(uint32_t) references; /* of entries, files and walks */
    struct spinlock lock;         /* guards what is marked (N) */
    uint64_t number;              /* st_ino */
    uint64_t special;             /* of a device: its number */
    uint32_t mode;                /* (N) enum fs_mode; the kind is constant */
    uint32_t user;                /* (N) */
    uint32_t group;               /* (N) */
    uint32_t links;               /* (N) names; of a directory those of ".." too, and 0 once it is removed */
    uint64_t accessed;            /* (N) times, in nanoseconds since 1970 */
    uint64_t modified;            /* (N) */
    uint64_t changed;             /* (N) */

    struct fs_lock_list *_Atomic locks; /* changes with `locks` of the tree held; NULL: nobody has one */
    union {
        struct fs_regular regular;
        struct fs_directory directory;
        struct made_what what; /* of a made file or directory: what it is about; constant */
        struct {               /* of a symbolic link, constant: */
            char *target;      /* what it says; or NULL: */
            struct path leads; /* where it leads to, of a made one; its entry gives the reference back */
        };
        struct fs_pipe *pipe; /* of a pipe: what runs through it, or NULL; guarded by `names` */
    };
};

struct fs_entry {
    _Atomic(uint32_t) references; /* one is the directory's */
    uint32_t priority;            /* in the directory's tree: no child has a higher one */
    struct fs_node *node;         /* with a reference; constant */
    struct fs_entry *parent;      /* with a reference; the root's is itself. Changes with `parents` held */
    struct fs_entry *left;        /* names with a lower hash */
    struct fs_entry *right;       /* the others */
    uint64_t hash;                /* of the name: place in the directory, and position for who reads it */
    char *name;                   /* NUL-terminated; changes with `names` and the directory's lock held */
    size_t name_bytes;            /* without the terminator */
    bool gone;                    /* unlinked; changes with `names` held */
};

/* ---- limits.c ---- */

/* Counts one node more, unless there are as many as may be. */
bool fs_count_node(struct fs *fs);
/* Gives the memory of a node back, of which nothing is used any more, and counts it out. */
void fs_node_free(struct fs_node *node);

/* ---- node.c ---- */

static inline uint32_t fs_kind(const struct fs_node *node)
{
    return node->mode & FS_KIND;
}

/* Whether it is a regular file whose contents lie in pages. */
static inline bool fs_has_pages(const struct fs_node *node)
{
    return fs_kind(node) == FS_REGULAR && !node->made;
}

/* A node without a name, with one reference. Fails with -ENOSPC or -ENOMEM. target: of a symbolic link. */
int fs_node_make(struct fs *fs, const struct fs_identity *who, uint32_t mode, uint64_t special,
                 const char *target, struct fs_node **made);
/* One that is empty, without what its kind needs. */
int fs_node_new(struct fs *fs, const struct fs_identity *who, uint32_t mode, struct fs_node **made);
void fs_node_get(struct fs_node *node);
void fs_node_put(struct fs_node *node);

/* Whether `who` may do all of `wanted` (enum fs_permission): 0 or -EACCES. */
int fs_node_allows(struct fs_node *node, const struct fs_identity *who, unsigned wanted);

/* The mode without those set-ID bits that go when somebody changes the contents or the owner. outsider: as
 * fs_is_outsider() has it. */
uint32_t fs_without_set_ids(uint32_t mode, bool outsider);

/* Whether `who` owns the node, or may do what the owner may. */
static inline bool fs_owns(const struct fs_node *node, const struct fs_identity *who)
{
    return who->user == node->user || (who->powers & FS_POWER_OWN);
}

/* Whether `who` is not in the node's group, and has not the power to keep set-ID bits. */
bool fs_is_outsider(const struct fs_node *node, const struct fs_identity *who);

/* Whether `who` is the group, or in it. */
bool fs_identity_in_group(const struct fs_identity *who, uint32_t group);

/* Notes that the contents have changed now (which changes the node, too), or only the node. */
void fs_node_modified(struct fs_node *node);
void fs_node_changed(struct fs_node *node);
/* Notes that the contents were read, if that is worth noting: as Linux does by default ("relatime"). */
void fs_node_accessed(struct fs_node *node);
/* Counts names, and notes the change. */
void fs_node_link(struct fs_node *node, int more);

void fs_node_status(struct fs_node *node, struct fs_status *status);

/* ---- entry.c ---- */

void fs_entry_get(struct fs_entry *entry);
void fs_entry_put(struct fs_entry *entry);

/* A name for `node`, of whose reference it becomes the owner; in no directory yet. NULL when there is no
 * memory. */
struct fs_entry *fs_entry_make(struct fs_entry *parent, const char *name, size_t bytes, struct fs_node *node);

uint64_t fs_name_hash(const struct fs *fs, const char *name, size_t bytes);

/* The directory's entry of that name, with a reference; or NULL. */
struct fs_entry *fs_directory_find(struct fs_node *directory, const char *name, size_t bytes);
/* Its first entry whose hash is not below `hash`, its lock held; or NULL. */
struct fs_entry *fs_directory_from(struct fs_node *directory, uint64_t hash) REQUIRES(directory->lock);

/* Put an entry into the tree, or take it out; `names` and the directory's lock are held. */
void fs_directory_insert(struct fs_node *directory, struct fs_entry *entry) REQUIRES(directory->lock);
void fs_directory_remove(struct fs_node *directory, struct fs_entry *entry) REQUIRES(directory->lock);

/* The directory that an entry lies in, with a reference. */
struct fs_entry *fs_entry_parent(struct fs_entry *entry);

/* ---- walk.c ---- */

enum fs_last { FS_LAST_NAME, FS_LAST_DOT, FS_LAST_DOT_DOT, FS_LAST_ROOT };

struct fs_walk {
    const struct fs_view *view;
    struct fs_entry *at;               /* how far it has come; with a reference */
    const char *rest;                  /* what is left of the path, or of a link's text */
    const char *pending[FS_LINKS_MAX]; /* what is to be walked when that is done */
    unsigned pending_count;
    struct fs_node *links[FS_LINKS_MAX]; /* that were followed: they keep their text */
    unsigned link_count;
    enum fs_last last; /* what the path ends in */
    const char *name;  /* FS_LAST_NAME: its last name */
    size_t bytes;      /* of that */
    bool slash;        /* behind which a slash stands */
    bool leapt;        /* it ended in a link that leads to a place, and is there: no name is left */
};

/* Begins at `at`; fs_walk_end() is due whatever it returns. */
int fs_walk_begin(struct fs_walk *walk, const struct fs_view *view, const struct path *at, const char *name);
/* Goes to the directory that the path's last name lies in, or would. */
int fs_walk_parent(struct fs_walk *walk);
/* Looks the last name up, in that directory: *entry gets a reference, or is NULL. Fails with -ENAMETOOLONG.
 */
int fs_walk_look(const struct fs_walk *walk, struct fs_entry **entry);
/* Follows the link that the path ends in: to its directory of the last name. */
int fs_walk_follow(struct fs_walk *walk, struct fs_node *link);
/* From there to what it names, which must exist. */
int fs_walk_last(struct fs_walk *walk, bool follow);
void fs_walk_end(struct fs_walk *walk);

static inline struct fs_node *fs_walk_node(const struct fs_walk *walk)
{
    return walk->at->node;
}

/*
 * For whoever changes names in the directory that the walk has come to. Nobody does in a made directory, and
 * to look there may end a file, which may need the mutex: so there it is not taken.
 */
static inline void fs_names_lock(const struct fs_walk *walk) NO_LOCK_ANALYSIS
{
    if (!fs_walk_node(walk)->made) {
        mutex_acquire(&walk->view->fs->names);
    }
}

static inline void fs_names_unlock(const struct fs_walk *walk) NO_LOCK_ANALYSIS
{
    if (!fs_walk_node(walk)->made) {
        mutex_release(&walk->view->fs->names);
    }
}

/* ---- made.c ---- */

/* A made directory's entry of that name, with a reference; -ENOENT and others. */
int fs_made_look(struct fs_entry *directory, const char *name, size_t bytes, struct fs_entry **entry);
/* What comes at a position of a made directory; false behind the last. */
bool fs_made_next(const struct fs_node *directory, uint64_t position, char *name, struct file_entry *entry);

/* ---- names.c ---- */

/* Makes a node and gives it the name the walk ends in, which is in no directory; `names` is held. */
int fs_create(struct fs_walk *walk, uint32_t mode, uint64_t special, const char *target,
              struct fs_entry **made);
/* Whether `entry` may be taken out of its directory. */
int fs_may_remove(const struct fs_view *view, struct fs_node *directory, struct fs_entry *entry,
                  bool as_directory);
/* Whether a name may be put into a directory. */
int fs_may_add(const struct fs_view *view, struct fs_node *directory);

/* ---- pages.c: all with the node's lock held, but for fs_pages_free() ---- */

/* The page, or none. */
phys_addr_t fs_pages_find(const struct fs_pages *pages, uint64_t index);
/*
 * Puts a page where none is, and returns 0; or, where the way there lacks more nodes than there are spare
 * ones, how many it lacks, and then has changed nothing.
 */
unsigned fs_pages_insert(struct fs_pages *pages, uint64_t index, phys_addr_t frame, void **spares,
                         unsigned spare_count);
#define FS_PAGES_NODE_BYTES 512
/* Chains of nodes that are all zeros otherwise: puts one before the others, or takes the first one out. */
void fs_pages_add_spare(void **spares, void *node);
void *fs_pages_take_spare(void **spares);
/* Finds the first page at or behind *index; false when there is none. */
bool fs_pages_next(const struct fs_pages *pages, uint64_t *index);
/* Takes that page out, and returns it. Nodes that became empty are put before those in *emptied. */
phys_addr_t fs_pages_take(struct fs_pages *pages, uint64_t *index, void **emptied);
/* Frees such nodes, and spare ones. */
void fs_pages_free(struct fs *fs, void *emptied);

/* ---- regular.c ---- */

void fs_regular_init(struct fs_node *node);
/* The entry is what the file was opened by; or it goes. */
void fs_regular_named(struct fs_node *node, struct fs_entry *entry);
void fs_regular_unnamed(struct fs_node *node, const struct fs_entry *entry);
/* Frees the node when nobody maps it any more. */
void fs_regular_end(struct fs_node *node);
/* unprivileged, outsider: as in struct file, of whoever asks. */
int fs_regular_truncate(struct fs_node *node, uint64_t bytes, bool unprivileged, bool outsider);
/* Makes it so long; `writing` is held, and nothing lies beyond. */
void fs_regular_set_length(struct fs_node *node, uint64_t bytes) REQUIRES(node->regular.writing);
int64_t fs_regular_seek(struct fs_node *node, uint64_t from, bool data);
extern const struct file_operations fs_regular_operations;

/* ---- seals.c ---- */

#define FS_SEALABLE (1U << 31) /* a file that may have seals */

/* How many of `bytes` bytes from `offset` on the seals allow to write, or -EPERM: `writing` is held. */
int64_t fs_seals_allow_write(const struct fs_node *node, uint64_t offset, uint64_t bytes);
/* Whether they allow to make it `bytes` long: 0 or -EPERM. */
int fs_seals_allow_length(const struct fs_node *node, uint64_t bytes);

/* ---- pipe.c, device.c, directory.c ---- */

extern const struct file_operations fs_pipe_operations;
extern const struct file_operations fs_directory_operations;
/* What a device's number stands for; NULL when there is none. */
const struct file_operations *fs_device_operations(const struct fs *fs, uint64_t number);

/* ---- open.c ---- */

/* Opens a node as `flags` say; the file takes references of its own to it and to the path, which may be none.
 */
int fs_file_make(const struct fs_view *view, struct fs_node *node, struct path path, unsigned flags,
                 struct file **made);
