"""Boot tests: the product under QEMU and OVMF.

    main.py --list [--debug]       names, one a line, each with its label, for ctest
    main.py BUILD_DIR NAME         runs one test
    main.py BUILD_DIR NAME TIMES   runs it again and again, until it fails or has passed so often
"""

import inspect
import sys
import tempfile
from pathlib import Path

import alone
import budget
import chains
import corrupt
import costs
import debugger
import devices
import faults
import frame
import frames
import initrds
import interleave
import matrix
import monitor
import newer
import processors
import program_advice
import program_calls
import program_clocks
import program_events
import program_linux
import program_look
import program_memory
import program_packages
import program_runs
import program_signals
import program_storm
import programs
import secure
import selftests
import talks
import talks_heap
import talks_memory
from tree import ToolError


# Ten boots that together touch everything, for whoever has just changed something: one with all assertions, 5 levels,
# memory beyond the first GiB levels, several processors, another board's CD, and what is said, typed, drawn and refused.
QUICK = ("debug.memory.256m", "cpus.4.la57", "memory.960g", "processors.shown", "media.iso", "prompt.commands", "monitor.typing",
         "devices.no-serial", "fault.guard")  # the tenth is boot.hostile.refusals
LONG = (*alone.CASES, *budget.LONG, *faults.LONG, *interleave.LONG, *matrix.LONG, *newer.CASES, *processors.LONG,
        *program_linux.CASES, *program_packages.LONG, *program_storm.LONG)
STATUS_NOT_RUN = 77  # tests/boot/CMakeLists.txt tells ctest


def label(name):
    """Which runs of tools/test have a test."""
    if name in QUICK:
        return "quick"
    return "long" if name.removeprefix("debug.") in LONG else "normal"


def tests(debug):
    """All tests by name; of the build with all assertions only those that are worth a second boot."""
    cases = {name: case.run for name, case in {**matrix.CASES, **matrix.LONG}.items() if case.also_debug or not debug}
    cases.update(alone.CASES)
    if debug:
        cases.update(faults.DEBUG_CASES)
        cases.update(interleave.CASES)
        cases.update(processors.DEBUG_CASES)
        cases.update(program_storm.DEBUG_CASES)
        return {f"debug.{name}": test for name, test in cases.items()}
    for module in (talks, talks_heap, talks_memory, monitor, corrupt, budget, costs, secure, chains, devices, faults, debugger,
                   frames, initrds, newer, processors, program_advice, program_calls, program_clocks, program_events,
                   program_linux, program_look, program_memory, program_packages, program_runs, program_signals,
                   program_storm, programs, selftests):
        cases.update(module.CASES)
    return cases


def run(build_dir, name):
    """Runs one test; returns the process's status."""
    test = {**tests(False), **tests(True)}.get(name)
    if test is None:
        print(f"no boot test is called {name!r}", file=sys.stderr)
        return 2
    setting = frame.Setting(Path(build_dir))
    try:
        with tempfile.TemporaryDirectory(prefix="ashlar-boot.") as folder:
            more = [Path(folder)] if "folder" in inspect.signature(test).parameters else []
            test(setting, *more)
    except frame.NotRun as reason:
        print(f"boot.{name} was not run: {reason}", file=sys.stderr)
        return STATUS_NOT_RUN
    except (frame.Failure, ToolError) as failure:
        print(f"boot.{name}: {failure}", file=sys.stderr)
        return 1
    return 0


def run_again(build_dir, name, times):
    """Runs one test so many times, or until it does not pass; returns the process's status."""
    for number in range(1, int(times) + 1):
        status = run(build_dir, name)
        print(f"boot.{name}: time {number} of {times}: {'passed' if status == 0 else f'status {status}'}", flush=True)
        if status != 0:
            return status
    return 0


def main(arguments):
    """Lists or runs."""
    if arguments[:1] == ["--list"]:
        print("\n".join(f"{name} {label(name)}" for name in tests("--debug" in arguments)))
        return 0
    return run_again(*arguments) if len(arguments) > 2 else run(*arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
