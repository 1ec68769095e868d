"""Programs' users, groups and capabilities; execution by descriptors; and programs that an interpreter loads: as on Linux."""

import os
import re
import subprocess
import tempfile
from pathlib import Path

import initrd
import media
import programs
from frame import expect
from machine import Machine


def as_root(name, *options, **machine):
    """The same as Linux, if it is root who runs it there."""
    compared = programs.like_linux(name, *options, **machine)

    def test(setting):
        expect(os.geteuid() == 0, "only root can run it on this Linux, to compare")
        compared(setting)
    return test


def libraries(program):
    """The files that a dynamic program of this machine is loaded from: its interpreter among them, by their paths."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return [Path(path) for path in re.findall(r"(?:^\s|=> )(/\S+) \(0x", listed, re.MULTILINE)]


def dynamic(setting):
    """A program that this machine's ld.so loads, with its libraries, from an initrd; it says what it says on Linux."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        program = root / "bin/dynamic"
        program.parent.mkdir(parents=True)
        source = programs.SOURCES / "dynamic.c"
        subprocess.run(["clang", "-O1", "-Wall", "-fPIE", "-pie", source, "-o", program, "-lm"], check=True)
        for library in libraries(program):
            to = root / library.relative_to("/")
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(library.read_bytes())
            to.chmod(0o755)
        linux = subprocess.run(["dynamic", "an argument"], executable=program, capture_output=True, text=True, check=True)
        contents = media.contents_of(setting.product, None, initrd.of_folder(root))
        with setting.boot(Machine(), "pager=off", contents=contents) as talk:
            talk.wait_for_prompt()
            said = [line for line in talk.command('run dynamic "an argument"').splitlines() if not programs.LOG_LINE.match(line)]
            expect(said[:-1] == linux.stdout.splitlines() and said[-1].startswith("dynamic: exit 0"), f"it said {said}", talk)
            expect("agree" in talk.command("vm check"), "vm check", talk)


CASES = {
    "program.dynamic": dynamic,
    "program.execute_at": as_root("execute_at"),
    "program.outsiders": programs.says("outsiders", "", "opened 0, then 6, taken 1, code 1 to 1, stack 0, heap 0"),
    "program.users": as_root("users", cpus=1),
    "program.users.4": as_root("users", cpus=4),
    "program.users.files": as_root("users_files"),
    "program.users.others": as_root("users_others", cpus=1),
    "program.users.others.4": as_root("users_others", cpus=4),
}
