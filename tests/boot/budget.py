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


CASES = {"budget.instructions": within_budget}
