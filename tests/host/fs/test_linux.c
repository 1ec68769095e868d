/*
 * The file layer against Linux: random operations on few names, done here and by the system calls of the
 * machine that runs the test, in a new directory of /dev/shm; both must give the same results, errors and
 * contents. As user 0 the permissions of others are tried, too.
 *
 * Arguments: operations, first seed.
 */
#include "linux.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

static void do_stat(void)
{
    char path[LINUX_PATH_BYTES];
    struct fs_status ours;
    struct stat theirs;
    bool follow = below(2);
    pick_path(path);
    int here = fs_status(&compared.view, NULL, path, follow ? 0 : FS_AT_NO_FOLLOW, &ours);
    int there = real_errno_of(fstatat(AT_FDCWD, path, &theirs, follow ? 0 : AT_SYMLINK_NOFOLLOW));
    agree("stat", path, NULL, here, there);
    if (here == 0) {
        compare_status("stat", path, &ours, &theirs);
    }
}

/* ---- Names ---- */

static void do_mkdir(void)
{
    char path[LINUX_PATH_BYTES];
    static const unsigned modes[] = {0755, 0777, 0700, 01777, 0500, 02775};
    unsigned mode = modes[below(6)];
    pick_path(path);
    agree("mkdir", path, NULL, fs_mkdir(&compared.view, NULL, path, mode), real_errno_of(mkdir(path, mode)));
}

static void do_unlink(void)
{
    char path[LINUX_PATH_BYTES];
    bool directory = below(2);
    pick_path(path);
    agree(directory ? "rmdir" : "unlink", path, NULL,
          fs_unlink(&compared.view, NULL, path, directory ? FS_AT_REMOVE_DIRECTORY : 0),
          real_errno_of(unlinkat(AT_FDCWD, path, directory ? AT_REMOVEDIR : 0)));
}

static void do_symlink(void)
{
    static const char *const targets[] = {"a", "b", "c/a", "link", "a/", "missing", "./b", "d/link", ""};
    const char *target = targets[below(9)];
    char path[LINUX_PATH_BYTES];
    pick_path(path);
    agree("symlink", target, path, fs_symlink(&compared.view, target, NULL, path),
          real_errno_of(symlink(target, path)));
}

static void do_link(void)
{
    char from[LINUX_PATH_BYTES];
    char to[LINUX_PATH_BYTES];
    bool follow = below(2);
    pick_path(from);
    pick_path(to);
    if (compared.view.who.user != 0) {
        return; /* where fs.protected_hardlinks is set, Linux refuses more */
    }
    agree("link", from, to, fs_link(&compared.view, NULL, from, NULL, to, follow ? FS_AT_FOLLOW : 0),
          real_errno_of(linkat(AT_FDCWD, from, AT_FDCWD, to, follow ? AT_SYMLINK_FOLLOW : 0)));
}

static void do_rename(void)
{
    char from[LINUX_PATH_BYTES];
    char to[LINUX_PATH_BYTES];
    unsigned flags = below(4) == 0 ? FS_RENAME_NO_REPLACE : 0;
    pick_path(from);
    pick_path(to);
    agree("rename", from, to, fs_rename(&compared.view, NULL, from, NULL, to, flags),
          real_errno_of(syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags)));
}

static void do_readlink(void)
{
    char path[LINUX_PATH_BYTES];
    char ours[300] = "";
    char theirs[300] = "";
    size_t room = below(3) ? 200 : below(3);
    pick_path(path);
    agree("readlink", path, NULL, fs_readlink(&compared.view, NULL, path, ours, room),
          real_errno_of(readlink(path, theirs, room)));
    assert_string_equal(ours, theirs);
}

static void do_mknod(void)
{
    char path[LINUX_PATH_BYTES];
    static const unsigned kinds[] = {FS_REGULAR, 0, FS_PIPE, FS_SOCKET, FS_DIRECTORY, 0050000};
    unsigned mode = kinds[below(6)] | (below(2) ? 0644 : 0600);
    pick_path(path);
    agree("mknod", path, NULL, fs_mknod(&compared.view, NULL, path, mode, 0),
          real_errno_of(mknod(path, mode, 0)));
}

static void do_access(void)
{
    char path[LINUX_PATH_BYTES];
    unsigned wanted = below(8);
    pick_path(path);
    /* With AT_EACCESS: by the same identity as all the rest. */
    agree("access", path, NULL, fs_access(&compared.view, NULL, path, wanted, 0),
          real_errno_of(syscall(439 /* faccessat2 */, AT_FDCWD, path, wanted, AT_EACCESS)));
}

static void do_chmod(void)
{
    char path[LINUX_PATH_BYTES];
    static const unsigned modes[] = {0755, 0644, 0000, 04755, 02755, 02644, 0111, 01777, 0222, 0777};
    const struct fs_change change = {.set_mode = true, .mode = modes[below(10)]};
    pick_path(path);
    agree("chmod", path, NULL, fs_change(&compared.view, NULL, path, 0, &change),
          real_errno_of(chmod(path, change.mode)));
}

static void do_chown(void)
{
    char path[LINUX_PATH_BYTES];
    const struct fs_change change = {.chown = true,
                                     .set_user = below(2),
                                     .set_group = below(2),
                                     .user = below(2) * 1000,
                                     .group = below(2) * 1000};
    pick_path(path);
    agree("chown", path, NULL, fs_change(&compared.view, NULL, path, FS_AT_NO_FOLLOW, &change),
          real_errno_of(lchown(path, change.set_user ? change.user : (uid_t)-1,
                               change.set_group ? change.group : (gid_t)-1)));
}

