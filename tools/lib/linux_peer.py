"""Linux as a peer: Debian's kernel, unpacked beside the build, boots in the same QEMU with a module that measures it.

Nothing is installed: the packages are downloaded through apt and unpacked under build/linux/, once. The module and
the initramfs's one program are ours (tests/bench/linux/).
"""

import re
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import machine
import patience
import tree
from measurements import parse_line
from serial import Conversation
from tree import ToolError, run_quietly

CACHE = tree.DEFAULT_BUILD / "linux"
SOURCES = tree.ROOT / "tests" / "bench" / "linux"
MODULE = "ashlar_bench.ko"
COMMAND_LINE = "console=ttyS0 quiet printk.time=0 panic=-1 mitigations=off init_on_alloc=0"
SECONDS = patience.seconds(360)  # counting instructions makes the machine slow
END = r"ashlar_bench: end of (\d+) benchmarks"
CONSOLE_NODE = (5, 1)


@dataclass
class Kernel:
    """A Linux kernel that can be booted and built for."""

    image: Path    # what QEMU boots
    headers: Path  # where its Makefile is


@dataclass
class LinuxMachine:
    """The machine Linux boots on: as ours, without the firmware. For Conversation."""

    kernel: Path
    initramfs: Path
    memory: str

    def command(self, _folder, _medium, serial):
        """The QEMU command."""
        described = machine.Machine(memory=self.memory, icount=True)
        return [machine.EMULATOR, "-nodefaults", "-no-user-config", "-no-reboot", *described.platform(),
                "-vga", "none", "-display", "none", *serial,
                "-kernel", self.kernel, "-initrd", self.initramfs, "-append", COMMAND_LINE]


def measure(pattern, memory):
    """Boots Linux and returns the measurements of the benchmarks whose name contains `pattern`."""
    kernel = provide_kernel()
    module = build_module(kernel)
    with tempfile.TemporaryDirectory(prefix="ashlar-linux.") as folder:
        initramfs = Path(folder) / "initramfs"
        initramfs.write_bytes(make_initramfs(build_init(folder), module, pattern))
        with Conversation(LinuxMachine(kernel.image, initramfs, memory), folder, None) as talk:
            said, end = talk.wait_for(END, SECONDS)
            talk.wait_for_end()
    return read_report(said, int(end[1]))


def read_report(said, count):
    """The measurements among what Linux said before its module told that `count` benchmarks were done."""
    found = [parse_line(line) for line in said.splitlines() if line.startswith('{"bench"')]
    if len(found) != count:
        raise ToolError(f"Linux ran {count} benchmarks, but {len(found)} results came over the serial line")
    return found


# ---- Debian's packages ----

def provide_kernel():
    """The unpacked kernel: the one in the cache, or else the newest that apt has."""
    whole = sorted(CACHE.glob("*/whole")) if CACHE.is_dir() else []
    if not whole:
        download_all()
        whole = sorted(CACHE.glob("*/whole"))
    root = whole[-1].parent
    images = sorted(root.glob("boot/vmlinuz-*"))
    headers = [path for path in sorted(root.glob("usr/src/linux-headers-*")) if (path / "Module.symvers").is_file()]
    if len(images) != 1 or len(headers) != 1:
        raise ToolError(f"{root} does not hold one kernel and its headers; remove it to have it downloaded again")
    return Kernel(images[0], headers[0])


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
            unpack(archive, root, only_boot=archive.name.startswith(image))
        for makefile in root.glob("usr/src/linux-headers-*/Makefile"):
            makefile.write_text(makefile.read_text().replace("include /usr/src/", "include ../"))
        (root / "whole").touch()
        shutil.rmtree(CACHE / image, ignore_errors=True)
        root.rename(CACHE / image)


def unpack(archive, root, only_boot):
    """Unpacks a package; of the kernel's own, whose modules are large, only /boot."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE) as contents:
        run_quietly(["tar", "--extract", "--directory", root, *(["./boot"] if only_boot else [])],
                    stdin=contents.stdout)
    if contents.returncode != 0:
        raise ToolError(f"{archive.name} cannot be unpacked (dpkg-deb: status {contents.returncode})")


# ---- What is built for it ----

def build_module(kernel):
    """Builds our module for the kernel; returns the file."""
    folder = kernel.image.parent.parent / "module"
    folder.mkdir(exist_ok=True)
    for name in ("Kbuild", "ashlar_bench.c"):
        shutil.copy2(SOURCES / name, folder / name)
    run_quietly(["make", "-C", kernel.headers, f"M={folder}", "modules"])
    return folder / MODULE


def build_init(folder):
    """Builds the program that Linux starts; returns the file."""
    program = Path(folder) / "init"
    run_quietly(["clang", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-o", program, SOURCES / "init.c"])
    return program


def make_initramfs(init, module, pattern):
    """The initramfs: our program, the module, its parameters, and the console they print to."""
    files = [cpio_entry("dev", stat.S_IFDIR | 0o755),
             cpio_entry("dev/console", stat.S_IFCHR | 0o600, device=CONSOLE_NODE),
             cpio_entry("init", stat.S_IFREG | 0o755, init.read_bytes()),
             cpio_entry(MODULE, stat.S_IFREG | 0o644, module.read_bytes()),
             cpio_entry("parameters", stat.S_IFREG | 0o644, f"pattern={pattern}".encode() if pattern else b""),
             cpio_entry("TRAILER!!!", 0)]
    return b"".join(files)


def cpio_entry(name, mode, data=b"", device=(0, 0)):
    """One file in the format "newc" (Linux: Documentation/driver-api/early-userspace/buffer-format.rst)."""
    encoded = name.encode() + b"\0"
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(encoded), 0]
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return padded(header + encoded) + padded(data)


def padded(data):
    """With zeros up to a multiple of four bytes."""
    return data + bytes(-len(data) % 4)
