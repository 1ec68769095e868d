"""Building where nobody of us builds: a copy of the tree in an odd folder, an environment full of traps, another user.

What the tests build.reproducible and build.unprivileged have in common.
"""

import os
import shutil
import subprocess
from pathlib import Path

import tree

COPY = "it's a=b \u00fc, & more"
PRODUCTS = (tree.EFI_IN_BUILD, Path("ashlar.img"))
NOT_SOURCES = shutil.ignore_patterns("build", "build-*", ".git", ".cache", "__pycache__")
LOCALE = "tr_TR.UTF-8"  # its decimal point is a comma, and its small I has no dot

# What compilers for programs of this machine are told, and what a login elsewhere leaves behind.
TRAPS = {
    "PATH": "/usr/bin:/bin",
    "CFLAGS": "-mavx2 -O0 -fno-pie -DASHLAR_DEBUG=1",
    "CPPFLAGS": "-D_FORTIFY_SOURCE=3",
    "ASMFLAGS": "-Wa,--no-such-option",
    "LDFLAGS": "-Wl,-z,relro -Wl,-z,now",
    "CC": "/bin/false",
    "CPATH": "/nowhere",
    "PYTHONSAFEPATH": "1",
    "PYTHONPATH": "/nowhere",
    "CDPATH": "/",
    "DISPLAY": ":4094",
    "LANG": LOCALE,
    "TZ": "Europe/Istanbul",
}


def copy_sources(place):
    """Copies what a clone would have, but for the right to execute: that gets lost, in archives and on sticks."""
    shutil.copytree(tree.ROOT, place, symlinks=True, ignore=NOT_SOURCES, copy_function=shutil.copyfile)


def make_locale(folder):
    """Makes LOCALE in a folder, so that the system need not have it; returns what the environment needs to find it."""
    folder.mkdir()
    tree.run_quietly(["localedef", "--no-archive", "-i", LOCALE.split(".", maxsplit=1)[0], "-f", "UTF-8", folder / LOCALE])
    found = {"LOCPATH": str(folder)}
    said = subprocess.run(["locale", "decimal_point"], env={"PATH": TRAPS["PATH"], "LANG": LOCALE, **found}, text=True,
                          capture_output=True, check=True).stdout
    if said.strip() != ",":
        raise tree.ToolError(f"the locale {LOCALE} is not in force: its decimal point is {said.strip()!r}")
    return found


def differences(here, there, products=PRODUCTS):
    """What is not the same in two build folders, a line each."""
    for product in products:
        offset = first_difference(Path(here) / product, Path(there) / product)
        if offset is not None:
            yield f"{product} differs from byte {offset:#x} on"


def first_difference(left, right):
    """Offset of the first byte that differs, None if none does."""
    one, other = Path(left).read_bytes(), Path(right).read_bytes()
    if one == other:
        return None
    return next((offset for offset, pair in enumerate(zip(one, other)) if pair[0] != pair[1]), min(len(one), len(other)))
