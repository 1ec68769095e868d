"""Boots the product on hostile firmware: hostile_matrix.py --build DIR CASE, or --list.

The stick holds the application of tests/boot/hostile as \\EFI\\BOOT\\BOOTX64.EFI, the product as
\\EFI\\ASHLAR\\BOOTX64.EFI, and one line for each case. A case that boots is asked at the monitor's prompt; the cases
that refuse share the boot "refusals".
"""

import argparse
import itertools
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "tools" / "lib"))

import ktap  # noqa: E402
import media  # noqa: E402
import patience  # noqa: E402
import started  # noqa: E402
from hostile_cases import BOOTS, REFUSALS  # noqa: E402
from hostile_screen import Picture, read_text  # noqa: E402
from machine import Machine  # noqa: E402
from serial import Conversation  # noqa: E402

REFUSALS_NAME = "refusals"
END_GOOD = 33
PAGE = 4096
EFI_ERROR = 1 << 63
RAM_TYPES = ("usable", "boot-reclaimable", "boot-info", "page-tables", "kernel")
OTHER_TYPES = ("persistent", "acpi-reclaimable", "acpi-nvs", "runtime", "mmio", "reserved", "unusable")
RUNTIME_TYPES = (5, 6)
SELFTEST_SECONDS = patience.seconds(100)


class Failed(Exception):
    """The case did not go as it has to."""


def check(condition, text):
    """Raises Failed with `text` unless the condition holds."""
    if not condition:
        raise Failed(text)


def check_says(pattern, text, who):
    """Checks that a line of `text` matches."""
    check(re.search(pattern, text, re.MULTILINE), f"{who} does not say {pattern!r}")


def make_stick(folder, build, lines, config):
    """The test stick as an image in `folder`."""
    contents = {
        "/EFI/BOOT/BOOTX64.EFI": build / "tests/boot/hostile/hostile.efi",
        "/EFI/ASHLAR/BOOTX64.EFI": build / "esp/EFI/BOOT/BOOTX64.EFI",
        "/EFI/BOOT/ashlar.cfg": config.encode() + b"\n",
        "/hostile.txt": "".join(f"{line}\n" for line in lines).encode(),
    }
    image = Path(folder) / "stick.img"
    media.make_fat(image, contents)
    return image


def boot(build, lines, config, converse, devices=(), **details):
    """Boots a stick with these cases and hands the conversation to `converse`; failures end with the transcript."""
    with tempfile.TemporaryDirectory(prefix="ashlar-hostile.") as folder:
        stick = make_stick(folder, build, lines, config)
        described = Machine(disk="virtio", entropy=False, extra=list(devices), **details)
        described.prepare_firmware(folder)
        with Conversation(described, folder, stick, started.state_of(build, described)) as conversation:
            try:
                converse(conversation, Path(folder))
            except Exception:
                print(conversation.transcript)
                raise


def fields(line):
    """The KEY=VALUE words of a line."""
    return dict(word.split("=", 1) for word in line.split() if "=" in word)


def check_no_complaints(transcript):
    """The application complains about itself and about what the loader leaves behind or must not do."""
    complaint = re.search(r"^hostile: (error|violation|leak): .*", transcript, re.MULTILINE)
    check(complaint is None, complaint and complaint[0])


# Cases that boot --------------------------------------------------------------------------------------------------


def run_boot(name, build):
    """One case that gets to the kernel's prompt."""
    case = BOOTS[name]

    def converse(conversation, folder):
        conversation.wait_for_prompt()
        said, _, kernel = conversation.transcript.partition(f"hostile: exit {name} ")
        check(kernel, "boot services were never left")
        check_no_complaints(conversation.transcript)
        check_loader(case, said)
        left = fields(kernel.splitlines()[0])
        check_handover(case, left, kernel)
        check_memory(left, kernel)
        if case.screen:
            video = fields("".join(re.findall(r"^hostile: video .*", said, re.MULTILINE)[:1]))
            check_screen(case, video, conversation, folder)
        check_monitor(case, left, conversation)
        if case.selftest:
            check_selftest(conversation)

    boot(build, [f"{name} {case.words}"], case.config, converse, case.devices,
         cpu=case.cpu, memory=case.memory, cpus=case.cpus)


def check_loader(case, said):
    """What is said before the exit: no error, the warnings of the case, and that the distortion was met."""
    check(not re.search(r"ashlar loader: error", said), "the loader reports an error")
    check_warnings(case.warnings, said)
    for pattern in case.said:
        check_says(pattern, said, "the application")


def check_warnings(patterns, said, possible=()):
    """Every warning is expected or possible, and every expected one is there."""
    warnings = set(re.findall(r"^ashlar loader: warning: (.*)", said, re.MULTILINE))
    for warning in warnings:
        check(any(re.search(pattern, warning) for pattern in (*patterns, *possible)), f"unexpected warning: {warning}")
    for pattern in patterns:
        check(any(re.search(pattern, warning) for warning in warnings), f"no warning like {pattern!r}")


