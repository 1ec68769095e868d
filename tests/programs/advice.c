/* What a program can say about its memory, what it is told of it, and what it sees of that. */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define PAGE  4096UL
#define PAGES 16
#define BOTH  (PROT_READ | PROT_WRITE)
#define ANON  (MAP_PRIVATE | MAP_ANONYMOUS)

static char *room(void)
{
    return mmap(NULL, PAGES * PAGE, BOTH, ANON, -1, 0);
}

static char *filled(void)
{
    char *base = room();
    for (unsigned i = 0; i < PAGES; i++) {
        base[i * PAGE] = (char)(i + 1);
    }
    return base;
}

/* The sum of the first bytes of all pages. */
static long sum(const char *base)
{
    long sum = 0;
    for (unsigned i = 0; i < PAGES; i++) {
        sum += ((const volatile char *)base)[i * PAGE];
    }
    return sum;
}

static int file_of_pages(void)
{
    int file = memfd_create("file", 0);
    for (unsigned i = 0; i < PAGES; i++) {
        char c = (char)(i + 1);
        pwrite(file, &c, 1, (off_t)(i * PAGE));
    }
    ftruncate(file, PAGES * PAGE);
    return file;
}

static char *mapped(int file, int flags)
{
    return mmap(NULL, PAGES * PAGE, BOTH, flags, file, 0);
}

/* How a child ends that does what `act` does. */
static int ends(void (*act)(char *), char *base)
{
    int status;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        act(base);
        _exit(0);
    }
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

static void errors_of_madvise(void)
{
    static const int all[] = {0, 1, 2, 3, 4, 8, 10, 11, 16, 17, 18, 19, 20, 21, 22, 23, 24};
    char *base = filled();
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
        printf("advice %d: ", all[i]);
        TELL(madvise(base, PAGE, all[i]));
        TELL(madvise(base + 1, PAGE, all[i]));
        TELL(madvise(base, 0, all[i]));
        TELL(madvise(base, -1UL, all[i]));
        TELL(madvise((char *)-PAGE, 2 * PAGE, all[i]));
        TELL(madvise((char *)0x1000, PAGE, all[i]));
    }
    TELL(madvise(base, PAGE, 5));
    TELL(madvise(base, PAGE, 99));
    TELL(madvise(base, PAGE, -1));
    TELL(madvise(base, PAGE, MADV_REMOVE));
    TELL(munmap(base + 2 * PAGE, PAGE));
    base[3 * PAGE] = 9;
    TELL(madvise(base, 4 * PAGE, MADV_DONTNEED)); /* what lies behind the hole goes too */
    TELL_EXACT(base[0] + base[3 * PAGE]);
    TELL(madvise(base + 2 * PAGE, PAGE, MADV_DONTNEED));
    TELL(munmap(base, PAGES * PAGE));
}

static void emptied_memory(void)
{
    char *base = filled();
    TELL_EXACT(sum(base));
    TELL(madvise(base + PAGE, 3 * PAGE, MADV_DONTNEED));
    TELL_EXACT(sum(base));
    base[PAGE] = 100;
    TELL_EXACT(sum(base));
    TELL(madvise(base + PAGE, 1, MADV_DONTNEED)); /* a whole page */
    TELL_EXACT(sum(base));
    TELL(mprotect(base, 8 * PAGE, PROT_NONE));
    TELL(madvise(base, 6 * PAGE, MADV_DONTNEED)); /* what nobody may touch, too */
    TELL(mprotect(base, 8 * PAGE, PROT_READ));
    TELL_EXACT(sum(base));
    TELL(madvise(base, PAGES * PAGE, MADV_FREE));
    TELL(madvise(base, PAGES * PAGE, MADV_DONTNEED));
    TELL_EXACT(sum(base));
    TELL(munmap(base, PAGES * PAGE));
}

static void emptied_files(void)
{
    int file = file_of_pages();
    char *own = mapped(file, MAP_PRIVATE);
    char *shared = mapped(file, MAP_SHARED);
    own[0] = 50;
    shared[PAGE] = 60;
    TELL_EXACT(sum(own));
    TELL(madvise(own, PAGES * PAGE, MADV_FREE));
    TELL(madvise(own, PAGES * PAGE, MADV_DONTNEED)); /* the file's bytes are read again */
    TELL_EXACT(sum(own));
    TELL(madvise(shared, PAGES * PAGE, MADV_FREE));
    TELL(madvise(shared, PAGES * PAGE, MADV_DONTNEED)); /* what was written to the file stays */
    TELL_EXACT(sum(shared));
    TELL(madvise(own, PAGE, MADV_WIPEONFORK));
    TELL(madvise(shared, PAGE, MADV_WIPEONFORK));
    TELL(madvise(own, PAGE, MADV_REMOVE));
    own[2 * PAGE] = 70;
    TELL(madvise(shared + 2 * PAGE, 3 * PAGE, MADV_REMOVE)); /* holes in the file; private copies stay */
    TELL_EXACT(sum(shared));
    TELL_EXACT(sum(own));
    char c = 1;
    TELL_EXACT(pread(file, &c, 1, 3 * PAGE));
    TELL_EXACT(c);
    TELL_EXACT(lseek(file, 2 * PAGE, SEEK_DATA));
    TELL(mlock(shared, PAGE));
    TELL(madvise(shared, PAGE, MADV_REMOVE));
    int read_only = open("/proc/self/exe", O_RDONLY);
    char *program = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, read_only, 0);
    TELL(madvise(program, PAGE, MADV_REMOVE));
    TELL(munmap(program, PAGE));
    TELL(close(read_only));
    TELL(munmap(own, PAGES * PAGE));
    TELL(munmap(shared, PAGES * PAGE));
    TELL(close(file));
}

