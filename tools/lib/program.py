"""What tools/run --program hands to the kernel, and how it learns how the program fared."""

import re
from pathlib import Path

import initrd
from tree import ToolError

NOT_RUN = 125  # the status when it was not the program that ended
VALUE_MAX = 255  # bytes of a command line option's value (include/ashlar/command_line.h)
END = re.compile(r"^program: (exit|signal|error) (\d+)$", re.M)


def place_of(options):
    """Where the program lies in the initrd."""
    return "bin/" + Path(options.program[0]).name


def files(options):
    """The initrd with the program, and with what --initrd names: a folder, or an archive, which it stands behind."""
    binary = Path(options.program[0])
    if not binary.is_file():
        raise ToolError(f"{binary} is no program")
    place = place_of(options)
    if options.initrd is not None and not options.initrd.is_dir():
        first = initrd.contents_of(options.initrd)
        return first + bytes(-len(first) % initrd.BLOCK) + alone(place, binary)
    archive = initrd.archive_of_folder(options.initrd, but=place)
    archive.add(place, 0o100755, binary.read_bytes())
    return archive.bytes()


def alone(place, binary):
    """An archive that has only the program."""
    archive = initrd.Archive()
    archive.add(place, 0o100755, binary.read_bytes())
    return archive.bytes()


def quoted(word):
    """A word of the command line; blanks stay together in quotes."""
    if '"' in word or "\n" in word:
        raise ToolError(f"the program's argument {word!r} has a quote or a line feed: the command line has no place for it")
    return f'"{word}"' if word == "" or " " in word or "\t" in word else word


def command_line(options):
    """The kernel's command line: what the program is given comes last."""
    if not options.program:
        return options.cmdline
    value = " ".join([f"/{place_of(options)}", *map(quoted, options.program[1:])])
    if len(value.encode()) > VALUE_MAX:
        raise ToolError(f"the program's arguments take more than {VALUE_MAX} bytes")
    end = [] if options.stay else ["init-end=off"]
    return " ".join(filter(None, [options.cmdline, *end, f"init={value}"]))


def status_of(log):
    """The program's status, by what the kernel said on the debug console; None if it did not end, or did not begin."""
    found = END.findall(Path(log).read_text(encoding="utf-8", errors="replace")) if Path(log).exists() else []
    if not found or found[-1][0] == "error":
        return None
    kind, number = found[-1]
    return int(number) + (128 if kind == "signal" else 0)