def check_handover(case, left, kernel):
    """The numbers of the exit, as the application saw them and as the kernel was told."""
    check_says(rf"^handover +{left['descriptors']} firmware descriptors of {left['stride']} bytes, "
               rf"{left['attempts']} attempts", kernel, "the kernel")
    wanted = fields(case.words)
    check(int(left["attempts"]) == int(wanted.get("stale", 0)) + 1, f"{left['attempts']} attempts to exit")
    check(left["stride"] == wanted.get("stride", left["stride"]), f"descriptors of {left['stride']} bytes")
    check(int(left["descriptors"]) >= int(wanted.get("descriptors", 0)), f"{left['descriptors']} descriptors")
    for pattern in case.shows:
        check_says(pattern, kernel, "the kernel")


def check_memory(left, kernel):
    """The kernel's totals, to the byte, against what the application knows them to be."""
    totals = {kind: int(count) for kind, count in re.findall(r"^ +([a-z-]+) +(\d+) bytes ", kernel, re.MULTILINE)}
    check("usable" in totals, "the kernel shows no totals")
    ram = sum(totals.get(kind, 0) for kind in RAM_TYPES)
    check(ram == int(left["ram"]), f"the kernel finds {ram} bytes of RAM, there are {left['ram']}")
    for kind in OTHER_TYPES:
        check(totals.get(kind, 0) == int(left[kind]),
              f"the kernel finds {totals.get(kind, 0)} bytes {kind}, there are {left[kind]}")


def check_selftest(conversation):
    """The kernel's own tests pass."""
    conversation.command("selftest", SELFTEST_SECONDS)
    report = ktap.parse(conversation.transcript)
    check(report.good, report.summary())


def check_monitor(case, left, conversation):
    """The ledger closes, the command line is right, and the raw map looks as the case made it."""
    check(conversation.json("mem -j")["difference"] == 0, "the kernel's ledger does not close")
    check_says(rf"^command line: {re.escape(case.command_line)}$", conversation.command("boot"), "the kernel")
    raw = [Descriptor(entry["type"], int(entry["start"], 16), entry["pages"], int(entry["attributes"], 16))
           for entry in conversation.json("firmware -j")["descriptors"]]
    check(len(raw) == int(left["descriptors"]), "the raw map has another length")
    if case.firmware_map:
        check(RAW_MAPS[case.firmware_map](raw), f"the raw map is not {case.firmware_map}")


@dataclass
class Descriptor:
    """One entry of the firmware's map, as the kernel got it."""

    type: int
    start: int
    pages: int
    attributes: int

    @property
    def end(self):
        """The first byte after it; beyond 2^64 when it wraps."""
        return self.start + self.pages * PAGE


def overlap(raw):
    """Whether any two descriptors that are not empty have a byte in common."""
    ordered = sorted((entry for entry in raw if entry.pages), key=lambda entry: entry.start)
    return any(before.end > after.start for before, after in zip(ordered, ordered[1:]))


RAW_MAPS = {
    "reversed": lambda raw: raw[0].start > raw[-1].start,
    "unsorted": lambda raw: [entry.start for entry in raw] != sorted(entry.start for entry in raw),
    "overlapping": overlap,
    "with-empty": lambda raw: any(entry.pages == 0 for entry in raw),
    "with-wrapping": lambda raw: any(entry.end > 1 << 64 for entry in raw),
    "with-oem": lambda raw: any(entry.type >= 1 << 31 for entry in raw),
    "unaligned": lambda raw: any(entry.start % PAGE for entry in raw),
    "without-runtime-attribute": lambda raw: not any(entry.attributes >> 63 for entry in raw) and
                                             any(entry.type in RUNTIME_TYPES for entry in raw),
}


# The screen -------------------------------------------------------------------------------------------------------

SCREEN_SECONDS = patience.seconds(60)
YELLOW = (0xff, 0xff, 0x55)  # bright yellow of the kernel's palette
SHADE_TOLERANCE = 8          # of 255: the fewest bits a channel has are 5


def check_screen(case, video, conversation, folder):
    """What is on the screen is, to the character, what was said on the serial port; the warning is yellow."""
    # The screen is drawn after the serial port has the text, and a picture taken meanwhile shows halves of characters:
    # look until it is done.
    limit = time.monotonic() + SCREEN_SECONDS
    while True:
        text = read_text(take_picture(case, video, conversation, folder))
        said = [line.rstrip() for line in conversation.transcript.splitlines()]
        shown = drop_empty_end(text.lines)
        wrong = difference(text, shown, said)
        if wrong is None or time.monotonic() > limit:
            break
    print("\n".join(["", "on the screen:", *shown]))
    check(max(map(len, said[-len(shown):])) <= len(text.colours[0]), "a line is wider than the screen")
    check(wrong is None, f"the screen shows something else than the serial port: {wrong}")
    if case.coloured:
        check_colour(text, case.coloured)


