"""The budget: guest instructions from the loader's entry to the prompt. Counted, not timed: the same on every run.

Most of a counted boot goes by before the loader: OVMF looks for a TPM that is not there and waits for 750 ms of
machine time, which are 750 million counted instructions, and twice. Hence both boots run at once.
"""

from concurrent.futures import ThreadPoolExecutor

import patience
from frame import expect
from machine import Machine

MOST_INSTRUCTIONS = 40_000_000
MOST_GROWTH = 1_000_000  # instructions for having 960 GiB instead of 256 MiB
MOST_FOR_PROCESSORS = 3_000_000  # for having 8 instead of one
SECONDS_OF_MANY = patience.seconds(300)
SECONDS = patience.seconds(220)  # for what is counted; nothing is judged by it


def instructions_to_prompt(setting, memory):
    """Instructions until the prompt of a machine with that much memory."""
    with setting.boot(Machine(memory=memory, icount=True)) as talk:
        talk.wait_for_prompt(SECONDS)
        return talk.json("boot -j")["ready_ticks"]


def within_budget(setting):
    """256 MiB within the budget, and 960 GiB hardly more."""
    with ThreadPoolExecutor() as pool:
        small, large = pool.map(lambda memory: instructions_to_prompt(setting, memory), ("256M", "960G"))
    print(f"instructions to the prompt: {small} with 256 MiB, {large} with 960 GiB ({large / small:.2f} times)")
    expect(small > 10_000, f"{small} instructions cannot be a count")
    expect(small <= MOST_INSTRUCTIONS, f"{small} instructions with 256 MiB, more than {MOST_INSTRUCTIONS}")
    expect(large <= small + MOST_GROWTH, f"{large} instructions with 960 GiB, {large - small} more than with 256 MiB")


def kernel_instructions(setting, cpus):
    """Instructions in the kernel until the prompt, less those in which it waits for the other processors to come."""
    with setting.boot(Machine(cpus=cpus, icount=True)) as talk:
        talk.wait_for_prompt(SECONDS_OF_MANY)
        ticks = {stage["name"]: stage["ticks"] for stage in talk.json("boot -j")["stages"]}
    waited = ticks.get("processors.answered", 0) - ticks.get("processors.sent", 0)
    print(f"{cpus} processors: {ticks['kernel.ready'] - ticks['kernel.entry']} instructions, of them {waited} of waiting")
    expect((waited > 0) == (cpus > 1), f"{waited} instructions of waiting for {cpus - 1} other processors")
    return ticks["kernel.ready"] - ticks["kernel.entry"] - waited


def processors_within_budget(setting, cpus=8):
    """Eight processors cost little more than one. What firmware does with them is not counted."""
    with ThreadPoolExecutor() as pool:
        one, all_of_them = pool.map(lambda count: kernel_instructions(setting, count), (1, cpus))
    expect(all_of_them <= one + MOST_FOR_PROCESSORS, f"{all_of_them - one} instructions more with {cpus} processors")


CASES = {"budget.instructions": within_budget, "budget.processors": processors_within_budget}
LONG = ("budget.processors",)  # OVMF has each processor wait for some time
