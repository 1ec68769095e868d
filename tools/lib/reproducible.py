"""The test build.reproducible: two copies of the tree in two folders give the same BOOTX64.EFI and ashlar.img."""

import shutil
import sys
import tempfile
from pathlib import Path

import tree

COPIES = ("one", "another folder, with a longer n\u00e4me & more")
PRODUCTS = (tree.EFI_IN_BUILD, Path("ashlar.img"), Path("ashlar.elf"))


def build_copy(place):
    """Copies the sources to `place` and builds them there as a newcomer would; returns the build folder."""
    shutil.copytree(tree.ROOT, place, symlinks=True, ignore=shutil.ignore_patterns("build", "build-*", ".git", ".cache"))
    tree.run_quietly(["cmake", "-G", "Ninja", "-B", "build"], cwd=place)
    tree.run_quietly(["cmake", "--build", "build"], cwd=place)
    return Path(place) / "build"


def first_difference(left, right):
    """Offset of the first byte that differs, None if none does."""
    one, other = Path(left).read_bytes(), Path(right).read_bytes()
    if one == other:
        return None
    return next((offset for offset, pair in enumerate(zip(one, other)) if pair[0] != pair[1]), min(len(one), len(other)))


def main(_arguments):
    """Builds twice and compares."""
    with tempfile.TemporaryDirectory(prefix="ashlar-twice.") as folder:
        first, second = (build_copy(Path(folder) / name) for name in COPIES)
        different = 0
        for product in PRODUCTS:
            offset = first_difference(first / product, second / product)
            if offset is not None:
                print(f"{product} differs from byte {offset:#x} on", file=sys.stderr)
                different += 1
    return 1 if different else 0


if __name__ == "__main__":
    tree.main_of(main)
