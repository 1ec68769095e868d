"""`ashlar pt`: the way of an address through the page tables, as the CPU goes it (SDM volume 3, 4.5)."""

from dataclasses import dataclass, field

import gdb
import memory

CR0_PAGING = 1 << 31
CR4_LA57 = 1 << 12
EFER_NO_EXECUTE = 1 << 11
PRESENT, WRITE, USER, LARGE, GLOBAL, NO_EXECUTE = 1 << 0, 1 << 1, 1 << 2, 1 << 7, 1 << 8, 1 << 63
TAG = 7 << 9  # tells apart what is neither present nor a leaf
TAG_SWAPPED, TAG_HELD = 1 << 9, 7 << 9
ADDRESS = 0x000ffffffffff000
BITS = ((PRESENT, "present"), (WRITE, "write"), (USER, "user"), (1 << 3, "write-through"), (1 << 4, "cache-disable"),
        (1 << 5, "accessed"), (1 << 6, "dirty"))
TABLES = {5: "PML5", 4: "PML4", 3: "PDPT", 2: "PD", 1: "PT"}
PAGES = {3: "1 GiB", 2: "2 MiB", 1: "4 KiB"}
# Ashlar's page attribute table, by index (include/ashlar/arch/page_table_entry.h).
CACHES = ("write-back", "write-combining", "uncached (weak)", "uncached", "write-back", "write-protected",
          "uncached (weak)", "write-through")


@dataclass
class Step:
    """One entry on the way."""

    level: int   # 1 is the page table
    where: int   # physical address of the entry
    entry: int   # its value

    @property
    def index(self):
        """Which entry of its table."""
        return (self.where & 0xfff) // 8

    @property
    def is_leaf(self):
        """Whether it maps memory rather than naming a table."""
        return self.level == 1 or (self.level <= 3 and bool(self.entry & LARGE))

    @property
    def cache(self):
        """Index into the page attribute table."""
        high = self.entry >> (7 if self.level == 1 else 12) & 1
        return self.entry >> 3 & 3 | high << 2

    @property
    def kind(self):
        """What the entry is, as page_entry_kind() tells it (include/ashlar/arch/page_entry_kind.h)."""
        if self.entry & PRESENT:
            return "leaf" if self.is_leaf else "table"
        if self.entry & GLOBAL:
            return "inaccessible" if self.is_leaf else "absent"
        tags = {TAG_SWAPPED: "swapped", TAG_HELD: "held"} if self.level == 1 else {}
        return tags.get(self.entry & TAG, "absent")

    def kept(self):
        """What the kernel keeps in an entry that is not present."""
        kind = self.kind
        if kind == "inaccessible":
            base = self.entry & ADDRESS & ~(page_bytes(self.level) - 1)
            return f"inaccessible: the {PAGES[self.level]} page at physical {base:#x} is kept, but nobody reaches it"
        if kind == "swapped":
            return f"swapped: the page is on disk, in slot {~self.entry >> 12 & 0xffffffff:#x}"
        if kind == "held":
            return "held: somebody maps there by hand"
        return "absent" if self.entry == 0 else "absent, but not 0: no kind of entry looks like this"

    def problem(self):
        """Why the CPU refuses the entry, or "" if it does not."""
        if not self.entry & PRESENT:
            return f"not present: {self.kept()}"
        if self.level > 3 and self.entry & LARGE:
            return "reserved bit 7 is set"
        if self.is_leaf and self.level > 1 and self.entry & ADDRESS & (page_bytes(self.level) - 1) & ~0x1000:
            return "reserved address bits are set"
        if self.entry & NO_EXECUTE and not memory.register("efer") & EFER_NO_EXECUTE:
            return "bit 63 is set, but EFER.NXE is not"
        return ""

    def flags(self):
        """What the entry's bits say."""
        if not self.entry & PRESENT:
            return ""  # the CPU looks at no other bit
        names = [name for bit, name in BITS if self.entry & bit]
        if self.is_leaf:
            names += ["large"] if self.level > 1 else []
            names += ["global"] if self.entry & GLOBAL else []
            names += ["PAT"] if self.cache & 4 else []
        key = self.entry >> 59 & 15
        names += [f"key {key}"] if self.is_leaf and key else []
        return " ".join(names + (["no-execute"] if self.entry & NO_EXECUTE else []))


@dataclass
class Walk:
    """The whole way."""

    address: int
    root: int
    levels: int
    steps: list = field(default_factory=list)
    problem: str = ""       # why it ends without a page
    physical: int = 0       # where it leads, if it does

    def access(self):
        """What all entries together allow."""
        entries = [step.entry for step in self.steps]
        allowed = ["read"] + (["write"] if all(entry & WRITE for entry in entries) else [])
        allowed += ["execute"] if not any(entry & NO_EXECUTE for entry in entries) else []
        return ", ".join(allowed) + (", user" if all(entry & USER for entry in entries) else ", supervisor only")


def page_bytes(level):
    """What one entry of that level spans."""
    return 1 << (12 + 9 * (level - 1))


def is_canonical(address, levels):
    """Whether the bits above those that are translated are all equal."""
    return address >> (11 + 9 * levels) in (0, (1 << (53 - 9 * levels)) - 1)


def current_levels():
    """4 or 5, as the CPU walks."""
    if not memory.register("cr0") & CR0_PAGING:
        raise gdb.GdbError("paging is off")
    return 5 if memory.register("cr4") & CR4_LA57 else 4


def walk(address):
    """Walks from CR3; the result says where it ended, and why."""
    levels = current_levels()
    way = Walk(address, memory.register("cr3") & ADDRESS, levels)
    if not is_canonical(address, levels):
        way.problem = f"the address is not canonical with {levels} levels"
        return way
    table = way.root
    for level in range(levels, 0, -1):
        where = table + (address >> (12 + 9 * (level - 1)) & 511) * 8
        step = Step(level, where, int.from_bytes(memory.read_physical(where, 8), "little"))
        way.steps.append(step)
        way.problem = step.problem()
        if way.problem:
            return way
        if step.is_leaf:
            below = page_bytes(level) - 1
            way.physical = step.entry & ADDRESS & ~below | address & below
            return way
        table = step.entry & ADDRESS
    return way


def physical_address(address):
    """Where a virtual address lies in memory."""
    way = walk(address)
    if way.problem:
        raise gdb.GdbError(f"{address:#x} is not mapped: {way.problem}")
    return way.physical


class PageTableCommand(gdb.Command):
    """Walks the page tables for an address: ashlar pt ADDRESS

The address is any expression (a number, $rsp, a function). Every entry is shown with its physical address and what
its bits mean, then the page, what may be done with it, and how it is cached; or what the kernel keeps in the entry that
maps nothing."""

    def __init__(self):
        super().__init__("ashlar pt", gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument, _from_tty):
        """Prints the way."""
        if not argument:
            raise gdb.GdbError("ashlar pt ADDRESS: which address?")
        way = walk(memory.number(argument))
        print(f"{way.address:#x} from CR3 {way.root:#x}, {way.levels} levels")
        for step in way.steps:
            line = f"  {TABLES[step.level]:4} entry {step.index:3} at {step.where:#x}: {step.entry:#018x}  {step.flags()}"
            print(line.rstrip())
        if way.problem:
            print(f"  not mapped: {way.problem}")
            return
        leaf = way.steps[-1]
        print(f"  physical {way.physical:#x} in a {PAGES[leaf.level]} page: {way.access()}; {CACHES[leaf.cache]}")


PageTableCommand()
