"""`ashlar percpu`: each CPU's own structure (arch/x86_64/include/x86/per_cpu.h)."""

import gdb
import memory

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


class PerCpuCommand(gdb.Command):
    """Shows each CPU's own structure: ashlar percpu

Where the CPU is, its preemption and interrupt depth, the trap it is in, its stacks, its interrupts."""

    def __init__(self):
        super().__init__("ashlar percpu", gdb.COMMAND_DATA)

    def invoke(self, _argument, _from_tty):
        """gdb calls CPUs threads: goes through them and comes back."""
        selected = gdb.selected_thread()
        try:
            for thread in sorted(gdb.selected_inferior().threads(), key=lambda one: one.num):
                thread.switch()
                found = structure_of_cpu()
                if found:
                    print_cpu(*found)
                else:
                    print(f"{thread.details or f'thread {thread.num}'}: has no struct per_cpu yet")
        finally:
            selected.switch()


PerCpuCommand()
