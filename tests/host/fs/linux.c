/* The comparison with Linux: what test_linux.c's operations share, and those on open files. */
#include "linux.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

struct fs_fixture compared;
uint64_t seed;
struct linux_file files[LINUX_FILES];
bool is_root;
unsigned long steps;

int real_errno_of(long result)
{
    return result < 0 ? -errno : (int)result;
}

unsigned below(unsigned bound)
{
    return random_number(&seed) % bound;
}

/* A path of few names: so that operations meet. */
static void random_path(char *to)
{
    static const char *const names[] = {"a", "b", "c", "d", "..", ".", "link", "e", "", "missing"};
    unsigned parts = 1 + below(3);
    size_t at = 0;
    for (unsigned i = 0; i < parts; i++) {
        at += (size_t)sprintf(to + at, "%s%s", i ? "/" : "", names[below(below(4) ? 8 : 10)]);
    }
    if (below(8) == 0) {
        strcpy(to + at, below(2) ? "/" : "/.");
        at = strlen(to);
    }
    if (below(200) == 0) {
        memset(to, 'n', 256 + below(2) - 1);
        to[256 + below(2) - 1] = 0;
    }
    if (to[0] == '/') { /* an absolute path is another thing on each side */
        to[0] = 'a';
    }
}

/* Nothing may lead out of the test's directory: ".." at its top is where the two differ. */
static bool leads_out(const char *path)
{
    int depth = 0;
    char copy[LINUX_PATH_BYTES];
    strcpy(copy, path);
    for (char *part = strtok(copy, "/"); part; part = strtok(NULL, "/")) {
        depth += strcmp(part, "..") == 0 ? -1 : strcmp(part, ".") == 0 ? 0 : 1;
        if (depth < 0 || strcmp(part, "link") == 0) {
            return strstr(path, "..") != NULL;
        }
    }
    return false;
}

void pick_path(char *to)
{
    do {
        random_path(to);
    } while (leads_out(to));
}

void agree(const char *what, const char *a, const char *b, int64_t ours, int64_t theirs)
{
    if (ours != theirs) {
        fail_msg("step %lu: %s(%s, %s): %lld here, %lld on Linux", steps, what, a, b ? b : "-",
                 (long long)ours, (long long)theirs);
    }
}

/* ---- Comparing ---- */

void compare_status(const char *what, const char *path, const struct fs_status *ours,
                    const struct stat *theirs)
{
    agree(what, path, "mode", ours->mode, theirs->st_mode);
    agree(what, path, "links", ours->links, (int64_t)theirs->st_nlink);
    if ((ours->mode & FS_KIND) != FS_DIRECTORY) {
        agree(what, path, "bytes", (int64_t)ours->bytes, theirs->st_size);
    }
    if (is_root) {
        agree(what, path, "user", ours->user, theirs->st_uid);
        agree(what, path, "group", ours->group, theirs->st_gid);
    }
}

uint32_t group_of(unsigned i)
{
    struct fs_status status;
    file_status(files[i].ours, &status);
    return status.group;
}

/* ---- Open files ---- */

void close_file(unsigned i)
{
    if (files[i].ours) {
        file_put(files[i].ours);
        close(files[i].theirs);
        files[i].ours = NULL;
    }
}

void do_open(void)
{
    char path[LINUX_PATH_BYTES];
    unsigned i = below(LINUX_FILES);
    static const unsigned more[] = {0,
                                    FILE_CREATE,
                                    FILE_CREATE | FILE_EXCLUSIVE,
                                    FILE_CREATE | FILE_TRUNCATE,
                                    FILE_TRUNCATE,
                                    FILE_DIRECTORY,
                                    FILE_NO_FOLLOW,
                                    FILE_APPEND | FILE_CREATE,
                                    FILE_CREATE | FILE_NO_FOLLOW,
                                    FILE_NO_ACCESS_TIME,
                                    FILE_PLACE,
                                    FILE_PLACE | FILE_NO_FOLLOW};
    unsigned flags = below(3) | more[below(12)] | FILE_NO_WAIT;
    unsigned mode = below(2) ? 0644 : 0200;
    pick_path(path);
    close_file(i);
    int here = fs_open(&compared.view, NULL, path, flags, mode, &files[i].ours);
    files[i].theirs = (int)syscall(SYS_open, path, flags, mode);
    int there = files[i].theirs < 0 ? real_errno_of(-1) : 0;
    if (here != 0) {
        files[i].ours = NULL;
    }
    if ((here == -ELOOP || here == -ENXIO) && there == -EACCES && (flags & FILE_CREATE)) {
        return; /* no regular file in a sticky directory: Linux takes it for what fs.protected_regular is
                   about */
    }
    if (here != there) {
        struct stat status = {0};
        lstat(path, &status);
        fail_msg("step %lu: mode there %o, user %u, as %u: open(%s, %o): %d here, %d on Linux", steps,
                 status.st_mode, status.st_uid, compared.view.who.user, path, flags, here, there);
    }
}

