"""Linux as a peer: Debian's kernel boots in the same QEMU, with a module that measures it, or with programs that run on both.

What it does there its first program is told by lines of a plan (tests/bench/linux/init.c).
"""

import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

import initrd
import linux_kernel
import machine
import patience
import tree
from measurements import parse_line
from serial import Conversation
from tree import ToolError, run_quietly

SOURCES = tree.ROOT / "tests" / "bench" / "linux"
MODULE = "ashlar_bench.ko"
COMMAND_LINE = "console=ttyS0 quiet printk.time=0 panic=-1 mitigations=off init_on_alloc=0 no5lvl norandmaps"
SECONDS = patience.seconds(360)  # counting instructions makes the machine slow
MODULE_END = r"ashlar_bench: end of (\d+) benchmarks"
PLAN_END = r"init: end\b"
RAM_DISK_NODE = (1, 0)
RAM_DISK_PARAMETERS = "rd_nr=1 rd_size=262144"  # KiB; of its pages only those exist that were written


@dataclass
class LinuxMachine:
    """The machine Linux boots on: as ours, without the firmware. For Conversation."""

    kernel: Path
    initramfs: Path
    memory: str = "2G"
    icount: bool = True
    cpus: int = 1

    def command(self, _folder, _medium, serial):
        """The QEMU command."""
        described = machine.Machine(memory=self.memory, icount=self.icount, cpus=self.cpus)
        return [machine.EMULATOR, "-nodefaults", "-no-user-config", "-no-reboot", *described.platform(),
                "-vga", "none", "-display", "none", *serial,
                "-kernel", self.kernel, "-initrd", self.initramfs, "-append", COMMAND_LINE]


def measure(pattern, memory):
    """Boots Linux and returns the measurements of the benchmarks whose name contains `pattern`."""
    kernel = linux_kernel.provide_kernel()
    plan = [f"load /{MODULE}" + (f" pattern={pattern}" if pattern else "")]
    said, end = follow(kernel, plan, {MODULE: build_module(kernel)}, MODULE_END, memory=memory)
    return read_report(said, int(end[1]))


def read_report(said, count):
    """The measurements among what Linux said before its module told that `count` benchmarks were done."""
    found = [parse_line(line) for line in said.splitlines() if line.startswith('{"bench"')]
    if len(found) != count:
        raise ToolError(f"Linux ran {count} benchmarks, but {len(found)} results came over the serial line")
    return found


def run_programs(programs, kernel=None, swap=False, **described):
    """Runs static programs, each a file and its arguments, in one boot: for each what it said, and how it ended.

    `swap` has pages go out to a RAM disk; `described` is of LinuxMachine."""
    kernel = kernel or linux_kernel.provide_kernel()
    files = {f"bin/{number}/{program[0].name}": program[0] for number, program in enumerate(programs)}
    plan = [" ".join([f"run /{name}", *program[1:]]) for name, program in zip(files, programs)]
    if swap:
        files["brd.ko"] = kernel.ram_disk
        plan = [f"load /brd.ko {RAM_DISK_PARAMETERS}", "swap /dev/ram0", *plan]
    said, _ = follow(kernel, plan, files, PLAN_END, **described)
    return read_runs(said, len(programs))


def read_runs(said, count):
    """The lines that each of `count` programs said, and its end, such as "exit 0", in what Linux said."""
    found, lines = [], None
    for line in said.splitlines():
        if line.startswith("init: runs "):
            lines = []
        elif line.startswith(("init: exit ", "init: signal ")) and lines is not None:
            found.append((lines, line.removeprefix("init: ")))
            lines = None
        elif line.startswith("init: "):
            raise ToolError(f"Linux's {line}")
        elif lines is not None:
            lines.append(line)
    if len(found) != count:
        raise ToolError(f"Linux ran {len(found)} programs of {count}")
    return found


def follow(kernel, plan, files, end, **described):
    """Boots Linux with files by name and a plan; returns what it says before `end`, and the match of that."""
    with tempfile.TemporaryDirectory(prefix="ashlar-linux.") as folder:
        initramfs = Path(folder) / "initramfs"
        initramfs.write_bytes(make_initramfs(build_init(folder), plan, files))
        with Conversation(LinuxMachine(kernel.image, initramfs, **described), folder, None) as talk:
            said = talk.wait_for(end, SECONDS)
            talk.wait_for_end()
    return said


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


def make_initramfs(init, plan, files):
    """The initramfs: the first program, its plan, files by name, and the devices they need."""
    archive = initrd.archive_of_folder(None)
    for folder in ("proc", "tmp"):
        archive.add(folder, stat.S_IFDIR | 0o755)
    archive.add("dev/ram0", stat.S_IFBLK | 0o600, device=RAM_DISK_NODE)
    archive.add("plan", stat.S_IFREG | 0o644, "".join(f"{line}\n" for line in plan).encode())
    for name, path in {"init": init, **files}.items():
        archive.add(name, stat.S_IFREG | 0o755, Path(path).read_bytes())
    return archive.bytes()