static void populated(void)
{
    char *base = room();
    unsigned char here[PAGES];
    TELL(madvise(base, 4 * PAGE, MADV_POPULATE_READ));
    TELL(madvise(base + 4 * PAGE, 4 * PAGE, MADV_POPULATE_WRITE));
    TELL(mincore(base, PAGES * PAGE, here));
    for (unsigned i = 0; i < PAGES; i++) {
        printf("%d", here[i] & 1);
    }
    printf("\n");
    TELL(mprotect(base, PAGE, PROT_NONE));
    TELL(madvise(base, PAGE, MADV_POPULATE_READ));
    TELL(mprotect(base, PAGE, PROT_READ));
    TELL(madvise(base, PAGE, MADV_POPULATE_WRITE));
    TELL(madvise(base, PAGE, MADV_POPULATE_READ));
    TELL(munmap(base + PAGE, PAGE));
    TELL(madvise(base, 3 * PAGE, MADV_POPULATE_READ));
    TELL(munmap(base, PAGES * PAGE));
    int file = memfd_create("short", 0);
    ftruncate(file, PAGE);
    base = mapped(file, MAP_SHARED);
    TELL(madvise(base, PAGE, MADV_POPULATE_WRITE));
    TELL(madvise(base, 2 * PAGE, MADV_POPULATE_READ)); /* beyond the file's end */
    TELL(munmap(base, PAGES * PAGE));
    TELL(close(file));
}

/* ---- Children ---- */

static void print_sum(char *base)
{
    printf("the child's sum: %ld\n", sum(base));
    fflush(stdout);
}

static void touch_third(char *base)
{
    ((volatile char *)base)[3 * PAGE] = 1;
}

static void children(void)
{
    char *base = filled();
    TELL(madvise(base, 2 * PAGE, MADV_WIPEONFORK));
    TELL_EXACT(ends(print_sum, base));
    TELL(madvise(base, PAGE, MADV_KEEPONFORK));
    TELL_EXACT(ends(print_sum, base));
    TELL_EXACT(sum(base));
    TELL(madvise(base + 3 * PAGE, PAGE, MADV_DONTFORK));
    TELL_EXACT(ends(touch_third, base));
    TELL(madvise(base + 3 * PAGE, PAGE, MADV_DOFORK));
    TELL_EXACT(ends(touch_third, base));
    TELL(munmap(base, PAGES * PAGE));
}

/* ---- Files that are cut ---- */

static void read_last(char *base)
{
    (void)*(volatile char *)(base + (PAGES - 1) * PAGE);
}

static void write_last(char *base)
{
    *(volatile char *)(base + (PAGES - 1) * PAGE) = 1;
}

static void read_first(char *base)
{
    (void)*(volatile char *)base;
}

static void cut_files(void)
{
    int file = file_of_pages();
    char *shared = mapped(file, MAP_SHARED);
    char *own = mapped(file, MAP_PRIVATE);
    own[(PAGES - 1) * PAGE] = 99;
    own[PAGE] = 98;
    shared[PAGE + 100] = 77;
    TELL_EXACT(sum(shared) + sum(own));
    TELL(ftruncate(file, PAGE + 50));
    TELL_EXACT(ends(read_first, shared));
    TELL_EXACT(ends(read_last, shared));
    TELL_EXACT(ends(write_last, shared));
    TELL_EXACT(ends(read_last, own)); /* the copy has gone, too */
    TELL_EXACT(write(-1, shared, 1));
    TELL(syscall(SYS_uname, shared + 2 * PAGE));
    TELL_EXACT(own[PAGE]);
    TELL_EXACT(shared[PAGE + 100]); /* the rest of the last page is zeros */
    TELL(ftruncate(file, PAGES * PAGE));
    TELL_EXACT(sum(shared));
    TELL_EXACT(sum(own));
    shared[4 * PAGE] = 44;
    TELL_EXACT(own[4 * PAGE]); /* both see the new pages */
    TELL(munmap(own, PAGES * PAGE));
    TELL(munmap(shared, PAGES * PAGE));
    TELL(close(file));
}

/* ---- fallocate ---- */

