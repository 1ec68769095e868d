/*
 * Names of anonymous memory: prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME), and what maps shows. Not every Linux is
 * built with them, so the program itself knows what is right.
 */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define PAGE     4096UL
#define SET_VMA  0x53564d61
#define READ_ALL (PROT_READ | PROT_WRITE)

static char *memory;
static int mistakes;

static int name(char *at, size_t bytes, const char *text)
{
    return prctl(SET_VMA, 0, at, bytes, text) == 0 ? 0 : errno;
}

static void expect(const char *what, long answer, long wanted)
{
    if (answer != wanted) {
        printf("%s: %ld, not %ld\n", what, answer, wanted);
        mistakes++;
    }
}

#define EXPECT(call, wanted) expect(#call, (call), (wanted))

/* Whether maps has a line for exactly these pages, with this name. */
static int shows(unsigned page, unsigned end, const char *text)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[400];
    int found = 0;
    while (fgets(line, sizeof line, maps)) {
        unsigned long from, to;
        char shown[200] = "";
        sscanf(line, "%lx-%lx %*s %*s %*s %*s %199[^\n]", &from, &to, shown);
        found |= from == (unsigned long)memory + page * PAGE && to == (unsigned long)memory + end * PAGE &&
                 strcmp(shown, text) == 0;
    }
    fclose(maps);
    return found;
}

static void errors(void)
{
    char longest[81], bad[] = "a ?b";
    memset(longest, 'n', 80);
    longest[79] = 0;
    EXPECT(name(memory, PAGE, longest), 0);
    longest[79] = 'n';
    longest[80] = 0;
    EXPECT(name(memory, PAGE, longest), EINVAL);
    for (int byte = 1; byte < 256; byte++) {
        bad[2] = (char)byte;
        int sound = byte > 0x1f && byte < 0x7f && !strchr("\\`$[]", byte);
        EXPECT(name(memory, PAGE, bad), sound ? 0 : EINVAL);
    }
    EXPECT(name(memory, PAGE, (char *)8), EFAULT);
    EXPECT(name(memory + 1, PAGE, "x"), EINVAL);
    EXPECT(name(memory, -1UL, "x"), EINVAL);
    EXPECT(name(memory, -PAGE, "x"), EINVAL);
    EXPECT(name(memory, 0, "x"), 0);
    EXPECT(prctl(SET_VMA, 1, memory, PAGE, "x") == -1 ? errno : 0, EINVAL);
    EXPECT(name(memory, PAGE, NULL), 0);
    EXPECT(shows(0, 16, ""), 1);
    int file = open("/proc/self/exe", O_RDONLY);
    char *mapped = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, 0);
    EXPECT(name(mapped, PAGE, "x"), EBADF);
    munmap(mapped, PAGE);
    close(file);
}

static void parts(void)
{
    EXPECT(name(memory + 4 * PAGE, 2 * PAGE - 5, "one two"), 0);
    EXPECT(shows(0, 4, "") && shows(4, 6, "[anon:one two]") && shows(6, 16, ""), 1);
    EXPECT(name(memory + 6 * PAGE, PAGE, "one two"), 0); /* becomes one with the other */
    EXPECT(shows(4, 7, "[anon:one two]") && shows(7, 16, ""), 1);
    EXPECT(name(memory + 5 * PAGE, PAGE, "three"), 0);
    EXPECT(shows(4, 5, "[anon:one two]") && shows(5, 6, "[anon:three]") && shows(6, 7, "[anon:one two]"), 1);
    EXPECT(mprotect(memory + 4 * PAGE, PAGE, PROT_READ), 0);
    EXPECT(shows(4, 5, "[anon:one two]"), 1);
    EXPECT(munmap(memory + 8 * PAGE, PAGE), 0);
    EXPECT(name(memory, 16 * PAGE, "all"), ENOMEM); /* and yet done, but for the hole */
    EXPECT(shows(0, 4, "[anon:all]") && shows(5, 8, "[anon:all]") && shows(9, 16, "[anon:all]"), 1);
    EXPECT(mprotect(memory + 4 * PAGE, PAGE, READ_ALL), 0);
    EXPECT(shows(0, 8, "[anon:all]"), 1);
    EXPECT(name(memory + 9 * PAGE, 7 * PAGE, NULL), 0);
    EXPECT(shows(9, 16, ""), 1);
}

/* A child has the names, also when its parent has gone, and those that it gives are its own. */
static void children(void)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        child = fork();
        if (child == 0) {
            mistakes = 0;
            EXPECT(name(memory, PAGE, "of the child"), 0);
            EXPECT(shows(0, 1, "[anon:of the child]") && shows(1, 8, "[anon:all]"), 1);
            _exit(mistakes);
        }
        waitpid(child, &status, 0);
        _exit(WEXITSTATUS(status));
    }
    waitpid(child, &status, 0);
    EXPECT(status, 0);
    EXPECT(shows(0, 8, "[anon:all]"), 1);
}

/* So many that there is an end; what is there already goes on. */
static void many(void)
{
    char text[30];
    int error = 0;
    for (int i = 0; i < 2000 && error == 0; i++) {
        snprintf(text, sizeof text, "number %d", i);
        error = name(memory, PAGE, text);
    }
    EXPECT(error, ENOMEM);
    EXPECT(name(memory, PAGE, "all"), 0);
    EXPECT(name(memory, PAGE, "another"), ENOMEM);
    EXPECT(shows(0, 8, "[anon:all]"), 1);
}

static void *name_often(void *number)
{
    char text[20];
    for (int i = 0; i < 400; i++) {
        snprintf(text, sizeof text, "%d", i % 7);
        if (i % 50 == 0 && number == NULL) {
            shows(0, 1, text);
        }
        name(memory + (size_t)(i * 5 % 8) * PAGE, PAGE, i % 3 ? text : NULL);
        if (i % 100 == (long)number) {
            pid_t child = fork();
            if (child == 0) {
                _exit(0);
            }
            waitpid(child, NULL, 0);
        }
    }
    return NULL;
}

static void races(void)
{
    pthread_t threads[3];
    for (long i = 0; i < 3; i++) {
        pthread_create(&threads[i], NULL, name_often, (void *)i);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
}

int main(void)
{
    memory = mmap(NULL, 18 * PAGE, READ_ALL, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(memory, PAGE, PROT_NONE); /* neighbours that can never become one with what lies between */
    mprotect(memory + 17 * PAGE, PAGE, PROT_NONE);
    memory += PAGE;
    pid_t child = fork(); /* with names of its own, as there are none yet */
    if (child == 0) {
        races();
        _exit(0);
    }
    waitpid(child, NULL, 0);
    errors();
    parts();
    children();
    many();
    printf(mistakes ? "%d mistakes\n" : "done\n", mistakes);
    return 0;
}