/* An open file, of none a number beyond. */
static unsigned pick_file(void)
{
    unsigned i = below(LINUX_FILES);
    return files[i].ours ? i : LINUX_FILES;
}

static bool is_regular(unsigned i)
{
    return (files[i].ours->node && files[i].ours->operations->read && !files[i].ours->operations->stream);
}

void do_write(void)
{
    static uint8_t data[LINUX_BYTES_MOST];
    struct file_memory memory;
    unsigned i = pick_file();
    size_t bytes = below(4) ? below(300) : below(LINUX_BYTES_MOST);
    int64_t offset = below(5) ? (int64_t)below(LINUX_BYTES_MOST) : (int64_t)below(3) - 1;
    if (i == LINUX_FILES) {
        return;
    }
    random_fill(&seed, data, bytes);
    if (below(2)) {
        agree("write", "", NULL, fs_put(files[i].ours, data, bytes),
              real_errno_of(write(files[i].theirs, data, bytes)));
    } else {
        agree("pwrite", "", NULL, file_write_at(files[i].ours, file_memory(&memory, data, bytes), offset),
              real_errno_of(pwrite(files[i].theirs, data, bytes, offset)));
    }
}

void do_read(void)
{
    static uint8_t ours[LINUX_BYTES_MOST];
    static uint8_t theirs[LINUX_BYTES_MOST];
    struct file_memory memory;
    unsigned i = pick_file();
    size_t bytes = below(LINUX_BYTES_MOST);
    int64_t offset = below(5) ? (int64_t)below(LINUX_BYTES_MOST) : (int64_t)below(3) - 1;
    if (i == LINUX_FILES) {
        return;
    }
    int64_t here;
    if (below(2)) {
        here = fs_take(files[i].ours, ours, bytes);
        agree("read", "", NULL, here, real_errno_of(read(files[i].theirs, theirs, bytes)));
    } else {
        here = file_read_at(files[i].ours, file_memory(&memory, ours, bytes), offset);
        agree("pread", "", NULL, here, real_errno_of(pread(files[i].theirs, theirs, bytes, offset)));
    }
    if (here > 0) {
        assert_memory_equal(ours, theirs, (size_t)here);
    }
}

void do_seek(void)
{
    unsigned i = pick_file();
    unsigned whence = below(3);
    int64_t offset = (int64_t)below(LINUX_BYTES_MOST) - LINUX_BYTES_MOST / 4;
    if (i == LINUX_FILES || (!is_regular(i) && whence == 2)) {
        return;
    }
    if (files[i].ours->operations->read == NULL) {
        return; /* a directory's positions are anybody's own */
    }
    agree("lseek", "", NULL, file_seek(files[i].ours, offset, whence),
          real_errno_of(lseek(files[i].theirs, offset, (int)whence)));
}

void do_ftruncate(void)
{
    unsigned i = pick_file();
    int64_t bytes = (int64_t)below(LINUX_BYTES_MOST) - 2;
    if (i != LINUX_FILES) {
        agree("ftruncate", "", NULL, file_truncate(files[i].ours, bytes),
              real_errno_of(ftruncate(files[i].theirs, bytes)));
    }
}

void do_fstat(void)
{
    struct fs_status ours;
    struct stat theirs;
    unsigned i = pick_file();
    if (i != LINUX_FILES) {
        file_status(files[i].ours, &ours);
        assert_int_equal(fstat(files[i].theirs, &theirs), 0);
        compare_status("fstat", "", &ours, &theirs);
    }
}
