"""Catches the loader at its first instruction, wherever the firmware has put it.

The address is the firmware's choice, so no breakpoint can be set before. Instead, the copy of BOOTX64.EFI on the
medium begins with a jump to itself. The CPU stays there until somebody stops the machine, finds RIP at the jump, and
puts the two bytes back: from then on it is the product, unchanged, about to execute its first instruction.
"""

import time
from pathlib import Path

import patience
from portable_executable import PortableExecutable
from tree import ToolError

JUMP_TO_ITSELF = b"\xeb\xfe"
SAMPLE_BYTES = 64     # of the code around the entry point, to know the loader from any other loop
LOOK_SECONDS = 0.25
LIMIT_SECONDS = patience.seconds(60)


class EntryLoop:
    """The loop in one particular program."""

    def __init__(self, program):
        image = PortableExecutable(Path(program).read_bytes())
        text = next(section for section in image.sections
                    if section.address <= image.entry < section.address + section.memory_bytes)
        self._image = image.image
        self._at = image.entry - text.address + text.file_offset
        self.entry = image.entry
        self.original = self._image[self._at:self._at + len(JUMP_TO_ITSELF)]

    def program(self):
        """The program with the loop in it."""
        after = self._at + len(JUMP_TO_ITSELF)
        return self._image[:self._at] + JUMP_TO_ITSELF + self._image[after:]

    def catch(self, target):
        """Lets the machine run into the loop and takes the loop out; returns the address of the loader's image."""
        limit = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < limit:
            target.resume()
            time.sleep(LOOK_SECONDS)
            target.stop()
            address = target.instruction_pointer()
            if self._is_here(target, address):
                target.write(address, self.original)
                return address - self.entry
        raise ToolError(f"the firmware has not started the loader within {LIMIT_SECONDS} s")

    def _is_here(self, target, address):
        """Whether the loop, with the loader's code behind it, is at this address."""
        expected = JUMP_TO_ITSELF + self._image[self._at + len(JUMP_TO_ITSELF):self._at + SAMPLE_BYTES]
        return (address - self.entry) % 4096 == 0 and target.read(address, SAMPLE_BYTES) == expected
