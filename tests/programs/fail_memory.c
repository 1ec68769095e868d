/* Every allocation inside the calls of memory fails in turn; see fail_nth.h. */
#include "fail_nth.h"

#include <sys/uio.h>

#define AT(page)   (FOREVER_ARENA + (page)*PAGE)
#define ELSEWHERE  ((char *)0x310000000000)
#define LARGE      (4UL << 20)
#define PLAIN      (MAP_PRIVATE | MAP_ANONYMOUS)
#define READ_WRITE (PROT_READ | PROT_WRITE)

static int file; /* of 16 pages */
static int zeros;

/* As it was before: also where it was cut, or covered. */
static void again(long answer)
{
    (void)answer;
    make_arena();
}

static void gone(long answer)
{
    (void)answer;
    munmap(ELSEWHERE, LARGE);
}

static void give_back(long answer)
{
    munmap((void *)answer, LARGE);
}

/* The addresses that the kernel chooses are small enough not to be -1. */
static long map(void *at, size_t bytes, int access, int flags, int from)
{
    return syscall(SYS_mmap, at, bytes, access, flags, from, 0);
}

#define CALL(name, ...)                                                                                      \
    static long name(void)                                                                                   \
    {                                                                                                        \
        return __VA_ARGS__;                                                                                  \
    }

CALL(map_private, map(NULL, LARGE, READ_WRITE, PLAIN, -1))
CALL(map_fixed, map(ELSEWHERE, LARGE, READ_WRITE, PLAIN | MAP_FIXED, -1))
CALL(map_no_replace, map(ELSEWHERE, LARGE, READ_WRITE, PLAIN | MAP_FIXED_NOREPLACE, -1))
CALL(map_nothing, map(ELSEWHERE, LARGE, PROT_NONE, PLAIN | MAP_NORESERVE | MAP_FIXED, -1))
CALL(map_grows, map(NULL, LARGE, READ_WRITE, PLAIN | MAP_GROWSDOWN, -1))
CALL(map_populated, map(ELSEWHERE, 8 * PAGE, READ_WRITE, PLAIN | MAP_FIXED | MAP_POPULATE, -1))
CALL(map_locked, map(ELSEWHERE, 8 * PAGE, READ_WRITE, PLAIN | MAP_FIXED | MAP_LOCKED, -1))
CALL(map_shared, map(ELSEWHERE, LARGE, READ_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1))
CALL(map_shared_populated,
     map(ELSEWHERE, 8 * PAGE, READ_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED | MAP_POPULATE, -1))
