"""`ashlar frames`: a frame pool's accounts (include/ashlar/frame.h), added up over the CPUs as the pool itself does."""

import re

import gdb
import memory

FRAME_BYTES = 4096
ORDER_TEXT = 9  # magazines up to this order; the one behind holds zeroed frames


def pools():
    """Every variable of the program that is a frame pool, as expressions."""
    found, source = [], None
    for line in gdb.execute("info variables -q -t struct\\ frame_pool", to_string=True).splitlines():
        if match := re.match(r"File (?:\./)?(.*):$", line):
            source = match[1]
        elif match := re.match(r"\d+:\s+(?:static )?struct frame_pool (\w+);", line):
            found.append(f"'{source}'::{match[1]}")
    return found


def cpus_of(pool):
    """The per-CPU parts there are."""
    return [pool["cpu"][index] for index in range(memory.integer(pool["config"]["cpus"]))]


def owner_names():
    """Owners by number, as people write them."""
    names = memory.enumerators("frame_owner", "OWNER_")
    return {value: name for value, name in names.items() if name != "count"}


def owned_bytes(pool):
    """Bytes by owner: what the map fixed, and allocations minus frees on every CPU."""
    owned = {}
    for value, name in owner_names().items():
        frames = sum(memory.integer(cpu["owned"][value]) for cpu in cpus_of(pool)) & memory.WORD
        owned[name] = memory.integer(pool["fixed_bytes"][value]) + frames * FRAME_BYTES
    return owned


def magazines(pool):
    """Blocks in magazines: {index: blocks}; the last index counts zeroed frames."""
    held = {}
    for cpu in cpus_of(pool):
        low, high = cpu["magazine"].type.range()
        for index in range(low, high + 1):
            magazine = cpu["magazine"][index]
            blocks = memory.integer(magazine["top"]) - memory.integer(magazine["bottom"])
            held[index] = held.get(index, 0) + blocks
    return held


def print_pool(name, pool):
    """The pool's accounts."""
    held = magazines(pool)
    in_magazines = sum(blocks << (index if index <= ORDER_TEXT else 0) for index, blocks in held.items())
    managed, free = memory.integer(pool["managed_frames"]), memory.integer(pool["free_frames"])
    print(f"{name}: {len(cpus_of(pool))} CPUs")
    for what, frames in (("managed", managed), ("free", free), ("in magazines", in_magazines),
                         ("allocated", managed - free - in_magazines)):
        print(f"  {what:14} {frames:12} frames  {memory.size_text(frames * FRAME_BYTES)}")
    print(f"  allocator's state at physical {memory.integer(pool['state_base']['raw']):#x}, "
          f"{memory.size_text(memory.integer(pool['state_bytes']))}")
    for index, blocks in held.items():
        if blocks:
            print(f"  magazines of {f'order {index}' if index <= ORDER_TEXT else 'zeroed frames'}: {blocks} blocks")
    print("  owners:")
    for owner, count in owned_bytes(pool).items():
        if count:
            print(f"    {owner:18} {memory.size_text(count)}")


class FramesCommand(gdb.Command):
    """Shows the accounts of frame pools: ashlar frames [EXPRESSION]

Of the pool that the expression names, or of all that are variables of the kernel."""

    def __init__(self):
        super().__init__("ashlar frames", gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument, _from_tty):
        """Prints them."""
        names = [argument] if argument else pools()
        if not names:
            raise gdb.GdbError("no variable is a frame pool: this kernel has none, or its symbols are not loaded")
        for name in names:
            value = gdb.parse_and_eval(name)
            print_pool(name, value.dereference() if value.type.strip_typedefs().code == gdb.TYPE_CODE_PTR else value)


FramesCommand()
