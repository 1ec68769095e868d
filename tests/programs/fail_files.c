/* Every allocation inside the calls of files fails in turn; see fail_nth.h. */
#include "fail_nth.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/select.h>
#include <sys/uio.h>
#include <time.h>

#define MANY  90 /* vectors, descriptors */
#define ITEMS 60

static int file; /* with 3 bytes */
static int folder, pipes[2], polled, added, pair[2], memory;
static char bytes[8 * PAGE];
static struct iovec vectors[MANY];
static struct pollfd waits[MANY];
static int high = 80; /* a descriptor for which the table has to grow, each time */
static struct epoll_event event, told[MANY];

static void close_it(long answer)
{
    close((int)answer);
}

static void close_pair(long answer)
{
    (void)answer;
    close(pair[0]);
    close(pair[1]);
}

static void close_high(long answer)
{
    (void)answer;
    close(high);
    high *= 2;
}

/* The time of its last change is told, too, and it lasts. */
static void file_back(long answer)
{
    static const struct timespec times[2] = {{1000, 0}, {1000, 0}};
    (void)answer;
    ftruncate(file, 3);
    lseek(file, 0, SEEK_SET);
    futimens(file, times);
}

static void folders_back(void)
{
    static const struct timespec times[2] = {{1000, 0}, {1000, 0}};
    utimensat(AT_FDCWD, "sub", times, 0);
    utimensat(AT_FDCWD, "sub/file", times, 0);
    utimensat(AT_FDCWD, "sub/empty", times, 0);
    utimensat(AT_FDCWD, "none", times, 0);
}

#define CALL(name, ...)                                                                                      \
    static long name(void)                                                                                   \
    {                                                                                                        \
        return __VA_ARGS__;                                                                                  \
    }
#define UNDO(name, ...)                                                                                      \
    static void name(long answer)                                                                            \
    {                                                                                                        \
        (void)answer;                                                                                        \
        __VA_ARGS__;                                                                                         \
        folders_back();                                                                                      \
    }

CALL(open_old, syscall(SYS_openat, AT_FDCWD, "sub/file", O_RDONLY))
CALL(open_new, syscall(SYS_openat, AT_FDCWD, "new", O_RDWR | O_CREAT, 0644))
UNDO(open_undo, close((int)answer); unlink("new"))
CALL(open_cut, syscall(SYS_openat, AT_FDCWD, "sub/empty", O_RDWR | O_TRUNC))
UNDO(cut_undo, close((int)answer))
CALL(open_folder, syscall(SYS_open, "sub", O_RDONLY | O_DIRECTORY))
CALL(open_maps, syscall(SYS_open, "/proc/self/maps", O_RDONLY))
CALL(open_null, syscall(SYS_open, "/dev/null", O_RDWR))
CALL(open_fifo, syscall(SYS_open, "fifo", O_RDWR))
CALL(make_folder, syscall(SYS_mkdir, "made", 0755))
UNDO(folder_undo, rmdir("made"))
CALL(make_fifo, syscall(SYS_mknod, "made", S_IFIFO | 0644, 0))
UNDO(name_undo, unlink("made"))
CALL(make_symlink, syscall(SYS_symlink, "where/it/leads/to", "made"))
CALL(make_link, syscall(SYS_link, "sub/file", "made"))
CALL(rename_here, syscall(SYS_rename, "sub/file", "sub/other"))
UNDO(rename_undo, rename("sub/other", "sub/file"))
CALL(rename_away, syscall(SYS_rename, "sub/file", "made"))
UNDO(away_undo, rename("made", "sub/file"))
CALL(rename_folder, syscall(SYS_rename, "sub", "made"))
UNDO(rename_folder_undo, rename("made", "sub"))
CALL(remove_file, syscall(SYS_unlink, "extra"))
UNDO(remove_undo, link("sub/file", "extra"))
CALL(remove_folder, syscall(SYS_rmdir, "none"))
UNDO(remove_folder_undo, mkdir("none", 0755))
CALL(write_more, syscall(SYS_write, file, bytes, sizeof bytes))
CALL(write_far, syscall(SYS_pwrite64, file, bytes, 10, 1L << 30))
CALL(write_vectors, syscall(SYS_pwritev, file, vectors, MANY, 0, 0))
CALL(read_vectors, syscall(SYS_preadv, file, vectors, MANY, 0, 0))
CALL(longer, syscall(SYS_ftruncate, file, 1L << 30))
CALL(shorter, syscall(SYS_ftruncate, file, 1))
UNDO(shorter_undo, pwrite(file, "abc", 3, 0); file_back(0))
CALL(reserve, syscall(SYS_fallocate, file, 0, 0, 80 * PAGE))
CALL(send_it, syscall(SYS_sendfile, file, memory, NULL, 5 * PAGE))
UNDO(send_undo, file_back(0); lseek(memory, 0, SEEK_SET))
CALL(status, syscall(SYS_stat, "sub/file", bytes))
CALL(status_x, syscall(SYS_statx, AT_FDCWD, "sub/file", 0, 0x7ff, bytes))
CALL(may, syscall(SYS_access, "sub/file", R_OK))
CALL(read_link, syscall(SYS_readlink, "/proc/self/exe", bytes, PAGE))
CALL(read_folder, syscall(SYS_getdents64, folder, bytes, PAGE))
UNDO(rewind_folder, lseek(folder, 0, SEEK_SET))
CALL(where, syscall(SYS_getcwd, bytes, PAGE))
CALL(go, syscall(SYS_chdir, "sub"))
UNDO(go_back, chdir(".."))
CALL(change_mode, syscall(SYS_chmod, "sub/file", 0644))
CALL(change_owner, syscall(SYS_chown, "sub/file", 0, 0))
CALL(change_times, syscall(SYS_utimensat, AT_FDCWD, "sub/file", NULL, 0))
UNDO(no_undo, (void)0)
CALL(double_it, syscall(SYS_dup, file))
CALL(double_high, syscall(SYS_dup2, file, high))
CALL(lock_flock, syscall(SYS_flock, file, LOCK_EX))
UNDO(flock_undo, flock(file, LOCK_UN))
CALL(make_pipe, syscall(SYS_pipe2, pair, O_CLOEXEC))
CALL(write_pipe, syscall(SYS_write, pipes[1], bytes, 3 * PAGE))
UNDO(drain_pipe, read(pipes[0], bytes, sizeof bytes))
CALL(make_event, syscall(SYS_eventfd2, 1, 0))
CALL(make_timer, syscall(SYS_timerfd_create, CLOCK_MONOTONIC, 0))
CALL(make_memory, syscall(SYS_memfd_create, "name", 2))
CALL(make_set, syscall(SYS_epoll_create1, 0))
CALL(poll_many, syscall(SYS_poll, waits, MANY, 0))
CALL(wait_many, syscall(SYS_epoll_wait, polled, told, MANY, 0))