CALL(map_file, map(ELSEWHERE, 16 * PAGE, READ_WRITE, MAP_PRIVATE | MAP_FIXED, file))
CALL(map_file_shared, map(ELSEWHERE, 16 * PAGE, READ_WRITE, MAP_SHARED | MAP_FIXED | MAP_POPULATE, file))
CALL(map_zeros, map(ELSEWHERE, 16 * PAGE, READ_WRITE, MAP_PRIVATE | MAP_FIXED, zeros))
CALL(map_zeros_shared, map(ELSEWHERE, 16 * PAGE, READ_WRITE, MAP_SHARED | MAP_FIXED, zeros))
CALL(map_over, map(AT(20), 8 * PAGE, READ_WRITE, PLAIN | MAP_FIXED, -1))
CALL(map_file_over, map(AT(20), 8 * PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, file))
CALL(map_nothing_over, map(AT(20), 8 * PAGE, PROT_NONE, PLAIN | MAP_FIXED | MAP_NORESERVE, -1))
CALL(map_shared_over, map(AT(0), ARENA_PAGES *PAGE, READ_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1))
CALL(unmap_middle, syscall(SYS_munmap, AT(20), 8 * PAGE))
CALL(unmap_front, syscall(SYS_munmap, AT(0), 8 * PAGE))
CALL(unmap_all, syscall(SYS_munmap, AT(0), ARENA_PAGES *PAGE))
CALL(protect_middle, syscall(SYS_mprotect, AT(20), 8 * PAGE, PROT_READ))
CALL(protect_front, syscall(SYS_mprotect, AT(0), 8 * PAGE, PROT_NONE))
CALL(protect_all, syscall(SYS_mprotect, AT(0), ARENA_PAGES *PAGE, PROT_READ))
CALL(remap_move, syscall(SYS_mremap, AT(16), 8 * PAGE, 16 * PAGE, MREMAP_MAYMOVE, 0))
CALL(remap_fixed, syscall(SYS_mremap, AT(16), 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, ELSEWHERE))
CALL(remap_over, syscall(SYS_mremap, AT(16), 8 * PAGE, 12 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, AT(40)))
CALL(remap_keep, syscall(SYS_mremap, AT(16), 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | 4, ELSEWHERE))
CALL(remap_longer, syscall(SYS_mremap, AT(56), 8 * PAGE, 16 * PAGE, 0, 0))
CALL(remap_shorter, syscall(SYS_mremap, AT(16), 16 * PAGE, 8 * PAGE, 0, 0))
CALL(advise_away, syscall(SYS_madvise, AT(20), 8 * PAGE, MADV_DONTNEED))
CALL(advise_free, syscall(SYS_madvise, AT(20), 8 * PAGE, MADV_FREE))
CALL(advise_no_fork, syscall(SYS_madvise, AT(20), 8 * PAGE, MADV_DONTFORK))
CALL(advise_wipe, syscall(SYS_madvise, AT(20), 8 * PAGE, MADV_WIPEONFORK))
CALL(advise_read, syscall(SYS_madvise, ELSEWHERE, 8 * PAGE, MADV_POPULATE_READ))
CALL(advise_write, syscall(SYS_madvise, ELSEWHERE, 8 * PAGE, MADV_POPULATE_WRITE))
CALL(lock_middle, syscall(SYS_mlock, AT(20), 8 * PAGE))
CALL(lock_on_fault, syscall(SYS_mlock2, AT(20), 8 * PAGE, 1))
CALL(lock_all, syscall(SYS_mlockall, MCL_CURRENT))
CALL(unlock_middle, syscall(SYS_munlock, AT(20), 8 * PAGE))
CALL(heap_grows, syscall(SYS_brk, (char *)sbrk(0) + 64 * PAGE))
CALL(sync_file, syscall(SYS_msync, AT(0), 8 * PAGE, MS_SYNC))

static char *heap;

static void heap_shrinks(long answer)
{
    if ((char *)answer != heap) { /* it says where the end is, whether it could or not */
        syscall(SYS_brk, heap);
    }
}

static void move_back(long answer)
{
    munmap((void *)answer, 16 * PAGE);
    make_arena();
    gone(0);
}

static void longer_back(long answer)
{
    (void)answer;
    munmap(AT(64), 8 * PAGE);
}

static void unlock(long answer)
{
    (void)answer;
    munlockall();
}

static void relock(long answer)
{
    (void)answer;
    mlock(AT(0), ARENA_PAGES * PAGE);
}

static void unpopulated(long answer)
{
    (void)answer;
    madvise(ELSEWHERE, 8 * PAGE, MADV_DONTNEED);
}

static struct iovec many[100];
static int self;

static long between(long number)
{
    return syscall(number, self, &many[0], 100, &many[0], 100, 0);
}

CALL(read_other, between(SYS_process_vm_readv))
CALL(write_other, between(SYS_process_vm_writev))

