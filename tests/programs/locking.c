/* Locked memory, limits of memory, and the memory of other processes. */
#include "check.h"

#include <linux/capability.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define PAGE  4096UL
#define PAGES 16
#define BOTH  (PROT_READ | PROT_WRITE)
#define ANON  (MAP_PRIVATE | MAP_ANONYMOUS)
#define MORE  (1UL << 20)

static char *room(void)
{
    return mmap(NULL, PAGES * PAGE, BOTH, ANON, -1, 0);
}

static void set_limit(int which, unsigned long soft)
{
    struct rlimit limit;
    TELL(getrlimit(which, &limit));
    limit.rlim_cur = soft;
    TELL(setrlimit(which, &limit));
}

/* Who is allowed to lock as much as he likes gives that up: the limit is to hold. */
static void give_up_privileges(void)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{0}};
    syscall(SYS_capget, &head, data);
    data[0].effective &= ~(1U << CAP_IPC_LOCK);
    data[0].permitted &= ~(1U << CAP_IPC_LOCK);
    syscall(SYS_capset, &head, data);
}

static void print_residency(const char *base)
{
    unsigned char here[PAGES] = {0};
    TELL(mincore((void *)base, PAGES * PAGE, here));
    for (unsigned i = 0; i < PAGES; i++) {
        printf("%d", here[i] & 1);
    }
    printf("\n");
}

static void locked(void)
{
    char *base = room();
    TELL(mlock(base + 100, PAGE));
    TELL(mlock(base + 4 * PAGE, 2 * PAGE));
    print_residency(base);
    TELL(syscall(SYS_mlock2, base + 8 * PAGE, PAGE, 1));
    TELL(syscall(SYS_mlock2, base + 10 * PAGE, PAGE, 0));
    TELL(syscall(SYS_mlock2, base, PAGE, 2));
    print_residency(base);
    base[4 * PAGE] = 7;
    TELL(madvise(base, PAGES * PAGE, MADV_DONTNEED));
    TELL(madvise(base + 4 * PAGE, PAGE, MADV_FREE));
    TELL(madvise(base + 4 * PAGE, PAGE, MADV_COLD));
    TELL(madvise(base + 4 * PAGE, PAGE, MADV_PAGEOUT));
    TELL_EXACT(base[4 * PAGE]);
    TELL(madvise(base + 4 * PAGE, PAGE, 24));
    TELL_EXACT(base[4 * PAGE]);
    TELL(munlock(base + 4 * PAGE, PAGE));
    TELL(madvise(base + 4 * PAGE, PAGE, MADV_DONTNEED));
    TELL(mlock(base, 0));
    TELL(mlock((char *)-PAGE, 2 * PAGE));
    TELL(mlock((char *)0x1000, PAGE));
    TELL(munlock((char *)0x1000, PAGE));
    TELL(munlock((char *)-PAGE, 2 * PAGE));
    TELL(munlock(base, 3 * PAGE));
    TELL(mprotect(base + PAGE, PAGE, PROT_NONE));
    TELL(mlock(base + PAGE, PAGE));
    TELL(munmap(base + 2 * PAGE, PAGE));
    TELL(mlock(base, 4 * PAGE));
    TELL(munlock(base, 4 * PAGE));
    TELL(munmap(base, PAGES * PAGE));
}

