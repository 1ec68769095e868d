"""Boot tests: the product under QEMU and OVMF.

    main.py --list [--debug]       names, one a line, for ctest
    main.py BUILD_DIR NAME         runs one test
"""

import inspect
import sys
import tempfile
from pathlib import Path

import budget
import corrupt
import costs
import debugger
import devices
import faults
import frame
import frames
import matrix
import monitor
import secure
import talks
import talks_heap
import talks_memory
from tree import ToolError


def tests(debug):
    """All tests by name; of the build with all assertions only those that are worth a second boot."""
    cases = {name: case.run for name, case in matrix.CASES.items() if case.also_debug or not debug}
    if debug:
        return {f"debug.{name}": test for name, test in cases.items()}
    for module in (talks, talks_heap, talks_memory, monitor, corrupt, budget, costs, secure, devices, faults, debugger,
                   frames):
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
    except (frame.Failure, ToolError) as failure:
        print(f"boot.{name}: {failure}", file=sys.stderr)
        return 1
    return 0


def main(arguments):
    """Lists or runs."""
    if arguments[:1] == ["--list"]:
        print("\n".join(tests("--debug" in arguments)))
        return 0
    return run(*arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
