/* Monitor command that runs a program: run. */
#include <ashlar/error_number.h>
#include <ashlar/files.h>
#include <ashlar/format.h>
#include <ashlar/fw_cfg.h>
#include <ashlar/memory.h>
#include <ashlar/monitor.h>
#include <ashlar/string.h>

#include "kernel/files/console_file.h"
#include "kernel/linux/process.h"
#include "run.h"

#define STRINGS_BYTES 1024
#define FILE_PREFIX   "opt/ashlar/"
#define FOLDER        "/bin"
#define PATH_BYTES    256
#define PART_BYTES    1024

/* Arguments and environment as program_run() wants them. */
struct strings_buffer {
    struct program_strings strings;
    char bytes[STRINGS_BYTES];
};

static bool add(struct strings_buffer *buffer, const char *text)
{
    uint64_t bytes = strlen(text) + 1;
    if (bytes > sizeof buffer->bytes - buffer->strings.length) {
        return false;
    }
    memcpy(buffer->bytes + buffer->strings.length, text, bytes);
    buffer->strings.length += bytes;
    return true;
}

static bool make_strings(struct strings_buffer *buffer, const struct monitor_call *call)
{
    static const char *const environment[] = {"PATH=/bin", "HOME=/", "TERM=dumb"};
    buffer->strings = (struct program_strings){.bytes = buffer->bytes,
                                               .argument_count = call->argument_count,
                                               .variable_count = ARRAY_LENGTH(environment)};
    bool fits = true;
    for (unsigned i = 0; i < call->argument_count; i++) {
        fits = fits && add(buffer, call->arguments[i]);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(environment); i++) {
        fits = fits && add(buffer, environment[i]);
    }
    return fits && add(buffer, call->arguments[0]);
}

/* Reads what QEMU hands in into a new file. */
static int copy_handed_in(struct fw_cfg_file *handed, struct file *file)
{
    char part[PART_BYTES];
    uint64_t left = handed->bytes;
    fw_cfg_begin(handed);
    while (left > 0) {
        struct file_memory memory;
        size_t bytes = (size_t)min_u64(left, sizeof part);
        fw_cfg_read(part, bytes);
        int64_t written = file_write(file, file_memory(&memory, part, bytes));
        if (written != (int64_t)bytes) {
            return written < 0 ? (int)written : -ENOSPC;
        }
        left -= bytes;
    }
    return 0;
}

/* A file that QEMU hands in becomes one in /bin, where it stays; one that is there already is not replaced.
 */
static int take_handed_in(const struct fs_view *view, const char *name, const char *path)
{
    char handed_name[PATH_BYTES];
    struct fw_cfg_file handed;
    struct file *file;
    format(handed_name, sizeof handed_name, FILE_PREFIX "%s", name);
    if (strlen(name) >= sizeof handed_name - strlen(FILE_PREFIX) || !fw_cfg_find(handed_name, &handed)) {
        return -ENOENT;
    }
    int error = fs_mkdir(view, NULL, FOLDER, 0755);
    error = error == -EEXIST ? 0 : error;
    error = error ? error
                  : fs_open(view, NULL, path, FILE_WRITE_ONLY | FILE_CREATE | FILE_EXCLUSIVE, 0755, &file);
    if (error) {
        return error;
    }
    error = copy_handed_in(&handed, file);
    file_put(file);
    if (error) {
        fs_unlink(view, NULL, path, 0);
    }
    return error;
}

/* The path of a program: a path as it is, a name in /bin. */
static int find_program(const char *name, char path[PATH_BYTES])
{
    struct fs_view view;
    struct fs_status status;
    bool is_name = !strchr(name, '/');
    if (strlen(name) >= PATH_BYTES - sizeof FOLDER) {
        return -ENAMETOOLONG;
    }
    format(path, PATH_BYTES, is_name ? FOLDER "/%s" : "%s", name);
    fs_view_root(kernel_files(), &view);
    int error = fs_status(&view, NULL, path, 0, &status);
    if (error == -ENOENT && is_name) {
        error = take_handed_in(&view, name, path);
    }
    fs_view_put(&view);
    return error;
}

/* ---- The last line ---- */

