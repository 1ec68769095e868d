"""The test build.reproducible: a copy of the tree elsewhere gives the same BOOTX64.EFI, ashlar.img and ashlar.elf.

    reproducible.py BUILD_DIR      what was built here, by Ninja, as our tools do

The copy is built as the README says, in an environment that our tools had no part in, by whatever generator CMake takes
by itself. The tools must get on with both.
"""

import os
import sys
import tempfile
from pathlib import Path

import elsewhere
import tree


def build_copy(place, environment):
    """Builds the copy in `place` and has a tool build it again; returns the build folder."""
    for command in (["cmake", "-B", "build"], ["cmake", "--build", "build", "--parallel", tree.JOBS],
                    [sys.executable, "-EB", "tools/lib/image.py", "--fat"]):
        tree.run_quietly(command, cwd=place, env=environment)
    return place / "build"


def main(arguments):
    """Builds the copy and compares."""
    with tempfile.TemporaryDirectory(prefix="ashlar-twice.") as folder:
        place = Path(folder) / elsewhere.COPY
        elsewhere.copy_sources(place)
        environment = {**os.environ, **elsewhere.TRAPS, **elsewhere.make_locale(Path(folder) / "locales")}
        there = build_copy(place, environment)
        different = list(elsewhere.differences(arguments[0], there, (*elsewhere.PRODUCTS, "ashlar.elf")))
    for line in different:
        print(line, file=sys.stderr)
    return 1 if different else 0


if __name__ == "__main__":
    tree.main_of(main)
