#include "peers.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct library {
    const char *name;
    const char *file;
    const char *alloc;
    const char *free;
};

static const struct library libraries[] = {
    {"mimalloc", "libmimalloc.so.2", "mi_malloc", "mi_free"},
    {"jemalloc", "libjemalloc.so.2", "malloc", "free"},
    {"tcmalloc", "libtcmalloc_minimal.so.4", "tc_malloc", "tc_free"},
};

static bool load(const struct library *library, struct peer *peer)
{
    void *handle = dlopen(library->file, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (!handle) {
        fprintf(stderr, "without %s: %s\n", library->name, dlerror());
        return false;
    }
    peer->name = library->name;
    *(void **)&peer->alloc = dlsym(handle, library->alloc);
    *(void **)&peer->free = dlsym(handle, library->free);
    return peer->alloc && peer->free;
}

/* jemalloc's thread-local data needs room that the loader sets aside at the program's start only. */
void peers_prepare(char **arguments)
{
    if (!getenv("GLIBC_TUNABLES")) {
        setenv("GLIBC_TUNABLES", "glibc.rtld.optional_static_tls=65536", 1);
        execv("/proc/self/exe", arguments);
    }
}

unsigned peers_load(struct peer peers[PEERS_MAX])
{
    unsigned count = 0;
    peers[count++] = (struct peer){"glibc", malloc, free};
    for (unsigned i = 0; i < sizeof libraries / sizeof libraries[0]; i++) {
        count += load(&libraries[i], &peers[count]);
    }
    return count;
}