static long select_many(void)
{
    fd_set sets[2];
    FD_ZERO(&sets[0]);
    FD_SET(file, &sets[0]);
    sets[1] = sets[0];
    struct timeval none = {0, 0};
    return syscall(SYS_select, 1024, &sets[0], &sets[1], NULL, &none);
}

static long lock_range(void)
{
    struct flock lock = {.l_type = F_WRLCK, .l_start = 10, .l_len = 5};
    return syscall(SYS_fcntl, file, F_SETLK, &lock);
}

/* A lock of the open file: one of the process would end with any descriptor that is closed. */
static long unlock_middle(void)
{
    struct flock lock = {.l_type = F_UNLCK, .l_start = 110, .l_len = 5};
    return syscall(SYS_fcntl, file, F_OFD_SETLK, &lock);
}

static void lock_around(long answer)
{
    struct flock lock = {.l_type = F_WRLCK, .l_start = 100, .l_len = 50};
    (void)answer;
    fcntl(file, F_OFD_SETLK, &lock);
}

static void unlock_range(long answer)
{
    struct flock lock = {.l_type = F_UNLCK, .l_start = 0, .l_len = 50};
    (void)answer;
    fcntl(file, F_SETLK, &lock);
}

static long watch(void)
{
    return syscall(SYS_epoll_ctl, polled, EPOLL_CTL_ADD, added, &event);
}

static void unwatch(long answer)
{
    (void)answer;
    epoll_ctl(polled, EPOLL_CTL_DEL, added, NULL);
}

/* What is made when it is read: the file is opened before, and then read. */
static int made_file;
CALL(read_made, syscall(SYS_pread64, made_file, bytes, sizeof bytes, 0))

