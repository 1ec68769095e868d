#!/usr/bin/python3
"""Captures the ACPI tables that firmware builds for a QEMU machine, as test data.

    capture.py OUT.acpi [--firmware OVMF_CODE] -- QEMU-OPTIONS...

Starts the machine (without --firmware: QEMU's own BIOS, whose root pointer is ACPI 1.0), waits until the
firmware is done, saves the guest's memory through the monitor, and keeps the tables alone. The file is a list of
records, little-endian: u64 physical address, u64 length, bytes; the first record is the root pointer.
"""
import argparse
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import time

FIRMWARE_SECONDS = 25
LOW_BYTES = 128 << 20


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--firmware")
    ours = sys.argv[1:sys.argv.index("--")] if "--" in sys.argv else sys.argv[1:]
    wanted = parser.parse_args(ours)
    wanted.options = sys.argv[len(ours) + 2:]
    return wanted


def saved_memory(options, firmware, folder):
    image = folder / "memory"
    command = ["qemu-system-x86_64", "-accel", "tcg", "-display", "none", "-serial", "none", "-net", "none",
               "-monitor", "stdio", *options]
    if firmware:
        variables = folder / "vars.fd"
        shutil.copy(str(firmware).replace("CODE", "VARS"), variables)
        command += ["-drive", f"if=pflash,format=raw,readonly=on,file={firmware}",
                    "-drive", f"if=pflash,format=raw,file={variables}"]
    machine = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    time.sleep(FIRMWARE_SECONDS)
    machine.communicate(f'pmemsave 0 {LOW_BYTES} "{image}"\nquit\n')
    return image.read_bytes()


def root_pointer(memory):
    """The newest valid root pointer whose table of tables is there too: firmware leaves drafts behind."""
    valid = []
    at = memory.find(b"RSD PTR ")
    while at >= 0:
        rsdt, = struct.unpack_from("<I", memory, at + 16)
        xsdt = struct.unpack_from("<Q", memory, at + 24)[0] if memory[at + 15] >= 2 else 0
        if at % 4 == 0 and sum(memory[at:at + 20]) % 256 == 0:
            if xsdt and memory[xsdt:xsdt + 4] == b"XSDT":
                valid.append((2, at, xsdt, 8, 36))
            elif not xsdt and memory[rsdt:rsdt + 4] == b"RSDT":
                valid.append((0, at, rsdt, 4, 20))
        at = memory.find(b"RSD PTR ", at + 1)
    if not valid:
        raise SystemExit("no root pointer in the saved memory")
    return max(valid)[1:]


def table(memory, address):
    length = struct.unpack_from("<I", memory, address + 4)[0]
    return address, memory[address:address + length]


def records(memory):
    at, root, width, length = root_pointer(memory)
    found = [(at, memory[at:at + length]), table(memory, root)]
    for offset in range(36, len(found[1][1]), width):
        address = int.from_bytes(found[1][1][offset:offset + width], "little")
        found.append(table(memory, address))
        if found[-1][1][:4] == b"FACP":
            found.append(table(memory, struct.unpack_from("<I", found[-1][1], 40)[0]))
    return found


def main():
    wanted = arguments()
    with tempfile.TemporaryDirectory() as folder:
        memory = saved_memory(wanted.options, wanted.firmware, pathlib.Path(folder))
    with open(wanted.out, "wb") as out:
        for address, content in records(memory):
            print(f"{address:#010x} {len(content):6} {content[:8] if content[:3] == b'RSD' else content[:4]}")
            out.write(struct.pack("<QQ", address, len(content)) + content)


main()