static void do_truncate(void)
{
    char path[LINUX_PATH_BYTES];
    int64_t bytes = below(4) ? (int64_t)below(LINUX_BYTES_MOST) : (int64_t)below(2) - 1;
    pick_path(path);
    agree("truncate", path, NULL, fs_truncate(&compared.view, NULL, path, (uint64_t)bytes),
          real_errno_of(truncate(path, bytes)));
}

static void become(unsigned user)
{
    if (!is_root) {
        return;
    }
    setfsuid(0); /* who may take any group */
    setfsgid(user);
    setfsuid(user);
    compared.view.who.user = compared.view.who.group = user;
    compared.view.who.powers = user == 0 ? FS_POWERS_ALL : 0;
    for (unsigned i = 0; i < LINUX_FILES; i++) { /* Linux asks who writes, not who opened */
        if (files[i].ours) {
            files[i].ours->unprivileged = user != 0;
            files[i].ours->outsider = user != 0 && group_of(i) != user;
        }
    }
}

/* Somebody else, for a while: his permissions count. */
static void do_become(void)
{
    become(below(2) * 1000);
}

/* ---- The whole tree ---- */

static unsigned ours_listed;

static bool check_entry(void *context, const struct file_entry *entry)
{
    const char *folder = context;
    char path[1000];
    struct stat theirs;
    snprintf(path, sizeof path, "%s/%s", folder, entry->name);
    if (lstat(path, &theirs) != 0) {
        fail_msg("step %lu: %s is not on Linux", steps, path);
    }
    agree("readdir", path, "kind", entry->mode, theirs.st_mode & S_IFMT);
    ours_listed++;
    return true;
}

static void compare_tree(const char *folder)
{
    struct file *file;
    unsigned theirs_listed = 0;
    assert_int_equal(fs_open(&compared.view, NULL, folder, FILE_DIRECTORY, 0, &file), 0);
    ours_listed = 0;
    assert_int_equal(file_entries(file, check_entry, (void *)(uintptr_t)folder), 0);
    file_put(file);
    unsigned listed = ours_listed;
    DIR *directory = opendir(folder);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char path[1000];
        struct fs_status ours;
        struct stat theirs;
        theirs_listed++;
        if (strcmp(entry->d_name, "..") == 0) {
            continue; /* of the test's directory: somewhere else on each side */
        }
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        agree("tree", path, NULL, fs_status(&compared.view, NULL, path, FS_AT_NO_FOLLOW, &ours), 0);
        assert_int_equal(lstat(path, &theirs), 0);
        compare_status("tree", path, &ours, &theirs);
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
            compare_tree(path);
        }
    }
    closedir(directory);
    agree("tree", folder, "names", listed, theirs_listed);
}

static void run(unsigned long count, uint64_t first_seed)
{
    static void (*const operations[])(void) = {
        do_stat,     do_mkdir,  do_mkdir,    do_unlink, do_unlink,    do_symlink, do_link,
        do_rename,   do_rename, do_readlink, do_mknod,  do_access,    do_chmod,   do_chown,
        do_truncate, do_become, do_open,     do_open,   do_open,      do_write,   do_write,
        do_write,    do_read,   do_read,     do_seek,   do_ftruncate, do_fstat};
    char folder[64];
    char remove[100];
    seed = first_seed * 0x9e3779b97f4a7c15ULL + 1;
    is_root = geteuid() == 0;
    umask(022);
    snprintf(folder, sizeof folder, "/dev/shm/ashlar-fs.%d", (int)getpid());
    assert_int_equal(mkdir(folder, 0777), 0);
    assert_int_equal(chmod(folder, 0777), 0);
    assert_int_equal(chdir(folder), 0);
    fs_fixture_start(&compared);
    compared.view.mask = 022;
    const struct fs_change open_to_all = {.set_mode = true, .mode = 0777};
    assert_int_equal(path_change(&compared.view, compared.view.root, &open_to_all), 0);
    if (!is_root) {
        const struct fs_change owner = {
            .chown = true, .set_user = true, .set_group = true, .user = geteuid(), .group = getegid()};
        path_change(&compared.view, compared.view.root, &owner);
        compared.view.who.user = geteuid();
        compared.view.who.group = getegid();
        compared.view.who.powers = 0;
    }
    for (steps = 0; steps < count; steps++) {
        operations[below(sizeof operations / sizeof operations[0])]();
        if (steps % 500 == 499) {
            become(0);
            compare_tree(".");
        }
    }
    become(0);
    for (unsigned i = 0; i < LINUX_FILES; i++) {
        close_file(i);
    }
    compare_tree(".");
    fs_fixture_stop(&compared);
    assert_int_equal(chdir("/"), 0);
    snprintf(remove, sizeof remove, "rm -rf %s", folder);
    assert_int_equal(system(remove), 0);
}

static unsigned long wanted = 3000;
static uint64_t first = 1;

static void test_random(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 8; i++) {
        run(wanted, first + i);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};
    wanted = argc > 1 ? strtoul(argv[1], NULL, 0) : wanted;
    first = argc > 2 ? strtoul(argv[2], NULL, 0) : first;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