static const struct attempt attempts[] = {
    {"open", open_old, close_it, 0, 0},
    {"open, new", open_new, open_undo, 0, 0},
    {"open, cut", open_cut, cut_undo, 0, 0},
    {"open, a folder", open_folder, close_it, 0, 0},
    {"open, a made file", open_maps, close_it, 0, 0},
    {"open, a device", open_null, close_it, 0, 0},
    {"open, a pipe", open_fifo, close_it, 0, 0},
    {"mkdir", make_folder, folder_undo, 0, 0},
    {"mknod", make_fifo, name_undo, 0, 0},
    {"symlink", make_symlink, name_undo, 0, 0},
    {"link", make_link, name_undo, 0, 0},
    {"rename", rename_here, rename_undo, 0, 0},
    {"rename, elsewhere", rename_away, away_undo, 0, 0},
    {"rename, a folder", rename_folder, rename_folder_undo, 0, 0},
    {"unlink", remove_file, remove_undo, 0, 0},
    {"rmdir", remove_folder, remove_folder_undo, 0, 0},
    {"write", write_more, file_back, 0, 0},
    {"pwrite, far away", write_far, file_back, 0, 0},
    {"pwritev", write_vectors, file_back, 0, 0},
    {"preadv", read_vectors, NULL, 0, 0},
    {"ftruncate, longer", longer, file_back, 0, MAY_ALLOCATE_NOTHING},
    {"ftruncate, shorter", shorter, shorter_undo, 0, MAY_ALLOCATE_NOTHING},
    {"fallocate", reserve, file_back, 0, 0},
    {"sendfile", send_it, send_undo, 0, 0},
    {"stat", status, NULL, 0, 0},
    {"statx", status_x, NULL, 0, 0},
    {"access", may, NULL, 0, 0},
    {"readlink", read_link, NULL, 0, 0},
    {"getdents64", read_folder, rewind_folder, 0, 0},
    {"getcwd", where, NULL, 0, 0},
    {"chdir", go, go_back, 0, 0},
    {"chmod", change_mode, NULL, 0, 0},
    {"chown", change_owner, NULL, 0, 0},
    {"utimensat", change_times, no_undo, 0, 0},
    {"dup", double_it, close_it, 0, MAY_ALLOCATE_NOTHING},
    {"dup2", double_high, close_high, 0, 0},
    {"fcntl, a lock", lock_range, unlock_range, ENOLCK, 0},
    {"fcntl, a lock's middle", unlock_middle, lock_around, ENOLCK, 0},
    {"flock", lock_flock, flock_undo, ENOLCK, 0},
    {"pipe2", make_pipe, close_pair, 0, 0},
    {"write to a pipe", write_pipe, drain_pipe, 0, 0},
    {"eventfd2", make_event, close_it, 0, 0},
    {"timerfd_create", make_timer, close_it, 0, 0},
    {"memfd_create", make_memory, close_it, 0, 0},
    {"epoll_create1", make_set, close_it, 0, 0},
    {"poll", poll_many, NULL, 0, 0},
    {"select", select_many, NULL, 0, 0},
    {"epoll_wait", wait_many, NULL, 0, MAY_ALLOCATE_NOTHING},
};

static const char *const made[] = {
    "/proc/self/maps",    "/proc/self/smaps",   "/proc/self/status", "/proc/self/stat",   "/proc/self/statm",
    "/proc/self/cmdline", "/proc/self/environ", "/proc/self/auxv",   "/proc/self/limits", "/proc/meminfo",
    "/proc/buddyinfo",    "/proc/slabinfo",     "/proc/vmstat",      "/proc/stat",        "/proc/cpuinfo",
    "/proc/uptime",       "/proc/loadavg",      "/proc/version"};

/* So many that the set's table grows once and again; each that was tried stays. */
static void watch_many(void)
{
    const struct attempt watch_it = {"epoll_ctl", watch, unwatch, 0, 0};
    for (int i = 0; i < ITEMS; i++) {
        added = eventfd(0, 0);
        try_call(&watch_it);
        epoll_ctl(polled, EPOLL_CTL_ADD, added, &event);
    }
}

static void prepare(void)
{
    static const struct timespec times[2] = {{1000, 0}, {1000, 0}};
    mkdir("sub", 0755);
    mkdir("none", 0755);
    mkfifo("fifo", 0644);
    close(open("sub/empty", O_CREAT | O_RDWR, 0644));
    close(open("sub/file", O_CREAT | O_RDWR, 0644));
    link("sub/file", "extra");
    file = open("sub/long", O_CREAT | O_RDWR, 0644);
    write(file, "abc", 3);
    folder = open("sub", O_RDONLY | O_DIRECTORY);
    memory = memfd_create("source", 0);
    ftruncate(memory, 5 * PAGE);
    pipe(pipes);
    polled = epoll_create1(0);
    for (int i = 0; i < MANY; i++) {
        vectors[i] = (struct iovec){bytes + i * 10, 10};
        waits[i] = (struct pollfd){.fd = i % 2 ? file : pipes[0], .events = POLLIN};
    }
    futimens(file, times);
    folders_back();
    lseek(file, 0, SEEK_SET);
}

/* Where there is no descriptor left, nothing is made, and nothing is cut. */
static void no_descriptors(void)
{
    struct rlimit before, none = {0, 0};
    struct stat about = {0};
    getrlimit(RLIMIT_NOFILE, &before);
    none.rlim_max = before.rlim_max;
    setrlimit(RLIMIT_NOFILE, &none);
    TELL(open("new", O_CREAT | O_RDWR, 0644));
    TELL(open("sub/long", O_TRUNC | O_RDWR));
    TELL(open("none/none", O_RDONLY));
    setrlimit(RLIMIT_NOFILE, &before);
    TELL(access("new", F_OK));
    TELL(stat("sub/long", &about));
    printf("%ld bytes\n", (long)about.st_size);
}

static void clear(void)
{
    static const char *const names[] = {"sub/empty", "sub/file", "sub/long", "extra", "fifo"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        unlink(names[i]);
    }
    rmdir("sub");
    rmdir("none");
}

int main(int count, char **arguments)
{
    if (begin(count, arguments) != 0) {
        return 1;
    }
    prepare();
    for (unsigned i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        try_call(&attempts[i]);
    }
    for (unsigned i = 0; i < sizeof made / sizeof *made; i++) {
        const struct attempt read_it = {made[i], read_made, NULL, 0, 0};
        made_file = open(made[i], O_RDONLY);
        try_call(&read_it);
        close(made_file);
    }
    watch_many();
    no_descriptors();
    clear();
    return finish(count);
}
