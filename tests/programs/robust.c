/* What a C library builds on threads that end: robust mutexes, among processes too, keys, semaphores, and
 * cancellation. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 50

/* What processes share. */
struct shared {
    pthread_mutex_t mutex;
    sem_t semaphore;
    int value;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static sem_t ready;
static int cleaned;
static int pipe_ends[2];

static void robust(pthread_mutex_t *mutex, int shared)
{
    pthread_mutexattr_t how;
    pthread_mutexattr_init(&how);
    pthread_mutexattr_setrobust(&how, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setpshared(&how, shared ? PTHREAD_PROCESS_SHARED : PTHREAD_PROCESS_PRIVATE);
    printf("made: %d\n", pthread_mutex_init(mutex, &how));
    pthread_mutexattr_destroy(&how);
}

static void *ends_with_it(void *mutex)
{
    pthread_mutex_lock(mutex);
    return NULL;
}

static void *waits_for_it(void *mutex)
{
    sem_post(&ready);
    int error = pthread_mutex_lock(mutex);
    if (error == EOWNERDEAD) {
        pthread_mutex_consistent(mutex);
    }
    pthread_mutex_unlock(mutex);
    return (void *)(long)error;
}

/* The owner ends: the next one is told, and may go on, or nobody ever may. */
static void among_threads(void)
{
    pthread_mutex_t mutex;
    pthread_t thread;
    robust(&mutex, 0);
    pthread_create(&thread, NULL, ends_with_it, &mutex);
    pthread_join(thread, NULL);
    printf("busy: %s\n", strerror(pthread_mutex_trylock(&mutex)));
    void *first;
    pthread_t waiting;
    pthread_create(&waiting, NULL, waits_for_it, &mutex);
    sem_wait(&ready);
    printf("consistent: %d\n", pthread_mutex_consistent(&mutex));
    pthread_mutex_unlock(&mutex);
    pthread_join(waiting, &first);
    printf("who waited: %ld\n", (long)first);
    pthread_create(&thread, NULL, ends_with_it, &mutex);
    pthread_join(thread, NULL);
    int told = pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
    printf("told: %d; given up: %d\n", told == EOWNERDEAD, pthread_mutex_lock(&mutex) == ENOTRECOVERABLE);
}

static void change(struct shared *shared)
{
    int error = pthread_mutex_lock(&shared->mutex);
    if (error == EOWNERDEAD) {
        pthread_mutex_consistent(&shared->mutex);
    }
    shared->value++;
}

/* Processes that end one after the other with the mutex, each in the midst of it. */
static void among_processes(void)
{
    int file = memfd_create("shared", 0);
    if (file < 0 || ftruncate(file, sizeof(struct shared)) != 0) {
        perror("memfd");
        return;
    }
    struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    robust(&shared->mutex, 1);
    printf("semaphore: %d\n", sem_init(&shared->semaphore, 1, 0));
    for (int i = 0; i < ROUNDS; i++) {
        if (fork() == 0) {
            change(shared);
            sem_post(&shared->semaphore);
            _exit(0);
        }
    }
    for (int i = 0; i < ROUNDS; i++) {
        sem_wait(&shared->semaphore);
        wait(NULL);
    }
    printf("last: %s\n", pthread_mutex_lock(&shared->mutex) == EOWNERDEAD ? "its owner died" : "free");
    printf("changed: %d times\n", shared->value);
}

/* Whose list it is and how long its head; and what is wrong with who asks. */
static void lists(void)
{
    void *head = NULL;
    size_t bytes = 0;
    long own = syscall(SYS_get_robust_list, 0, &head, &bytes);
    printf("own list: %ld, %d, %zu bytes\n", own, head != NULL, bytes);
    void *again = NULL;
    long by_number = syscall(SYS_get_robust_list, getpid(), &again, &bytes);
    printf("by its number: %ld, %d\n", by_number, again == head);
    printf("nobody's: %ld, %d\n", syscall(SYS_get_robust_list, 99999999, &head, &bytes), errno);
    printf("nowhere: %ld, %d\n", syscall(SYS_get_robust_list, 0, NULL, &bytes), errno);
    printf("not even its length: %ld, %d\n", syscall(SYS_get_robust_list, 0, &head, NULL), errno);
}

static void clean(void *by)
{
    cleaned += *(int *)by;
}

static void *reads(void *unused)
{
    (void)unused;
    char byte;
    int by = 1;
    pthread_cleanup_push(clean, &by);
    sem_post(&ready);
    (void)!read(pipe_ends[0], &byte, 1);
    pthread_cleanup_pop(0);
    return NULL;
}

static void *waits(void *unused)
{
    (void)unused;
    int by = 10;
    pthread_mutex_lock(&lock);
    pthread_cleanup_push(clean, &by);
    sem_post(&ready);
    while (1) {
        pthread_cond_wait(&never, &lock);
    }
    pthread_cleanup_pop(0);
}

static void *computes(void *unused)
{
    (void)unused;
    int old;
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
    sem_post(&ready);
    for (volatile unsigned long i = 0;; i++) {
    }
}

static void *refuses(void *unused)
{
    (void)unused;
    int old;
    char byte;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
    sem_post(&ready);
    (void)!read(pipe_ends[0], &byte, 1);
    pthread_setcancelstate(old, &old);
    pthread_testcancel();
    return NULL;
}

static void cancel(const char *what, void *(*body)(void *))
{
    pthread_t thread;
    void *value = NULL;
    pthread_create(&thread, NULL, body, NULL);
    sem_wait(&ready);
    int error = pthread_cancel(thread);
    if (body == refuses) {
        (void)!write(pipe_ends[1], "x", 1);
    }
    pthread_join(thread, &value);
    printf("%s: %d, %s, cleaned %d\n", what, error, value == PTHREAD_CANCELED ? "cancelled" : "ended",
           cleaned);
    if (body == waits) { /* it had the mutex again when it ended */
        printf("the mutex: %s\n", strerror(pthread_mutex_trylock(&lock)));
    }
}

static pthread_key_t key;
static _Atomic(int) destroyed;

static void destroy(void *value)
{
    destroyed += *(int *)value;
    free(value);
}

static void *has_own(void *number)
{
    int *own = malloc(sizeof *own);
    *own = (int)(long)number;
    pthread_setspecific(key, own);
    return pthread_getspecific(key);
}

static void keys(void)
{
    pthread_t threads[ROUNDS];
    pthread_key_create(&key, destroy);
    for (long i = 0; i < ROUNDS; i++) {
        pthread_create(&threads[i], NULL, has_own, (void *)i);
    }
    for (int i = 0; i < ROUNDS; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("destroyed: %d\n", destroyed);
}

int main(int argc, char **argv)
{
    (void)argv;
    sem_init(&ready, 0, 0);
    among_threads();
    among_processes();
    keys();
    lists();
    if (argc > 1 && pipe(pipe_ends) == 0) {
        cancel("read", reads);
        cancel("wait", waits);
        cancel("refuse", refuses);
        cancel("compute", computes);
    }
    return 0;
}
