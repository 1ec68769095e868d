"""The benchmarks of a program (tests/programs/bench*.c), run under Ashlar and under Linux: the same file, in the same machine."""

import dataclasses
import re
import tempfile
from pathlib import Path

import machine
import media
import patience
import tree
from measurements import parse_lines
from serial import Conversation
from tree import ToolError, run_quietly

SOURCES = tree.ROOT / "tests" / "programs"
COMMAND_LINE = "norandom"  # where a program lies decides how many tables it has, and so what a fork costs
SECONDS = patience.seconds(360)
END = re.compile(r"^bench: end of (\d+) benchmarks$")

# What the kernel clears or copies in one operation, where that is counted: Linux's way of doing it counts one for each
# byte, Ashlar's one for each eight, or none where a page was cleared before.
MOVED = {"user.fault.anon.write": 4096, "user.fault.cow.copy": 4096, "user.fault.huge": 2 << 20, "user.pread.4k": 4096,
         "user.swap.out": 4096, "user.swap.in": 4096}


def build(folder):
    """Builds the program; returns the file."""
    program = Path(folder) / "bench"
    run_quietly(["clang", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-o", program, *sorted(SOURCES.glob("bench*.c"))])
    return program


def measure(build_dir, pattern, memory, cpus):
    """The measurements of the benchmarks whose name contains `pattern`, under Ashlar."""
    with tempfile.TemporaryDirectory(prefix="ashlar-bench.") as folder:
        program = build(folder)
        described = machine.Machine(memory=memory, cpus=cpus, icount=True, vga="none", entropy=False,
                                    extra=["-fw_cfg", f"name=opt/ashlar/bench,file={machine.option_text(program)}"])
        medium = Path(folder) / "medium.img"
        media.MAKERS["fat"](medium, media.contents_of(tree.efi_program(build_dir), COMMAND_LINE))
        described.prepare_firmware(folder)
        with Conversation(described, folder, medium) as talk:
            talk.wait_for_prompt(SECONDS)
            *said, end = talk.command(f"run bench {pattern}".rstrip(), SECONDS).splitlines()
    if not end.startswith("bench: exit 0;"):
        raise ToolError(f"the program of the benchmarks did not end well: {end}")
    return read_report(said)


def measure_linux(pattern, memory, cpus):
    """The same under Linux."""
    import linux_kernel  # what these need is installed by tools/setup --bench
    import linux_peer
    kernel = linux_kernel.provide_kernel()
    with tempfile.TemporaryDirectory(prefix="ashlar-bench.") as folder:
        command = [build(folder), *([pattern] if pattern else [])]
        [(said, end)] = linux_peer.run_programs([command], kernel, swap=True, memory=memory, cpus=cpus)
    if end != "exit 0":
        raise ToolError(f"the program of the benchmarks did not end well under Linux: {end}")
    return [dataclasses.replace(one, peer=kernel.name) for one in read_report(said)]


def read_report(lines):
    """The measurements among the lines that the program and the kernel's log wrote, all of them."""
    found = parse_lines("\n".join(line for line in lines if line.startswith('{"bench"')))
    ends = [int(end[1]) for end in map(END.match, lines) if end]
    if ends != [len(found)]:
        raise ToolError(f"the program's benchmarks: {len(found)} results, and at the end it counts {ends}")
    return found


def remarks(found):
    """A line below the table: what is in the figures that is no cost of the kernel's code."""
    names = [name for name in MOVED if any(one.bench == name and not one.skipped for one in found)]
    if not names:
        return ""
    return "Clears or copies memory, of which Linux counts each byte, Ashlar each eight or none: " + ", ".join(
        f"{name} {MOVED[name]:,}" for name in names) + ".\n"