static const struct attempt attempts[] = {
    {"mmap, private", map_private, give_back, 0, 0},
    {"mmap, fixed", map_fixed, gone, 0, 0},
    {"mmap, no replacement", map_no_replace, gone, 0, 0},
    {"mmap, no access", map_nothing, gone, 0, 0},
    {"mmap, grows down", map_grows, give_back, 0, 0},
    {"mmap, populated", map_populated, gone, 0, 0},
    {"mmap, locked", map_locked, gone, EAGAIN, 0},
    {"mmap, shared", map_shared, gone, 0, 0},
    {"mmap, shared and populated", map_shared_populated, gone, 0, 0},
    {"mmap, a file", map_file, gone, 0, 0},
    {"mmap, a file, shared", map_file_shared, gone, 0, 0},
    {"mmap, zeros", map_zeros, gone, 0, 0},
    {"mmap, zeros, shared", map_zeros_shared, gone, 0, 0},
    {"mmap over others", map_over, again, 0, 0},
    {"mmap, a file over others", map_file_over, again, 0, 0},
    {"mmap, no access over others", map_nothing_over, again, 0, 0},
    {"mmap, shared over all", map_shared_over, again, 0, 0},
    {"munmap of a middle", unmap_middle, again, 0, 0},
    {"munmap of a front", unmap_front, again, 0, MAY_ALLOCATE_NOTHING},
    {"munmap of all", unmap_all, again, 0, MAY_ALLOCATE_NOTHING},
    {"mprotect of a middle", protect_middle, again, 0, 0},
    {"mprotect of a front", protect_front, again, 0, 0},
    {"mprotect of all", protect_all, again, 0, MAY_ALLOCATE_NOTHING},
    {"mremap, moves", remap_move, move_back, 0, 0},
    {"mremap, fixed", remap_fixed, move_back, 0, 0},
    {"mremap, over others", remap_over, again, 0, 0},
    {"mremap, keeps", remap_keep, move_back, 0, 0},
    {"mremap, longer", remap_longer, longer_back, 0, MAY_ALLOCATE_NOTHING},
    {"mremap, shorter", remap_shorter, again, 0, 0},
    {"madvise, not needed", advise_away, again, 0, MAY_ALLOCATE_NOTHING},
    {"madvise, free", advise_free, again, 0, MAY_ALLOCATE_NOTHING},
    {"madvise, not at forks", advise_no_fork, again, EAGAIN, 0},
    {"madvise, wiped at forks", advise_wipe, again, EAGAIN, 0},
    {"mlock of a middle", lock_middle, unlock, EAGAIN, 0},
    {"mlock2 of a middle", lock_on_fault, unlock, EAGAIN, 0},
    {"mlockall", lock_all, unlock, EAGAIN, MAY_ALLOCATE_NOTHING},
    {"msync", sync_file, NULL, 0, MAY_ALLOCATE_NOTHING},
    {"brk", heap_grows, heap_shrinks, 0, MAY_ALLOCATE_NOTHING},
    {"process_vm_readv", read_other, NULL, 0, 0},
    {"process_vm_writev", write_other, NULL, 0, 0},
};

static const struct attempt on_unpopulated[] = {
    {"madvise, populated to be read", advise_read, unpopulated, EFAULT, 0},
    {"madvise, populated to be written", advise_write, unpopulated, EFAULT, 0},
};

static const struct attempt on_locked = {"munlock of a middle", unlock_middle, relock, EAGAIN, 0};

int main(int count, char **arguments)
{
    if (begin(count, arguments) != 0) {
        return 1;
    }
    struct rlimit locked = {64 << 20, 64 << 20};
    setrlimit(RLIMIT_MEMLOCK, &locked);
    file = open("file", O_CREAT | O_RDWR, 0644);
    for (int i = 0; i < 16; i++) {
        pwrite(file, "page", 4, i * (long)PAGE);
    }
    zeros = open("/dev/zero", O_RDWR);
    heap = sbrk(0);
    self = getpid();
    for (int i = 0; i < 100; i++) {
        many[i] = (struct iovec){AT(2) + i * 8, 8};
    }
    for (unsigned i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        try_call(&attempts[i]);
    }
    map_fixed();
    for (unsigned i = 0; i < sizeof on_unpopulated / sizeof *on_unpopulated; i++) {
        try_call(&on_unpopulated[i]);
    }
    gone(0);
    relock(0);
    try_call(&on_locked);
    unlink("file");
    return finish(count);
}
