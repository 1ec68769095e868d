"""The in-kernel tests of several processors, in many interleavings: the build with all assertions under QEMU's -icount, which
runs one processor at a time, with seeds that say where each lets the others go ahead (include/ashlar/interleave.h).

What a boot finds it finds again, as it depends on nothing but its seeds: ASHLAR_SEED=N has the first of them be N. One boot has
many, one after the other, since starting the machine takes longer than the tests do.
"""

import re

import patience
import started
from alone import SEED, choose_seed
from frame import STATUS_PASSED, expect

MACHINE = started.KINDS["interleaved"]
TESTS = "together"  # what all processors do at once
BUSY_TEST = "together_frames"  # one in which none of them rests
FEW, AGAIN = 20, 2
MANY, PARTS = 1000, 20  # parts run beside each other
SEEDS = (1 << 32) - 1
SECONDS = patience.seconds(250)


def run(setting, first, count, tests=TESTS):
    """The tests with so many seeds from the first on; returns what the kernel says of how each run went."""
    print(f"{SEED}={first} does this again", flush=True)
    with setting.boot(MACHINE, f"nokaslr selftest={tests} interleave={first} interleave-seeds={count}") as talk:
        status = talk.wait_for_end(SECONDS)
        begun = re.findall(r"interleave (\d+) begins$", talk.transcript, re.MULTILINE)
        failed = f"seed {begun[-1]}, number {len(begun)} from {SEED}={first} on, which does it again" if begun else "no seed"
        expect(status == STATUS_PASSED, f"QEMU's status is {status}, not {STATUS_PASSED}: {failed}", talk)
        runs = re.findall(r"interleave (\d+): (\d+) points passed, digest ([0-9a-f]{16})$", talk.transcript, re.MULTILINE)
        expect([int(seed) for seed, _, _ in runs] == list(range(first, first + count)), f"not all seeds have run: {runs}")
        expect(all(int(points) > 1000 for _, points, _ in runs), f"hardly a point was passed: {runs}")
        return runs


def few(setting):
    """Some seeds pass, each in another interleaving; and the same seeds give the same runs again."""
    first = min(choose_seed(), SEEDS - FEW)
    runs = run(setting, first, FEW)
    expect(len({digest for _, _, digest in runs}) == FEW, f"seeds that give the same run: {runs}")
    # Tests that let processors rest depend on the host's clock: QEMU lets the time of a machine at rest go by with its own.
    once, again = (run(setting, first, AGAIN, BUSY_TEST) for _ in range(2))
    expect(again == once, f"the same seeds give other runs: {again}; {once}")


def many(part):
    """A part of the many seeds."""
    def test(setting):
        count = MANY // PARTS
        run(setting, min(choose_seed() + part * count, SEEDS - count), count)
    return test


LONG = {f"interleave.many.{part}": many(part) for part in range(PARTS)}
CASES = {"interleave.few": few, **LONG}