def difference(text, shown, said):
    """None if the lines shown, from the banner on where they have it, are the last said, up to the prompt; else what not."""
    if shown[-1:] != ["ashlar>"]:
        return f"{shown[-1:]} at the end, not the prompt"
    first = text.row_of("Ashlar 0.") or 0
    pairs = itertools.zip_longest(shown[first:], said[len(said) - len(shown) + first:])
    return next((f"{is_!r}, not {wanted!r}" for is_, wanted in pairs if is_ != wanted), None)


def check_colour(text, coloured):
    """The row with this text has it in yellow."""
    row = text.row_of(coloured)
    check(row is not None, f"the screen does not show {coloured!r}")
    colour = text.colours[row][text.lines[row].index(coloured)]
    check(all(abs(is_ - wanted) <= SHADE_TOLERANCE for is_, wanted in zip(colour, YELLOW)),
          f"{coloured!r} has the colour {colour} on the screen, not {YELLOW}")


def drop_empty_end(lines):
    """The lines without empty ones at the end."""
    while lines and not lines[-1]:
        lines = lines[:-1]
    return lines


def take_picture(case, video, conversation, folder):
    """The screen as QEMU shows it, or the video memory in the format the case promised."""
    if case.screen == "shown":
        path = folder / "screen.ppm"
        conversation.control("screendump", filename=str(path))
        return Picture.from_ppm(path)
    path = folder / "video.raw"
    width, height, stride = (int(video[key]) for key in ("width", "height", "stride"))
    conversation.control("pmemsave", val=int(video["base"], 16), size=stride * height * 4, filename=str(path))
    masks = [int(mask, 16) for mask in video["masks"].split(",")]
    return Picture.from_memory(path.read_bytes(), width, height, stride, masks, 4)


# Cases that refuse ------------------------------------------------------------------------------------------------


def run_refusals(build):
    """All cases the loader refuses, in one boot. The stick asks for 5 levels: one more allocation, with a limit."""
    def converse(conversation, _folder):
        status = conversation.wait_for_end()
        transcript = conversation.transcript
        check_no_complaints(transcript)
        check(status == END_GOOD, f"the machine ended with status {status}")
        check_says(r"^hostile: end$", transcript, "the application")
        parts = re.split(r"^hostile: begin (\S+)$", transcript, flags=re.MULTILINE)[1:]
        said = dict(zip(parts[0::2], parts[1::2]))
        check(list(said) == list(order), f"the cases were {list(said)}")
        for name, text in said.items():
            check_refusal(name, REFUSALS[name], text)

    # A real stale key leaves the firmware half shut down: those cases come last.
    order = sorted(REFUSALS, key=lambda name: "stale" in REFUSALS[name].words)
    boot(build, [f"{name} {REFUSALS[name].words}" for name in order], "la57=on", converse)


def check_refusal(name, case, text):
    """The runs of one case: each ends with one error line and an error status, and gives everything back."""
    runs = text.split("hostile: returned ")
    check(len(runs) > case.runs, f"{name}: {len(runs) - 1} runs, at least {case.runs} were expected")
    for said, ended in zip(runs, runs[1:]):
        errors = re.findall(r"^ashlar loader: error: (.*)", said, re.MULTILINE)
        report = fields(ended.splitlines()[0])
        where = f"{name}, run {report['run']}"
        check(len(errors) == 1, f"{where}: {len(errors)} error lines")
        check(re.search(case.error, errors[0]), f"{where}: the error is {errors[0]!r}")
        check(int(report["status"], 16) & EFI_ERROR, f"{where}: returned status {report['status']}")
        left = {key: report[key] for key in ("pools", "pages", "wild", "between", "free") if report[key] != "0"}
        check(not left, f"{where}: left behind {left}")
    failing = set(re.findall(r"^hostile: inject .* slot=(\S+)", text, re.MULTILINE))
    check(case.failing <= failing, f"{name}: failed were only {failing}")
    check("dry=" not in case.words or int(fields(runs[-1].splitlines()[0])["injected"]) == 0 or "sweep" not in case.words,
          f"{name}: the sweep did not come to its end")
    check_warnings(case.warnings, text, case.possible)


def main():
    """Runs one case, or lists them all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, help="build folder")
    parser.add_argument("--list", action="store_true", help="prints the names of the cases")
    parser.add_argument("case", nargs="?")
    options = parser.parse_args()
    if options.list:
        print("\n".join([REFUSALS_NAME, *BOOTS]))
        return 0
    try:
        if options.case == REFUSALS_NAME:
            run_refusals(options.build)
        else:
            run_boot(options.case, options.build)
    except Failed as failure:
        print(f"{options.case}: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
