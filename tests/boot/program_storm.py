"""A storm of system calls with random and boundary arguments: the kernel stays whole, and has everything back afterwards.

The calls are those of the kernel's own table, so that a new one is among them as soon as it is there. A failure names the
seed; `storm SEED 1` is one round of it, though its threads may meet in another way.
"""

import functools
import os
import random
import re
import tempfile
from pathlib import Path

import patience
import programs
from frame import expect, expect_in
from machine import Machine
from tree import ROOT

import initrd
import media

TABLE = ROOT / "kernel/linux/calls.h"
ENTRY = re.compile(r'X\(\d+, \w+, "\w*"\)')
LAST_LINE = re.compile(r"^storm: exit 0; .*, all frames back$")
SECONDS = patience.seconds(100)


def build(folder):
    """The program, with the table of calls that the kernel is built from."""
    entries = ENTRY.findall(TABLE.read_text(encoding="utf-8"))
    expect(len(entries) > 100, f"only {len(entries)} calls are found in {TABLE.name}")
    (Path(folder) / "calls_of_kernel.h").write_text("\n".join(entries) + "\n", encoding="utf-8")
    binaries = Path(folder) / "root/bin"
    binaries.mkdir(parents=True)
    programs.build(folder, "storm", "-pthread", "-fno-stack-protector", f"-I{folder}").rename(binaries / "storm")
    return binaries.parent


def chosen_seed():
    """Another one in each run, or the one that ASHLAR_SEED says."""
    return int(os.environ.get("ASHLAR_SEED") or random.SystemRandom().randrange(1, 1 << 31))


def storm(setting, times=1, rounds=10, **machine):
    """So many runs of so many rounds; after each every validator is asked."""
    seed = chosen_seed()
    with tempfile.TemporaryDirectory() as folder:
        contents = media.contents_of(setting.product, "pager=off", initrd.of_folder(build(folder)))
        with setting.boot(Machine(**machine), contents=contents) as talk:
            talk.wait_for_prompt()
            for first in range(seed, seed + times * rounds, rounds):
                said = talk.command(f"run storm {first} {rounds}", SECONDS).splitlines()
                expect(LAST_LINE.match(said[-1]), f"ASHLAR_SEED={first}: {said[-1]}", talk)
                made = re.search(r"^storm: (\d+) calls$", "\n".join(said), re.MULTILINE)
                expect(made and int(made[1]) > 20 * rounds, f"ASHLAR_SEED={first}: too few calls: {made and made[0]}", talk)
                expect_in("agree", talk.command("vm check"))
                expect_in("agree", talk.command("frames check"))


DEBUG_CASES = {"program.storm": functools.partial(storm, cpus=3)}
CASES = {
    "program.storm": functools.partial(storm, cpus=1),
    "program.storm.4": functools.partial(storm, rounds=20, cpus=4),
    "program.storm.many": functools.partial(storm, times=60, rounds=25, cpus=4),
    "program.storm.many.64m": functools.partial(storm, times=50, rounds=25, cpus=2, memory="64M"),
}
LONG = ("program.storm.many", "program.storm.many.64m")
