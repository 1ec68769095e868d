/* What calls answer that only wish something of disks, reads and writes with flags, and changes of words that
 * wake. */
#include "check.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/uio.h>

static void hints(int file, int pipe_end)
{
    TELL(syscall(SYS_fadvise64, file, 0, 0, 0));
    TELL(syscall(SYS_fadvise64, file, 0, 0, 5));
    TELL(syscall(SYS_fadvise64, file, 0, 0, 6));
    TELL(syscall(SYS_fadvise64, file, -1, 10, 3));
    TELL(syscall(SYS_fadvise64, file, 0, -1L, 3));
    TELL(syscall(SYS_fadvise64, pipe_end, 0, 0, 9));
    TELL(syscall(SYS_fadvise64, 99, 0, 0, 0));
    TELL(syscall(SYS_fadvise64, open("/tmp", O_PATH), 0, 0, 0));
    TELL(sync_file_range(file, 0, 0, 7));
    TELL(sync_file_range(file, 0, 0, 8));
    TELL(sync_file_range(file, -1, 0, 0));
    TELL(sync_file_range(file, 1, -1, 0));
    TELL(sync_file_range(file, INT64_MAX, 1, 0));
    TELL(sync_file_range(pipe_end, 0, 0, 0));
    TELL(sync_file_range(99, 0, 0, 8));
}

static void flagged(int file, int ends[2])
{
    char bytes[8] = "";
    struct iovec parts[2] = {{"ab", 2}, {"cd", 2}};
    struct iovec into = {bytes, 8};
    TELL_EXACT(pwritev2(file, parts, 2, 0, RWF_DSYNC));
    TELL_EXACT(pwritev2(file, parts, 2, -1, RWF_SYNC | RWF_HIPRI));
    TELL_EXACT(lseek(file, 0, SEEK_CUR));
    TELL_EXACT(pwritev2(file, parts, 1, 4, 0));
    TELL_EXACT(preadv2(file, &into, 1, 1, 0));
    printf("read: %.8s\n", bytes);
    lseek(file, 4, SEEK_SET);
    TELL_EXACT(preadv2(file, &into, 1, -1, 0));
    TELL_EXACT(preadv2(file, &into, 1, -2, 0));
    TELL_EXACT(preadv2(file, &into, 1, 0, 0x4000));
    TELL_EXACT(preadv2(99, &into, 1, 0, 0));
    TELL_EXACT(pwritev2(ends[1], parts, 1, 0, 0));
    TELL_EXACT(pwritev2(ends[1], parts, 1, -1, 0));
    TELL_EXACT(preadv2(ends[0], &into, 1, -1, 0));
}

/* ---- Words ---- */

static volatile uint32_t words[2];
static volatile int asleep;

static long wake_op(int operation, int operand, int comparison, int compared)
{
    return syscall(SYS_futex, &words[0], FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG, 1, 5L, &words[1],
                   FUTEX_OP((uint32_t)operation, (uint32_t)operand & 0xfff, (uint32_t)comparison,
                            (uint32_t)compared & 0xfff));
}

static void *sleep_for(void *word)
{
    uint32_t value = *(volatile uint32_t *)word;
    __atomic_add_fetch(&asleep, 1, __ATOMIC_SEQ_CST);
    return (void *)syscall(SYS_futex, word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

static long sleeping(volatile uint32_t *word)
{
    return syscall(SYS_futex, word, FUTEX_CMP_REQUEUE | FUTEX_PRIVATE_FLAG, 0, 99L, word, *word);
}

static void words_that_change(void)
{
    pthread_t threads[5];
    words[1] = 5;
    TELL_EXACT(wake_op(FUTEX_OP_ADD, -2, FUTEX_OP_CMP_EQ, 5));
    printf("added: %d\n", (int)words[1]);
    TELL_EXACT(wake_op(FUTEX_OP_SET, -7, FUTEX_OP_CMP_LT, 0));
    printf("set: %d\n", (int)words[1]);
    TELL_EXACT(wake_op(FUTEX_OP_OR | 8, 4, FUTEX_OP_CMP_GE, 0));
    printf("a bit: %x\n", words[1]);
    TELL_EXACT(wake_op(FUTEX_OP_ANDN, 0xff, FUTEX_OP_CMP_GT, 0));
    printf("taken away: %x\n", words[1]);
    TELL_EXACT(wake_op(FUTEX_OP_XOR, 3, FUTEX_OP_CMP_LE, 0));
    printf("turned: %x\n", words[1]);
    TELL_EXACT(wake_op(5, 3, FUTEX_OP_CMP_LE, 0));
    TELL_EXACT(wake_op(FUTEX_OP_SET, 0, 6, 0));
    printf("set without a comparison: %x\n", words[1]);
    TELL_EXACT(syscall(SYS_futex, &words[0], FUTEX_WAKE_OP, 1, 1L, 8, 0));
    TELL_EXACT(syscall(SYS_futex, &words[0], FUTEX_WAKE_OP, 1, 1L, (char *)words + 1, 0));
    for (int i = 0; i < 5; i++) {
        pthread_create(&threads[i], NULL, sleep_for, (void *)&words[i / 3]);
    }
    while (sleeping(&words[0]) != 3 || sleeping(&words[1]) != 2) {
        sched_yield();
    }
    TELL_EXACT(wake_op(FUTEX_OP_SET, 1, FUTEX_OP_CMP_NE, 0));
    TELL_EXACT(wake_op(FUTEX_OP_SET, 2, FUTEX_OP_CMP_EQ, 1));
    TELL_EXACT(syscall(SYS_futex, &words[0], FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 99, NULL, NULL, 0));
    for (int i = 0; i < 5; i++) {
        pthread_join(threads[i], NULL);
    }
}

int main(void)
{
    int ends[2];
    setvbuf(stdout, NULL, _IONBF, 0);
    mkdir("/tmp", 0777);
    closefrom(3);
    int file = open("/tmp/ashlar-hints", O_CREAT | O_TRUNC | O_RDWR, 0644);
    pipe(ends);
    hints(file, ends[0]);
    flagged(file, ends);
    words_that_change();
    return 0;
}
