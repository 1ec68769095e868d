/* Every option of the kernel command line. Who reads an option is named in its help only where it matters. */
#include <ashlar/command_line.h>

const struct command_line_known command_line_options[] = {
    {"nokaslr", OPTION_FLAG, NULL, 0, 0,
     "loads the kernel at its link address, maps memory at fixed addresses"},
    {"norandom", OPTION_FLAG, NULL, 0, 0, "places programs' memory at the same addresses every time"},
    {"la57", OPTION_CHOICE, "on|off", 0, 0,
     "5-level paging where the CPU has it (default: as the firmware runs)"},
    {"selftest", OPTION_OPTIONAL_TEXT, NULL, 0, 0,
     "runs the tests whose name has this text, then ends the machine"},
    {"tests", OPTION_CHOICE, "on|off", 0, 0,
     "loads the kernel's own tests (default: with selftest, or 384 MiB of memory)"},
    {"loader-fault", OPTION_CHOICE, "undefined|page|stack-guard", 0, 0,
     "faults between boot services and kernel, to show the loader's report"},
    {"frames", OPTION_CHOICE, "buddy|bitmap", 0, 0,
     "how free memory is kept; bitmap suits small machines (default: buddy)"},
    {"cpus", OPTION_NUMBER, NULL, 1, UINT32_MAX, "starts at most this many processors (default: all)"},
#ifdef ASHLAR_DEBUG
    {"interleave", OPTION_NUMBER, NULL, 1, UINT32_MAX,
     "in the tests of selftest CPUs pause where this seed says (docs/debugging.md)"},
    {"interleave-seeds", OPTION_NUMBER, NULL, 1, UINT32_MAX,
     "runs the tests with so many seeds, one after the other (default: 1)"},
#endif
    {"debug", OPTION_TEXT, NULL, 0, 0, "debug policies, each explained in its subsystem's chapter"},
    {"log", OPTION_CHOICE, "error|warning|info|debug", 0, 0,
     "shows messages up to this level (default: info)"},
    {"pager", OPTION_CHOICE, "auto|on|off", 0, 0, "when long output of the monitor stops (default: auto)"},
    {"efi-runtime", OPTION_CHOICE, "on|off", 0, 0,
     "whether the firmware's clock, variables and reset are used (default: on)"},
    {"init", OPTION_TEXT, NULL, 0, 0, "runs this program once all is ready; what follows it is its own"},
    {"init-end", OPTION_CHOICE, "monitor|off", 0, 0,
     "what follows the end of that program (default: monitor)"},
    {"console", OPTION_CHOICE, "serial|screen|both", 0, 0, "where output goes (default: both)"},
};

const size_t command_line_option_count = ARRAY_LENGTH(command_line_options);
