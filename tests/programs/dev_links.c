/* The names of descriptors in /dev, as shells use them: `cat <(command)` opens /dev/fd/63. */
#include "check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void leads_to(const char *name)
{
    char text[100];
    long length = readlink(name, text, sizeof text - 1);
    text[length < 0 ? 0 : length] = 0;
    printf("%s leads to %s\n", name, text);
}

static void substitution(void)
{
    int ends[2];
    char text[20] = "";
    if (pipe(ends) != 0) {
        return;
    }
    pid_t child = fork();
    if (child == 0) {
        (void)!write(ends[1], "from the command", 16);
        _exit(0);
    }
    close(ends[1]);
    dup2(ends[0], 63);
    close(ends[0]);
    int again = open("/dev/fd/63", O_RDONLY);
    TELL(again);
    TELL_EXACT(read(again, text, sizeof text - 1));
    printf("%s\n", text);
    waitpid(child, NULL, 0);
    TELL_EXACT(read(again, text, sizeof text));
    TELL(open("/dev/fd/62", O_RDONLY));
}

/* Written by another opening of the same pipe. */
static void output(void)
{
    int ends[2];
    char text[20] = "";
    if (pipe(ends) != 0) {
        return;
    }
    int kept = dup(1);
    dup2(ends[1], 1);
    int out = open("/dev/stdout", O_WRONLY);
    long written = write(out, "to the output", 13);
    dup2(kept, 1);
    printf("%ld, %ld: %s\n", written, (long)read(ends[0], text, sizeof text - 1), text);
}

int main(void)
{
    struct stat status;
    setvbuf(stdout, NULL, _IONBF, 0);
    leads_to("/dev/fd");
    leads_to("/dev/stdin");
    leads_to("/dev/stdout");
    leads_to("/dev/stderr");
    TELL(stat("/dev/fd/", &status));
    printf("a directory: %d\n", S_ISDIR(status.st_mode));
    TELL(stat("/dev/fd/0", &status));
    substitution();
    output();
    return 0;
}
