/* From a path to the program that is to run: scripts lead on to others. */
#include <ashlar/string.h>

#include "exec.h"

static int read_line(const struct program_file *program, char line[SCRIPT_LINE_BYTES + 1])
{
    memset(line, 0, SCRIPT_LINE_BYTES + 1);
    size_t bytes = (size_t)min_u64(program->bytes, SCRIPT_LINE_BYTES);
    return program_file_read(program, line, 0, bytes) ? 0 : -EIO;
}

/* The program's name, its argument and the script's name come before what there is, whose first one goes. */
static void put_first(struct executable *executable, const struct script *script, const char *path)
{
    const char *old[ARRAY_LENGTH(executable->first)];
    unsigned old_count = executable->first_count;
    unsigned count = 0;
    memcpy(old, executable->first, sizeof old);
    executable->first[count++] = script->program;
    if (script->argument) {
        executable->first[count++] = script->argument;
    }
    executable->first[count++] = path;
    for (unsigned i = 1; i < old_count; i++) {
        executable->first[count++] = old[i];
    }
    executable->first_count = count;
}

/* What was asked for; behind it come the programs of scripts, by their paths. */
static int open_first(const struct fs_view *view, struct executable *executable)
{
    struct program_file *program = &executable->program;
    int error = executable->open
                    ? program_file_reopen(view, executable->open, executable->path, program)
                    : program_file_open(view, executable->at, executable->name, executable->flags, program);
    program->name = executable->path;
    return error;
}

int executable_find(const struct fs_view *view, struct executable *executable)
{
    const char *path = executable->path;
    executable->first_count = 0;
    for (unsigned depth = 0;; depth++) {
        struct script script;
        int error = depth == 0 ? open_first(view, executable)
                               : program_file_open(view, NULL, path, 0, &executable->program);
        if (error) {
            return error;
        }
        char *line = executable->lines[depth % SCRIPTS_MOST];
        char probe[SCRIPT_LINE_BYTES + 1];
        error = read_line(&executable->program, probe);
        enum script_kind kind = error ? SCRIPT_BROKEN : script_read(probe, &script);
        if (!error && kind == SCRIPT_NONE) {
            return 0;
        }
        program_file_close(&executable->program);
        if (error || kind == SCRIPT_BROKEN) {
            return error ? error : -ENOEXEC;
        }
        if (executable->closes) {
            return -ENOENT;
        }
        if (depth == SCRIPTS_MOST) {
            return -ELOOP;
        }
        memcpy(line, probe, sizeof probe);
        script.program = line + (script.program - probe);
        script.argument = script.argument ? line + (script.argument - probe) : NULL;
        put_first(executable, &script, path);
        path = script.program;
    }
}
