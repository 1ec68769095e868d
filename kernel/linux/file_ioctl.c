/* System call ioctl: the console's settings, and what holds for every file. */
#include <ashlar/memory.h>
#include <ashlar/pipe.h>

#include "file_calls.h"
#include "kernel/files/console_file.h"
#include "terminal.h"

/* include/uapi/asm-generic/ioctls.h */
enum ioctl_command {
    GET_SETTINGS = 0x5401,       /* TCGETS */
    SET_SETTINGS = 0x5402,       /* TCSETS */
    SET_SETTINGS_LATER = 0x5403, /* TCSETSW: when all is written, which it is at once */
    SET_SETTINGS_FLUSH = 0x5404, /* TCSETSF: and what was typed is thrown away */
    GET_WINDOW = 0x5413,         /* TIOCGWINSZ */
    GET_WAITING = 0x541b,        /* FIONREAD */
    SET_NO_WAIT = 0x5421,        /* FIONBIO */
    NO_CLOSE_ON_EXEC = 0x5450,   /* FIONCLEX */
    CLOSE_ON_EXEC = 0x5451,      /* FIOCLEX */
};

static int64_t get_settings(user_addr_t to)
{
    struct console_settings settings;
    console_file_get(&settings);
    return copy_to_user(to, &settings, sizeof settings) ? 0 : -EFAULT;
}

static int64_t set_settings(user_addr_t from, bool forget)
{
    struct console_settings settings;
    int64_t error = terminal_check(SIGNAL_TERMINAL_WRITE);
    if (error) {
        return error;
    }
    if (!copy_from_user(&settings, from, sizeof settings)) {
        return -EFAULT;
    }
    console_file_set(&settings, forget);
    return 0;
}

/* struct winsize: 80 columns, as on every serial line of which nobody knows more. */
static int64_t get_window(user_addr_t to)
{
    static const uint16_t window[4] = {24, 80};
    return copy_to_user(to, window, sizeof window) ? 0 : -EFAULT;
}

static int64_t control_console(uint32_t command, user_addr_t argument)
{
    int64_t result;
    if (terminal_control(command, argument.raw, &result)) {
        return result;
    }
    switch (command) {
    case GET_SETTINGS:
        return get_settings(argument);
    case SET_SETTINGS:
    case SET_SETTINGS_LATER:
        return set_settings(argument, false);
    case SET_SETTINGS_FLUSH:
        return set_settings(argument, true);
    case GET_WINDOW:
        return get_window(argument);
    case GET_WAITING:
        return put_user_32(argument, (uint32_t)console_file_waiting()) ? 0 : -EFAULT;
    default:
        return -ENOTTY;
    }
}

static int64_t set_no_wait(struct file *file, user_addr_t argument)
{
    uint32_t on;
    if (!get_user_32(&on, argument)) {
        return -EFAULT;
    }
    unsigned flags = atomic_load_explicit(&file->flags, memory_order_relaxed);
    file_set_flags(file, on ? flags | FILE_NO_WAIT : flags & ~(unsigned)FILE_NO_WAIT);
    return 0;
}

static int64_t waiting_in_regular(struct file *file, user_addr_t to)
{
    struct fs_status status;
    file_status(file, &status);
    if ((status.mode & FS_KIND) != FS_REGULAR) {
        return -ENOTTY;
    }
    int64_t position = file_seek(file, 0, FILE_FROM_HERE);
    return put_user_32(to, (uint32_t)(status.bytes - (uint64_t)position)) ? 0 : -EFAULT;
}

static int64_t control(uint64_t descriptor, struct file *file, uint32_t command, user_addr_t argument)
{
    struct descriptors *files = process_current()->files;
    if (atomic_load_explicit(&file->flags, memory_order_relaxed) & FILE_PLACE) {
        return -EBADF;
    }
    switch (command) {
    case NO_CLOSE_ON_EXEC:
        return descriptor_set_flag(files, descriptor, false);
    case CLOSE_ON_EXEC:
        return descriptor_set_flag(files, descriptor, true);
    case SET_NO_WAIT:
        return set_no_wait(file, argument);
    default:
        break;
    }
    if (file_is_console(file)) {
        return control_console(command, argument);
    }
    if (command == GET_WAITING && file_is_pipe(file)) {
        return put_user_32(argument, (uint32_t)pipe_waiting(file)) ? 0 : -EFAULT;
    }
    return command == GET_WAITING ? waiting_in_regular(file, argument) : -ENOTTY;
}

int64_t call_ioctl(const struct trap_frame *frame)
{
    struct file *file = file_of(argument_1(frame));
    if (!file) {
        return -EBADF;
    }
    int64_t result =
        control(argument_1(frame), file, (uint32_t)argument_2(frame), user_addr(argument_3(frame)));
    file_put(file);
    return result;
}
