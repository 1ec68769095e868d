/* Bytes from file to file: splice, tee, vmsplice, sendfile, copy_file_range; for two kernels to be compared.
 */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#define PAGE  4096
#define LARGE 200000
#define BAD   ((void *)8)

static char text[LARGE] __attribute__((aligned(PAGE))), back[LARGE];
static int a[2], b[2];
static int file, other;

static void begin(int flags)
{
    (void)!pipe2(a, flags);
    (void)!pipe2(b, flags);
    file = memfd_create("file", 0);
    other = memfd_create("other", 0);
    (void)!write(file, text, LARGE);
    lseek(file, 0, SEEK_SET);
}

static void end(void)
{
    close(a[0]);
    close(a[1]);
    close(b[0]);
    close(b[1]);
    close(file);
    close(other);
}

static int same(const char *from, long bytes)
{
    return memcmp(back, from, (size_t)bytes) == 0;
}

/* ---- splice ---- */

static void splice_errors(void)
{
    long offset = 0, behind = -1;
    begin(O_NONBLOCK);
    int only_read = open("/proc/self/exe", O_RDONLY),
        appends = open("/tmp/appends", O_RDWR | O_CREAT | O_APPEND, 0600);
    TELL_EXACT(splice(-1, NULL, -1, NULL, 0, 99));
    TELL_EXACT(splice(-1, NULL, a[1], NULL, 1, 99));
    TELL_EXACT(splice(-1, NULL, a[1], NULL, 1, 0));
    TELL_EXACT(splice(a[0], NULL, -1, NULL, 1, 0));
    TELL_EXACT(splice(file, NULL, other, NULL, 1, 0));
    TELL_EXACT(splice(a[0], NULL, a[1], NULL, 1, 0));
    TELL_EXACT(splice(a[1], NULL, b[1], NULL, 1, 0));
    TELL_EXACT(splice(a[0], NULL, b[0], NULL, 1, 0));
    TELL_EXACT(splice(a[0], &offset, file, NULL, 1, 0));
    TELL_EXACT(splice(file, NULL, a[1], &offset, 1, 0));
    TELL_EXACT(splice(file, BAD, a[1], NULL, 1, 0));
    TELL_EXACT(splice(a[0], NULL, file, BAD, 1, 0));
    TELL_EXACT(splice(file, &behind, a[1], NULL, 1, 0));
    TELL_EXACT(splice(a[0], NULL, file, &behind, 1, 0));
    TELL_EXACT(splice(a[0], NULL, only_read, NULL, 1, 0));
    TELL_EXACT(splice(a[0], NULL, appends, NULL, 1, 0));
    TELL_EXACT(splice(a[0], NULL, file, NULL, 1, 0));
    TELL_EXACT(splice(a[0], NULL, b[1], NULL, 1, 0));
    TELL_EXACT(tee(a[0], b[1], 1, 0));
    TELL_EXACT(tee(a[0], a[1], 1, 0));
    TELL_EXACT(tee(file, a[1], 1, 0));
    TELL_EXACT(tee(a[1], b[1], 1, 0));
    TELL_EXACT(tee(-1, b[1], 0, 0));
    TELL_EXACT(tee(-1, b[1], 0, 99));
    TELL_EXACT(tee(-1, b[1], 1, 0));
    close(a[1]);
    TELL_EXACT(splice(a[0], NULL, file, NULL, 1, 0));
    TELL_EXACT(splice(a[0], NULL, b[1], NULL, 1, 0));
    TELL_EXACT(tee(a[0], b[1], 1, 0));
    signal(SIGPIPE, SIG_IGN);
    close(b[0]);
    TELL_EXACT(splice(file, NULL, b[1], NULL, 1, 0));
    signal(SIGPIPE, SIG_DFL);
    close(only_read);
    close(appends);
    unlink("/tmp/appends");
    end();
}

