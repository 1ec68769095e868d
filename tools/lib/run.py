"""tools/run: build, boot under OVMF, and end with the status the kernel ended with."""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import initrd
import machine
import media
import patience
import program
import tree

PROMPT_SECONDS = patience.seconds(60)
DISK_OF_MEDIA = {"fat": "ahci", "image": "ahci", "iso": "cdrom"}


def parse(arguments):
    """The command line of tools/run."""
    parser = argparse.ArgumentParser(
        prog="tools/run", formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description="Builds Ashlar and boots it in QEMU under OVMF, with the serial line on this terminal. "
        "Status: 0 success or power off, 1 failed selftest, 2 panic (or a usage error), 3 anything else.")
    parser.add_argument("--headless", action="store_true", help="no window, only the serial line")
    parser.add_argument("--media", choices=list(media.MAKERS), default="fat", help="what is booted from")
    parser.add_argument("--disk", choices=["ahci", "usb", "nvme", "virtio"], default="ahci",
                        help="what the medium is attached to; an ISO is always in a CD drive")
    parser.add_argument("--accel", choices=["auto", "tcg", "kvm"], default="auto",
                        help="auto takes KVM only when the firmware is seen to run on it")
    parser.add_argument("--icount", action="store_true", help="one clock tick per guest instruction; implies --accel tcg")
    parser.add_argument("--secure-boot", nargs="?", choices=["signed", "unsigned"], const="signed",
                        help="firmware that checks signatures; 'unsigned' shows the refusal")
    parser.add_argument("--screenshot", metavar="FILE", type=Path, help="save the screen at the prompt as PNG, and end")
    parser.add_argument("--initrd", metavar="FILE|FOLDER", type=Path,
                        help="files for the kernel: an initrd (cpio, maybe packed by gzip), or a folder to make one of")
    parser.add_argument("--program", metavar="FILE", nargs=argparse.REMAINDER,
                        help="run this static Linux program, with all that follows as its arguments, and end with its status: "
                        "128 + signal, or 125 when Ashlar could not run it")
    parser.add_argument("--stay", action="store_true", help="with --program: the monitor comes when it has ended")
    parser.add_argument("--dry-run", action="store_true", help="build nothing, print the QEMU command")
    add_machine_options(parser)
    options = parser.parse_args(arguments)
    if options.program == []:
        parser.error("--program needs a FILE")
    if options.stay and not options.program:
        parser.error("--stay needs --program")
    return options


def add_machine_options(parser):
    """The options that tools/run and tools/debug share."""
    parser.add_argument("--memory", metavar="SIZE", default="512M", help="guest RAM, may exceed the host's")
    parser.add_argument("--cpus", metavar="N", type=positive, default=1, help="virtual CPUs")
    parser.add_argument("--cpu", metavar="MODEL", default="", help="QEMU CPU model, with features (empty: the richest)")
    parser.add_argument("--cmdline", metavar="TEXT", default="", help="kernel command line")
    parser.add_argument("--machine", choices=["q35", "pc"], default="q35", help="board")
    parser.add_argument("--vga", choices=list(machine.VGA), default="std", help="display adapter")
    parser.add_argument("--firmware", metavar="PATH", type=Path, help="firmware image instead of Debian's OVMF")
    parser.add_argument("--debug-log", metavar="FILE", type=Path, help="write the debug console (port 0xe9) here")
    parser.add_argument("--build-dir", metavar="DIR", type=Path, default=tree.DEFAULT_BUILD, help="build folder")
    parser.add_argument("qemu", nargs="*", metavar="-- ARGUMENT", help="more arguments for QEMU")


