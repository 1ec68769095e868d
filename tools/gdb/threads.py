"""`ashlar threads`, and the backtraces of those that sleep: kernel/task/list.c has them all."""

import gdb
import memory

LIST = "kernel/task/list.c"
# What thread_switch_stacks() leaves on the stack of a thread that it goes away from, from the stack pointer upwards.
SAVED = ("r15", "r14", "r13", "r12", "rbx", "rbp", "eflags", "rip")
KEPT = tuple(name for name in SAVED if name != "eflags") + ("rsp",)


def each():
    """All threads, as values, by number."""
    link = memory.variable(LIST, "ends")["next"]
    ends = memory.integer(memory.variable(LIST, "ends").address)
    while memory.integer(link) != ends:
        if memory.integer(link["thread"]):
            yield link["thread"].dereference()
        link = link["next"]


def name_of(value):
    """A name that the kernel keeps in an array."""
    return value.string(errors="replace")


def waits_for(thread):
    """What it waits for, or ""."""
    what = thread["waits_for"]
    return what.string(errors="replace") if memory.integer(what) else ""


def state_of(thread):
    """In a word."""
    return memory.enumerators("thread_state", "THREAD_").get(memory.integer(thread["state"]), "unknown")


def find(text):
    """The thread with that number."""
    number = memory.number(text)
    for thread in each():
        if memory.integer(thread["number"]) == number:
            return thread
    raise gdb.GdbError(f"there is no thread {number}: `ashlar threads` lists them")


def backtrace(words):
    """Of a thread that is on no CPU: the selected CPU's registers become those that it goes on with, for a moment."""
    if len(words) != 1:
        raise gdb.GdbError("which thread? `ashlar threads` lists them")
    thread = find(words[0])
    if state_of(thread) == "running":
        raise gdb.GdbError(f"it runs on CPU {memory.integer(thread['cpu'])}: `ashlar bt` shows that")
    stack = memory.integer(thread["stack_pointer"])
    if stack == 0 or state_of(thread) == "ended":
        raise gdb.GdbError(f"it is {state_of(thread)}, and has no stack to look at")
    data = memory.read_virtual(stack, 8 * len(SAVED))
    new = {name: int.from_bytes(data[8 * i:8 * i + 8], "little") for i, name in enumerate(SAVED) if name in KEPT}
    new["rsp"] = stack + 8 * len(SAVED)
    gdb.execute("frame 0", to_string=True)
    old = {name: memory.register(name) for name in KEPT}
    try:
        set_registers(new)
        gdb.execute("bt")
    finally:
        set_registers(old)


def set_registers(values):
    """Of the selected CPU, in its innermost frame."""
    for name, value in values.items():
        gdb.execute("frame 0", to_string=True)
        gdb.execute(f"set ${name} = {value:#x}", to_string=True)


class ThreadsCommand(gdb.Command):
    """Shows all threads, a line each: ashlar threads

Number, CPU, state, the number of its task if it belongs to a program, name, and what it waits for."""

    def __init__(self):
        super().__init__("ashlar threads", gdb.COMMAND_DATA)

    def invoke(self, _argument, _from_tty):
        """A table."""
        print("number  CPU  state     task  name                     waits for")
        for thread in each():
            task = memory.integer(thread["task"]["number"]) if memory.integer(thread["task"]) else "-"
            print(f"{memory.integer(thread['number']):6}  {memory.integer(thread['cpu']):3}  {state_of(thread):8} {task:>5}  "
                  f"{name_of(thread['name']):23}  {waits_for(thread)}".rstrip())


ThreadsCommand()
