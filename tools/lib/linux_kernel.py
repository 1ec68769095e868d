"""Debian's Linux kernel, unpacked beside the build. Nothing is installed: its packages are downloaded through apt and unpacked
under build/linux/, once.
"""

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import tree
from tree import ToolError, run_quietly

CACHE = tree.DEFAULT_BUILD / "linux"
RAM_DISK = "kernel/drivers/block/brd.ko"  # the one module of Debian's that is kept: a RAM disk, to page out to


@dataclass
class Kernel:
    """A Linux kernel that can be booted and built for."""

    image: Path     # what QEMU boots
    headers: Path   # where its Makefile is
    ram_disk: Path  # its driver of RAM disks

    @property
    def name(self):
        """How tables call it."""
        return "linux-" + self.image.name.removeprefix("vmlinuz-")


def provide_kernel():
    """The unpacked kernel: the one in the cache, or else the newest that apt has."""
    whole = sorted(CACHE.glob("*/whole")) if CACHE.is_dir() else []
    if not whole:
        download_all()
        whole = sorted(CACHE.glob("*/whole"))
    root = whole[-1].parent
    images = sorted(root.glob("boot/vmlinuz-*"))
    headers = [path for path in sorted(root.glob("usr/src/linux-headers-*")) if (path / "Module.symvers").is_file()]
    ram_disks = sorted(root.glob(f"lib/modules/*/{RAM_DISK}"))
    if not len(images) == len(headers) == len(ram_disks) == 1:
        raise ToolError(f"{root} does not hold one kernel, its headers and its RAM disk; remove it to have it downloaded again")
    return Kernel(images[0], headers[0], ram_disks[0])


def download_all():
    """Downloads and unpacks the kernel's packages; once more with fresh lists if apt's are out of date."""
    try:
        unpack_packages(*packages())
    except ToolError:
        run_quietly(["bash", tree.ROOT / "tools" / "setup", "--refresh"])
        unpack_packages(*packages())


def packages():
    """Name of the newest kernel's package, and of all that building a module for it takes."""
    image, headers = (one_of(dependencies(f"linux-{part}-amd64"), rf"linux-{part}-\d") for part in ("image", "headers"))
    wanted = [image, headers]
    wanted += [name for name in dependencies(headers) if re.match(r"linux-(headers-.*-common|kbuild-)", name)]
    return image, wanted


def dependencies(package):
    """Names of the packages that a package depends on."""
    return re.findall(r"^ *\|?Depends: ([^<\s]+)", run_quietly(["apt-cache", "depends", package]), re.MULTILINE)


def one_of(names, pattern):
    """The first name that matches."""
    for name in names:
        if re.match(pattern, name):
            return name
    raise ToolError(f"none of the packages {names} matches {pattern!r}: is this Debian?")


def unpack_packages(image, wanted):
    """Downloads packages and unpacks them into the cache, under the kernel package's name."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="download.", dir=CACHE) as folder:
        root = Path(folder) / "root"
        root.mkdir()
        run_quietly(["apt-get", "download", *wanted], cwd=folder)
        for archive in sorted(Path(folder).glob("*.deb")):
            unpack(archive, root, is_kernel=archive.name.startswith(image))
        for makefile in root.glob("usr/src/linux-headers-*/Makefile"):
            makefile.write_text(makefile.read_text().replace("include /usr/src/", "include ../"))
        (root / "whole").touch()
        shutil.rmtree(CACHE / image, ignore_errors=True)
        root.rename(CACHE / image)


def unpack(archive, root, is_kernel):
    """Unpacks a package; of the kernel's own, whose modules are large, only /boot and the RAM disk."""
    wanted = ["--wildcards", "./boot", f"./lib/modules/*/{RAM_DISK}"] if is_kernel else []
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE) as contents:
        run_quietly(["tar", "--extract", "--directory", root, *wanted], stdin=contents.stdout)
    if contents.returncode != 0:
        raise ToolError(f"{archive.name} cannot be unpacked (dpkg-deb: status {contents.returncode})")
