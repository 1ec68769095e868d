"""The matrix: machines of every kind, each of which must boot and pass the kernel's own tests."""

import itertools
import re
from dataclasses import dataclass, field

from frame import expect, expect_in, expect_selftest_passes, selftest_seconds
from machine import Machine, parse_memory


NOT_RAM = 0xa0000, 0x100000            # no firmware map mentions it
Q35_DEVICES = 0xb0000000, 0x100000000  # no RAM of this board lies there, but configuration space, called reserved
NO_SCREEN = ["screen    none"]
A_SCREEN = [" bytes a pixel, "]


def display(width, height):
    """A machine whose firmware sets the screen up with so many pixels, as its monitor prefers."""
    return Machine(vga="none", extra=["-device", f"VGA,edid=on,xres={width},yres={height},vgamem_mb=64"])


def check_total(machine, said):
    """The memory map that the kernel shows has all RAM of the machine, to the byte, and its sums are right."""
    shown = [(int(first, 16), int(last, 16) + 1, kind) for first, last, kind in
             re.findall(r"^  ([0-9a-f]{14}) - ([0-9a-f]{14}) +\d+ KiB +(\S+)$", said, re.MULTILINE)]
    total = re.search(r"^  all +(\d+) bytes", said, re.MULTILINE)
    expect(total and int(total[1]) == sum(end - base for base, end, _ in shown), f"the total is not the ranges' sum:\n{said}")
    ram = sum(end - base for base, end, kind in shown if kind != "mmio" and not is_for_devices(machine, base))
    wanted = parse_memory(machine.memory) - (NOT_RAM[1] - NOT_RAM[0])
    expect(ram == wanted, f"{ram} bytes of RAM are shown, and there are {wanted}:\n{said}")


def is_for_devices(machine, address):
    """Whether no RAM can be at this address."""
    return machine.board == "q35" and Q35_DEVICES[0] <= address < Q35_DEVICES[1]


@dataclass
class Case:
    """One boot. It passes when `selftest` does, all memory is shown, and all of `says` is in what the machine said."""

    machine: Machine
    cmdline: str = ""
    medium: str = "fat"                        # fat, image or iso
    says: list = field(default_factory=list)   # texts that must appear
    also_debug: bool = False                   # boot the build with all assertions, too

    def run(self, setting):
        """Boots and checks."""
        with setting.boot(self.machine, f"selftest {self.cmdline}".strip(), self.medium, cold=True) as talk:
            expect_selftest_passes(talk, selftest_seconds(self.machine.cpus))
            check_total(self.machine, talk.transcript)
            for text in self.says:
                expect_in(text, talk.transcript)


