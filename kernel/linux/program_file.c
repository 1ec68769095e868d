/* Files that are executed; see program_file.h. */
#include "program_file.h"

/* A file that is executed already can be executed once more: it is not open for writing. */
void program_file_hold(struct file *file)
{
    file_get(file);
    file_begin_execution(file);
}

void program_file_let_go(struct file *file)
{
    file_end_execution(file);
    file_put(file);
}

/* With the file's reference, and its execution begun; both go if it fails. */
static int fill(struct file *file, const char *name, struct program_file *program)
{
    struct fs_status status;
    file_status(file, &status);
    struct vm_pager *pager = file_pager(file);
    if (!pager) {
        program_file_let_go(file);
        return -EACCES;
    }
    *program = (struct program_file){.name = name, .file = file, .pager = pager, .bytes = status.bytes};
    return 0;
}

int program_file_open(const struct fs_view *view, const char *name, struct program_file *program)
{
    struct file *file;
    int error = fs_open_program(view, name, &file);
    if (error) {
        return error;
    }
    error = file_begin_execution(file);
    if (error) {
        file_put(file);
        return error;
    }
    return fill(file, name, program);
}

void program_file_close(struct program_file *program)
{
    vm_pager_put(program->pager);
    program_file_let_go(program->file);
}

bool program_file_read(const struct program_file *program, void *to, uint64_t offset, size_t bytes)
{
    struct file_memory memory;
    return file_read_at(program->file, file_memory(&memory, to, bytes), (int64_t)offset) == (int64_t)bytes;
}
