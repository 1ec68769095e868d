"""`ashlar ps` and `ashlar program`: the processes (kernel/linux/tree.c), and the symbols of what they run."""

import shlex
import struct
from pathlib import Path

import gdb
import memory
import symbols
import threads

TREE = "kernel/linux/tree.c"
PAGE = 4096
LOADED = 1  # PT_LOAD


def each():
    """All processes, as values, by number."""
    chunks = memory.variable(TREE, "chunks")
    for chunk in range(chunks.type.range()[1] + 1):
        if not memory.integer(chunks[chunk]):
            continue
        identities = chunks[chunk]["identities"]
        for place in range(identities.type.range()[1] + 1):
            identity = identities[place]
            if memory.integer(identity) and memory.integer(identity["process"]):
                yield identity["process"].dereference()


def find(text):
    """The process with that number."""
    number = memory.number(text)
    for process in each():
        if memory.integer(process["number"]) == number:
            return process
    raise gdb.GdbError(f"there is no process {number}: `ashlar ps` lists them")


def tasks_of(process):
    """Its tasks, as values."""
    task = process["tasks"]
    while memory.integer(task):
        yield task.dereference()
        task = task["next"]


def space_of(process):
    """Its space, or None."""
    return process["memory"]["space"] if memory.integer(process["memory"]) else None


class ProcessesCommand(gdb.Command):
    """Shows all processes, a line for each and one for each of its threads: ashlar ps"""

    def __init__(self):
        super().__init__("ashlar ps", gdb.COMMAND_DATA)

    def invoke(self, _argument, _from_tty):
        """A table."""
        states = memory.enumerators("process_state", "PROCESS_")
        print("number  parent  state   resident  name")
        for process in each():
            parent = process["parent"]
            space = space_of(process)
            pages = memory.integer(space["resident"]) if space is not None else 0
            parents = memory.integer(parent["number"]) if memory.integer(parent) else 0
            print(f"{memory.integer(process['number']):6}  {parents:6}  {states[memory.integer(process['state'])]:7} "
                  f"{memory.size_text(pages * PAGE):>8}  "
                  f"{threads.name_of(process['name'])}")
            for task in tasks_of(process):
                thread = task["thread"].dereference()
                print(f"{'':8}task {memory.integer(task['number'])}, thread {memory.integer(thread['number'])}: "
                      f"{threads.state_of(thread)} {threads.waits_for(thread)}".rstrip())


def first_address(path):
    """Where the first segment of an ELF file was linked to begin, in whole pages."""
    data = Path(path).read_bytes()
    if data[:5] != b"\x7fELF\x02":
        raise gdb.GdbError(f"{path} is no 64-bit ELF file")
    table, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    headers = [struct.unpack_from("<IIQQ", data, table + i * size) for i in range(count)]
    return min(address for kind, _flags, _offset, address in headers if kind == LOADED) & ~(PAGE - 1)


class ProgramCommand(gdb.Command):
    """Adds the symbols of a program, where a process has it: ashlar program FILE PID

FILE is the program with its symbols, on this side. Its memory can be read while a CPU that has it loaded is
selected: stop in it, for example by `hbreak` on one of its functions."""

    def __init__(self):
        super().__init__("ashlar program", gdb.COMMAND_FILES)

    def invoke(self, argument, _from_tty):
        """Finds out how far it was moved."""
        words = gdb.string_to_argv(argument or "")
        if len(words) != 2:
            raise gdb.GdbError("which file of which process? ashlar program FILE PID")
        process = find(words[1])
        if not Path(words[0]).is_file():
            raise gdb.GdbError(f"there is no file {words[0]}")
        if space_of(process) is None:
            raise gdb.GdbError("the process has ended, and has no memory any more")
        moved = memory.integer(process["memory"]["image_base"]) - first_address(words[0])
        symbols.quietly(f"add-symbol-file {shlex.quote(words[0])} -o {moved & memory.WORD:#x}")
        print(f"ashlar: process {words[1]}, \"{threads.name_of(process['name'])}\", was moved by {moved:#x}; "
              f"the symbols of {words[0]} are loaded")


ProcessesCommand()
ProgramCommand()
