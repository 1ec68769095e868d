"""tools/image: makes the medium that boots a PC or a virtual machine."""

import argparse
import tempfile
from pathlib import Path

import initrd
import media
import tree

SUFFIX = {"fat": "-fat.img", "image": ".img", "iso": ".iso"}


def parse(arguments):
    """The command line of tools/image."""
    parser = argparse.ArgumentParser(
        prog="tools/image", description="Builds Ashlar and makes a bootable medium of it: by default a GPT disk image "
        "to write to a USB stick (docs/real-hardware.md). The same sources give the same bytes.")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--iso", dest="kind", action="store_const", const="iso", help="an ISO for optical discs and sticks")
    kind.add_argument("--fat", dest="kind", action="store_const", const="fat", help="a FAT volume without partitions")
    parser.add_argument("--cmdline", metavar="TEXT", help="kernel command line, written to \\EFI\\BOOT\\ashlar.cfg")
    parser.add_argument("--initrd", metavar="FILE|FOLDER", type=Path, help="files for the kernel, \\EFI\\BOOT\\initrd.cpio: an "
                        "initrd, or a folder to make one of. Its hash goes into the program, to be signed with it")
    parser.add_argument("--output", metavar="FILE", type=Path, help="the file to make (default: build/ashlar.img or .iso)")
    parser.add_argument("--build-dir", metavar="DIR", type=Path, default=tree.DEFAULT_BUILD, help="build folder")
    parser.add_argument("--efi", metavar="FILE", type=Path, help="use this program and build nothing")
    parser.set_defaults(kind="image")
    return parser.parse_args(arguments)


def main(arguments):
    """Builds (unless told which program to use) and makes the image."""
    options = parse(arguments)
    if options.efi is None:
        tree.configure(options.build_dir, "default")
        tree.build(options.build_dir)
    efi = options.efi or tree.efi_program(options.build_dir)
    output = options.output or options.build_dir / f"ashlar{SUFFIX[options.kind]}"
    files = initrd.contents_of(options.initrd) if options.initrd else None
    with tempfile.TemporaryDirectory(prefix="ashlar-image.") as folder:
        if files is not None:
            efi = initrd.allow(efi, files, Path(folder) / "BOOTX64.EFI")
        media.MAKERS[options.kind](output, media.contents_of(efi, options.cmdline, files))
    if options.efi is None:
        print(output)
    return 0


if __name__ == "__main__":
    tree.main_of(main)