static void spliced(void)
{
    long offset = 5000;
    begin(O_NONBLOCK);
    TELL_EXACT(splice(file, NULL, a[1], NULL, 10000, 0));
    TELL_EXACT(lseek(file, 0, SEEK_CUR));
    TELL_EXACT(splice(file, &offset, a[1], NULL, 3000, SPLICE_F_MOVE | SPLICE_F_MORE));
    printf("%ld, %ld\n", offset, (long)lseek(file, 0, SEEK_CUR));
    TELL_EXACT(splice(a[0], NULL, b[1], NULL, 6000, 0));
    TELL_EXACT(splice(a[0], NULL, b[1], NULL, 100000, 0));
    TELL_EXACT(splice(a[0], NULL, b[1], NULL, 100000, 0));
    TELL_EXACT(read(b[0], back, LARGE));
    printf("as it was: %d %d\n", same(text, 10000), memcmp(back + 10000, text + 5000, 3000));
    TELL_EXACT(write(a[1], text, 5000));
    offset = 100;
    TELL_EXACT(splice(a[0], NULL, other, &offset, 3000, 0));
    printf("%ld, %ld\n", offset, (long)lseek(other, 0, SEEK_CUR));
    TELL_EXACT(splice(a[0], NULL, other, NULL, 100000, 0));
    TELL_EXACT(lseek(other, 0, SEEK_CUR));
    TELL_EXACT(pread(other, back, LARGE, 0));
    printf("as it was: %d %d\n", same(text + 3000, 2000), memcmp(back + 2000, text + 1900, 1100));
    TELL_EXACT(lseek(file, LARGE - 50, SEEK_SET));
    TELL_EXACT(splice(file, NULL, a[1], NULL, 1000, 0));
    TELL_EXACT(splice(file, NULL, a[1], NULL, 1000, 0));
    TELL_EXACT(read(a[0], back, LARGE));
    lseek(file, 0, SEEK_SET);
    TELL_EXACT(splice(file, NULL, a[1], NULL, LARGE, 0)); /* as much as there is room for */
    TELL_EXACT(splice(file, NULL, a[1], NULL, LARGE, 0));
    TELL_EXACT(splice(a[0], NULL, b[1], NULL, LARGE, 0));
    TELL_EXACT(read(b[0], back, LARGE));
    printf("as it was: %d\n", same(text, 65536));
    int null = open("/dev/null", O_WRONLY), zero = open("/dev/zero", O_RDONLY);
    TELL_EXACT(splice(zero, NULL, a[1], NULL, 100, 0));
    TELL_EXACT(write(a[1], "x", 1));
    TELL_EXACT(splice(a[0], NULL, null, NULL, 60, 0));
    TELL_EXACT(read(a[0], back, LARGE));
    int sealed = memfd_create("sealed", MFD_ALLOW_SEALING);
    fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE);
    TELL_EXACT(write(a[1], "what stays", 10));
    TELL_EXACT(splice(a[0], NULL, sealed, NULL, 60, 0)); /* nothing is lost */
    TELL_EXACT(read(a[0], back, LARGE));
    close(sealed);
    close(null);
    close(zero);
    end();
}

static void teed(void)
{
    begin(O_NONBLOCK);
    TELL_EXACT(write(a[1], text, 5000));
    TELL_EXACT(write(a[1], text + 5000, 4000));
    TELL_EXACT(tee(a[0], b[1], 7000, 0));
    TELL_EXACT(read(b[0], back, LARGE));
    printf("as it was: %d\n", same(text, 7000));
    TELL_EXACT(tee(a[0], b[1], 1 << 30, 0));
    TELL_EXACT(read(b[0], back, LARGE));
    printf("as it was: %d\n", same(text, 9000));
    TELL_EXACT(write(b[1], "x", 1)); /* not behind what came by tee */
    TELL_EXACT(read(a[0], back, LARGE));
    printf("as it was: %d\n", same(text, 9000));
    end();
    begin(O_DIRECT | O_NONBLOCK);
    (void)!write(a[1], text, 10);
    (void)!write(a[1], text + 10, 10);
    TELL_EXACT(tee(a[0], b[1], 15, 0));
    TELL_EXACT(splice(a[0], NULL, b[1], NULL, 12, 0));
    for (int i = 0; i < 5; i++) {
        TELL_EXACT(read(b[0], back, LARGE));
    }
    TELL_EXACT(read(a[0], back, LARGE));
    end();
}

/* ---- vmsplice ---- */

