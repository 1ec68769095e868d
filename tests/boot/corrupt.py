"""The kernel inside the product, damaged: the loader must say what is wrong and go back to the firmware.

Two kinds. A kernel that is not what the build put there has the wrong checksum, whatever was damaged. And a kernel with
a right checksum over a wrong field, as a broken build would make it, is refused with that field's name.

One boot serves all: the medium holds a damaged copy of the product for every case and a script for the UEFI shell,
which starts them one after the other. A loader that hangs, resets, or does not give the firmware back what it took
ends the row.
"""

import re
import struct

from checksum import WORD, checksum
import patience
import portable_executable
from frame import expect
from machine import Machine

SHELL_SECONDS = patience.seconds(60)

# Field: (offset in the ELF header, struct format, what the loader has to complain about). All bits are flipped.
HEADER_FIELDS = {
    "magic": (0, "<I", "not an ELF file"),
    "class": (4, "<B", "class"),
    "data": (5, "<B", "byte order"),
    "identver": (6, "<B", "version"),
    "osabi": (7, "<B", "ABI"),
    "abiver": (8, "<B", "ABI"),
    "type": (16, "<H", "type"),
    "machine": (18, "<H", "machine"),
    "version": (20, "<I", "version"),
    "entry": (24, "<Q", "entry point"),
    "phoff": (32, "<Q", "program headers"),
    "flags": (48, "<I", "flags"),
    "ehsize": (52, "<H", "header size"),
    "phentsiz": (54, "<H", "program header size"),
    "phnum": (56, "<H", "program headers"),
}
# The same for the program header of every loadable segment.
SEGMENT_FIELDS = {
    "flags": (4, "<I", "segment {}"),
    "offset": (8, "<Q", "segment {}"),
    "vaddr": (16, "<Q", "segment {}"),
    "filesz": (32, "<Q", "segment {}"),
    "memsz": (40, "<Q", "segment {}"),
    "align": (48, "<Q", "segment {} is aligned"),
}
# Fields no loader needs; a product with all of them flipped must boot.
IGNORED_FIELDS = ((40, "<Q"), (58, "<H"), (60, "<H"), (62, "<H"))
PT_LOAD = 1
PT_DYNAMIC = 2
PF_X = 1
PF_W = 2
PROGRAM_HEADER = "<IIQQQQQQ"
RAW_SIZE = 16  # offset in a PE section's header
TAIL = 0x10000


