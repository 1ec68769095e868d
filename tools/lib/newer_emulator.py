"""A newer QEMU and OVMF than those that are installed: of a later Debian, unpacked beside the build and run from there.

QEMU 7.2 of Debian 12 emulates no x2APIC, so no more than 255 processors; QEMU 10 of Debian 13 does. Nothing is installed:
apt resolves and downloads the packages from this machine's own mirror, as for a system on which nothing is, and they are
unpacked under build/newer-emulator/, once. What is there runs with the C library that is there; root is not needed.
"""

import contextlib
import fcntl
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import tree
from apt_folder import Apt
from tree import ToolError, run_quietly

RELEASE = "trixie"
PACKAGES = ("qemu-system-x86", "ovmf")
CACHE = tree.DEFAULT_BUILD / "newer-emulator"
LIBRARIES = Path("usr/lib/x86_64-linux-gnu")
WHOLE = "whole"


class Unavailable(ToolError):
    """It cannot be had here; the message says why."""


@dataclass(frozen=True)
class Emulator:
    """What to start instead of the installed ones."""

    command: tuple  # the beginning of QEMU's command line
    firmware: Path


def provide():
    """The newer QEMU; downloads and unpacks it when that was not done yet. Raises Unavailable where it cannot be."""
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    with open(CACHE.with_suffix(".lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several tests may want it at once
        if not (CACHE / WHOLE).is_file():
            try:
                _make()
            except (ToolError, OSError) as error:
                raise Unavailable(f"no newer QEMU: {' '.join(str(error).split())[:300]}") from error
    return emulator_in(CACHE)


def emulator_in(root):
    """The emulator whose packages are unpacked in a folder."""
    command = (root / "usr/lib64/ld-linux-x86-64.so.2", "--library-path", root / LIBRARIES,
               root / "usr/bin/qemu-system-x86_64", "-L", root / "usr/share/qemu")
    return Emulator(tuple(map(str, command)), root / "usr/share/OVMF/OVMF_CODE_4M.fd")


def _make():
    """Downloads and unpacks all packages into the cache."""
    with tempfile.TemporaryDirectory(prefix="newer-emulator.", dir=CACHE.parent) as folder:
        root = Path(folder) / "root"
        root.mkdir()
        for archive in Apt(Path(folder) / "apt", RELEASE).with_all_they_need(PACKAGES):
            run_quietly(["dpkg-deb", "--extract", archive, root])
        (root / WHOLE).touch()
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(CACHE)
        root.rename(CACHE)
