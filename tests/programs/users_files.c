/* What users may do with files, and what each capability adds to that. */
#include "users.h"

#include <fcntl.h>

#define FOLDER "/tmp/ashlar-users"

static void make(const char *name, uid_t user, gid_t group, mode_t mode)
{
    int file = open(name, O_CREAT | O_WRONLY, 0600);
    write(file, "#!/none\n", 8);
    fchown(file, user, group);
    fchmod(file, mode);
    close(file);
}

static void try_file(const char *name)
{
    char *arguments[] = {(char *)name, NULL};
    int reads = open(name, O_RDONLY), error_of_reads = errno;
    int writes = open(name, O_WRONLY), error_of_writes = errno;
    printf("%s: %d %d", name + sizeof FOLDER, reads < 0 ? error_of_reads : 0,
           writes < 0 ? error_of_writes : 0);
    close(reads);
    close(writes);
    printf(", %d", execv(name, arguments) < 0 ? errno : 0);
    for (int mode = 1; mode <= 4; mode *= 2) {
        printf(" %d", access(name, mode) < 0 ? errno : 0);
        printf(" %d", (int)syscall(SYS_faccessat2, AT_FDCWD, name, mode, AT_EACCESS) < 0 ? errno : 0);
    }
    printf("\n");
}

static void try_all(const char *who)
{
    printf("- %s\n", who);
    try_file(FOLDER "/own");
    try_file(FOLDER "/group");
    try_file(FOLDER "/other");
    try_file(FOLDER "/nobody");
    try_file(FOLDER "/further");
    try_file(FOLDER "/closed/file");
}

static void files(void)
{
    gid_t further[] = {50, 60, 70};
    make(FOLDER "/own", 1000, 0, 0700);
    make(FOLDER "/group", 0, 1000, 0070);
    make(FOLDER "/other", 0, 0, 0604);
    make(FOLDER "/nobody", 1000, 1000, 0);
    make(FOLDER "/further", 0, 60, 0650);
    mkdir(FOLDER "/closed", 0700);
    make(FOLDER "/closed/file", 0, 0, 0777);
    try_all("root");
    TELL(syscall(SYS_setgroups, 3, further));
    TELL(syscall(SYS_setfsuid, 1000));
    try_all("files as the user's");
    TELL(syscall(SYS_setfsuid, 0) != 1000);
    TELL(syscall(SYS_setresgid, 1000, 1000, 1000));
    TELL(syscall(SYS_setresuid, -1, 1000, -1));
    try_all("the user for now");
    TELL(syscall(SYS_setresuid, 1000, 1000, 1000));
    try_all("the user for good");
    int file = open(FOLDER "/open/new", O_CREAT | O_EXCL | O_RDWR, 0644);
    struct stat status;
    fstat(file, &status);
    printf("made: %u %u\n", status.st_uid, status.st_gid);
    TELL(fchown(file, 1000, 60));
    TELL(fchown(file, 1000, 61));
    TELL(fchown(file, 1001, -1));
    TELL(chmod(FOLDER "/group", 0777));
    TELL(unlink(FOLDER "/own"));
    TELL(unlink(FOLDER "/open/new"));
    TELL(open(FOLDER "/new", O_CREAT | O_RDWR, 0644));
}

/* One capability at a time, for what it allows of files. */
static void by_capabilities(void)
{
    struct header header = {VERSION_3, 0};
    for (int capability = 0; capability <= 4; capability++) {
        struct part parts[2] = {{1U << capability, 0xff, 0}, {0, 0, 0}};
        printf("- capability %d\n", capability);
        TELL(syscall(SYS_capset, &header, parts));
        try_file(FOLDER "/own");
        try_file(FOLDER "/nobody");
        TELL(chown(FOLDER "/other", 1000, 1000));
        TELL(chown(FOLDER "/other", 0, 0));
        TELL(chmod(FOLDER "/own", 0700));
    }
}

static void in_folder(void)
{
    mkdir(FOLDER, 0755);
    mkdir(FOLDER "/open", 0777);
    chmod(FOLDER "/open", 0777);
    part_of_process("files", files);
    part_of_process("files by capabilities", by_capabilities);
    unlink(FOLDER "/open/new");
    unlink(FOLDER "/own");
    unlink(FOLDER "/group");
    unlink(FOLDER "/other");
    unlink(FOLDER "/nobody");
    unlink(FOLDER "/further");
    unlink(FOLDER "/closed/file");
    rmdir(FOLDER "/closed");
    rmdir(FOLDER "/open");
    rmdir(FOLDER);
}

int main(void)
{
    begin_parts();
    in_folder();
    return 0;
}