def positive(text):
    """A count of at least one, for argparse."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is less than 1")
    return value


def describe(options):
    """The machine the options ask for."""
    if options.icount and options.accel == "kvm":
        raise tree.ToolError("--icount counts emulated instructions; it cannot be had with --accel kvm")
    if options.secure_boot and options.machine != "q35":
        raise tree.ToolError(f"--secure-boot needs --machine q35, not {options.machine}")
    accel, reason = machine.choose_accelerator("tcg" if options.icount else options.accel)
    if reason:
        print(f"tools/run: {reason}", file=sys.stderr)
    disk = "cdrom" if options.media == "iso" else options.disk
    return machine.Machine(
        memory=options.memory, cpus=options.cpus, cpu=options.cpu, board=options.machine, vga=options.vga, disk=disk,
        accel=accel, icount=options.icount, secure_boot=bool(options.secure_boot), reboot=not options.headless,
        firmware=options.firmware, debug_log=options.debug_log, extra=options.qemu)


def display_arguments(window_wanted):
    """A window, if it is wanted and one can be opened; says why not where a screen seems to be there."""
    screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not window_wanted or not screen:
        return ["-display", "none"]
    complaint = machine.window_complaint()
    if complaint:
        print(f"tools/run: no window, only the serial line: {complaint}", file=sys.stderr)
    return ["-display", "none" if complaint else "gtk"]


def serial_arguments():
    """The serial line on this terminal; on a real one Ctrl-A X ends the machine and Ctrl-C reaches the guest."""
    return ["-serial", "mon:stdio" if sys.stdin.isatty() else "stdio"]


def make_medium(options, folder):
    """Makes the medium to boot from, signed if wanted."""
    efi = tree.efi_program(options.build_dir)
    files = program.files(options) if options.program else initrd.contents_of(options.initrd) if options.initrd else None
    if options.secure_boot == "signed":
        if files is not None:
            efi = initrd.allow(efi, files, Path(folder) / "allowing.efi")
        machine.sign(efi, Path(folder) / "BOOTX64.EFI")
        efi = Path(folder) / "BOOTX64.EFI"
    medium = Path(folder) / "medium.img"
    media.MAKERS[options.media](medium, media.contents_of(efi, program.command_line(options) or None, files))
    return medium


def boot(command):
    """Runs QEMU on this terminal until it ends; returns its status."""
    with subprocess.Popen(command) as process:
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # QEMU gets it from the terminal too, and decides
        return process.wait()


def status_of(emulator_status):
    """The status to end with, saying what is unusual."""
    if emulator_status in machine.EXIT_MEANING:
        return machine.EXIT_MEANING[emulator_status]
    print(f"tools/run: QEMU ended with status {emulator_status}, which is none of the kernel's", file=sys.stderr)
    return 3


def take_screenshot(described, folder, medium, target):
    """Boots to the prompt, saves the screen, powers off."""
    from serial import Conversation  # needs pexpect, which only this option does
    if described.vga == "none":
        raise tree.ToolError("--screenshot needs a screen, not --vga none")
    with Conversation(described, folder, medium) as talk:
        talk.wait_for_prompt(PROMPT_SECONDS)
        talk.screenshot(target)
        talk.send("poweroff")
        return talk.wait_for_end()


def run_program(options, described, folder, medium, display):
    """Boots with a program to run; returns its status."""
    described.debug_log = described.debug_log or Path(folder) / "debug.log"
    status = boot(described.command(folder, medium, serial_arguments(), display))
    ended = program.status_of(described.debug_log)
    if status not in (0, 33) or ended is None:
        print("tools/run: Ashlar failed, or could not run the program", file=sys.stderr)
        return program.NOT_RUN
    return ended


def main(arguments):
    """Does what the options say."""
    options = parse(arguments)
    machine.parse_memory(options.memory)
    described = describe(options)
    display = display_arguments(not options.headless and not options.screenshot)
    if options.dry_run:
        print(machine.shell_line(described.command("ashlar-run", "ashlar-run/medium.img", serial_arguments(), display)))
        return 0
    tree.configure(options.build_dir, "default")
    tree.build(options.build_dir)
    with tempfile.TemporaryDirectory(prefix="ashlar-run.") as folder:
        described.prepare_firmware(folder)
        medium = make_medium(options, folder)
        if options.screenshot:
            return status_of(take_screenshot(described, folder, medium, options.screenshot.absolute()))
        if options.program:
            return run_program(options, described, folder, medium, display)
        if sys.stdin.isatty():
            print("tools/run: Ctrl-A X ends the machine", file=sys.stderr)
        return status_of(boot(described.command(folder, medium, serial_arguments(), display)))


if __name__ == "__main__":
    tree.main_of(main)
