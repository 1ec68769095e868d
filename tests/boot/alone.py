"""Each in-kernel test in a boot of its own, where nothing that ran before it can have prepared its way. Long runs have these.

The kernel takes a part of the name: where one test's name is part of another's, both run.
"""

import re

from frame import expect, expect_selftest_passes
from machine import Machine
from tree import ROOT


def names():
    """All in-kernel tests."""
    sources = sorted((ROOT / "tests" / "kernel").rglob("*.c"))
    return sorted({name for source in sources
                   for name in re.findall(r"^KERNEL_TEST\((\w+)\)", source.read_text(encoding="utf-8"), re.MULTILINE)})


def alone(name):
    """A boot with this test."""
    def test(setting):
        with setting.boot(Machine(), f"selftest={name}") as talk:
            report = expect_selftest_passes(talk)
            expect(name in report.passed + report.skipped, f"{name} has not run", talk)
    return test


CASES = {f"alone.{name}": alone(name) for name in names()}