static uint64_t resolved(const struct program_report *report)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < VM_FAULT_NO_REGION; i++) {
        count += report->faults[i];
    }
    return count;
}

static void print_report(const char *name, const struct program_report *report)
{
    unsigned signal = report->status & 0x7f;
    monitor_print("%s: ", name);
    if (signal) {
        monitor_print("ended by signal %u; ", signal);
    } else {
        monitor_print("exit %u; ", (unsigned)(report->status >> 8));
    }
    monitor_print("%" PRIu64 " ticks, %" PRIu64 " faults", report->ticks, resolved(report));
    const char *before = " (";
    for (unsigned i = 0; i < VM_FAULT_NO_REGION; i++) {
        if (report->faults[i]) {
            monitor_print("%s%" PRIu64 " %s", before, report->faults[i], vm_fault_name((enum vm_fault)i));
            before = ", ";
        }
    }
    monitor_print("%s; peak %" PRIu64 " KiB, %" PRIu64 " tables, ", before[0] == ',' ? ")" : "",
                  report->peak * (FRAME_BYTES >> 10), report->tables);
    if (report->frames_kept) {
        monitor_print("%" PRId64 " frames did not come back\n", report->frames_kept);
    } else {
        monitor_print("all frames back\n");
    }
}

static void print_json(const struct program_report *report)
{
    struct json json;
    unsigned signal = report->status & 0x7f;
    monitor_json_begin(&json);
    json_object_begin(&json, NULL);
    json_number(&json, "exit", signal ? 128 + signal : report->status >> 8);
    json_number(&json, "signal", signal);
    json_number(&json, "ticks", report->ticks);
    json_object_begin(&json, "faults");
    for (unsigned i = 0; i < VM_FAULT_COUNT; i++) {
        if (report->faults[i]) {
            json_number(&json, vm_fault_name((enum vm_fault)i), report->faults[i]);
        }
    }
    json_object_end(&json);
    json_number(&json, "peak_bytes", report->peak * FRAME_BYTES);
    json_number(&json, "tables", report->tables);
    json_number(&json, "frames_kept", (uint64_t)report->frames_kept);
    json_object_end(&json);
    json_end(&json);
}

static const char *why(int error)
{
    switch (error) {
    case -ENOENT:
        return "there is no such program";
    case -ENAMETOOLONG:
        return "its name is too long";
    case -EACCES:
        return "it may not be executed";
    case -ENOEXEC:
        return "it is no program for this kernel; the log says why";
    case -E2BIG:
        return "too many arguments";
    case -ENOMEM:
    case -ENOSPC:
        return "there is no memory for it";
    default:
        return "it cannot be opened";
    }
}

void command_run(struct monitor_call *call, bool traced)
{
    char path[PATH_BYTES];
    struct program_report report;
    struct strings_buffer buffer;
    if (console_file_is_left()) {
        monitor_error(call, "a program has the terminal; ctrl-] leads back to it");
        return;
    }
    if (!make_strings(&buffer, call)) {
        monitor_error(call, "too many arguments");
        return;
    }
    int error = find_program(call->arguments[0], path);
    error = error ? error : (traced ? program_run_traced : program_run)(path, &buffer.strings, &report);
    if (error) {
        monitor_error(call, "%.40s: %s", call->arguments[0], why(error));
    } else if (call->json) {
        print_json(&report);
    } else {
        print_report(call->arguments[0], &report);
    }
}

static void run_run(struct monitor_call *call)
{
    command_run(call, false);
}

MONITOR_COMMAND(run, run_run, "PROGRAM [ARGUMENT...]", "runs a program to its end",
                "PROGRAM is a static Linux program for x86-64: the path of a file, or a name in\n"
                "/bin, or of one that QEMU hands in, which goes to /bin then:\n"
                "    -fw_cfg name=opt/ashlar/hello,file=hello\n"
                "Its last line tells how it ended, time-stamp counter ticks, page faults by\n"
                "kind, the most memory it had, page tables at its end, and whether all came back.\n"
                "Example:\n"
                "  run hello world\n"
                "  run busybox ls -l /bin\n",
                .arguments_min = 1, .arguments_max = MONITOR_WORDS_MAX - 1,
                .flags = MONITOR_JSON | MONITOR_OPTIONS_FIRST);
