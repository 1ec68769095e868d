/* execveat: programs and scripts that are given by descriptors. The program executes itself: with the
 * argument "tell" it prints what it was given. */
#include "check.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define FOLDER "/tmp/ashlar-execute-at"
#define COPY   FOLDER "/copy"
#define EMPTY  0x1000 /* AT_EMPTY_PATH */
#define STAYS  0x100  /* AT_SYMLINK_NOFOLLOW */

static int tell_all(int count, char **arguments)
{
    printf("executed:");
    for (int i = 0; i < count; i++) {
        printf(" %s", arguments[i]);
    }
    printf(", file %s, users %lu %lu, groups %lu %lu, secure %lu, base %d\n", (char *)getauxval(AT_EXECFN),
           getauxval(AT_UID), getauxval(AT_EUID), getauxval(AT_GID), getauxval(AT_EGID), getauxval(AT_SECURE),
           getauxval(AT_BASE) != 0);
    printf("%d %d %d %d, dumpable %d\n", getuid(), geteuid(), getgid(), getegid(), prctl(PR_GET_DUMPABLE));
    return 0;
}

static char *environment[] = {NULL};

static void execute(int descriptor, const char *path, int flags)
{
    char *arguments[] = {"first", "tell", NULL};
    printf("(%d, \"%s\", %x):\n", descriptor, path, (unsigned)flags);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        syscall(SYS_execveat, descriptor, path, arguments, environment, flags);
        printf("error %d\n", errno);
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

static void copy_self(void)
{
    static char bytes[65536];
    long got;
    int from = open("/proc/self/exe", O_RDONLY);
    int to = open(COPY, O_CREAT | O_WRONLY | O_TRUNC, 0755);
    while ((got = read(from, bytes, sizeof bytes)) > 0) {
        write(to, bytes, (size_t)got);
    }
    close(from);
    close(to);
}

static void make_script(const char *name)
{
    int file = open(name, O_CREAT | O_WRONLY | O_TRUNC, 0755);
    write(file, "#!" COPY " tell\n", sizeof "#!" COPY " tell\n" - 1);
    close(file);
}

static void by_descriptor(void)
{
    int folder = open(FOLDER, O_RDONLY | O_DIRECTORY);
    int file = open(COPY, O_RDONLY);
    int place = open(COPY, O_PATH);
    int closing = open(COPY, O_RDONLY | O_CLOEXEC);
    int link = open(FOLDER "/link", O_PATH | O_NOFOLLOW);
    int ends[2];
    pipe(ends);
    execute(AT_FDCWD, COPY, 0);
    execute(folder, "copy", 0);
    execute(folder, "link", 0);
    execute(folder, "link", STAYS);
    execute(folder, "copy", STAYS);
    execute(folder, COPY, 0);
    execute(-1, COPY, 0);
    execute(-1, "copy", 0);
    execute(99, "", EMPTY);
    execute(folder, "none", 0);
    execute(folder, "", 0);
    execute(folder, "", EMPTY);
    execute(AT_FDCWD, "", EMPTY);
    execute(file, "", EMPTY);
    execute(file, "", EMPTY | STAYS);
    execute(file, "x", EMPTY);
    execute(place, "", EMPTY);
    execute(closing, "", EMPTY);
    execute(link, "", EMPTY);
    execute(ends[0], "", EMPTY);
    execute(folder, "copy", 1);
    execute(folder, "copy", EMPTY);
    char *arguments[] = {"first", NULL};
    TELL(syscall(SYS_execveat, folder, 1L, arguments, environment, 0));
    TELL(syscall(SYS_execveat, folder, "copy", 1L, environment, 0));
    TELL(syscall(SYS_execveat, folder, "copy", arguments, 1L, 0));
    close(folder);
    close(file);
    close(place);
    close(closing);
    close(link);
}

static void scripts(void)
{
    int folder = open(FOLDER, O_RDONLY | O_DIRECTORY);
    int closing_folder = open(FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int file = open(FOLDER "/script", O_RDONLY);
    int closing = open(FOLDER "/script", O_RDONLY | O_CLOEXEC);
    execute(file, "", EMPTY);
    execute(closing, "", EMPTY);
    execute(folder, "script", 0);
    execute(closing_folder, "script", 0);
    execute(closing_folder, "copy", 0);
    execute(AT_FDCWD, FOLDER "/script", 0);
    close(folder);
    close(closing_folder);
    close(file);
    close(closing);
}

/* What others than root execute, and as whom. */
static void as_user(void)
{
    chmod(COPY, 0711);
    int file = open(COPY, O_RDONLY);
    int place = open(COPY, O_PATH);
    syscall(SYS_setresgid, 7, 7, 8);
    syscall(SYS_setresuid, 5, 6, 7);
    execute(AT_FDCWD, COPY, 0);
    syscall(SYS_setresuid, 6, 6, 6);
    syscall(SYS_setresgid, 7, 7, 7);
    execute(file, "", EMPTY);
    execute(place, "", EMPTY);
    close(file);
    close(place);
}

static void without_permission(void)
{
    chmod(COPY, 0644);
    execute(AT_FDCWD, COPY, 0);
    int file = open(COPY, O_RDONLY);
    execute(file, "", EMPTY);
    close(file);
    chmod(COPY, 0755);
    file = open(COPY, O_RDWR);
    execute(file, "", EMPTY);
    close(file);
}

static void in_child(void (*run)(void))
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        run();
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

/* Names an interpreter: what becomes of it is the interpreter's affair. */
static void with_interpreter(const char *name, size_t length, size_t told)
{
    static struct {
        Elf64_Ehdr header;
        Elf64_Phdr parts[2];
        char name[64];
    } file;
    file.header = (Elf64_Ehdr){.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                               .e_type = ET_DYN,
                               .e_machine = EM_X86_64,
                               .e_version = EV_CURRENT,
                               .e_entry = sizeof file - 1,
                               .e_phoff = sizeof file.header,
                               .e_ehsize = sizeof file.header,
                               .e_phentsize = sizeof file.parts[0],
                               .e_phnum = 2};
    file.parts[0] = (Elf64_Phdr){.p_type = PT_INTERP,
                                 .p_flags = PF_R,
                                 .p_offset = sizeof file.header + sizeof file.parts,
                                 .p_filesz = told};
    file.parts[1] = (Elf64_Phdr){.p_type = PT_LOAD,
                                 .p_flags = PF_R | PF_X,
                                 .p_filesz = sizeof file,
                                 .p_memsz = sizeof file,
                                 .p_align = 4096};
    memset(file.name, 0, sizeof file.name);
    memcpy(file.name, name, length);
    int to = open(FOLDER "/dynamic", O_CREAT | O_WRONLY | O_TRUNC, 0755);
    write(to, &file, sizeof file);
    close(to);
    printf("interpreter %s %zu:\n", name, told);
    execute(AT_FDCWD, FOLDER "/dynamic", 0);
}

static void interpreters(void)
{
    with_interpreter("/none", 5, 6);
    with_interpreter("/none/none", 10, 11);
    with_interpreter(FOLDER, sizeof FOLDER - 1, sizeof FOLDER);
    with_interpreter(FOLDER "/plain", sizeof FOLDER + 5, sizeof FOLDER + 6);
    with_interpreter(FOLDER "/script", sizeof FOLDER + 6, sizeof FOLDER + 7);
    with_interpreter(FOLDER "/circle", sizeof FOLDER + 6, sizeof FOLDER + 7);
    with_interpreter(FOLDER "/long", sizeof FOLDER + 4, sizeof FOLDER + 5);
    with_interpreter("/none", 5, 5);
    with_interpreter("", 0, 1);
    with_interpreter("", 0, 0);
}

int main(int count, char **arguments)
{
    if (count > 1 && strcmp(arguments[1], "tell") == 0) {
        return tell_all(count, arguments);
    }
    mkdir("/tmp", 0777);
    mkdir(FOLDER, 0755);
    copy_self();
    make_script(FOLDER "/script");
    close(open(FOLDER "/plain", O_CREAT | O_WRONLY, 0644));
    int file = open(FOLDER "/long", O_CREAT | O_WRONLY, 0755);
    char text[200] = "no program";
    write(file, text, sizeof text);
    close(file);
    symlink("copy", FOLDER "/link");
    symlink("circle", FOLDER "/circle");
    by_descriptor();
    scripts();
    without_permission();
    interpreters();
    in_child(as_user);
    static const char *const names[] = {"copy", "script", "plain", "long", "link", "circle", "dynamic"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[64];
        snprintf(path, sizeof path, FOLDER "/%s", names[i]);
        unlink(path);
    }
    rmdir(FOLDER);
    return 0;
}
