"""The tests build.pe, build.kernel and build.image: what the build made is what firmware and contracts demand."""

import re
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import checksum
import portable_executable as pe
import tree
from media import EFI_PATH, PARTITION_START

KERNEL_SECTION = ".kernel"
LARGEST_PRODUCT = 4 << 20  # bytes; OVMF with 64 MiB, the least we support, loads so many (docs/boot.md)


def check_pe(build_dir):
    """Yields what is wrong with BOOTX64.EFI as a PE: shim's and Microsoft's signing rules, and our own."""
    content = tree.efi_program(build_dir).read_bytes()
    yield from unless(len(content) <= LARGEST_PRODUCT, f"{len(content)} bytes, more than the {LARGEST_PRODUCT} that "
                      "the firmware of a machine with 64 MiB is sure to load")
    image = pe.PortableExecutable(content)
    yield from unless(image.machine == pe.MACHINE_X86_64, f"machine is {image.machine:#x}, not x86-64")
    yield from unless(image.magic == 0x20b, f"optional header is {image.magic:#x}, not PE32+")
    yield from unless(image.subsystem == pe.SUBSYSTEM_EFI_APPLICATION, f"subsystem is {image.subsystem}, not 10")
    yield from unless(image.section_alignment == 4096, f"section alignment is {image.section_alignment}, not 4096")
    yield from unless(image.characteristics & pe.CHARACTERISTIC_NX_COMPAT, "NX_COMPAT is not set")
    yield from unless(image.timestamp == 0, f"time stamp is {image.timestamp:#x}, not 0")
    yield from unless(image.directory(pe.DIRECTORY_BASE_RELOCATIONS)[1] > 8, "there are no base relocations")
    yield from check_sections(image)
    yield from check_strictly(image)
    yield from check_instructions(tree.efi_program(build_dir))


