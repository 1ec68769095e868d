/* Numbers as words; see words.h. */
#include "words.h"

#include <ashlar/format.h>
#include <ashlar/string.h>

/* Names in the order of the values; a value of several bits is all of them, and stands before its parts. */
struct words {
    const char *names;
    const uint32_t *values;
    unsigned count;
    const char *none; /* what 0 is called */
};

#define WORDS(names, none, ...)                                                                              \
    {                                                                                                        \
        names, (const uint32_t[]){__VA_ARGS__}, ARRAY_LENGTH(((const uint32_t[]){__VA_ARGS__})), none        \
    }

static const struct words by_kind[WORDS_KINDS] = {
    [WORDS_OPEN] =
        WORDS("O_WRONLY\0O_RDWR\0O_CREAT\0O_EXCL\0O_NOCTTY\0O_TRUNC\0O_APPEND\0O_NONBLOCK\0O_DSYNC\0"
              "O_LARGEFILE\0O_DIRECTORY\0O_NOFOLLOW\0O_NOATIME\0O_CLOEXEC\0O_PATH\0",
              "O_RDONLY", 01, 02, 0100, 0200, 0400, 01000, 02000, 04000, 010000, 0100000, 0200000, 0400000,
              01000000, 02000000, 010000000),
    [WORDS_PROTECT] = WORDS("PROT_READ\0PROT_WRITE\0PROT_EXEC\0", "PROT_NONE", 1, 2, 4),
    [WORDS_MAP] =
        WORDS("MAP_SHARED_VALIDATE\0MAP_SHARED\0MAP_PRIVATE\0MAP_FIXED\0MAP_ANONYMOUS\0MAP_GROWSDOWN\0"
              "MAP_DENYWRITE\0MAP_LOCKED\0MAP_NORESERVE\0MAP_POPULATE\0MAP_STACK\0MAP_HUGETLB\0"
              "MAP_FIXED_NOREPLACE\0",
              "0", 3, 1, 2, 0x10, 0x20, 0x100, 0x800, 0x2000, 0x4000, 0x8000, 0x20000, 0x40000, 0x100000),
    [WORDS_CLONE] =
        WORDS("CLONE_VM\0CLONE_FS\0CLONE_FILES\0CLONE_SIGHAND\0CLONE_PIDFD\0CLONE_VFORK\0CLONE_PARENT\0"
              "CLONE_THREAD\0CLONE_SYSVSEM\0CLONE_SETTLS\0CLONE_PARENT_SETTID\0CLONE_CHILD_CLEARTID\0"
              "CLONE_DETACHED\0CLONE_UNTRACED\0CLONE_CHILD_SETTID\0CLONE_IO\0",
              "0", 0x100, 0x200, 0x400, 0x800, 0x1000, 0x4000, 0x8000, 0x10000, 0x40000, 0x80000, 0x100000,
              0x200000, 0x400000, 0x800000, 0x1000000, 0x80000000),
    [WORDS_ADVICE] =
        WORDS("MADV_RANDOM\0MADV_SEQUENTIAL\0MADV_WILLNEED\0MADV_DONTNEED\0MADV_FREE\0MADV_REMOVE\0"
              "MADV_DONTFORK\0MADV_DOFORK\0MADV_MERGEABLE\0MADV_UNMERGEABLE\0MADV_HUGEPAGE\0"
              "MADV_NOHUGEPAGE\0MADV_DONTDUMP\0MADV_DODUMP\0MADV_WIPEONFORK\0MADV_KEEPONFORK\0MADV_COLD\0"
              "MADV_PAGEOUT\0MADV_POPULATE_READ\0MADV_POPULATE_WRITE\0",
              "MADV_NORMAL", 1, 2, 3, 4, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23),
};

struct sentence {
    char *to;
    size_t bytes, used;
};

static void add(struct sentence *sentence, const char *word)
{
    size_t room = sentence->bytes - sentence->used;
    size_t length = format(sentence->to + sentence->used, room, sentence->used ? "|%s" : "%s", word);
    sentence->used += length < room ? length : room - 1;
}

/* Takes the value out of the number where it is in it: as a whole, or as bits. */
static bool take(uint64_t *number, uint32_t value, bool whole)
{
    bool found = whole ? *number == value : (*number & value) == value;
    *number &= found ? ~(uint64_t)value : UINT64_MAX;
    return found;
}

size_t trace_words(enum trace_words kind, uint64_t number, char *to, size_t bytes)
{
    const struct words *words = &by_kind[kind];
    struct sentence sentence = {to, bytes, 0};
    const char *name = words->names;
    char rest[20];
    to[0] = 0;
    if (number == 0) {
        add(&sentence, words->none);
        return sentence.used;
    }
    for (unsigned i = 0; i < words->count; i++) {
        if (take(&number, words->values[i], kind == WORDS_ADVICE)) {
            add(&sentence, name);
        }
        name += strlen(name) + 1;
    }
    if (number != 0) {
        format(rest, sizeof rest, "%#" PRIx64, number);
        add(&sentence, rest);
    }
    return sentence.used;
}

/* Of what has no name the place is empty. */
static const char errors[] =
    "EPERM\0ENOENT\0ESRCH\0EINTR\0EIO\0ENXIO\0E2BIG\0ENOEXEC\0EBADF\0ECHILD\0EAGAIN\0ENOMEM\0EACCES\0EFAULT\0"
    "ENOTBLK\0"
    "EBUSY\0EEXIST\0EXDEV\0ENODEV\0ENOTDIR\0EISDIR\0EINVAL\0ENFILE\0EMFILE\0ENOTTY\0ETXTBSY\0EFBIG\0ENOSPC\0E"
    "SPIPE\0"
    "EROFS\0EMLINK\0EPIPE\0EDOM\0ERANGE\0EDEADLK\0ENAMETOOLONG\0ENOLCK\0ENOSYS\0ENOTEMPTY\0ELOOP\0";

#define ERRORS 40

const char *trace_error(uint64_t error)
{
    static const struct {
        uint16_t number;
        char name[16];
    } others[] = {{75, "EOVERFLOW"},    {84, "EILSEQ"},      {95, "EOPNOTSUPP"},
                  {97, "EAFNOSUPPORT"}, {110, "ETIMEDOUT"},  {115, "EINPROGRESS"},
                  {125, "ECANCELED"},   {130, "EOWNERDEAD"}, {131, "ENOTRECOVERABLE"}};
    const char *name = errors;
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
        if (others[i].number == error) {
            return others[i].name;
        }
    }
    if (error == 0 || error > ERRORS) {
        return NULL;
    }
    while (--error > 0) {
        name += strlen(name) + 1;
    }
    return name;
}
