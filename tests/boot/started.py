"""Machines whose firmware has started already.

Until OVMF looks at the first disk it does the same in every boot of the same machine, and takes most of the test's
time for it. So that point's state is kept in the build's folder, and the next such machine goes on from there: with
its own medium, random numbers and everything that is asked of Ashlar. What is about the firmware's start itself, or
about another machine, boots cold.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import machine
import patience
from serial import Conversation, ConversationError
from tree import ToolError

KINDS = {"plain": machine.Machine(), "counted": machine.Machine(icount=True),
         "eight": machine.Machine(cpus=8),
         # what is not to differ from boot to boot: nothing that is random in it
         "interleaved": machine.Machine(memory="64M", cpus=3, cpu="max,rdrand=off,rdseed=off", icount=True, entropy=False,
                                        vga="none"),
         "hostile": machine.Machine(disk="virtio", entropy=False),
         "hostile-4g": machine.Machine(disk="virtio", entropy=False, memory="4G")}
FIRST_OUTPUT = "\x1b"  # the firmware has its console and looks for disks next
FOLDER = "started-machines"
SECONDS = patience.seconds(120)  # counting makes the firmware slow; nothing is judged by time


def state_of(build_dir, described):
    """The file with the started machine's state, made when there is none yet; None when this one has to boot cold."""
    kind = next((name for name, known in KINDS.items() if known == described), None)
    if kind is None:
        return None
    folder = Path(build_dir) / FOLDER
    folder.mkdir(exist_ok=True)
    state = folder / f"{kind}.{_fingerprint(described)}.state"
    with open(folder / f"{kind}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two tests may want it at once
        if not state.is_file():
            for outdated in folder.glob(f"{kind}.*.state"):
                outdated.unlink()
            _make(described, state)
    return state if state.is_file() else None


def _fingerprint(described):
    """A name for what the state depends on: the machine, the emulator and the firmware."""
    emulator = shutil.which(machine.EMULATOR)
    if emulator is None:
        raise ToolError(f"{machine.EMULATOR} is not installed (tools/setup installs it)")
    files = [(str(path), os.stat(path).st_size, os.stat(path).st_mtime_ns)
             for path in (emulator, *filter(None, described.firmware_files()))]
    return hashlib.sha256(repr((described.command("/firmware", "/medium"), files)).encode()).hexdigest()[:16]


def _make(described, state):
    """Boots the machine with a blank medium up to its first output and keeps its state, unless it was quicker."""
    with tempfile.TemporaryDirectory(prefix="ashlar-boot.") as folder:
        blank = Path(folder) / "blank.img"
        blank.touch()
        os.truncate(blank, 1 << 20)
        described.prepare_firmware(folder)
        with Conversation(described, folder, blank) as talk:
            talk.wait_for(FIRST_OUTPUT, SECONDS)
            talk.control("stop")
            if not _medium_was_read(talk):
                unfinished = state.with_suffix(".unfinished")
                talk.save_state(unfinished)
                unfinished.rename(state)


def _medium_was_read(talk):
    reads = {drive["device"]: drive["stats"]["rd_operations"] for drive in talk.control("query-blockstats")}
    if "medium" not in reads:
        raise ConversationError(f"QEMU does not count the reads of the medium: {reads}")
    return reads["medium"] != 0
