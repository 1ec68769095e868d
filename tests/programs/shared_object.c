/* The vDSO: what it is, that its clocks are those of the calls, and that nobody can change it. For two
 * kernels to be compared. */
#include "check.h"

#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#define SECOND 1000000000LL

static int (*get_time)(clockid_t clock, struct timespec *time);
static int (*get_day)(struct timeval *time, struct timezone *zone);
static time_t (*get_seconds)(time_t *to);
static long (*get_cpu)(unsigned *cpu, unsigned *node, void *unused);

/* ---- Finding, as a C library does ---- */

static const Elf64_Ehdr *file;
static const Elf64_Sym *symbols;
static const char *names;
static const Elf64_Word *hash;
static const Elf64_Half *versions;
static const Elf64_Verdef *definitions;

static void read_dynamic(const Elf64_Dyn *entry, Elf64_Addr base)
{
    for (; entry->d_tag != DT_NULL; entry++) {
        const void *at = (const void *)(base + entry->d_un.d_ptr);
        switch (entry->d_tag) {
        case DT_SYMTAB:
            symbols = at;
            break;
        case DT_STRTAB:
            names = at;
            break;
        case DT_HASH:
            hash = at;
            break;
        case DT_VERSYM:
            versions = at;
            break;
        case DT_VERDEF:
            definitions = at;
            break;
        default:
            break;
        }
    }
}

static const char *version_of(Elf64_Half index)
{
    const Elf64_Verdef *at = definitions;
    while (at->vd_ndx != (index & 0x7fff) && at->vd_next != 0) {
        at = (const Elf64_Verdef *)((const char *)at + at->vd_next);
    }
    return names + ((const Elf64_Verdaux *)((const char *)at + at->vd_aux))->vda_name;
}

static unsigned long hash_of(const char *name)
{
    unsigned long value = 0;
    for (; *name; name++) {
        value = (value << 4) + (unsigned char)*name;
        value ^= value >> 24 & 0xf0;
    }
    return value & 0xfffffff;
}

static void *find(const char *name)
{
    for (Elf64_Word i = hash[2 + hash_of(name) % hash[0]]; i != 0; i = hash[2 + hash[0] + i]) {
        if (strcmp(names + symbols[i].st_name, name) == 0) {
            printf("%s: version %s, type %d, bound %d\n", name, version_of(versions[i]),
                   ELF64_ST_TYPE(symbols[i].st_info), ELF64_ST_BIND(symbols[i].st_info) != STB_LOCAL);
            return (char *)file + symbols[i].st_value;
        }
    }
    printf("%s: not there\n", name);
    return NULL;
}

static int parse(void)
{
    file = (const Elf64_Ehdr *)getauxval(AT_SYSINFO_EHDR);
    printf("there: %d\n", file != NULL && memcmp(file->e_ident, ELFMAG, SELFMAG) == 0);
    if (!file) {
        return 0;
    }
    printf("class %d, data %d, type %d, machine %d\n", file->e_ident[EI_CLASS], file->e_ident[EI_DATA],
           file->e_type, file->e_machine);
    const Elf64_Phdr *headers = (const Elf64_Phdr *)((const char *)file + file->e_phoff);
    const Elf64_Dyn *dynamic = NULL;
    Elf64_Addr base = (Elf64_Addr)file;
    for (int i = 0; i < file->e_phnum; i++) {
        if (headers[i].p_type == PT_LOAD) {
            printf("load: flags %u\n", headers[i].p_flags);
            base = (Elf64_Addr)file + headers[i].p_offset - headers[i].p_vaddr;
        } else if (headers[i].p_type == PT_DYNAMIC) {
            dynamic = (const Elf64_Dyn *)((const char *)file + headers[i].p_offset);
        }
    }
    read_dynamic(dynamic, base);
    if (!hash) {
        return 0; /* some Linux has no such table; C libraries have other ways then */
    }
    get_time = find("__vdso_clock_gettime");
    get_day = find("__vdso_gettimeofday");
    get_seconds = find("__vdso_time");
    get_cpu = find("__vdso_getcpu");
    return get_time && get_day && get_seconds && get_cpu;
}

/* ---- Agreeing with the calls ---- */

static long long by_call(clockid_t clock)
{
    struct timespec time;
    return syscall(SYS_clock_gettime, clock, &time) == 0 ? time.tv_sec * SECOND + time.tv_nsec : -1;
}

static long long by_library(clockid_t clock)
{
    struct timespec time = {-1, -1};
    return clock_gettime(clock, &time) == 0 ? time.tv_sec * SECOND + time.tv_nsec : -1;
}

