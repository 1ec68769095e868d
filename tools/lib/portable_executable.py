"""Reading a PE32+ file as far as our tools need it of the loader (Microsoft's PE format specification)."""

import struct
from dataclasses import dataclass

SECTION_EXECUTE = 0x20000000
SECTION_READ = 0x40000000
SECTION_WRITE = 0x80000000
SECTION_UNINITIALISED = 0x00000080
CHARACTERISTIC_NX_COMPAT = 0x0100
CHARACTERISTIC_RELOCATIONS_STRIPPED = 0x0001  # of the file header
DIRECTORY_SIGNATURES = 4
DIRECTORY_BASE_RELOCATIONS = 5
MACHINE_X86_64 = 0x8664
SUBSYSTEM_EFI_APPLICATION = 10


@dataclass
class Section:
    """One section header."""

    name: str             # up to 8 characters
    address: int          # where it is loaded, relative to the image
    memory_bytes: int     # its length there
    file_offset: int      # where its bytes are in the file
    file_bytes: int       # how many there are
    flags: int            # SECTION_...
    header_offset: int    # where this header itself is in the file

    def bytes_in(self, image):
        """The section's contents without the padding of the file."""
        return image[self.file_offset:self.file_offset + min(self.file_bytes, self.memory_bytes)]


class PortableExecutable:
    """The headers of a PE32+ image; raises ValueError when it is none."""

    def __init__(self, image):
        self.image = image
        if image[:2] != b"MZ":
            raise ValueError("no MZ header")
        self.header = struct.unpack_from("<I", image, 0x3c)[0]
        if image[self.header:self.header + 4] != b"PE\0\0":
            raise ValueError("no PE header")
        self.machine, self.section_count, self.timestamp = struct.unpack_from("<HHI", image, self.header + 4)
        self.optional_bytes, self.file_characteristics = struct.unpack_from("<HH", image, self.header + 20)
        self.optional = self.header + 24
        self.magic = self._number("<H", 0)
        self.entry = self._number("<I", 16)
        self.section_alignment = self._number("<I", 32)
        self.file_alignment = self._number("<I", 36)
        self.image_bytes = self._number("<I", 56)
        self.header_bytes = self._number("<I", 60)
        self.subsystem = self._number("<H", 68)
        self.characteristics = self._number("<H", 70)
        self.sections = [self._section(index) for index in range(self.section_count)]

    def _number(self, kind, offset):
        return struct.unpack_from(kind, self.image, self.optional + offset)[0]

    def directory(self, index):
        """Address and length of a data directory."""
        return struct.unpack_from("<II", self.image, self.optional + 112 + 8 * index)

    def section(self, name):
        """The section of that name, or None."""
        return next((section for section in self.sections if section.name == name), None)

    def _section(self, index):
        offset = self.optional + self.optional_bytes + 40 * index
        name, memory_bytes, address, file_bytes, file_offset = struct.unpack_from("<8sIIII", self.image, offset)
        flags = struct.unpack_from("<I", self.image, offset + 36)[0]
        return Section(name.rstrip(b"\0").decode("ascii", "replace"), address, memory_bytes, file_offset, file_bytes,
                       flags, offset)
