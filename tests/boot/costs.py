"""What operations may cost: guest instructions, the same on every run, against a limit for each.

Measured as `tools/bench --kernel` and `tools/bench --user` do, loop included. What a median is held to is what the operation
was promised to cost; a change that costs more has to say so here.
"""

import patience
import user_bench
from frame import expect
from machine import Machine
from measurements import parse_lines

# For frame.batch.o0 once memory is in small pieces: each is fetched by itself. How small they are depends on where the boot
# has put what it keeps, so boots differ: 145 to 160. Refills of three pieces would take 128 to 137, but the longest call then
# takes 2,100 instructions (boot.frames.worst), and the bound of a call counts for more.
FRAGMENTED = 170
SECONDS = patience.seconds(220)  # for what is counted; nothing is judged by it

# What a program feels, its C library's part included. Of fault.anon.write and fault.cow.copy 512 clear or copy the page, of
# pread.4k as well.
USER_LIMITS = {
    "user.syscall.null": 110,
    "user.fault.anon.write": 1250,
    "user.fault.anon.read": 580,
    "user.fault.cow.copy": 1530,
    "user.fault.cow.reuse": 700,
    "user.fault.file": 275,
    "user.munmap.page": 165,
    "user.mprotect.page": 50,
    "user.mmap.pair": 3600,
    "user.brk.pair": 3150,
    "user.fork.2048": 158000,
    "user.fork.exit.wait": 70000,
    "user.vfork.exec.exit.wait": 172000,
    "user.thread.pair": 7900,
    "user.pipe.local": 1440,
    "user.pipe.round": 5700,
    "user.futex.round": 4200,
    "user.pread.4k": 1400,
}

# Where preemption comes on again, a branch looks whether another thread shall run: one instruction, which is in all of these
# as often as a lock is released or a magazine left.
LIMITS = {
    "frame.pair.o0": 40,
    "frame.pair.o3": 120,
    "frame.pair.o9": 120,
    "frame.batch.o0": 95,  # 87 to 93 by where the boot has put what it keeps, and two branches
    "frame.mix.o0-4": 103,
    "heap.pair.8": 42,
    "heap.pair.64": 42,
    "heap.pair.256": 42,
    "heap.pair.1024": 42,
    "heap.pair.4096": 42,
    "heap.pair.8192": 42,
    "heap.pair.65536": 202,
    "heap.batch.64": 70,
    "heap.mix": 50,
    "cache.pair.200": 35,
    "vmalloc.pair.1": 700,
    "vmalloc.pair.16": 2570,
    "kva.pair": 100,
    "pt.map.unmap": 270,
    "pt.map.1g": 20,     # per page of 4 KiB
    "pt.translate": 60,
    "fault.anon": 690,  # with a frame from the stock of zeroed ones: the zeroing is not in it
    "fault.copy": 1530,  # 512 of them copy
    "fault.reuse": 720,
    "vm.fork.page": 155,  # per page, as the next two
    "vm.fork.2048": 65,
    "vm.exit.2048": 65,
}
PATTERNS = ("frame.pair", "frame.batch", "frame.mix", "heap.pair", "heap.batch.64", "heap.mix", "cache.pair", "vmalloc.pair",
            "kva.pair", "pt.map", "pt.translate", "fault.anon", "fault.copy", "fault.reuse", "vm.fork", "vm.exit")
DEEPER = ("vmalloc.pair", "kva.pair", "pt.map", "pt.translate", "fault.anon", "fault.copy", "fault.reuse", "vm.fork",
          "vm.exit")  # what a fifth level might make dearer


def measure(talk, pattern):
    """The measurements whose name has the pattern in it, by name."""
    return {one.bench: one for one in parse_lines(talk.command(f"bench -j {pattern}", SECONDS))}


def measure_all(talk, patterns, levels):
    """The same for all patterns, on a machine whose page tables must have so many levels."""
    talk.wait_for_prompt(SECONDS)
    walk = talk.json("pt walk kernel_main -j")
    expect(walk["steps"][0]["level"] == levels, f"not {levels} levels: {walk}")
    found = {}
    for pattern in patterns:
        found.update(measure(talk, pattern))
    return found


def judge(found, limits):
    """All of the limits were measured, and are kept; `found` are medians by name."""
    missing = [name for name in limits if name not in found]
    expect(not missing, f"not measured: {missing}")
    for name, limit in limits.items():
        print(f"{name}: {found[name]} instructions, {limit} allowed")
    excess = {name: (found[name], limit) for name, limit in limits.items() if not 0 < found[name] <= limit}
    expect(not excess, f"more instructions than allowed (median, limit): {excess}")


def medians(found):
    """Of the measurements that were not skipped."""
    return {name: one.median for name, one in found.items() if not one.skipped}


def within_limits(setting):
    """No operation costs more than it may, and a batch of frames not much more for what was allocated before."""
    with setting.boot(Machine(icount=True)) as talk:
        found = medians(measure_all(talk, PATTERNS, 4))
        found["frame.batch.o0 again"] = medians(measure(talk, "frame.batch.o0"))["frame.batch.o0"]
    judge(found, {**LIMITS, "frame.batch.o0 again": FRAGMENTED})


def within_limits_with_five_levels(setting):
    """The same limits hold for what concerns page tables when these have five levels."""
    with setting.boot(Machine(icount=True), "la57=on") as talk:
        found = medians(measure_all(talk, DEEPER, 5))
    judge(found, {name: limit for name, limit in LIMITS.items() if name.startswith(DEEPER)})


def within_limits_with_two_processors(setting):
    """Making another processor forget a page, on both together."""
    with setting.boot(Machine(icount=True, cpus=2)) as talk:
        found = medians(measure_all(talk, ("shootdown.page.2",), 4))
    judge(found, {"shootdown.page.2": 700})


def within_limits_for_a_program(setting):
    """The same of what a program feels."""
    judge(medians({one.bench: one for one in user_bench.measure(setting.build_dir, "", "2G", 1)}), USER_LIMITS)


CASES = {"costs": within_limits, "costs.la57": within_limits_with_five_levels, "costs.user": within_limits_for_a_program,
         "costs.cpus": within_limits_with_two_processors}