CASES = {
    "memory.64m": Case(Machine(memory="64M"), says=A_SCREEN, also_debug=True),  # the least that is supported
    "memory.64m.pc": Case(Machine(memory="64M", board="pc", vga="none"), says=NO_SCREEN),
    "memory.64m.bitmap": Case(Machine(memory="64M"), cmdline="frames=bitmap"),
    "memory.256m": Case(Machine(memory="256M"), says=["4 levels, pages up to 1 GiB", *A_SCREEN], also_debug=True),
    "memory.3g": Case(Machine(memory="3G")),
    "memory.4g": Case(Machine(memory="4G")),
    "memory.16g": Case(Machine(memory="16G"), also_debug=True),
    "memory.512g": Case(Machine(memory="512G")),
    "memory.960g": Case(Machine(memory="960G"), also_debug=True),
    "cpu.qemu64": Case(Machine(cpu="qemu64"), says=["4 levels, pages up to 2 MiB"]),
    "cpu.qemu64.16g": Case(Machine(cpu="qemu64", memory="16G"), says=["4 levels, pages up to 2 MiB"]),
    "cpu.la57.off": Case(Machine(cpu="max,la57=on"), cmdline="la57=off", says=["4 levels"]),
    "cpu.la57.on": Case(Machine(cpu="max,la57=on"), cmdline="la57=on", says=["5 levels"], also_debug=True),
    "cpu.la57.on.960g": Case(Machine(cpu="max,la57=on,vendor=GenuineIntel", memory="960G"), cmdline="la57=on",
                             says=["5 levels"]),
    "cpu.la57.missing": Case(Machine(cpu="max,la57=off"), cmdline="la57=on",
                             says=["la57=on: the CPU has no 5-level paging", "4 levels"]),
    "cpus.1": Case(Machine(cpus=1), says=[" 1 processors, "]),
    "cpus.2.pc": Case(Machine(cpus=2, memory="64M", board="pc"), says=["2 of 2 processors are online"]),
    "cpus.3.16g": Case(Machine(cpus=3, memory="16G"), says=["3 of 3 processors are online"]),
    "cpus.4.la57": Case(Machine(cpus=4, cpu="max,la57=on"), cmdline="la57=on",
                        says=["5 levels", "4 of 4 processors are online"], also_debug=True),
    "cpus.8": Case(Machine(cpus=8), says=[" 8 processors, ", "8 of 8 processors are online"]),
    "cpus.8.64m": Case(Machine(cpus=8, memory="64M", board="pc", cpu="max,la57=on"), cmdline="la57=on",
                       says=["5 levels", "8 of 8 processors are online"]),
    "cpus.wanted": Case(Machine(cpus=4), cmdline="cpus=2", says=["2 of 2 processors are online"]),
    "video.none": Case(Machine(vga="none"), says=NO_SCREEN),
    "video.cirrus": Case(Machine(vga="cirrus"), says=A_SCREEN),
    "video.virtio": Case(Machine(vga="virtio"), says=NO_SCREEN),  # it can only be drawn to by the firmware
    "video.ramfb": Case(Machine(vga="ramfb"), says=A_SCREEN),
    "video.640x480": Case(display(640, 480), cmdline="log=info", says=["640 x 480, ", "80 x 30 characters of 8 x 16"]),
    "video.1920x1080": Case(display(1920, 1080), cmdline="log=info", says=["160 x 45 characters of 12 x 24"]),
    "video.2560x1600": Case(display(2560, 1600), cmdline="log=info", says=["160 x 50 characters of 16 x 32"]),
    "board.pc": Case(Machine(board="pc")),
    "board.no-acpi": Case(Machine(extra=["-machine", "acpi=off"])),
    "board.no-hpet": Case(Machine(extra=["-machine", "hpet=off"])),
    "cpu.no-apic": Case(Machine(cpu="max,-apic")),
    "board.pc.4g": Case(Machine(board="pc", memory="4G", vga="cirrus")),
    "media.image": Case(Machine(), medium="image"),
    "media.image.usb": Case(Machine(disk="usb"), medium="image"),
    "media.image.nvme": Case(Machine(disk="nvme"), medium="image"),
    "media.image.virtio": Case(Machine(disk="virtio"), medium="image"),
    "media.iso": Case(Machine(disk="cdrom"), medium="iso"),
    "media.iso.usb": Case(Machine(disk="usb"), medium="iso"),
    "entropy.none": Case(Machine(entropy=False, cpu="max,rdrand=off,rdseed=off"),
                         says=["seed      from time stamps, which can be guessed"]),
    "kaslr.off": Case(Machine(), cmdline="nokaslr", says=["physmap at 0xffff800000000000", "slid by 0"]),
}

# For the long run. Machines that nobody has: every odd size of memory with every processor and board.
ODD_MEMORY = ("65M", "97M", "255M", "257M", "1023M", "1025M", "2G", "2816M", "2817M", "3583M", "4097M", "5G", "127G", "257G")
ODD_PROCESSORS = {"qemu64": ("qemu64", 1), "la57": ("max,la57=on", 3), "cpus-16": ("", 16)}
LONG = {f"odd.{memory.lower()}.{name}.{board}": Case(Machine(memory=memory, cpu=cpu, cpus=cpus, board=board), also_debug=True)
        for memory, (name, (cpu, cpus)), board in itertools.product(ODD_MEMORY, ODD_PROCESSORS.items(), ("q35", "pc"))}


def several(cpus, memory, board, levels):
    """A usual machine with so many processors."""
    says = [f"{levels} levels", *([f"{cpus} of {cpus} processors are online"] if cpus > 1 else [])]
    return Case(Machine(cpus=cpus, memory=memory, board=board, cpu="max,la57=on"), says=says, also_debug=cpus == 8,
                cmdline=f"la57={'on' if levels == 5 else 'off'}")


# And usual machines, with every number of processors.
LONG |= {f"several.{cpus}.{memory.lower()}.{board}.{levels}-levels": several(cpus, memory, board, levels)
         for cpus, memory, board, levels in itertools.product((1, 2, 3, 8), ("64M", "256M", "16G"), ("q35", "pc"), (4, 5))}
