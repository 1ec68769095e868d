"""Initrds: cpio archives (newc) of folders and files. The same files give the same bytes, whoever packs them and when.

Owner is user 0, times are 0, numbers count from 1 in the order of names, and permissions are those of the files but for
who may write; files with several names are several files.
"""

import gzip
import hashlib
import os
import stat
from pathlib import Path

from tree import ToolError

TRAILER = "TRAILER!!!"
KINDS = {stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK}
BLOCK = 512
NAME_MAX = 4095
HASH_MARK = b"SHA-256 of \\EFI\\BOOT\\initrd.cpio: "  # in the loader, before the hash (loader/embedded_kernel.S)
HASH_BYTES = 32
DATA_MAX = (1 << 32) - 1

# What every initrd gets: the devices that the kernel has, by their numbers.
DEVICES = {"dev/console": (5, 1), "dev/full": (1, 7), "dev/null": (1, 3), "dev/random": (1, 8), "dev/urandom": (1, 9),
           "dev/zero": (1, 5)}


class Archive:
    """An archive that grows, entry by entry; directories come before what is in them."""

    def __init__(self):
        self.parts, self.names = [], set()

    def add(self, name, mode, data=b"", device=(0, 0)):
        """Adds an entry, and the directories it lies in that are not there yet."""
        folder = os.path.dirname(name)
        if folder and folder not in self.names:
            self.add(folder, stat.S_IFDIR | 0o755)
        encoded = os.fsencode(name)
        if len(encoded) > NAME_MAX:
            raise ToolError(f"{name!r} is too long a name for an initrd")
        if len(data) > DATA_MAX:
            raise ToolError(f"{name!r} is too large for an initrd: {len(data)} bytes, at most {DATA_MAX}")
        if name in self.names:
            raise ToolError(f"{name!r} comes twice")
        self.names.add(name)
        self._append(encoded, len(self.names), mode, data, device)

    def bytes(self):
        """The whole archive."""
        trailed = Archive()
        trailed.parts = list(self.parts)
        trailed._append(TRAILER.encode(), 0, 0, b"", (0, 0))
        whole = b"".join(trailed.parts)
        return whole + bytes(-len(whole) % BLOCK)

    def _append(self, name, number, mode, data, device):
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields)
        for part in (header + name + b"\0", data):
            self.parts.append(part + bytes(-len(part) % 4))


def add_file(archive, name, path):
    """Adds a file of this machine, whatever it is."""
    status = os.lstat(path)
    kind = stat.S_IFMT(status.st_mode)
    if kind not in KINDS:
        raise ToolError(f"{path} is neither a file, a folder nor a symbolic link: it cannot go into an initrd")
    data = b""
    if kind == stat.S_IFREG:
        data = Path(path).read_bytes()
    elif kind == stat.S_IFLNK:
        data = os.fsencode(os.readlink(path))
    archive.add(name, kind | (0o777 if kind == stat.S_IFLNK else stat.S_IMODE(status.st_mode) & ~0o022), data)


def of_folder(folder):
    """The archive of a folder's contents, and the devices of the kernel where it has none of that name."""
    return archive_of_folder(folder).bytes()


def archive_of_folder(folder, but=None):
    """The same, as an archive that can grow. No folder: the devices alone. but: a file that is left out."""
    archive = Archive()
    for path, folders, files in os.walk(folder) if folder else ():
        folders.sort()
        below = os.path.relpath(path, folder)
        for name in sorted(folders + files):
            inside = os.path.normpath(os.path.join(below, name))
            if inside != but:
                add_file(archive, inside, os.path.join(path, name))
        folders[:] = [name for name in folders if not os.path.islink(os.path.join(path, name))]
    for name, device in DEVICES.items():
        if name not in archive.names:
            archive.add(name, stat.S_IFCHR | 0o666, device=device)
    return archive


def contents_of(path):
    """The bytes of an initrd: of a folder, or of a file that is one."""
    if os.path.isdir(path):
        return of_folder(path)
    if not os.path.isfile(path):
        raise ToolError(f"{path} is neither an initrd nor a folder to make one of")
    return Path(path).read_bytes()


def packed(data):
    """The same, packed by gzip; the same bytes give the same bytes."""
    return gzip.compress(data, 9, mtime=0)


def allow(efi, data, target):
    """Writes to `target` the program with the hash of an initrd in it: of the only one that it takes under Secure Boot."""
    program = bytearray(Path(efi).read_bytes())
    at = program.find(HASH_MARK) + len(HASH_MARK)
    if program.count(HASH_MARK) != 1 or at + HASH_BYTES > len(program):
        raise ToolError(f"{efi} has no place for the hash of an initrd: it is not Ashlar, or damaged")
    program[at:at + HASH_BYTES] = hashlib.sha256(data).digest()
    Path(target).write_bytes(program)
    return Path(target)
