"""tools/debug: build, boot under OVMF with gdb attached, loader and kernel with symbols at their real addresses.

QEMU starts stopped. The firmware runs until the loader is at its first instruction (entry_loop.py says how that is
noticed); there gdb takes over, with tools/gdb/ loaded, and runs on to kernel_main unless told otherwise.
"""

import argparse
import contextlib
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import machine
import media
import patience
import run
import tree
from entry_loop import EntryLoop
from gdb_remote import RemoteTarget

COMMANDS = tree.ROOT / "tools" / "gdb" / "ashlar.py"
START_SECONDS = patience.seconds(10)


def parse(arguments):
    """The command line of tools/debug."""
    parser = argparse.ArgumentParser(
        prog="tools/debug", formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description="Builds Ashlar, boots it in QEMU under OVMF and debugs it with gdb, loader and kernel with symbols "
        "at their real addresses. Stops at kernel_main. Status: gdb's. docs/debugging.md shows sessions.")
    parser.add_argument("--loader", action="store_true", help="stop at the loader's first instruction")
    parser.add_argument("--no-gdb", action="store_true", help="only print the command that attaches gdb, and wait")
    parser.add_argument("--batch", action="store_true", help="gdb runs its commands, without asking, and ends")
    parser.add_argument("-x", dest="steps", metavar="FILE", type=lambda name: ["-x", name], action="append", default=[],
                        help="a file of commands for gdb")
    parser.add_argument("-ex", dest="steps", metavar="COMMAND", type=lambda text: ["-ex", text], action="append",
                        help="a command for gdb")
    parser.add_argument("--serial-log", metavar="FILE", type=Path, help="what the machine says on its serial line "
                        "(default: debug-serial.log in the build folder)")
    parser.add_argument("--headless", action="store_true", help="no window")
    run.add_machine_options(parser)
    return parser.parse_args(arguments)


def describe(options):
    """The machine the options ask for. At a reset it stops and can be looked at; see the hunt in docs/debugging.md."""
    return machine.Machine(
        memory=options.memory, cpus=options.cpus, cpu=options.cpu, board=options.machine, vga=options.vga,
        firmware=options.firmware, debug_log=options.debug_log, extra=["-no-shutdown", *options.qemu])


class Session:
    """A machine stopped at the loader's first instruction. Use it in a `with`, which ends the machine."""

    def __init__(self, described, build_dir, cmdline=None, display=("-display", "none"), serial_log=None):
        self.build_dir = Path(build_dir)
        self.serial_log = Path(serial_log or self.build_dir / "debug-serial.log")
        self.loader_base = None
        self.serial_device = None
        self._described = described
        self._cmdline = cmdline
        self._display = display

    def __enter__(self):
        self._stack = contextlib.ExitStack()
        try:
            self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="ashlar-debug.", dir="/tmp")))
            self._boot()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_exception):
        self._stack.close()

    @property
    def socket(self):
        """The Unix socket of QEMU's gdb server."""
        return self._folder / "gdb"

    def _boot(self):
        """Starts the machine and lets it run until the loader begins."""
        loop = EntryLoop(tree.efi_program(self.build_dir))
        program = self._folder / "BOOTX64.EFI"
        program.write_bytes(loop.program())
        medium = self._folder / "medium.img"
        media.make_fat(medium, media.contents_of(program, self._cmdline))
        self._described.prepare_firmware(self._folder)
        self._start_emulator(medium)
        with RemoteTarget(self.socket) as target:
            self.loader_base = loop.catch(target)

    def _start_emulator(self, medium):
        """Starts QEMU stopped, in a session of its own: Ctrl-C on this terminal is for gdb."""
        log = machine.option_text(self.serial_log)
        serial = ["-chardev", f"pty,id=line,logfile={log},logappend=off", "-serial", "chardev:line"]
        server = ["-S", "-chardev", f"socket,id=gdb,server=on,wait=off,path={self.socket}", "-gdb", "chardev:gdb"]
        output = self._folder / "emulator.log"
        with open(output, "wb") as said:
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with
                self._described.command(self._folder, medium, serial, self._display) + server,
                stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True)
        self._stack.callback(self._end)
        limit = time.monotonic() + START_SECONDS
        while not (found := re.search(r"redirected to (\S+) \(label line\)", output.read_text())) or \
                not self.socket.exists():
            if self.process.poll() is not None or time.monotonic() > limit:
                raise tree.ToolError(f"QEMU did not start: {output.read_text().strip()}")
            time.sleep(0.02)
        self.serial_device = found[1]

    def _end(self):
        self.process.kill()
        self.process.wait()

    def gdb_command(self, *more):
        """The command that attaches gdb, at the loader's first instruction, before other commands."""
        return ["gdb", "-q", "-ex", f"source {COMMANDS}",
                "-ex", f"ashlar attach {self.socket} {self.loader_base:#x} {shlex.quote(str(self.build_dir.absolute()))}", *more]


def gdb_arguments(options):
    """What gdb is to do once it is attached."""
    start = [] if options.loader else ["-ex", "ashlar start"]
    return start + [word for step in options.steps for word in step] + (["-batch"] if options.batch else [])


def run_gdb(command):
    """Runs gdb on this terminal; returns its status."""
    with subprocess.Popen(command) as process:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # gdb gets it from the terminal too, and stops the machine
        return process.wait()


def tell(text):
    """Says something about the session."""
    print(f"tools/debug: {text}", file=sys.stderr)


def main(arguments):
    """Does what the options say."""
    options = parse(arguments)
    machine.parse_memory(options.memory)
    described = describe(options)
    tree.configure(options.build_dir, "default")
    tree.build(options.build_dir)
    tell("the firmware starts ...")
    with Session(described, options.build_dir, options.cmdline or None, run.display_arguments(not options.headless),
                 options.serial_log) as session:
        tell(f"the serial line is {session.serial_device} (screen {session.serial_device}); "
             f"what it says is also in {session.serial_log}")
        command = session.gdb_command(*gdb_arguments(options))
        if not options.no_gdb:
            return run_gdb(command)
        tell("the machine is stopped at the loader's first instruction; attach with")
        print(shlex.join(command), flush=True)
        return session.process.wait()


if __name__ == "__main__":
    tree.main_of(main)