static void the_limit_of_locking(void)
{
    char *large = mmap(NULL, 4 * MORE, BOTH, ANON, -1, 0);
    set_limit(RLIMIT_MEMLOCK, MORE);
    TELL(mlock(large, MORE)); /* what memtester asks for */
    TELL(mlock(large, MORE)); /* once more is no more */
    TELL(mlock(large + MORE, PAGE));
    TELL(mlock(large, 2 * MORE));
    TELL(mmap(NULL, PAGE, BOTH, ANON | MAP_LOCKED, -1, 0));
    TELL(munlock(large, 4 * PAGE));
    TELL(mlock(large + MORE, 4 * PAGE));
    TELL(mlockall(MCL_CURRENT));
    TELL(mlockall(MCL_FUTURE));
    TELL(mmap(NULL, 2 * PAGE, BOTH, ANON, -1, 0));
    TELL(munlockall());
    TELL(mmap(NULL, MORE, BOTH, ANON | MAP_LOCKED, -1, 0) == MAP_FAILED ? -1 : 0);
    TELL(munlockall());
    TELL(mlockall(MCL_FUTURE));
    char *base = room();
    print_residency(base);
    TELL(munmap(base, PAGES * PAGE));
    TELL(mlockall(MCL_FUTURE | MCL_ONFAULT));
    base = room();
    print_residency(base);
    TELL(madvise(base, PAGE, MADV_DONTNEED));
    fflush(stdout);
    if (fork() == 0) { /* what is locked is so for the parent alone */
        TELL(madvise(base, PAGE, MADV_DONTNEED));
        base = room();
        print_residency(base);
        TELL(madvise(base, PAGE, MADV_DONTNEED));
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
    TELL(munlockall());
    TELL(munmap(base, PAGES * PAGE));
    TELL(mlockall(0));
    TELL(mlockall(8));
    TELL(mlockall(MCL_ONFAULT));
    set_limit(RLIMIT_MEMLOCK, 0);
    TELL(mlock(large, PAGE));
    TELL(mlockall(MCL_FUTURE));
    TELL(mmap(NULL, PAGE, BOTH, ANON | MAP_LOCKED, -1, 0));
    TELL(munlock(large, PAGE));
    TELL(munmap(large, 4 * MORE));
}

static void limits_of_size(void)
{
    char *none = mmap(NULL, 64 * MORE, PROT_NONE, ANON, -1, 0);
    struct rlimit endless = {RLIM_INFINITY, RLIM_INFINITY};
    set_limit(RLIMIT_DATA, 32 * MORE);
    TELL(mmap(NULL, 64 * MORE, BOTH, ANON, -1, 0));
    TELL(mmap(NULL, 64 * MORE, PROT_READ, ANON, -1, 0) == MAP_FAILED ? -1 : 0); /* is no data */
    TELL(mprotect(none, 64 * MORE, BOTH));
    TELL(mprotect(none, 16 * MORE, BOTH));
    TELL(mprotect(none + 16 * MORE, 16 * MORE, BOTH));
    TELL(mprotect(none, 16 * MORE, PROT_READ)); /* is no data any more */
    TELL(mprotect(none + 16 * MORE, 16 * MORE, BOTH));
    TELL(brk((char *)sbrk(0) + 30 * MORE));
    TELL(setrlimit(RLIMIT_DATA, &endless));
    set_limit(RLIMIT_AS, 200 * MORE);
    TELL(mmap(NULL, 300 * MORE, PROT_NONE, ANON | MAP_NORESERVE, -1, 0));
    TELL(brk((char *)sbrk(0) + 300 * MORE));
    TELL(setrlimit(RLIMIT_AS, &endless));
    TELL(munmap(none, 64 * MORE));
}

/* What is only reserved is refused to nobody; what no machine has cannot be promised. */
static void promises(void)
{
    unsigned long huge = 1UL << 45;
    char *none = mmap(NULL, huge, PROT_NONE, ANON, -1, 0);
    TELL(none == MAP_FAILED ? -1 : 0);
    TELL(mprotect(none, 1 << 20, BOTH));
    TELL(mprotect(none, huge, BOTH));
    TELL(mprotect(none, huge, PROT_READ));
    TELL(munmap(none, huge));
    TELL(mmap(NULL, huge, BOTH, ANON, -1, 0));
    char *loose = mmap(NULL, huge, BOTH, ANON | MAP_NORESERVE, -1, 0);
    TELL(loose == MAP_FAILED ? -1 : 0);
    loose[huge / 2] = 1;
    TELL(munmap(loose, huge));
    loose = mmap(NULL, huge, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
    TELL(mprotect(loose, huge, BOTH));
    TELL(munmap(loose, huge));
}

/* ---- The memory of others ---- */

static long copy(int writes, int process, char *here, size_t bytes, char *there, size_t more)
{
    struct iovec local = {here, bytes};
    struct iovec remote = {there, more};
    return writes ? process_vm_writev(process, &local, 1, &remote, 1, 0)
                  : process_vm_readv(process, &local, 1, &remote, 1, 0);
}

static void others(void)
{
    char *base = room();
    char here[3 * PAGE] = "here";
    int to_child[2];
    int to_parent[2];
    char c;
    strcpy(base, "there");
    strcpy(base + 3 * PAGE, "far");
    TELL(pipe(to_child));
    TELL(pipe(to_parent));
    TELL(munmap(base + 6 * PAGE, PAGE));
    TELL(mprotect(base + 4 * PAGE, PAGE, PROT_READ));
    TELL(mprotect(base + 8 * PAGE, PAGE, PROT_NONE));
    fflush(stdout);
    int child = fork();
    if (child == 0) {
        strcpy(base, "child");
        write(to_parent[1], "", 1);
        read(to_child[0], &c, 1);
        printf("the child has %s, %s\n", base, base + 5 * PAGE - 3);
        fflush(stdout);
        _exit(0);
    }
    read(to_parent[0], &c, 1);
    TELL_EXACT(copy(0, child, here, 6, base, 6));
    printf("%s %s\n", here, base);
    TELL_EXACT(copy(0, getpid(), here, 6, base, 6));
    printf("%s\n", here);
    TELL_EXACT(copy(1, child, "written", 8, base, 8));
    TELL_EXACT(copy(0, child, here, 2 * PAGE, base + 5 * PAGE - 10, 2 * PAGE)); /* up to the hole */
    TELL_EXACT(copy(1, child, here, 10, base + 4 * PAGE, 10));
    TELL_EXACT(copy(0, child, here, 10, base + 8 * PAGE, 10));
    TELL_EXACT(copy(0, child, here, 10, (char *)0xffff800000000000, 10));
    TELL_EXACT(copy(0, child, (char *)0x1000, 10, base, 10));
    TELL_EXACT(copy(0, child, (char *)0xffff800000000000, 10, base, 10));
    TELL_EXACT(copy(0, child, here, 0, base, 10));
    TELL_EXACT(copy(0, child, here, 10, base, 0));
    TELL_EXACT(copy(0, 999999, here, 10, base, 10));
    TELL_EXACT(copy(0, child, here, -1UL, base, 10));
    TELL_EXACT(copy(0, child, here, 10, base, -1UL));
    struct iovec local[2] = {{here, 3}, {here + 100, 5}};
    struct iovec remote[3] = {{base, 4}, {base + 3 * PAGE, 3}, {base + 6 * PAGE, 1}};
    TELL_EXACT(process_vm_readv(child, local, 2, remote, 3, 0));
    printf("%.3s %.4s\n", here, here + 100);
    TELL_EXACT(process_vm_readv(child, local, 2, remote, 3, 1));
    TELL_EXACT(process_vm_readv(child, local, 1025, remote, 3, 0));
    TELL_EXACT(process_vm_readv(child, local, 2, remote, 1025, 0));
    TELL_EXACT(process_vm_readv(child, (struct iovec *)0x1000, 2, remote, 3, 0));
    TELL_EXACT(process_vm_readv(child, local, 2, (struct iovec *)0x1000, 3, 0));
    TELL_EXACT(process_vm_writev(child, local, 0, remote, 3, 0));
    write(to_child[1], "", 1);
    waitpid(child, NULL, 0);
    TELL_EXACT(copy(0, child, here, 6, base, 6));
    TELL(munmap(base, PAGES * PAGE));
}

int main(void)
{
    setvbuf(stdout, malloc(65536), _IOFBF, 65536); /* the child prints as well */
    give_up_privileges();
    locked();
    the_limit_of_locking();
    limits_of_size();
    promises();
    others();
    return 0;
}
