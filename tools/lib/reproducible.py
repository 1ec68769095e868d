"""The test build.reproducible: a copy of the tree in another folder gives the same BOOTX64.EFI and ashlar.img.

    reproducible.py BUILD_DIR      what was built here, by Ninja, as our tools do

The copy is built as the README says, by whatever generator CMake takes by itself. The tools must get on with both.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import tree

COPY = "another folder, with a longer n\u00e4me & more"
PRODUCTS = (tree.EFI_IN_BUILD, Path("ashlar.img"), Path("ashlar.elf"))


def copy_sources(place):
    """Copies what a clone would have."""
    shutil.copytree(tree.ROOT, place, symlinks=True, ignore=shutil.ignore_patterns("build", "build-*", ".git", ".cache"))


def build_copy(place):
    """Builds the copy in `place` and has a tool build it again; returns the build folder."""
    tree.run_quietly(["cmake", "-B", "build"], cwd=place)
    tree.run_quietly(["cmake", "--build", "build", "--parallel", tree.JOBS], cwd=place)
    tree.run_quietly([sys.executable, "-EB", "tools/lib/image.py", "--fat"], cwd=place)
    return place / "build"


def first_difference(left, right):
    """Offset of the first byte that differs, None if none does."""
    one, other = Path(left).read_bytes(), Path(right).read_bytes()
    if one == other:
        return None
    return next((offset for offset, pair in enumerate(zip(one, other)) if pair[0] != pair[1]), min(len(one), len(other)))


def main(arguments):
    """Builds the copy and compares."""
    here = Path(arguments[0])
    with tempfile.TemporaryDirectory(prefix="ashlar-twice.") as folder:
        place = Path(folder) / COPY
        copy_sources(place)
        there = build_copy(place)
        different = 0
        for product in PRODUCTS:
            offset = first_difference(here / product, there / product)
            if offset is not None:
                print(f"{product} differs from byte {offset:#x} on", file=sys.stderr)
                different += 1
    return 1 if different else 0


if __name__ == "__main__":
    tree.main_of(main)
