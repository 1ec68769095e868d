"""The test build.reproducible: two copies of the tree in two folders give the same BOOTX64.EFI and ashlar.img.

One is built as the README says, by whatever generator CMake takes by itself; the other by Ninja, as our tools do. The
tools must get on with both.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import tree

COPIES = {"one": [], "another folder, with a longer n\u00e4me & more": ["-G", "Ninja"]}  # folder: options for CMake
PRODUCTS = (tree.EFI_IN_BUILD, Path("ashlar.img"), Path("ashlar.elf"))


def copy_sources(place):
    """Copies what a clone would have."""
    shutil.copytree(tree.ROOT, place, symlinks=True, ignore=shutil.ignore_patterns("build", "build-*", ".git", ".cache"))


def build_copy(place, options):
    """Builds the copy in `place` and has a tool build it again; returns the build folder."""
    tree.run_quietly(["cmake", "-B", "build", *options], cwd=place)
    tree.run_quietly(["cmake", "--build", "build", "--parallel", tree.JOBS], cwd=place)
    tree.run_quietly([sys.executable, "-B", "tools/lib/image.py", "--fat"], cwd=place)
    return place / "build"


def first_difference(left, right):
    """Offset of the first byte that differs, None if none does."""
    one, other = Path(left).read_bytes(), Path(right).read_bytes()
    if one == other:
        return None
    return next((offset for offset, pair in enumerate(zip(one, other)) if pair[0] != pair[1]), min(len(one), len(other)))


def main(_arguments):
    """Builds twice and compares."""
    with tempfile.TemporaryDirectory(prefix="ashlar-twice.") as folder:
        copies = {Path(folder) / name: options for name, options in COPIES.items()}
        for place in copies:
            copy_sources(place)
        first, second = (build_copy(place, options) for place, options in copies.items())
        different = 0
        for product in PRODUCTS:
            offset = first_difference(first / product, second / product)
            if offset is not None:
                print(f"{product} differs from byte {offset:#x} on", file=sys.stderr)
                different += 1
    return 1 if different else 0


if __name__ == "__main__":
    tree.main_of(main)
