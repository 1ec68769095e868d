"""`ashlar log`: the ring of log lines, read from outside (kernel/lib/log_ring.h says what is in a slot)."""

import gdb
import memory

SOURCE = "kernel/lib/log.c"


def lines_of(ring):
    """(number, ticks, subsystem, level, cpu, text) of every line in the ring, oldest first."""
    capacity, head = memory.integer(ring["capacity"]), memory.integer(ring["head"])
    slot_type = ring["slots"].type.target()
    data = memory.read_virtual(memory.integer(ring["slots"]), capacity * slot_type.sizeof)
    for sequence in range(max(0, head - capacity), head):
        at = sequence % capacity * slot_type.sizeof
        slot = memory.value_at(slot_type, data[at:at + slot_type.sizeof])
        if memory.integer(slot["state"]) != 2 * sequence + 2:  # still being written, or dropped
            yield sequence, None
            continue
        attributes = memory.integer(slot["attributes"])
        text_at = at + slot_type.fields()[-1].bitpos // 8
        text = data[text_at:text_at + (attributes >> 32)].decode("utf-8", "replace")
        subsystem = gdb.Value(memory.integer(slot["subsystem"])).cast(gdb.lookup_type("char").pointer()).string()
        yield sequence, (memory.integer(slot["ticks"]), subsystem, attributes & 0xff, attributes >> 8 & 0xffff, text)


def time_text(ticks):
    """A time stamp as the kernel shows it."""
    origin = memory.integer(memory.variable(SOURCE, "clock_origin"))
    rate = memory.integer(memory.variable(SOURCE, "clock_rate"))
    since = (ticks - origin) & memory.WORD
    if rate == 0:
        return f"[{since:12}]"
    return f"[{since // rate:5}.{since % rate * 1000000 // rate:06}]"


class LogCommand(gdb.Command):
    """Shows the kernel's log: ashlar log [LINES]

The last so many lines, or all that the ring holds, of every level."""

    def __init__(self):
        super().__init__("ashlar log", gdb.COMMAND_DATA)

    def invoke(self, argument, _from_tty):
        """Prints the lines."""
        ring = memory.variable(SOURCE, "ring")
        try:
            lines = list(lines_of(ring))
        except gdb.MemoryError as error:
            raise gdb.GdbError("the kernel is not mapped: the loader still runs") from error
        names = memory.enumerators("log_level", "LOG_")
        for sequence, line in lines[-memory.number(argument):] if argument else lines:
            if line is None:
                print(f"(line {sequence} is not there: its writer was held up)")
                continue
            ticks, subsystem, level, cpu, text = line
            print(f"{time_text(ticks)} cpu {cpu} {names.get(level, 'unknown'):7} {subsystem}: {text}")
        if not lines:
            print("the log is empty")


LogCommand()
