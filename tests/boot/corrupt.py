"""The kernel inside the product, damaged field by field: the loader must name the field and go back to the firmware.

One boot serves all: the medium holds a damaged copy of the product for every field and a script for the UEFI shell,
which starts them one after the other. A loader that hangs, resets, or does not give the firmware back what it took
ends the row.
"""

import re
import struct

import portable_executable
from frame import expect
from machine import Machine

SHELL_SECONDS = 300

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
# The same for the first loadable segment's program header.
SEGMENT_FIELDS = {
    "s-flags": (4, "<I", "segment"),
    "s-offset": (8, "<Q", "segment"),
    "s-vaddr": (16, "<Q", "segment"),
    "s-filesz": (32, "<Q", "segment"),
    "s-memsz": (40, "<Q", "segment"),
    "s-align": (48, "<Q", "aligned"),
}
# Fields no loader needs; a product with all of them flipped must boot.
IGNORED_FIELDS = ((40, "<Q"), (58, "<H"), (60, "<H"), (62, "<H"))
PT_LOAD = 1
PT_DYNAMIC = 2


class Damage:
    """Makes damaged copies of the product."""

    def __init__(self, product):
        self.image = product.read_bytes()
        self.kernel = portable_executable.PortableExecutable(self.image).section(".kernel").file_offset

    def flip(self, offset, kind, image=None):
        """A copy with all bits of the field at `offset` in the kernel flipped."""
        damaged = bytearray(image or self.image)
        at = self.kernel + offset
        size = struct.calcsize(kind)
        damaged[at:at + size] = bytes(byte ^ 0xff for byte in damaged[at:at + size])
        return bytes(damaged)

    def program_header(self, wanted):
        """Offset of the first program header of that type in the kernel."""
        table = struct.unpack_from("<Q", self.image, self.kernel + 32)[0]
        size, count = struct.unpack_from("<HH", self.image, self.kernel + 54)
        for index in range(count):
            at = table + index * size
            if struct.unpack_from("<I", self.image, self.kernel + at)[0] == wanted:
                return at
        raise ValueError(f"the kernel has no program header of type {wanted}")


def damaged_products(product):
    """Yields name, damaged product, expected complaint."""
    damage = Damage(product)
    for name, (offset, kind, complaint) in HEADER_FIELDS.items():
        yield name, damage.flip(offset, kind), complaint
    segment = damage.program_header(PT_LOAD)
    for name, (offset, kind, complaint) in SEGMENT_FIELDS.items():
        yield name, damage.flip(segment + offset, kind), complaint
    yield "d-type", damage.flip(damage.program_header(PT_DYNAMIC), "<I"), "dynamic table"
    yield "d-offset", damage.flip(damage.program_header(PT_DYNAMIC) + 8, "<Q"), "dynamic table"


def every_field(setting):
    """Each damaged field is refused in one line, and the next program starts as if nothing had been."""
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


CASES = {"corrupt.every-field": every_field, "corrupt.ignored-fields": ignored_fields}
