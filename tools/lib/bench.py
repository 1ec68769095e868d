"""tools/bench: what Ashlar's operations cost, in guest instructions in the kernel and for a program, in nanoseconds on the host.

Kernel benchmarks are typed at the prompt of a machine whose time-stamp counter counts instructions, and the program of
tests/programs/bench.c runs on such a machine; host benchmarks are the programs of tests/bench/. --vs-linux measures Linux in
the same way and puts it beside.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import machine
import media
import patience
import tree
from measurements import parse_lines, table

HOST_BUILD = tree.ROOT / "build-host"
HOST_SOURCES = tree.ROOT / "tests" / "bench"
NO_MATCH_STATUS = 3  # a benchmark program has none of that name
BENCH_SECONDS = patience.seconds(360)


def parse(arguments):
    """The command line of tools/bench."""
    parser = argparse.ArgumentParser(
        prog="tools/bench", allow_abbrev=False,
        description="Measures what Ashlar's operations cost: in the kernel in ticks (guest instructions, in QEMU with "
        "-icount), for a program likewise, on the host in ns. Without --kernel, --user, --host or --vs-linux all are measured.")
    parser.add_argument("pattern", nargs="?", default="", type=plain, metavar="PATTERN",
                        help="only benchmarks whose name contains this, for example frame.pair")
    parser.add_argument("-j", "--json", action="store_true", help="a line of JSON per benchmark instead of tables")
    parser.add_argument("--kernel", action="store_true", help="only the benchmarks in the kernel")
    parser.add_argument("--user", action="store_true", help="only what a program feels: its system calls and faults")
    parser.add_argument("--host", action="store_true", help="only the benchmarks on the host")
    parser.add_argument("--vs-linux", action="store_true",
                        help="the benchmarks in the kernel, or with --user a program's, and beside them those of Debian's "
                        "Linux, which is downloaded")
    parser.add_argument("--memory", metavar="SIZE", default="2G", help="RAM of the machine measured in (default 2G)")
    parser.add_argument("--cpus", metavar="N", type=int, default=1, help="virtual CPUs of that machine (default 1)")
    parser.add_argument("-r", "--rounds", metavar="N", type=int, help="samples per benchmark on the host")
    options = parser.parse_args(arguments)
    if options.host and options.vs_linux:
        raise tree.ToolError("--vs-linux compares kernels: it cannot be had with --host alone")
    if options.cpus < 1:
        raise tree.ToolError("a machine has at least one CPU")
    machine.parse_memory(options.memory)
    return options


def plain(text):
    """Part of a benchmark's name, for argparse: a word that means itself wherever it is passed on."""
    if not re.fullmatch(r"([A-Za-z0-9][A-Za-z0-9._-]*)?", text):
        raise argparse.ArgumentTypeError(f"not part of a benchmark's name: {text!r}")
    return text


def progress(what):
    """Tells what takes so long, beside the results."""
    print(f"tools/bench: {what}", file=sys.stderr, flush=True)


def build_product():
    """Builds what is measured."""
    progress("building the product")
    tree.configure(tree.DEFAULT_BUILD, "default")
    tree.build(tree.DEFAULT_BUILD)


# ---- In the kernel ----

def measure_kernel(options):
    """Boots the product in a machine that counts instructions, and has it measure itself."""
    from serial import Conversation  # needs pexpect, which host benchmarks do not
    build_product()
    described = machine.Machine(memory=options.memory, cpus=options.cpus, icount=True, vga="none", entropy=False)
    progress("measuring in the kernel")
    with tempfile.TemporaryDirectory(prefix="ashlar-bench.") as folder:
        medium = Path(folder) / "medium.img"
        media.MAKERS["fat"](medium, media.contents_of(tree.efi_program(tree.DEFAULT_BUILD), "tests=on"))
        described.prepare_firmware(folder)
        with Conversation(described, folder, medium) as talk:
            talk.wait_for_prompt(BENCH_SECONDS)
            return read_kernel_report(talk.command(f"bench -j {options.pattern}".rstrip(), BENCH_SECONDS))


def read_kernel_report(output):
    """The measurements in what the command `bench -j` answered; none when no benchmark has such a name."""
    if re.fullmatch(r"(error: |\{\"error\":.*)?no benchmark's name has .*", output.strip()):
        return []
    return parse_lines(output)


def measure_linux(options):
    """Measures Linux in the same machine."""
    import linux_peer  # needs what tools/setup --bench installs
    progress("measuring Linux (downloads its kernel the first time; some minutes)")
    return linux_peer.measure(options.pattern, options.memory)


# ---- For a program ----

def measure_user(options):
    """Measures with a program under Ashlar, and under Linux if asked for."""
    import user_bench  # needs pexpect
    build_product()
    progress("measuring with a program")
    found = user_bench.measure(tree.DEFAULT_BUILD, options.pattern, options.memory, options.cpus)
    if options.vs_linux:
        progress("measuring with it under Linux (downloads its kernel the first time; some minutes)")
        found += user_bench.measure_linux(options.pattern, options.memory, options.cpus)
    return found, user_bench.remarks(found)


# ---- On the host ----

def measure_host(options):
    """Builds the benchmark programs and runs them, one after the other."""
    names = sorted(path.stem for path in HOST_SOURCES.glob("*/bench_*.c"))
    progress("building for the host")
    tree.configure(HOST_BUILD, "host")
    tree.build(HOST_BUILD, targets=names)
    found = []
    for name in names:
        progress(f"measuring on the host: {name}")
        found += run_host_program(HOST_BUILD / "tests" / "bench" / name, options)
    return found


def run_host_program(program, options):
    """The measurements of one program; none when none of its benchmarks has such a name."""
    rounds = [] if options.rounds is None else ["-r", str(options.rounds)]
    command = [str(program), "-j", *rounds, *([options.pattern] if options.pattern else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode == NO_MATCH_STATUS:
        return []
    if done.returncode != 0:
        raise tree.ToolError(f"{program.name} ended with status {done.returncode}: {done.stderr.strip()}")
    return parse_lines(done.stdout)


# ---- All of it ----

def measure(options):
    """Yields a title, measurements and remarks, kernel first: what was asked for."""
    everything = not (options.kernel or options.user or options.host or options.vs_linux)
    if everything or options.kernel or (options.vs_linux and not options.user):
        found = measure_kernel(options)
        yield "In the kernel, guest instructions", found + (measure_linux(options) if options.vs_linux else []), ""
    if everything or options.user:
        yield "A program, guest instructions", *measure_user(options)
    if everything or options.host:
        yield "On the host", measure_host(options), ""


def main(arguments):
    """Measures and prints."""
    options = parse(arguments)
    any_found = False
    for title, found, remarks in measure(options):
        if found:
            any_found = True
            text = "\n".join(one.line() for one in found) if options.json else f"{title}:\n{table(found)}\n{remarks}"
            print(text, flush=True)
    if not any_found:
        raise tree.ToolError(f"no benchmark's name contains {options.pattern!r}")
    return 0


if __name__ == "__main__":
    tree.main_of(main)
