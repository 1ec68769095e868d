"""`ashlar percpu`, `ashlar cpus`, `ashlar bt`: each CPU's own structure (arch/x86_64/include/x86/per_cpu.h), and where it is."""

import gdb
import memory
import threads

STACKS = ("NMI", "double fault", "machine check", "page fault", "debug")  # by slot of the interrupt stack table


def structure_of_cpu():
    """struct per_cpu of the selected CPU, or None while it has none. In user mode swapgs has put it aside."""
    kind = memory.kernel_type("struct per_cpu")
    for name in ("gs_base", "k_gs_base"):
        base = memory.register(name)
        try:
            cpu = memory.value_at(kind, memory.read_virtual(base, kind.sizeof))
        except gdb.MemoryError:
            continue
        if base and memory.integer(cpu["self"]) == base:
            return base, cpu
    return None


def print_frame(cpu):
    """The innermost trap, if any."""
    frame = memory.integer(cpu["frame"])
    if not frame:
        print("  in no trap")
        return
    kind = gdb.lookup_type("struct trap_frame")
    trap = memory.value_at(kind, memory.read_virtual(frame, kind.sizeof))
    print(f"  in a trap: vector {memory.integer(trap['vector'])}, error code {memory.integer(trap['error_code']):#x}, "
          f"frame at {frame:#x}, from {memory.place(memory.integer(trap['rip']))}")


def print_cpu(base, cpu):
    """All about one CPU."""
    print(f"CPU {memory.integer(cpu['number'])}: struct per_cpu at {base:#x}")
    print(f"  at {memory.place(memory.register('pc'))}")
    print(f"  preempt depth {memory.integer(cpu['preempt_depth']) & 0x7fffffff}, "
          f"interrupt depth {memory.integer(cpu['interrupt_depth'])}")
    print_frame(cpu)
    print(f"  stacks: traps from user mode {memory.integer(cpu['tss']['rsp0']):#x}")
    for slot, name in enumerate(STACKS):
        print(f"    {name:14} {memory.integer(cpu['tss']['ist'][slot]):#x}")
    counts = [(vector, memory.integer(cpu["interrupt_counts"][vector])) for vector in range(256)]
    shown = ", ".join(f"{count} of vector {vector}" for vector, count in counts if count)
    print(f"  interrupts: {shown or 'none'}")


def visit_cpus(visit):
    """Goes through the CPUs, which gdb calls threads, and comes back: visit(thread, found), with structure_of_cpu()."""
    selected = gdb.selected_thread()
    try:
        for thread in sorted(gdb.selected_inferior().threads(), key=lambda one: one.num):
            thread.switch()
            visit(thread, structure_of_cpu())
    finally:
        selected.switch()


def name_of(thread):
    """What QEMU calls a CPU that has no number yet."""
    return thread.details or f"thread {thread.num}"


class PerCpuCommand(gdb.Command):
    """Shows each CPU's own structure: ashlar percpu

Where the CPU is, its preemption and interrupt depth, the trap it is in, its stacks, its interrupts."""

    def __init__(self):
        super().__init__("ashlar percpu", gdb.COMMAND_DATA)

    def invoke(self, _argument, _from_tty):
        """One after the other."""
        def show(thread, found):
            if found:
                print_cpu(*found)
            else:
                print(f"{name_of(thread)}: has no struct per_cpu yet")
        visit_cpus(show)


def activity(cpu):
    """What a CPU does, in a word or two."""
    frame = memory.integer(cpu["frame"])
    if frame:
        kind = gdb.lookup_type("struct trap_frame")
        trap = memory.value_at(kind, memory.read_virtual(frame, kind.sizeof))
        return f"trap {memory.integer(trap['vector'])}"
    return "rests" if memory.integer(cpu["rest_began"]) else "works"


class CpusCommand(gdb.Command):
    """Shows all CPUs, one line each: ashlar cpus

Number, what it does, preemption and interrupt depth, interrupts so far, where it is."""

    def __init__(self):
        super().__init__("ashlar cpus", gdb.COMMAND_DATA)

    def invoke(self, _argument, _from_tty):
        """A table."""
        def show(thread, found):
            if not found:
                print(f"  -  {name_of(thread)}: has not been started by the kernel")
                return
            cpu = found[1]
            interrupts = sum(memory.integer(cpu["interrupt_counts"][vector]) for vector in range(32, 256))
            print(f"{memory.integer(cpu['number']):3}  {activity(cpu):9} {memory.integer(cpu['preempt_depth']):7} "
                  f"{memory.integer(cpu['interrupt_depth']):7} {interrupts:10}  {memory.place(memory.register('pc'))}")
        print("CPU  does      preempt handler interrupts  at")
        visit_cpus(show)


class BacktraceCommand(gdb.Command):
    """Shows where a CPU or a thread is and what it was called by: ashlar bt CPU | ashlar bt thread NUMBER

CPU is the kernel's number. The CPU that is selected stays selected. Of a thread, which may sleep, the number is
that of `ashlar threads`."""

    def __init__(self):
        super().__init__("ashlar bt", gdb.COMMAND_STACK)

    def invoke(self, argument, _from_tty):
        """Finds it by its number."""
        words = gdb.string_to_argv(argument or "")
        if words[:1] == ["thread"]:
            threads.backtrace(words[1:])
            return
        wanted = memory.number(argument) if argument else None
        shown = []

        def show(_thread, found):
            if found and memory.integer(found[1]["number"]) == wanted:
                shown.append(wanted)
                gdb.execute("bt")
        if wanted is None:
            raise gdb.GdbError("which CPU? `ashlar cpus` lists them")
        visit_cpus(show)
        if not shown:
            raise gdb.GdbError(f"there is no CPU {wanted}: `ashlar cpus` lists those that the kernel has started")


PerCpuCommand()
CpusCommand()
BacktraceCommand()