static void allocated(void)
{
    int file = memfd_create("file", 0);
    int ends_of_pipe[2];
    char c;
    TELL(fallocate(-1, 0, 0, PAGE));
    TELL(fallocate(file, 0, -1, PAGE));
    TELL(fallocate(file, 0, 0, 0));
    TELL(fallocate(file, 0, 0, -1));
    TELL(fallocate(file, 0, 1, INT64_MAX));
    TELL(fallocate(file, 2, 0, PAGE));
    TELL(fallocate(file, 0x400, 0, PAGE));
    TELL(pipe(ends_of_pipe));
    TELL(fallocate(ends_of_pipe[1], 0, 0, PAGE));
    TELL(fallocate(ends_of_pipe[0], 0, 0, PAGE));
    TELL(fallocate(file, FALLOC_FL_KEEP_SIZE, 0, 4 * PAGE));
    TELL_EXACT(lseek(file, 0, SEEK_END));
    TELL(fallocate(file, 0, PAGE, 2 * PAGE + 5));
    TELL_EXACT(lseek(file, 0, SEEK_END));
    TELL_EXACT(pwrite(file, "abcdef", 6, PAGE - 3));
    TELL(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE - 2, 4));
    char text[7] = "xxxxxx";
    TELL_EXACT(pread(file, text, 6, PAGE - 3));
    printf("%c%d%d%d%d%c\n", text[0], text[1], text[2], text[3], text[4], text[5]);
    TELL(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 100 * PAGE));
    TELL_EXACT(lseek(file, 0, SEEK_END));
    TELL_EXACT(pread(file, &c, 1, PAGE - 3));
    TELL_EXACT(c);
    TELL(lseek(file, 0, SEEK_DATA));
    TELL(close(file));
}

/* ---- What is told ---- */

static void print_residency(const char *base, unsigned pages)
{
    unsigned char here[PAGES + 1] = {0};
    TELL(mincore((void *)base, pages * PAGE, here));
    for (unsigned i = 0; i < pages; i++) {
        printf("%d", here[i] & 1);
    }
    printf("\n");
}

static void residency(void)
{
    unsigned char here[PAGES];
    char *base = room();
    base[0] = 1;
    base[3 * PAGE] = 1;
    (void)*(volatile char *)(base + 5 * PAGE);
    print_residency(base, PAGES);
    TELL(madvise(base, 2 * PAGE, MADV_DONTNEED));
    print_residency(base, PAGES);
    TELL(mprotect(base + 3 * PAGE, PAGE, PROT_NONE));
    print_residency(base, PAGES);
    TELL(mincore(base + 1, PAGE, here));
    TELL(mincore(base, 0, here));
    TELL(mincore(base, -1UL, here));
    TELL(mincore((char *)0xffff800000000000, PAGE, here));
    TELL(mincore(base, PAGES * PAGE, (unsigned char *)0x1000));
    TELL(mincore(base, PAGES * PAGE, (unsigned char *)0xffff800000000000));
    TELL(munmap(base + 2 * PAGE, PAGE));
    TELL(mincore(base, 4 * PAGE, here));
    TELL(munmap(base, PAGES * PAGE));
    int file = memfd_create("file", 0);
    TELL(ftruncate(file, 4 * PAGE));
    TELL_EXACT(pwrite(file, "x", 1, PAGE));
    base = mapped(file, MAP_SHARED);
    print_residency(base, 4);
    TELL(munmap(base, PAGES * PAGE));
    TELL(close(file));
}

static void synced(void)
{
    int file = file_of_pages();
    char *shared = mapped(file, MAP_SHARED);
    TELL(msync(shared, PAGES * PAGE, MS_SYNC));
    TELL(msync(shared, PAGE, MS_ASYNC | MS_INVALIDATE));
    TELL(msync(shared, PAGE, 0));
    TELL(msync(shared, PAGE, MS_ASYNC | MS_SYNC));
    TELL(msync(shared, PAGE, 8));
    TELL(msync(shared + 1, PAGE, MS_SYNC));
    TELL(msync(shared, 0, MS_SYNC));
    TELL(msync(shared, -1UL, MS_SYNC));
    TELL(msync((char *)-PAGE, 2 * PAGE, MS_SYNC));
    TELL(mlock(shared, PAGE));
    TELL(msync(shared, PAGE, MS_SYNC | MS_INVALIDATE));
    TELL(msync(shared, PAGE, MS_SYNC));
    TELL(munmap(shared + PAGE, PAGE));
    TELL(msync(shared, 3 * PAGE, MS_SYNC));
    TELL(munmap(shared, PAGES * PAGE));
    TELL(close(file));
}

int main(void)
{
    setvbuf(stdout, malloc(65536), _IOFBF, 65536); /* children print what they find */
    errors_of_madvise();
    emptied_memory();
    emptied_files();
    populated();
    children();
    cut_files();
    allocated();
    residency();
    synced();
    return 0;
}
