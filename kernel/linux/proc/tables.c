/* The names below /proc; see tables.h. */
#include "tables.h"

#define FILE_ITEM(step)                                                                                      \
    {                                                                                                        \
        step, FS_REGULAR | 0444, 0                                                                           \
    }
#define PRIVATE_ITEM(step)                                                                                   \
    {                                                                                                        \
        step, FS_REGULAR | 0400, 0                                                                           \
    }
#define GUARDED_ITEM(step, mode)                                                                             \
    {                                                                                                        \
        step, FS_REGULAR | PROC_GUARDED | (mode), 0                                                          \
    }
#define SETTING_ITEM(setting)                                                                                \
    {                                                                                                        \
        proc_setting, FS_REGULAR | 0444, setting                                                             \
    }
#define DIRECTORY_ITEM(place)                                                                                \
    {                                                                                                        \
        NULL, FS_DIRECTORY | 0555, place                                                                     \
    }
#define LINK_ITEM(link)                                                                                      \
    {                                                                                                        \
        NULL, FS_SYMLINK | 0777, link                                                                        \
    }

static const char root_names[] = "buddyinfo\0cmdline\0cpuinfo\0filesystems\0loadavg\0meminfo\0mounts\0self\0"
                                 "slabinfo\0stat\0sys\0thread-self\0uptime\0version\0vmstat\0";
static const struct proc_item root_items[] = {
    FILE_ITEM(proc_buddyinfo),   FILE_ITEM(proc_kernel_command_line),
    FILE_ITEM(proc_cpuinfo),     FILE_ITEM(proc_filesystems),
    FILE_ITEM(proc_loadavg),     FILE_ITEM(proc_meminfo),
    LINK_ITEM(LINK_MOUNTS),      LINK_ITEM(LINK_SELF),
    PRIVATE_ITEM(proc_slabinfo), FILE_ITEM(proc_machine_stat),
    DIRECTORY_ITEM(AT_SYS),      LINK_ITEM(LINK_THREAD_SELF),
    FILE_ITEM(proc_uptime),      FILE_ITEM(proc_version),
    FILE_ITEM(proc_vmstat),
};

/* The last one is not among those of a task. */
static const char process_names[] =
    "auxv\0cmdline\0comm\0cwd\0environ\0exe\0fd\0limits\0maps\0mounts\0pagemap\0"
    "root\0smaps\0stat\0statm\0status\0task\0";
static const struct proc_item process_items[] = {
    GUARDED_ITEM(proc_vector, 0400),
    FILE_ITEM(proc_command_line),
    FILE_ITEM(proc_comm),
    LINK_ITEM(LINK_HERE),
    GUARDED_ITEM(proc_environment, 0400),
    LINK_ITEM(LINK_PROGRAM),
    {NULL, FS_DIRECTORY | 0500, AT_DESCRIPTORS},
    FILE_ITEM(proc_limits),
    GUARDED_ITEM(proc_maps, 0444),
    FILE_ITEM(proc_mounts),
    GUARDED_ITEM(NULL, 0400),
    LINK_ITEM(LINK_TOP),
    GUARDED_ITEM(proc_smaps, 0444),
    FILE_ITEM(proc_stat),
    FILE_ITEM(proc_statm),
    FILE_ITEM(proc_status),
    DIRECTORY_ITEM(AT_TASKS),
};

static const char sys_names[] = "fs\0kernel\0vm\0";
static const struct proc_item sys_items[] = {DIRECTORY_ITEM(AT_SYS_FS), DIRECTORY_ITEM(AT_SYS_KERNEL),
                                             DIRECTORY_ITEM(AT_SYS_VM)};
static const char sys_fs_names[] = "file-max\0nr_open\0";
static const struct proc_item sys_fs_items[] = {SETTING_ITEM(SETTING_FILES_MOST),
                                                SETTING_ITEM(SETTING_DESCRIPTORS_MOST)};
static const char sys_kernel_names[] = "hostname\0osrelease\0ostype\0pid_max\0randomize_va_space\0version\0";
static const struct proc_item sys_kernel_items[] = {
    SETTING_ITEM(SETTING_NODE),        SETTING_ITEM(SETTING_RELEASE),   SETTING_ITEM(SETTING_SYSTEM),
    SETTING_ITEM(SETTING_NUMBERS_END), SETTING_ITEM(SETTING_BY_CHANCE), SETTING_ITEM(SETTING_VERSION)};
static const char sys_vm_names[] = "overcommit_memory\0";
static const struct proc_item sys_vm_items[] = {SETTING_ITEM(SETTING_OVERCOMMIT)};

const struct proc_table proc_tables[] = {
    [AT_ROOT] = {root_names, root_items, ARRAY_LENGTH(root_items)},
    [AT_PROCESS] = {process_names, process_items, ARRAY_LENGTH(process_items)},
    [AT_TASK] = {process_names, process_items, ARRAY_LENGTH(process_items) - 1},
    [AT_SYS] = {sys_names, sys_items, ARRAY_LENGTH(sys_items)},
    [AT_SYS_FS] = {sys_fs_names, sys_fs_items, ARRAY_LENGTH(sys_fs_items)},
    [AT_SYS_KERNEL] = {sys_kernel_names, sys_kernel_items, ARRAY_LENGTH(sys_kernel_items)},
    [AT_SYS_VM] = {sys_vm_names, sys_vm_items, ARRAY_LENGTH(sys_vm_items)},
};

bool proc_is_guarded(const struct proc_what *what)
{
    return (proc_tables[what->place].items[what->index].mode & PROC_GUARDED) == PROC_GUARDED;
}

proc_step *proc_step_of(const struct proc_what *what)
{
    return proc_tables[what->place].items[what->index].step;
}