class Damage:
    """Makes damaged copies of the product."""

    def __init__(self, product):
        self.image = product.read_bytes()
        self.section = portable_executable.PortableExecutable(self.image).section(".kernel")
        self.kernel = self.section.file_offset
        self.sum = self.kernel + self.section.memory_bytes - WORD  # where the checksum is

    def flip(self, offset, kind, image=None):
        """A copy with all bits of the field at `offset` in the kernel flipped, and the checksum as it then has to be."""
        damaged = bytearray(image or self.image)
        at = self.kernel + offset
        size = struct.calcsize(kind)
        damaged[at:at + size] = bytes(byte ^ 0xff for byte in damaged[at:at + size])
        struct.pack_into("<Q", damaged, self.sum, checksum(bytes(damaged[self.kernel:self.sum])))
        return bytes(damaged)

    def flip_bit(self, at):
        """A copy with one bit of the byte at `at` of the file flipped, and nothing else changed."""
        damaged = bytearray(self.image)
        damaged[at] ^= 0x10
        return bytes(damaged)

    def cut(self):
        """A copy whose section has half its bytes in the file: the firmware puts zeros in the place of the rest."""
        damaged = bytearray(self.image)
        struct.pack_into("<I", damaged, self.section.header_offset + RAW_SIZE, self.section.file_bytes // 2 & ~0xfff)
        return bytes(damaged)

    def clear(self, start, end):
        """A copy with zeros from `start` to `end` of the file."""
        return self.image[:start] + bytes(end - start) + self.image[end:]

    def program_headers(self, wanted):
        """Yields number, offset in the kernel, and fields of each program header of that type."""
        table = struct.unpack_from("<Q", self.image, self.kernel + 32)[0]
        size, count = struct.unpack_from("<HH", self.image, self.kernel + 54)
        for number in range(count):
            at = table + number * size
            fields = struct.unpack_from(PROGRAM_HEADER, self.image, self.kernel + at)
            if fields[0] == wanted:
                yield number, at, fields

    def middle_of(self, flag):
        """Where in the file the middle of the first segment with this flag is."""
        for _number, _at, (_type, flags, offset, _vaddr, _paddr, filesz, _memsz, _align) in self.program_headers(PT_LOAD):
            if flags & flag and filesz:
                return self.kernel + offset + filesz // 2
        raise ValueError(f"the kernel has no segment with flag {flag}")


def damaged_products(product):
    """Yields name, damaged product, expected complaint."""
    damage = Damage(product)
    yield "cut", damage.cut(), "checksum"
    yield "no-tail", damage.clear(damage.sum - TAIL, damage.sum), "checksum"
    yield "code-bit", damage.flip_bit(damage.middle_of(PF_X)), "checksum"
    yield "data-bit", damage.flip_bit(damage.middle_of(PF_W)), "checksum"
    yield "sum-bit", damage.flip_bit(damage.sum + 3), "checksum"
    for name, (offset, kind, complaint) in HEADER_FIELDS.items():
        yield name, damage.flip(offset, kind), complaint
    for number, segment, _fields in damage.program_headers(PT_LOAD):
        for name, (offset, kind, complaint) in SEGMENT_FIELDS.items():
            yield f"s{number}-{name}", damage.flip(segment + offset, kind), complaint.format(number)
    for _number, dynamic, _fields in damage.program_headers(PT_DYNAMIC):
        yield "d-type", damage.flip(dynamic, "<I"), "dynamic table"
        yield "d-offset", damage.flip(dynamic + 8, "<Q"), "dynamic table"


def every_damage(setting):
    """Each damaged copy is refused in one line, and the next program starts as if nothing had been."""
    cases = list(damaged_products(setting.product))
    script = ["@echo -off", "fs0:"]
    contents = {}
    for name, image, _complaint in cases:
        contents[f"/{name}.efi"] = image
        script += [f"echo begin-{name}", f"{name}.efi"]
    contents["/startup.nsh"] = "\r\n".join([*script, "echo end-of-row", "reset -s", ""]).encode()
    with setting.boot(Machine(), contents=contents) as talk:
        talk.wait_for(r"[\r\n]end-of-row", SHELL_SECONDS)
        parts = re.split(r"^begin-(\S+)$", talk.transcript, flags=re.MULTILINE)
    said = dict(zip(parts[1::2], parts[2::2]))
    wrong = [problem for name, _image, complaint in cases for problem in problems_of(name, said.get(name), complaint)]
    expect(not wrong, "\n".join(wrong))


def problems_of(name, text, complaint):
    """What is wrong with the answer to one damaged product."""
    if text is None:
        return [f"{name}: was not started"]
    errors = re.findall(r"^ashlar loader: error: (.*)$", text, re.MULTILINE)
    if len(errors) != 1:
        return [f"{name}: {len(errors)} error lines instead of one:\n{text}"]
    return [] if complaint in errors[0] else [f"{name}: {errors[0]!r} does not mention {complaint!r}"]


def ignored_fields(setting):
    """Section headers are not needed: a kernel whose references to them are nonsense boots."""
    damage = Damage(setting.product)
    image = damage.image
    for offset, kind in IGNORED_FIELDS:
        image = damage.flip(offset, kind, image)
    with setting.boot(Machine(), contents={"/EFI/BOOT/BOOTX64.EFI": image}) as talk:
        talk.wait_for_prompt()


CASES = {"corrupt.every-damage": every_damage, "corrupt.ignored-fields": ignored_fields}
