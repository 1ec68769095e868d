"""`ashlar kva` and `ashlar vm`: who has which virtual addresses (include/ashlar/kva.h, include/ashlar/vm_space_types.h)."""

import gdb
import memory
import page_dump
import processes

RANGES_MAX = 100000  # a list that is longer leads in a circle
FRAME_BYTES = 4096


def each(first, link):
    """The structures of a list, from a pointer on."""
    for _ in range(RANGES_MAX):
        if not memory.integer(first):
            return
        item = first.dereference()
        yield item
        first = item[link]
    raise gdb.GdbError(f"the list by {link} does not end: something has written over it")


def purpose(item):
    """What a range of the arena is for."""
    state = memory.enumerators("kva_state", "KVA_")[memory.integer(item["state"])]
    if state == "free" or not memory.integer(item["purpose"]):
        return state
    name = item["purpose"]["name"].string()
    return name if state == "taken" else f"{name}, {state}"


def kernel_ranges():
    """The ranges of the kernel's arena: [(first, bytes, guard pages, what for)]."""
    arena = memory.variable("kernel/memory/addresses.c", "arena")
    return [(memory.integer(item["base"]["raw"]), memory.integer(item["bytes"]), memory.integer(item["guard_pages"]),
             purpose(item)) for item in each(arena["lowest"], "higher")]


class KvaCommand(gdb.Command):
    """Shows who has which kernel virtual addresses: ashlar kva [ADDRESS]

All ranges of the kernel's arena, or the one an address lies in, its guard pages included."""

    def __init__(self):
        super().__init__("ashlar kva", gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument, _from_tty):
        """Prints them."""
        address = memory.number(argument) if argument else None
        shown = 0
        for base, count, guards, text in kernel_ranges():
            guard = guards * FRAME_BYTES
            if address is None or base - guard <= address < base + count + guard:
                print(f"{base:#x}  {memory.size_text(count):>12}  {guards} guard pages  {text}")
                shown += 1
        if not shown:
            none = "no range: the arena has not been made yet"
            print(none if address is None else f"{address:#x} is outside the arena")


def spaces():
    """Every address space there is."""
    manager = memory.variable("kernel/memory/spaces.c", "manager")
    numbers = manager["space_numbers"]
    chunk = numbers["chunks"].type.target()
    per_chunk = FRAME_BYTES // chunk.target().sizeof
    for number in range(memory.integer(numbers["limit"])):
        entry = numbers["chunks"][number // per_chunk][number % per_chunk]
        if not memory.integer(entry["word"]) & 3:  # else it is free, or the space is being destroyed
            yield entry["space"].dereference()


def resident_pages(space, region):
    """How many pages of a region have a frame of their own, in 4 KiB: the zero page and given memory are none."""
    if memory.enumerators("vm_source", "VM_")[memory.integer(region["source"])] == "device":
        return 0
    table = space["table"]
    zeros = memory.integer(space["manager"]["zero_frame"]["raw"])
    base, count = memory.integer(region["base"]), memory.integer(region["bytes"])
    found = page_dump.runs(memory.integer(table["root"]["raw"]), memory.integer(table["levels"]), base, base + count - 1)
    return sum(run.bytes // FRAME_BYTES for run in found if run.physical != zeros)


def print_space(space):
    """A space and its regions."""
    access_names = ((1, "read"), (2, "write"), (4, "execute"))
    sources = memory.enumerators("vm_source", "VM_")
    print(f"space {memory.integer(space['number'])} \"{space['name'].string()}\": "
          f"{memory.integer(space['base']):#x} to {memory.integer(space['end']):#x}, "
          f"{memory.integer(space['resident'])} pages resident, "
          f"{memory.integer(space['table']['table_frames'])} page tables")
    for region in each(space["first"], "next"):
        base, count = memory.integer(region["base"]), memory.integer(region["bytes"])
        access = ", ".join(name for bit, name in access_names if memory.integer(region["access"]) & bit)
        print(f"  {base:#x}  {memory.size_text(count):>12}  {sources[memory.integer(region['source'])]:8} "
              f"{access or 'no access':20} {resident_pages(space, region):6} pages resident  {region['name'].string()}")


class VmCommand(gdb.Command):
    """Shows address spaces and their regions, with how many pages each has in memory: ashlar vm [PID]

All of them, or that of one process (`ashlar ps`)."""

    def __init__(self):
        super().__init__("ashlar vm", gdb.COMMAND_DATA)

    def invoke(self, argument, _from_tty):
        """Prints them."""
        if argument:
            space = processes.space_of(processes.find(argument))
            print("the process has ended, and has no memory any more") if space is None else print_space(space)
            return
        count = 0
        for space in spaces():
            print_space(space)
            count += 1
        if not count:
            print("no address space has been made yet")


KvaCommand()
VmCommand()
