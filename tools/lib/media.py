"""Boot media: a raw FAT disk, a GPT disk with an EFI system partition, an ISO. The same input gives the same bytes.

Contents are a mapping from a path on the medium ("/EFI/BOOT/BOOTX64.EFI") to a file (Path) or to bytes.
FAT32 because some firmware refuses FAT16, 512-byte clusters because FAT32 needs 65525 of them and the image should
stay small, and both GPT headers because some firmware looks at the second one.
"""

import os
import shutil
import tempfile
from pathlib import Path

from tree import ToolError, fixed_time_environment, run_quietly

EFI_PATH = "/EFI/BOOT/BOOTX64.EFI"
CONFIG_PATH = "/EFI/BOOT/ashlar.cfg"
INITRD_PATH = "/EFI/BOOT/initrd.cpio"
SECTOR = 512
MIB = 1 << 20
LEAST_FAT_BYTES = 36 * MIB
PARTITION_START = 1 * MIB
FAT_SERIAL = "41534c52"
DISK_GUID = "a5b1a400-0001-4000-8000-000000000001"
PARTITION_GUID = "a5b1a400-0001-4000-8000-000000000002"
ESP_TYPE_GUID = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"


def contents_of(efi, cmdline=None, initrd=None):
    """What a bootable medium holds: the product, the command line in ashlar.cfg and an initrd (bytes) when there are."""
    if not Path(efi).is_file():
        raise ToolError(f"{efi} does not exist: build first (cmake --build ...)")
    contents = {EFI_PATH: Path(efi)}
    if cmdline is not None:
        contents[CONFIG_PATH] = cmdline if isinstance(cmdline, bytes) else cmdline.encode() + b"\n"
    if initrd is not None:
        contents[INITRD_PATH] = initrd
    return contents


def make_fat(path, contents, hidden_sectors=0):
    """Makes a FAT32 volume without partitions; `hidden_sectors` is what lies before it on its disk.

    mtools takes some characters in a path for something else, and has a shell expand others: it is given plain names
    in a folder of its own."""
    size = LEAST_FAT_BYTES + -(-_bytes_in(contents) // MIB) * MIB
    with tempfile.TemporaryDirectory(prefix="ashlar-media.") as scratch:
        volume = os.path.join(scratch, "volume")
        with open(volume, "wb") as empty:
            empty.truncate(size)

        def mtools(command, *arguments):
            run_quietly([command, "-i", "volume", *arguments], env=fixed_time_environment(), cwd=scratch)

        mtools("mformat", "-F", "-c", "1", "-T", size // SECTOR, "-h", "64", "-s", "32", "-H", hidden_sectors,
               "-N", FAT_SERIAL, "-v", "ASHLAR", "::")
        for folder in _folders_of(contents):
            mtools("mmd", f"::{folder}")
        for target, source in sorted(contents.items()):
            _copy_content(source, os.path.join(scratch, "content"))
            mtools("mcopy", "content", f"::{target}")
        _make_blank(path, size)
        _copy_sparsely(volume, path, 0)


def make_gpt(path, contents):
    """Makes a disk image with one EFI system partition, to be written to a stick as it is."""
    with _volume(contents, PARTITION_START // SECTOR) as volume:
        size = os.path.getsize(volume)
        _make_blank(path, PARTITION_START + size + 1 * MIB)  # the last MiB holds the second header
        first = PARTITION_START // SECTOR
        run_quietly(["sgdisk", "--clear", f"--disk-guid={DISK_GUID}",
                     f"--new=1:{first}:{first + size // SECTOR - 1}", "--typecode=1:EF00",
                     "--change-name=1:Ashlar", f"--partition-guid=1:{PARTITION_GUID}", os.path.abspath(path)])
        _copy_sparsely(volume, path, PARTITION_START)


def make_iso(path, contents):
    """Makes a hybrid ISO: bootable as an optical disc (El Torito) and, written to a stick, as a GPT disk."""
    environment = fixed_time_environment()
    with _volume(contents, 0) as volume, tempfile.TemporaryDirectory(prefix="ashlar-media.") as scratch:
        for target, source in contents.items():
            copy = Path(scratch) / target.lstrip("/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            _copy_content(source, copy)
        Path(path).unlink(missing_ok=True)
        run_quietly(["xorriso", "-as", "mkisofs", "-o", os.path.abspath(path), "-V", "ASHLAR", "-r", "-J",
                     "-append_partition", "2", ESP_TYPE_GUID, volume, "-appended_part_as_gpt",
                     "-e", "--interval:appended_partition_2:all::", "-no-emul-boot",
                     "-partition_offset", "16",
                     "--set_all_file_dates", f"={environment['SOURCE_DATE_EPOCH']}", scratch], env=environment)


MAKERS = {"fat": make_fat, "image": make_gpt, "iso": make_iso}


def _bytes_in(contents):
    return sum(len(source) if isinstance(source, bytes) else os.path.getsize(source) for source in contents.values())


def _folders_of(contents):
    """All folders the contents need, parents first."""
    folders = {str(folder) for target in contents for folder in Path(target).parents if str(folder) != "/"}
    return sorted(folders)


def _copy_content(source, target):
    """Makes the file `target` of what `source`, a file or bytes, holds."""
    if isinstance(source, bytes):
        Path(target).write_bytes(source)
    else:
        shutil.copyfile(source, target)


def _make_blank(path, size):
    """Makes a file of zeros, in place of what was there."""
    Path(path).unlink(missing_ok=True)
    with open(path, "wb") as blank:
        blank.truncate(size)


class _volume:
    """A temporary FAT volume with the contents; gone at the end of the `with`."""

    def __init__(self, contents, hidden_sectors):
        self.contents = contents
        self.hidden_sectors = hidden_sectors

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="ashlar-media.")
        path = os.path.join(self.folder.name, "volume.img")
        make_fat(path, self.contents, self.hidden_sectors)
        return path

    def __exit__(self, *_exception):
        self.folder.cleanup()


def _copy_sparsely(source, target, offset):
    """Copies `source` into `target` at `offset`, leaving out what is zero there anyway."""
    with open(source, "rb") as reader, open(target, "r+b") as writer:
        position = offset
        while piece := reader.read(MIB):
            if any(piece):
                writer.seek(position)
                writer.write(piece)
            position += len(piece)