static void agreeing(void)
{
    static const clockid_t clocks[] = {CLOCK_REALTIME,         CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW,
                                       CLOCK_BOOTTIME,         CLOCK_TAI,       CLOCK_PROCESS_CPUTIME_ID,
                                       CLOCK_THREAD_CPUTIME_ID};
    for (unsigned i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        int wrong = 0;
        for (unsigned rounds = 0; rounds < 2000; rounds++) {
            long long first = by_call(clocks[i]);
            long long middle = by_library(clocks[i]);
            long long last = by_call(clocks[i]);
            wrong += first > middle || middle > last;
        }
        printf("clock %d: %d wrong\n", (int)clocks[i], wrong);
    }
    int wrong = 0;
    for (unsigned rounds = 0; rounds < 2000; rounds++) {
        struct timeval day;
        long long first = by_call(CLOCK_REALTIME) / 1000;
        gettimeofday(&day, NULL);
        long long last = by_call(CLOCK_REALTIME) / 1000;
        long long middle = day.tv_sec * 1000000LL + day.tv_usec;
        wrong += first > middle || middle > last;
    }
    printf("gettimeofday: %d wrong\n", wrong);
    time_t seconds = time(NULL);
    printf("time: %d\n", by_call(CLOCK_REALTIME) / SECOND - seconds <= 1);
}

static void by_itself(void)
{
    struct timespec time = {-1, -1};
    struct timeval day;
    struct timezone zone = {-1, -1};
    printf("no clock: %d, nobody's: %d\n", get_time(99, &time), get_time(10, &time));
    printf("a process's: %d %d\n", get_time(CLOCK_PROCESS_CPUTIME_ID, &time), time.tv_sec >= 0);
    printf("with a zone: %d %d\n", get_day(&day, &zone), zone.tz_minuteswest == 0);
    printf("nothing: %d\n", get_day(NULL, NULL));
    time_t stored = 0;
    time_t told = get_seconds(&stored);
    printf("seconds: %d\n", told == stored && told > 1735689600);
}

/* On a CPU that does not change meanwhile. */
static void cpu_numbers(void)
{
    unsigned cpu = 77;
    unsigned node = 77;
    TELL(syscall(SYS_getcpu, &cpu, &node, NULL));
    printf("node %u\n", node);
    TELL(syscall(SYS_getcpu, NULL, NULL, NULL));
    TELL(syscall(SYS_getcpu, (void *)8, NULL, NULL));
    TELL(syscall(SYS_getcpu, NULL, (void *)8, NULL));
    int same = 0;
    for (unsigned i = 0; i < 1000; i++) {
        unsigned before;
        unsigned after;
        unsigned between;
        syscall(SYS_getcpu, &before, NULL, NULL);
        get_cpu(&between, &node, NULL);
        syscall(SYS_getcpu, &after, NULL, NULL);
        same += before != after || before == between;
    }
    printf("cpu: %d of 1000, node %u; nothing: %ld\n", same, node, get_cpu(NULL, NULL, NULL));
}

/* All threads see one clock that never goes back, on whichever CPU they are. */
static long long _Atomic last;

static void *compare(void *unused)
{
    long wrong = 0;
    (void)unused;
    for (unsigned i = 0; i < 20000; i++) {
        long long seen = last;
        long long now = by_library(CLOCK_MONOTONIC);
        wrong += now < seen;
        last = now;
    }
    return (void *)wrong;
}

static void one_clock(void)
{
    pthread_t threads[4];
    long wrong = 0;
    for (unsigned i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, compare, NULL);
    }
    for (unsigned i = 0; i < 4; i++) {
        void *answer;
        pthread_join(threads[i], &answer);
        wrong += (long)answer;
    }
    printf("went back: %ld\n", wrong);
}

/* ---- Nobody can change it ---- */

static int signal_of(void (*function)(void))
{
    int status;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        function();
        _exit(0);
    }
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

static void write_code(void)
{
    *(volatile char *)file = 1;
}

static void read_as_child(void)
{
    _exit(by_library(CLOCK_MONOTONIC) > 0 && memcmp(file->e_ident, ELFMAG, SELFMAG) == 0 ? 5 : 6);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    if (parse()) {
        by_itself();
        cpu_numbers();
    }
    agreeing();
    one_clock();
    printf("written: signal %d\n", signal_of(write_code));
    printf("in a child: %d\n", signal_of(read_as_child));
    return 0;
}