static void from_memory(void)
{
    struct iovec parts[2] = {{text, 5000}, {text + 5000, 3000}}, bad[1] = {{BAD, 100}},
                 all[1] = {{text, LARGE}};
    struct iovec into[2] = {{back, 1000}, {back + 1000, 100000}};
    begin(0);
    TELL_EXACT(vmsplice(a[1], parts, 2, 99));
    TELL_EXACT(vmsplice(-1, parts, 2, 0));
    TELL_EXACT(vmsplice(file, parts, 2, 0));
    TELL_EXACT(vmsplice(file, parts, 0, 0));
    TELL_EXACT(vmsplice(a[1], parts, 1025, 0));
    TELL_EXACT(vmsplice(a[1], BAD, 1, 0));
    TELL_EXACT(vmsplice(a[1], bad, 1, 0));
    TELL_EXACT(vmsplice(a[1], parts, 0, 0));
    TELL_EXACT(vmsplice(a[1], parts, 2, SPLICE_F_GIFT));
    TELL_EXACT(vmsplice(a[0], into, 2, 0));
    printf("as it was: %d\n", same(text, 8000));
    TELL_EXACT(vmsplice(a[0], into, 2, SPLICE_F_NONBLOCK));
    TELL_EXACT(vmsplice(a[1], all, 1, 0)); /* what there is room for */
    TELL_EXACT(vmsplice(a[1], all, 1, SPLICE_F_NONBLOCK));
    end();
}

/* ---- Waiting ---- */

static void *later(void *unused)
{
    struct timespec moment = {0, 2000000};
    (void)unused;
    nanosleep(&moment, NULL);
    (void)!write(a[1], text, 3000);
    nanosleep(&moment, NULL);
    (void)!read(b[0], back, 65536);
    return NULL;
}

static void waits(void)
{
    pthread_t thread;
    begin(0);
    pthread_create(&thread, NULL, later, NULL);
    TELL_EXACT(write(b[1], text, 65536));
    TELL_EXACT(splice(a[0], NULL, b[1], NULL, 10000, 0));
    pthread_join(thread, NULL);
    TELL_EXACT(read(b[0], back, LARGE));
    pthread_create(&thread, NULL, later, NULL);
    TELL_EXACT(write(b[1], text, 65536));
    TELL_EXACT(tee(a[0], b[1], 10000, 0));
    pthread_join(thread, NULL);
    TELL_EXACT(read(b[0], back, LARGE));
    TELL_EXACT(read(a[0], back, LARGE));
    TELL_EXACT(splice(a[0], NULL, b[1], NULL, 10, SPLICE_F_NONBLOCK));
    end();
}

/* All that goes in at one end comes out of the other, through four pairs of hands. */
static int chain[2], last[2];

static void *fill(void *unused)
{
    long offset = 0;
    while (splice(file, &offset, a[1], NULL, 3000 + (size_t)offset % 7000, 0) > 0) {
    }
    close(a[1]);
    return unused;
}

static void *hand_on(void *unused)
{
    while (splice(a[0], NULL, chain[1], NULL, 5000, 0) > 0) {
    }
    close(chain[1]);
    return unused;
}

static void *copy_on(void *unused)
{
    long copied;
    while ((copied = tee(chain[0], last[1], 7777, 0)) > 0) {
        while (copied > 0) {
            long taken = splice(chain[0], NULL, other, NULL, (size_t)copied, 0);
            copied -= taken > 0 ? taken : copied;
        }
    }
    close(last[1]);
    return unused;
}

