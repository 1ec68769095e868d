/*
 * The first program of the Linux that is compared with: does what the lines of /plan say, one after the
 * other, and switches the machine off. Linked statically; runs as process 1.
 *
 *     load FILE [PARAMETERS]    loads a module
 *     swap DEVICE               makes a block device, of which nothing is kept, room for pages to go out to
 *     run FILE [ARGUMENTS]      runs a program, from no input; says before that it begins, and then how it
 * ended
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE           4096
#define SECTOR         512
#define SECTORS_OF     0x1260 /* BLKGETSIZE: how many sectors a block device has */
#define ARGUMENTS_MAX  15
#define SIGNATURE      "SWAPSPACE2"
#define SIGNATURE_SIZE (sizeof SIGNATURE - 1)

/* What a device of pages begins with (Linux: union swap_header, include/linux/swap.h). */
union swap_header {
    uint8_t bytes[PAGE];
    struct {
        uint8_t boot[1024];
        uint32_t version;
        uint32_t last_page;
        uint32_t bad_pages;
    } info;
};

/* Says that something did not work, and why. */
static void complain(const char *what, const char *name)
{
    printf("init: %s %s: %s\n", what, name, strerror(errno));
}

static void load(const char *name, const char *parameters)
{
    int module = open(name, O_RDONLY | O_CLOEXEC);
    if (module < 0 || syscall(SYS_finit_module, module, parameters ? parameters : "", 0) != 0) {
        complain("cannot load", name);
    }
    close(module);
}

static void swap(const char *name)
{
    union swap_header header = {.info.version = 1};
    unsigned long sectors = 0;
    int device = open(name, O_RDWR | O_CLOEXEC);
    memcpy(header.bytes + PAGE - SIGNATURE_SIZE, SIGNATURE, SIGNATURE_SIZE);
    bool good = device >= 0 && ioctl(device, SECTORS_OF, &sectors) == 0;
    header.info.last_page = (uint32_t)(sectors / (PAGE / SECTOR) - 1);
    good = good && write(device, &header, sizeof header) == (ssize_t)sizeof header;
    close(device);
    if (!good || swapon(name, 0) != 0) {
        complain("cannot swap to", name);
    }
}

/* The child's part. */
static void become(char **arguments)
{
    int input = open("/dev/null", O_RDONLY);
    if (input < 0 || dup2(input, STDIN_FILENO) != STDIN_FILENO || close(input) != 0) {
        complain("no input for", arguments[0]);
    }
    execv(arguments[0], arguments);
    complain("cannot run", arguments[0]);
    _exit(127);
}

static void run(char *name, char *rest)
{
    char *arguments[ARGUMENTS_MAX + 1] = {name};
    for (int count = 1; rest && count < ARGUMENTS_MAX; count++) {
        arguments[count] = strsep(&rest, " ");
    }
    printf("init: runs %s\n", name);
    pid_t child = fork();
    int status = 0;
    if (child == 0) {
        become(arguments);
    } else if (child < 0 || waitpid(child, &status, 0) != child) {
        complain("cannot wait for", name);
    } else {
        printf("init: %s %d\n", WIFSIGNALED(status) ? "signal" : "exit",
               WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
}

static void follow(char *line)
{
    char *verb = strsep(&line, " ");
    char *name = line ? strsep(&line, " ") : "";
    if (strcmp(verb, "load") == 0) {
        load(name, line);
    } else if (strcmp(verb, "swap") == 0) {
        swap(name);
    } else if (strcmp(verb, "run") == 0) {
        run(name, line);
    } else {
        printf("init: nobody knows how to %s\n", verb);
    }
}

int main(void)
{
    char *line = NULL;
    size_t room = 0;
    setvbuf(stdout, NULL, _IONBF, 0);
    if (mount("proc", "/proc", "proc", 0, NULL) != 0) {
        complain("cannot mount", "/proc");
    }
    FILE *plan = fopen("/plan", "re");
    for (ssize_t length = 0; plan && (length = getline(&line, &room, plan)) > 0;) {
        line[length - 1] = '\0'; /* each line has an end */
        follow(line);
    }
    printf("init: end\n");
    reboot(RB_POWER_OFF);
    complain("cannot switch off", "the machine");
    return 1;
}
