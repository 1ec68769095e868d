"""What every boot test stands on: a medium made for it, a machine booted from it, and checks that say what failed."""

import contextlib
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "tools" / "lib"))

# pylint: disable=wrong-import-position
import ktap  # noqa: E402
import media  # noqa: E402
import patience  # noqa: E402
import serial  # noqa: E402
import started  # noqa: E402
import tree  # noqa: E402

STATUS_PASSED = 33
STATUS_FAILED = 35
STATUS_PANIC = 37
CDROM_MEDIA = "iso"


class Failure(Exception):
    """A boot test's finding."""


class NotRun(Exception):
    """What a boot test needs cannot be had here; the message says what."""


@dataclass
class Setting:
    """What a boot test is given."""

    build_dir: Path  # where the product is

    @property
    def product(self):
        """BOOTX64.EFI of the build under test."""
        return tree.efi_program(self.build_dir)

    @contextlib.contextmanager
    def boot(self, machine, cmdline=None, medium="fat", contents=None, cold=False, tests=True):
        """Boots the product with a command line (text, or bytes for a raw ashlar.cfg); yields the Conversation.

        `contents` replaces what is on the medium; `cold` starts the firmware even where its state is known; the kernel's
        own tests are in memory however small it is, unless `tests` leaves that to the loader."""
        if tests and not isinstance(cmdline, bytes):
            cmdline = f"tests=on {cmdline or ''}".strip()
        with tempfile.TemporaryDirectory(prefix="ashlar-boot.") as folder:
            image = Path(folder) / "medium.img"
            media.MAKERS[medium](image, contents or media.contents_of(self.product, cmdline))
            machine.prepare_firmware(folder)
            state = None if cold else started.state_of(self.build_dir, machine)
            with serial.Conversation(machine, folder, image, state) as talk:
                yield talk


def expect(condition, complaint, talk=None):
    """Fails the test unless the condition holds; with a conversation, shows how it ended."""
    if not condition:
        raise Failure(complaint + (f"; the machine said last:\n{talk.last_words()}" if talk else ""))


def expect_in(needle, text):
    """Fails unless `needle` is in the text."""
    if needle not in text:
        raise Failure(f"{needle!r} is not in:\n{text}")


def selftest_seconds(cpus):
    """How long `selftest` may take, from the firmware on: what all processors do at once takes the longer the more there are,
    as two of the host's run them all."""
    return patience.seconds(60 + 12 * cpus)


def expect_selftest_passes(talk, seconds=serial.SECONDS):
    """Waits for the end of a machine that was booted with `selftest`: a perfect report, and the status of success."""
    _, ending = talk.wait_for(r"ashlar loader: error: [^\r\n]*", seconds, or_end=True)
    expect(ending is None, f"the loader refused: {ending and ending[0]}")
    status = talk.wait_for_end()
    report = ktap.parse(talk.transcript)
    expect(report.good, report.summary(), talk)
    expect(status == STATUS_PASSED, f"QEMU's status is {status}, not {STATUS_PASSED}", talk)
    return report
