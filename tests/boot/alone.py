"""Each in-kernel test in a boot of its own, where nothing that ran before it can have prepared its way. Long runs have all of
them, every other run some that a seed chooses: a new seed in each run, or the one in the environment variable ASHLAR_SEED.

The kernel takes a part of the name: where one test's name is part of another's, both run.
"""

import os
import random
import re

from frame import Failure, expect, expect_selftest_passes
from machine import Machine
from tree import ROOT, ToolError

CHOSEN = 20
SEED = "ASHLAR_SEED"


def names():
    """All in-kernel tests."""
    sources = sorted((ROOT / "tests" / "kernel").rglob("*.c"))
    return sorted({name for source in sources
                   for name in re.findall(r"^KERNEL_TEST\((\w+)\)", source.read_text(encoding="utf-8"), re.MULTILINE)})


def choose_seed():
    """The seed of this run's random choices, printed with how it is used again; not 0, which the kernel refuses."""
    wanted = os.environ.get(SEED, "")
    if wanted and not (wanted.isascii() and wanted.isdecimal() and 0 < int(wanted) < 1 << 32):
        raise ToolError(f"{SEED} is {wanted!r}, and not a number from 1 to {(1 << 32) - 1}")
    seed = int(wanted) if wanted else random.SystemRandom().randrange(1, 1 << 32)
    print(f"the seed is {seed}; {SEED}={seed} chooses the same again", flush=True)
    return seed


def alone(name):
    """A boot with this test."""
    def test(setting):
        with setting.boot(Machine(), f"selftest={name}") as talk:
            report = expect_selftest_passes(talk)
            expect(name in report.passed + report.skipped, f"{name} has not run", talk)
    return test


def chosen(setting):
    """Boots with some of the tests, each in one of its own; tells of all that fail."""
    seed = choose_seed()
    failed = []
    for name in random.Random(seed).sample(names(), CHOSEN):
        print(name, flush=True)
        try:
            alone(name)(setting)
        except (Failure, ToolError) as failure:
            failed.append(f"{name}, alone: {failure}")
    expect(not failed, "\n".join([f"{SEED}={seed}: {len(failed)} of {CHOSEN} failed", *failed]))


CASES = {f"alone.{name}": alone(name) for name in names()}