def check_strictly(image):
    """
    Yields what a strict reader would refuse. shim and firmware read headers, then sections by their headers; sbverify,
    pesign and firmware hash the file section by section and want no byte between them.
    """
    yield from unless(not image.file_characteristics & pe.CHARACTERISTIC_RELOCATIONS_STRIPPED, "relocations are stripped")
    yield from unless(image.header_bytes % image.file_alignment == 0, f"headers of {image.header_bytes} bytes")
    table_end = image.optional + image.optional_bytes + 40 * image.section_count
    yield from unless(table_end <= image.header_bytes, f"the section table ends at {table_end:#x}, behind the headers")
    in_file, in_memory = image.header_bytes, image.section_alignment
    for section in image.sections:
        name = section.name
        yield from unless(section.file_bytes, f"section {name} has no bytes in the file: shim takes it for one inside "
                          "the headers, unless it is marked as uninitialised")
        yield from unless(not section.flags & pe.SECTION_UNINITIALISED, f"section {name} is marked as uninitialised")
        yield from unless(section.file_offset == in_file, f"section {name} lies at {section.file_offset:#x} of the file, "
                          f"and not at {in_file:#x}, where what is before it ends")
        yield from unless(section.address == in_memory, f"section {name} is loaded at {section.address:#x}, and not at "
                          f"{in_memory:#x}, where what is before it ends")
        yield from unless(section.file_bytes % image.file_alignment == 0, f"section {name} has {section.file_bytes} bytes "
                          f"in the file, no multiple of {image.file_alignment}")
        in_file += section.file_bytes
        used = max(section.memory_bytes, section.file_bytes)
        in_memory += -(-used // image.section_alignment) * image.section_alignment
    yield from unless(image.image_bytes == in_memory, f"the image has {image.image_bytes:#x} bytes, its sections end at "
                      f"{in_memory:#x}")
    signatures, length = image.directory(pe.DIRECTORY_SIGNATURES)
    yield from unless(len(image.image) == in_file + length and signatures in (0, in_file), "the file goes on behind its "
                      "last section")
    code = image.section(".text")
    inside = code is not None and code.address <= image.entry < code.address + code.memory_bytes
    yield from unless(inside, f"the entry point {image.entry:#x} is not in .text")


VECTOR_REGISTERS = re.compile(r"%(?:[xyz]mm\d+|mm\d|st\b|k\d\b)")


def check_instructions(program):
    """Yields instructions with vector or floating-point registers: firmware may start us with these turned off."""
    text = tree.run_quietly(["llvm-objdump", "--disassemble", "--no-show-raw-insn", "--section=.text", program])
    found = [line.strip() for line in text.splitlines() if VECTOR_REGISTERS.search(line)]
    if found:
        yield f"{len(found)} instructions that firmware need not have turned on, such as {found[0]}"


def check_sections(image):
    """Yields what is wrong with the sections."""
    both = pe.SECTION_WRITE | pe.SECTION_EXECUTE
    for section in image.sections:
        yield from unless(section.flags & both != both, f"section {section.name} is writable and executable")
        yield from unless(section.address % 4096 == 0, f"section {section.name} starts at {section.address:#x}")
    sbat = image.section(".sbat")
    if sbat is None:
        yield "there is no .sbat section"
    else:
        text = sbat.bytes_in(image.image).rstrip(b"\0").decode("utf-8", "replace")
        yield from unless(text.startswith("sbat,1,SBAT Version,"), f".sbat does not start with its version: {text!r}")
        yield from unless(re.search(r"^ashlar,\d+,", text, re.MULTILINE), f".sbat does not name ashlar: {text!r}")
    yield from unless(image.section(KERNEL_SECTION), f"there is no {KERNEL_SECTION} section")


def check_kernel(build_dir):
    """Yields what is wrong with the kernel: the section's ELF, and that it is the ashlar.elf with the symbols."""
    image = pe.PortableExecutable(tree.efi_program(build_dir).read_bytes())
    section = image.section(KERNEL_SECTION)
    if section is None:
        yield f"there is no {KERNEL_SECTION} section"
        return
    with tempfile.TemporaryDirectory(prefix="ashlar-check.") as folder:
        inside = Path(folder) / "kernel.elf"
        inside.write_bytes(section.bytes_in(image.image))
        yield from check_elf(inside)
        outside = Path(build_dir) / "ashlar.elf"
        yield from unless(loaded_view(inside) == loaded_view(outside), "ashlar.elf is another kernel than the one inside")
    *words, built = struct.unpack(f"<{section.memory_bytes // checksum.WORD}Q", section.bytes_in(image.image))
    found = checksum.checksum(struct.pack(f"<{len(words)}Q", *words))
    yield from unless(found == built, f"the kernel's checksum is {found:#x}, but the one beside it {built:#x}")


def check_elf(path):
    """Yields what is wrong with a kernel ELF."""
    header = readelf("--file-header", path)
    yield from unless(re.search(r"Type:\s+DYN", header), "the kernel is not position independent (type is not DYN)")
    program = readelf("--program-headers", path)
    yield from unless("INTERP" not in program, "the kernel asks for an interpreter: not a static PIE")
    loads = [line for line in program.splitlines() if line.strip().startswith("LOAD")]
    yield from unless(len(loads) >= 3, f"the kernel has {len(loads)} LOAD segments; text, rodata and data make 3")
    for line in loads:
        flags = line[re.search(r"(0x[0-9a-f]+\s+){5}", line).end():].rsplit(maxsplit=1)[0]
        yield from unless(not ("W" in flags and "E" in flags), f"a segment is writable and executable: {line.strip()}")
    undefined = [line for line in readelf("--symbols", "--dyn-symbols", path).splitlines()
                 if " UND " in line and not line.rstrip().endswith("UND")]
    yield from unless(not undefined, f"undefined symbols: {undefined}")


def loaded_view(path):
    """What of an ELF a loader would see: entry point and LOAD segments with their contents."""
    dump = readelf("--file-header", "--program-headers", path)
    entry = re.search(r"Entry point[^:]*:\s*(\S+)", dump)[1]
    image = Path(path).read_bytes()
    view = [entry]
    for line in dump.splitlines():
        if line.strip().startswith("LOAD"):
            offset, address, _physical, in_file, in_memory = (int(word, 16) for word in line.split()[1:6])
            # The first segment may hold the ELF header, which differs by what stripping changed.
            view.append((address, in_memory, image[max(offset, 0x1000):offset + in_file]))
    return view


def readelf(*arguments):
    """Output of llvm-readelf."""
    return tree.run_quietly(["llvm-readelf", "--wide", *arguments])


def check_image(build_dir):
    """Yields what is wrong with ashlar.img: both GPT headers, the partition, and the file in it."""
    image = Path(build_dir) / "ashlar.img"
    verdict = tree.run_quietly(["sgdisk", "--verify", image])
    yield from unless("No problems found" in verdict, f"sgdisk: {verdict.strip()}")
    partition = tree.run_quietly(["sgdisk", "--info=1", image])
    yield from unless("EFI system partition" in partition, f"partition 1 is not an EFI system partition: {partition}")
    inside = {"cwd": build_dir, "env": tree.fixed_time_environment()}  # mtools would have a shell expand a path
    volume = f"{image.name}@@{PARTITION_START}"
    kind = tree.run_quietly(["minfo", "-i", volume, "::"], **inside)
    yield from unless('disk type="FAT32' in kind, f"the volume is not FAT32: {kind}")
    copy = subprocess.run(["mtype", "-i", volume, f"::{EFI_PATH}"], stdout=subprocess.PIPE, check=False,
                          **inside)
    yield from unless(copy.stdout == tree.efi_program(build_dir).read_bytes(), f"{EFI_PATH} is not the product")


def unless(condition, complaint):
    """Yields the complaint when the condition does not hold."""
    if not condition:
        yield complaint


def main(arguments):
    """product.py pe|kernel|image BUILD_DIR"""
    checks = {"pe": check_pe, "kernel": check_kernel, "image": check_image}
    complaints = list(checks[arguments[0]](arguments[1]))
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    tree.main_of(main)
