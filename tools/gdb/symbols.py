"""Symbols at their real addresses: `ashlar attach`, `ashlar start`, `ashlar symbols`.

The loader's base is known when gdb comes (tools/lib/entry_loop.py); the kernel's once the loader has chosen it: a
breakpoint at kernel_enter, the loader's last function, is the moment to read it. On a machine that already runs the
kernel, the CPU's GS base tells: it is the address of boot_cpu.
"""

import os
import shlex

import gdb
import memory

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
IMAGE_ROOM = 1 << 30        # the kernel moves up by less than this
GS_BASES = ("gs_base", "k_gs_base")


class State:  # pylint: disable=too-few-public-methods
    """What has been found out so far."""

    build_dir = os.path.join(ROOT, "build")
    slide = None            # of the kernel, once its symbols are loaded
    loader = None           # base of the loader, once its symbols are loaded


def quietly(command):
    """Runs a gdb command; what it prints is of no interest."""
    return gdb.execute(f"with confirm off -- {command}", to_string=True)


def add_symbols(name, offset):
    """Adds the symbols of a file of the build, moved by an offset."""
    path = os.path.join(State.build_dir, name)
    if not os.path.isfile(path):
        raise gdb.GdbError(f"{path} does not exist: build first")
    quietly(f"directory {shlex.quote(ROOT)}")
    quietly(f"add-symbol-file {shlex.quote(path)} -o {offset:#x}")


def add_kernel(slide):
    """Adds the kernel's symbols."""
    add_symbols("ashlar.elf", slide)
    State.slide = slide
    print(f"ashlar: the kernel is at {memory.number('&image_start'):#x}; its symbols are loaded")


class HandOff(gdb.Breakpoint):
    """Stops where the loader leaves for the kernel."""

    def __init__(self):
        super().__init__("*kernel_enter", type=gdb.BP_HARDWARE_BREAKPOINT, internal=True, temporary=True)
        self.silent = True

    def arrive(self):
        """The kernel's place is decided."""
        kernel = gdb.parse_and_eval("the_loader.info->kernel")
        print("ashlar: the loader is about to enter the kernel")
        add_kernel(memory.integer(kernel["slide"]))


def notice_stop(event):
    """gdb tells of every stop."""
    for breakpoint in getattr(event, "breakpoints", ()):
        if isinstance(breakpoint, HandOff):
            breakpoint.arrive()


gdb.events.stop.connect(notice_stop)


class AttachCommand(gdb.Command):
    """Takes over a machine at the loader's first instruction: ashlar attach SOCKET LOADER-BASE BUILD-FOLDER

tools/debug prints this command with its arguments."""

    def __init__(self):
        super().__init__("ashlar attach", gdb.COMMAND_RUNNING)

    def invoke(self, argument, _from_tty):
        """Connects, with the loader's symbols in place."""
        socket, base, State.build_dir = gdb.string_to_argv(argument)
        quietly("set pagination off")
        quietly("set breakpoint pending on")
        State.loader = int(base, 0)
        add_symbols("loader-debug.efi", State.loader)
        print(f"ashlar: the loader is at {State.loader:#x}; its symbols are loaded")
        quietly(f"target remote {socket}")
        HandOff()


class StartCommand(gdb.Command):
    """Runs on to kernel_main, the kernel's first C function: ashlar start

Symbols are loaded on the way. Ends early at a breakpoint that is hit before."""

    def __init__(self):
        super().__init__("ashlar start", gdb.COMMAND_RUNNING)

    def invoke(self, _argument, _from_tty):
        """Two steps: to the hand-over, to kernel_main."""
        if State.slide is None:
            gdb.execute("continue")
        if State.slide is None:
            return
        gdb.Breakpoint("kernel_main", type=gdb.BP_HARDWARE_BREAKPOINT, temporary=True)
        gdb.execute("continue")


class SymbolsCommand(gdb.Command):
    """Finds the kernel in a running machine and loads its symbols: ashlar symbols [BUILD-FOLDER]

For a machine that gdb was attached to late, started with `tools/run ... -- -gdb tcp::1234`, for example."""

    def __init__(self):
        super().__init__("ashlar symbols", gdb.COMMAND_FILES, gdb.COMPLETE_FILENAME)

    def invoke(self, argument, _from_tty):
        """Loads them once to learn where boot_cpu is linked, and again where they belong."""
        if State.slide is not None:
            raise gdb.GdbError(f"the kernel's symbols are loaded, at {memory.number('&image_start'):#x}")
        if argument:
            State.build_dir = os.path.abspath(argument)
        add_symbols("ashlar.elf", 0)
        linked, start = memory.number("&boot_cpu"), memory.number("&image_start")
        quietly(f"remove-symbol-file -a {start:#x}")
        slide = find_slide(linked)
        if slide is None:
            raise gdb.GdbError("no CPU's GS base is that of Ashlar's kernel: it does not run yet, or is another build")
        add_kernel(slide)


def find_slide(linked):
    """How far the kernel was moved, from the CPU whose structure is linked at `linked`; None when there is none."""
    selected = gdb.selected_thread()
    try:
        for thread in gdb.selected_inferior().threads():  # one for each CPU; the selected one may be another
            thread.switch()
            slide = find_slide_here(linked)
            if slide is not None:
                return slide
        return None
    finally:
        selected.switch()


def find_slide_here(linked):
    """The same, from the CPU that is selected."""
    for name in GS_BASES:
        base = memory.register(name)
        slide = base - linked
        if 0 <= slide < IMAGE_ROOM and slide % 4096 == 0 and points_to_itself(base):
            return slide
    return None


def points_to_itself(address):
    """Whether the first word at an address is the address, as in struct per_cpu."""
    try:
        return int.from_bytes(memory.read_virtual(address, 8), "little") == address
    except gdb.MemoryError:
        return False


AttachCommand()
StartCommand()
SymbolsCommand()
