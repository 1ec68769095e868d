"""The checksum of the kernel in BOOTX64.EFI: checksum.py FILE OUTPUT writes it, 8 bytes, for loader/embedded_kernel.S.

loader/portable/checksum.c is the other half.
"""

import struct
from pathlib import Path

import tree

ODD_MULTIPLIER = 0x9e3779b97f4a7c15
MASK = (1 << 64) - 1
WORD = 8


def padded(data):
    """The data with zeros up to a whole number of words, as it lies in the section."""
    return data + bytes(-len(data) % WORD)


def checksum(data):
    """The checksum of whole words."""
    total = len(data)
    for (word,) in struct.iter_unpack("<Q", data):
        total = (total ^ word) * ODD_MULTIPLIER & MASK
        total ^= total >> 32
    return total


def main(arguments):
    """checksum.py FILE OUTPUT"""
    source, target = arguments
    Path(target).write_bytes(struct.pack("<Q", checksum(padded(Path(source).read_bytes()))))
    return 0


if __name__ == "__main__":
    tree.main_of(main)
