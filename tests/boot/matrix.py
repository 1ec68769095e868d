"""The matrix: machines of every kind, each of which must boot and pass the kernel's own tests."""

from dataclasses import dataclass, field

from frame import expect_in, expect_selftest_passes
from machine import Machine

# The least OVMF starts with and loads us: it needs memory for our file twice, the bytes it reads and the image it makes.
LEAST = Machine(memory="48M", board="pc", vga="none")


@dataclass
class Case:
    """One boot. It passes when `selftest` does and all of `says` is in what the machine said."""

    machine: Machine
    cmdline: str = ""
    medium: str = "fat"                        # fat, image or iso
    says: list = field(default_factory=list)   # texts that must appear
    also_debug: bool = False                   # boot the build with all assertions, too

    def run(self, setting):
        """Boots and checks."""
        with setting.boot(self.machine, f"selftest {self.cmdline}".strip(), self.medium) as talk:
            expect_selftest_passes(talk)
            for text in self.says:
                expect_in(text, talk.transcript)


CASES = {
    "memory.48m": Case(LEAST),
    "memory.64m": Case(Machine(memory="64M"), also_debug=True),
    "memory.64m.bitmap": Case(Machine(memory="64M"), cmdline="frames=bitmap"),
    "memory.256m": Case(Machine(memory="256M"), also_debug=True),
    "memory.3g": Case(Machine(memory="3G")),
    "memory.4g": Case(Machine(memory="4G")),
    "memory.16g": Case(Machine(memory="16G"), also_debug=True),
    "memory.512g": Case(Machine(memory="512G")),
    "memory.960g": Case(Machine(memory="960G"), also_debug=True),
    "cpu.qemu64": Case(Machine(cpu="qemu64")),
    "cpu.qemu64.16g": Case(Machine(cpu="qemu64", memory="16G")),
    "cpu.la57.off": Case(Machine(cpu="max,la57=on"), cmdline="la57=off", says=["4 levels"]),
    "cpu.la57.on": Case(Machine(cpu="max,la57=on"), cmdline="la57=on", says=["5 levels"], also_debug=True),
    "cpu.la57.on.960g": Case(Machine(cpu="max,la57=on,vendor=GenuineIntel", memory="960G"), cmdline="la57=on",
                             says=["5 levels"]),
    "cpu.la57.missing": Case(Machine(cpu="max,la57=off"), cmdline="la57=on", says=["4 levels"]),
    "cpus.1": Case(Machine(cpus=1)),
    "cpus.8": Case(Machine(cpus=8)),
    "video.none": Case(Machine(vga="none")),
    "video.cirrus": Case(Machine(vga="cirrus")),
    "video.virtio": Case(Machine(vga="virtio")),
    "video.ramfb": Case(Machine(vga="ramfb")),
    "board.pc": Case(Machine(board="pc")),
    "board.pc.4g": Case(Machine(board="pc", memory="4G", vga="cirrus")),
    "media.image": Case(Machine(), medium="image"),
    "media.image.usb": Case(Machine(disk="usb"), medium="image"),
    "media.image.nvme": Case(Machine(disk="nvme"), medium="image"),
    "media.image.virtio": Case(Machine(disk="virtio"), medium="image"),
    "media.iso": Case(Machine(disk="cdrom"), medium="iso"),
    "media.iso.usb": Case(Machine(disk="usb"), medium="iso"),
    "entropy.none": Case(Machine(entropy=False, cpu="max,rdrand=off,rdseed=off")),
    "kaslr.off": Case(Machine(), cmdline="nokaslr"),
}
