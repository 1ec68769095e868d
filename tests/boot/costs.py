"""What the allocators' operations may cost: guest instructions, the same on every run, against a limit for each.

Measured as `tools/bench --kernel` does, by `bench -j` at the prompt, loop included. What a median is held to is
what the operation was promised to cost; a change that costs more has to say so here.
"""

from frame import expect
from machine import Machine
from measurements import parse_lines

FRAGMENTED = 130     # for frame.batch.o0 once memory is in small pieces: each is fetched by itself
SECONDS = 1100       # for what is counted, on a busy machine; nothing is judged by it

LIMITS = {
    "frame.pair.o0": 40,
    "frame.pair.o3": 120,
    "frame.pair.o9": 120,
    "frame.batch.o0": 90,
    "frame.mix.o0-4": 100,
    "heap.pair.8": 40,
    "heap.pair.64": 40,
    "heap.pair.256": 40,
    "heap.pair.1024": 40,
    "heap.pair.4096": 40,
    "heap.pair.8192": 40,
    "heap.pair.65536": 200,
    "heap.batch.64": 70,
    "heap.mix": 50,
    "cache.pair.200": 35,
    "vmalloc.pair.1": 700,
    "vmalloc.pair.16": 2500,
    "kva.pair": 100,
    "pt.map.unmap": 250,
    "pt.map.1g": 20,     # per page of 4 KiB
    "pt.translate": 60,
    "fault.anon": 700,  # with a frame from the stock of zeroed ones: the zeroing is not in it
}
PATTERNS = ("frame.pair", "frame.batch", "frame.mix", "heap.pair", "heap.batch.64", "heap.mix", "cache.pair", "vmalloc.pair",
            "kva.pair", "pt.map", "pt.translate", "fault.anon")


def measure(talk, pattern):
    """The measurements whose name has the pattern in it, by name."""
    return {one.bench: one for one in parse_lines(talk.command(f"bench -j {pattern}", SECONDS))}


def within_limits(setting):
    """No operation costs more than it may, and a batch of frames not much more for what was allocated before."""
    with setting.boot(Machine(icount=True)) as talk:
        talk.wait_for_prompt(SECONDS)
        found = {}
        for pattern in PATTERNS:
            found.update(measure(talk, pattern))
        again = measure(talk, "frame.batch.o0")["frame.batch.o0"]
    missing = [name for name in LIMITS if name not in found or found[name].skipped]
    expect(not missing, f"not measured: {missing}")
    costs = {name: (found[name].median, limit) for name, limit in LIMITS.items()}
    costs["frame.batch.o0 again"] = (again.median, FRAGMENTED)
    for name, (median, limit) in costs.items():
        print(f"{name}: {median} instructions, {limit} allowed")
    excess = {name: cost for name, cost in costs.items() if not 0 < cost[0] <= cost[1]}
    expect(not excess, f"more instructions than allowed (median, limit): {excess}")


CASES = {"costs": within_limits}
