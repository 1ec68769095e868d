"""Every allocation inside every call is made to fail in turn: an error that says so, nothing changed, nothing lost.

Only the build with all assertions can do that. The same programs, run in the other build, say what they say under Linux.
"""

import functools
import subprocess
import tempfile
from pathlib import Path

import patience
import programs
from frame import expect, expect_in
from machine import Machine

import initrd
import media

PROGRAMS = ("fail_memory", "fail_files", "fail_tasks")
SECONDS = patience.seconds(60)
VALIDATORS = {"vm check": "agree", "frames check": "agree", "heap leaks": "\n0 unreachable blocks"}


def run(talk, name, arguments):
    """What it says at the prompt; nothing that it took is lost."""
    *lines, last = talk.command(f"run {name} {arguments}".rstrip(), SECONDS).splitlines()
    expect(last.startswith(f"{name}: exit 0; ") and last.endswith(", all frames back"), f"{name}: {last}", talk)
    return [line for line in lines if not programs.LOG_LINE.match(line)]


def like_linux(setting, names, arguments="", end=(), cmdline="pager=off", **machine):
    """Each program says what it says under Linux, and then `end`; every validator agrees, and nothing is lost."""
    with tempfile.TemporaryDirectory() as folder:
        binaries = Path(folder) / "root/bin"
        binaries.mkdir(parents=True)
        said = {}
        for name in names:
            program = programs.build(binaries, name)
            said[name] = subprocess.run([program], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                        check=True).stdout.splitlines()
        contents = media.contents_of(setting.product, cmdline, initrd.of_folder(binaries.parent))
        with setting.boot(Machine(**machine), contents=contents) as talk:
            talk.wait_for_prompt()
            for name in names:
                for ours, theirs in zip([*run(talk, name, arguments), ""], [*said[name], *end, ""]):
                    expect(ours == theirs, f"{name}: {ours!r}, and not {theirs!r}", talk)
                for question, answer in VALIDATORS.items():
                    expect_in(answer, "\n" + talk.command(question, SECONDS))


def failing(setting, **machine):
    """Where nothing fails each program says the same as under Linux; here much has failed, and was no mistake."""
    like_linux(setting, PROGRAMS, "fails", ["failed many"], **machine)


CASES = {"program.failing": functools.partial(like_linux, names=PROGRAMS)}
DEBUG_CASES = {
    "program.failing": functools.partial(failing, cpus=1),
    "program.failing.4": functools.partial(failing, cpus=4),
}
