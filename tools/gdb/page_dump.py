"""`ashlar pt-dump` and `ashlar pt-audit`: all that the page tables map, and whether any of it contradicts the rest."""

from dataclasses import dataclass

import gdb
import memory
import page_tables
from page_tables import ADDRESS, CACHES, GLOBAL, LARGE, NO_EXECUTE, PAGES, PRESENT, USER, WRITE, page_bytes

ENTRIES = 512
WORD_END = 1 << 64


@dataclass
class Run:
    """Pages one after the other, alike in all but their addresses."""

    base: int       # first virtual address
    bytes: int      # length
    physical: int   # what it shows
    level: int      # page size
    flags: int      # WRITE, USER and NO_EXECUTE, as all levels together have it; GLOBAL of the leaf
    cache: str      # how it is cached

    @property
    def access(self):
        """As the monitor shows it: read, write, execute, user, global."""
        bits = (("r", True), ("w", self.flags & WRITE), ("x", not self.flags & NO_EXECUTE), ("u", self.flags & USER),
                ("g", self.flags & GLOBAL))
        return "".join(letter if there else "-" for letter, there in bits)

    def continues_as(self, other):
        """Whether the other run is this one's rest."""
        return (self.base + self.bytes == other.base and self.physical + self.bytes == other.physical and
                (self.level, self.flags, self.cache) == (other.level, other.flags, other.cache))

    def shares_memory_with(self, other):
        """Whether both show some of the same memory."""
        return self.physical < other.physical + other.bytes and other.physical < self.physical + self.bytes


def leaf_of(address, level, entry, flags):
    """The page that an entry maps."""
    size = page_bytes(level)
    step = page_tables.Step(level, 0, entry)
    return Run(address, size, entry & ADDRESS & ~(size - 1), level, flags | entry & GLOBAL, CACHES[step.cache])


def table_pages(table, level, base, flags, wanted):
    """The pages below one table, of those that touch the wanted addresses (first, last); `flags` are those above."""
    size = page_bytes(level)
    data = memory.read_physical(table, ENTRIES * 8)
    for index in range(ENTRIES):
        entry = int.from_bytes(data[index * 8:index * 8 + 8], "little")
        address = base + index * size
        if level == wanted[2] and index >= ENTRIES // 2:
            address += WORD_END - (ENTRIES << (12 + 9 * (level - 1)))
        if not entry & PRESENT or address > wanted[1] or address + size <= wanted[0] or entry & ADDRESS == wanted[3]:
            continue
        allowed = flags & entry & (WRITE | USER) | (flags | entry) & NO_EXECUTE
        if level == 1 or (level <= 3 and entry & LARGE):
            yield leaf_of(address, level, entry, allowed)
        else:
            yield from table_pages(entry & ADDRESS, level - 1, address, allowed, wanted)


def runs(root, levels, first=0, last=memory.WORD):
    """All that is mapped from `first` to `last`, neighbours that are alike as one. The root's entry for itself is left
    out."""
    current = None
    for page in table_pages(root, levels, 0, WRITE | USER, (first, last, levels, root)):
        if current and current.continues_as(page):
            current.bytes += page.bytes
            continue
        if current:
            yield current
        current = page
    if current:
        yield current


def loaded():
    """Root and levels of the tables in force."""
    return memory.register("cr3") & ADDRESS, page_tables.current_levels()


class DumpCommand(gdb.Command):
    """Shows all that the page tables map: ashlar pt-dump [FROM [TO]]

One line for pages that are one after the other and alike: first address, length, physical address, what may be done (read,
write, execute, user, global), page size, how they are cached. The page FROM lies inside of is shown as well."""

    def __init__(self):
        super().__init__("ashlar pt-dump", gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument, _from_tty):
        """Prints the runs."""
        words = gdb.string_to_argv(argument)
        if len(words) > 2:
            raise gdb.GdbError("ashlar pt-dump [FROM [TO]]: two addresses at most")
        bounds = [memory.number(word) for word in words] + [0, memory.WORD][len(words):]
        if bounds[0] > bounds[1]:
            raise gdb.GdbError(f"{bounds[1]:#x} lies before {bounds[0]:#x}")
        shown = 0
        for run in runs(*loaded(), *bounds):
            print(f"{run.base:#018x}  {memory.size_text(run.bytes):>10}  -> {run.physical:#014x}  {run.access}  "
                  f"{PAGES[run.level]}  {run.cache}")
            shown += 1
        if not shown:
            print("nothing is mapped there")


def contradictions(found):
    """What is wrong with runs, one line each."""
    executable = [run for run in found if not run.flags & NO_EXECUTE]
    special = [run for run in found if run.cache != "write-back"]
    for run in found:
        for other in executable if run.flags & WRITE else ():
            # The kernel fills the user's code through its map of all RAM, and executes none of it.
            if run.shares_memory_with(other) and not (other.flags & USER and not run.flags & USER):
                yield f"{run.base:#x} can be written, and executed at {other.base:#x}: physical {run.physical:#x}"
        for other in special:
            if run.shares_memory_with(other) and run.cache != other.cache:
                yield (f"{run.base:#x} is {run.cache}, and {other.base:#x}, which shows the same memory, {other.cache}: "
                       f"physical {run.physical:#x}")


class AuditCommand(gdb.Command):
    """Looks for mappings that contradict each other: ashlar pt-audit

Nothing may be written at one address and executed at this or another, and nothing may be cached in two ways. Works on the
tables in force, the loader's as well as the kernel's. Whether each mapping has a reason, the monitor's `pt audit` says."""

    def __init__(self):
        super().__init__("ashlar pt-audit", gdb.COMMAND_DATA)

    def invoke(self, _argument, _from_tty):
        """Prints the verdict."""
        found = list(runs(*loaded()))
        pages = sum(run.bytes // page_bytes(run.level) for run in found)
        executable = sum(run.bytes for run in found if not run.flags & NO_EXECUTE)
        print(f"{pages} mappings of {memory.size_text(sum(run.bytes for run in found))}, "
              f"{memory.size_text(executable)} executable")
        wrong = list(contradictions(found))
        print("\n".join(wrong) if wrong else "none is writable and executable, or cached in two ways, by any alias")


DumpCommand()
AuditCommand()