static void together(void)
{
    pthread_t threads[3];
    static void *(*const work[])(void *) = {fill, hand_on, copy_on};
    begin(0);
    (void)!(pipe(chain) | pipe(last));
    for (int i = 0; i < 3; i++) {
        pthread_create(&threads[i], NULL, work[i], NULL);
    }
    long done = 0, part;
    while ((part = read(last[0], back + done, (size_t)(LARGE - done))) > 0) {
        done += part;
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("through all: %ld, %d\n", done, same(text, LARGE));
    memset(back, 0, LARGE);
    printf("and beside: %ld, %d\n", (long)pread(other, back, LARGE, 0), same(text, LARGE));
    close(chain[0]);
    close(last[0]);
    close(a[0]);
    close(b[0]);
    close(b[1]);
    close(file);
    close(other);
}

/* ---- From file to file ---- */

static void copied(void)
{
    long in = 1000, out = 500, behind = -1, far = 0x7fffffffffffff00;
    begin(O_NONBLOCK);
    int appends = open("/tmp/appends", O_RDWR | O_CREAT | O_APPEND, 0600), folder = open("/", O_RDONLY);
    int only_read = open("/proc/self/exe", O_RDONLY);
    TELL_EXACT(copy_file_range(-1, NULL, other, NULL, 10, 0));
    TELL_EXACT(copy_file_range(file, NULL, -1, NULL, 10, 0));
    TELL_EXACT(copy_file_range(file, NULL, other, NULL, 10, 1));
    TELL_EXACT(copy_file_range(file, BAD, other, NULL, 10, 0));
    TELL_EXACT(copy_file_range(file, NULL, other, BAD, 10, 0));
    TELL_EXACT(copy_file_range(a[0], NULL, other, NULL, 10, 0));
    TELL_EXACT(copy_file_range(file, NULL, a[1], NULL, 10, 0));
    TELL_EXACT(copy_file_range(folder, NULL, other, NULL, 10, 0));
    TELL_EXACT(copy_file_range(file, NULL, folder, NULL, 10, 0));
    TELL_EXACT(copy_file_range(file, NULL, only_read, NULL, 10, 0));
    TELL_EXACT(copy_file_range(file, NULL, appends, NULL, 10, 0));
    TELL_EXACT(copy_file_range(file, &behind, other, NULL, 10, 0));
    TELL_EXACT(copy_file_range(file, &in, other, &far, 1000, 0));
    TELL_EXACT(copy_file_range(file, &far, other, &in, 10, 0));
    TELL(ftruncate(other, 0));
    in = 1000;
    TELL_EXACT(copy_file_range(file, &in, file, &out, 501, 0));
    TELL_EXACT(copy_file_range(file, &in, file, &out, 500, 0));
    TELL_EXACT(copy_file_range(file, NULL, other, NULL, 0, 0));
    TELL_EXACT(copy_file_range(file, &in, other, &out, 20000, 0));
    printf("%ld, %ld, %ld\n", in, out, (long)lseek(file, 0, SEEK_CUR));
    TELL_EXACT(pread(other, back, LARGE, 1000));
    printf("as it was: %d\n", same(text + 1500, 20000));
    TELL_EXACT(copy_file_range(file, NULL, other, NULL, LARGE * 2, 0));
    TELL_EXACT(copy_file_range(file, NULL, other, NULL, LARGE * 2, 0));
    printf("%ld, %ld\n", (long)lseek(file, 0, SEEK_CUR), (long)lseek(other, 0, SEEK_CUR));
    close(appends);
    close(folder);
    close(only_read);
    unlink("/tmp/appends");
    end();
}

static void sent(void)
{
    long offset = 10, behind = -1;
    begin(O_NONBLOCK);
    TELL_EXACT(sendfile(a[1], file, &offset, 100));
    TELL_EXACT(sendfile(a[1], file, NULL, LARGE)); /* as much as there is room for */
    printf("%ld, %ld\n", offset, (long)lseek(file, 0, SEEK_CUR));
    TELL_EXACT(sendfile(a[1], file, NULL, LARGE));
    TELL_EXACT(read(a[0], back, LARGE));
    printf("as it was: %d\n", same(text + 10, 100));
    TELL_EXACT(sendfile(other, file, &behind, 10));
    TELL_EXACT(sendfile(other, a[0], NULL, 10));
    TELL_EXACT(sendfile(other, file, &offset, LARGE));
    TELL_EXACT(pread(other, back, LARGE, 0));
    printf("as it was: %d\n", same(text + 110, LARGE - 110));
    close(a[0]);
    signal(SIGPIPE, SIG_IGN);
    TELL_EXACT(sendfile(a[1], file, NULL, 10));
    signal(SIGPIPE, SIG_DFL);
    end();
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    mkdir("/tmp", 0777);
    for (int i = 0; i < LARGE; i++) {
        text[i] = (char)(i * 7 + i / 251);
    }
    splice_errors();
    spliced();
    teed();
    from_memory();
    waits();
    together();
    copied();
    sent();
    return 0;
}
