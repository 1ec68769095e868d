"""The virtual machine: from a description to the QEMU command that boots it under OVMF."""

import os
import re
import select
import shlex
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tree import ToolError, run_quietly

EMULATOR = "qemu-system-x86_64"
FIRMWARE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
SECURE_FIRMWARE = Path("/usr/share/OVMF/OVMF_CODE_4M.secboot.fd")
SECURE_VARIABLES = Path("/usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd")
TEST_KEY = Path("/usr/share/ovmf/PkKek-1-snakeoil.key")
TEST_CERTIFICATE = Path("/usr/share/ovmf/PkKek-1-snakeoil.pem")
TEST_KEY_PASSWORD = "snakeoil"  # published in the ovmf package's README

# isa-debug-exit makes QEMU end with 2 * value + 1; an ACPI or EFI power off makes it end with 0.
EXIT_MEANING = {0: 0, 33: 0, 35: 1, 37: 2}

VGA = {
    "none": ["-vga", "none"],
    "std": ["-vga", "std"],
    "cirrus": ["-vga", "cirrus"],
    "virtio": ["-vga", "none", "-device", "virtio-gpu-pci"],
    "ramfb": ["-vga", "none", "-device", "ramfb"],
}
DISKS = {
    "ahci": ["-device", "ide-hd,drive=medium"],
    "cdrom": ["-device", "ide-cd,drive=medium"],
    "usb": ["-device", "qemu-xhci", "-device", "usb-storage,drive=medium"],
    "nvme": ["-device", "nvme,drive=medium,serial=ashlar"],
    "virtio": ["-device", "virtio-blk-pci,drive=medium"],
}
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
HUGE_MEMORY = 256 << 30
PROBE_SECONDS = 6
WINDOW_SECONDS = 10


def parse_memory(text):
    """Bytes of a size such as 48M, 3G or 1T; a plain number counts MiB, as QEMU has it."""
    match = re.fullmatch(r"([0-9]+)([KMGT]?)", text.upper())
    if match is None or int(match[1]) == 0:
        raise ToolError(f"not a memory size: {text!r} (for example 256M, 4G)")
    return int(match[1]) * UNITS[match[2] or "M"]


@dataclass
class Machine:
    """What to boot. Everything QEMU needs beyond this is files, given to command()."""

    memory: str = "256M"           # guest RAM; may be far more than the host has
    cpus: int = 1                  # virtual CPUs
    cpu: str = ""                  # QEMU CPU model; "" chooses
    board: str = "q35"             # q35 or pc
    vga: str = "std"               # a key of VGA
    disk: str = "ahci"             # a key of DISKS: what the medium hangs on
    accel: str = "tcg"             # tcg or kvm
    icount: bool = False           # one clock tick per guest instruction
    entropy: bool = True           # a virtio random number generator
    serial_port: bool = True       # a UART at 0x3f8
    exit_device: bool = True       # isa-debug-exit, by which the guest ends QEMU with a status
    secure_boot: bool = False      # firmware that checks signatures, with the test keys enrolled
    reboot: bool = False           # a reset starts the machine again instead of ending it
    firmware: Path = None          # firmware image; None chooses
    emulator: tuple = (EMULATOR,)  # how QEMU is started
    debug_log: Path = None         # where the debug console (port 0xe9) is written
    extra: list = field(default_factory=list)  # more arguments for QEMU, verbatim

    def firmware_files(self):
        """The firmware's code, and the template of its variables or None when the code holds them itself."""
        if self.secure_boot:
            return Path(self.firmware or SECURE_FIRMWARE), SECURE_VARIABLES
        code = Path(self.firmware or FIRMWARE)
        return code, variables_beside(code) if "CODE" in code.name else None

    def prepare_firmware(self, folder):
        """Copies what the firmware writes to into `folder`: used variables make later boots behave differently."""
        code, variables = self.firmware_files()
        for needed in filter(None, (code, variables)):
            if not needed.is_file():
                raise ToolError(f"firmware {needed} does not exist")
        shutil.copyfile(variables or code, Path(folder) / "firmware.fd")

    def command(self, folder, medium, serial=("-serial", "stdio"), display=("-display", "none")):
        """The QEMU command; `folder` is what prepare_firmware() filled, `medium` a disk image or ISO."""
        return [*self.emulator, "-nodefaults", "-no-user-config", *self.platform(),
                *self._firmware(Path(folder) / "firmware.fd"), *self._medium(medium), *VGA[self.vga],
                *(["-device", "virtio-rng-pci"] if self.entropy else []),
                *(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"] if self.exit_device else []),
                *self._debug_console(), *([] if self.reboot else ["-no-reboot"]),
                *(serial if self.serial_port else ["-serial", "none"]), *display, *self.extra]

    def platform(self):
        """The part of the command that says what processor, memory and board there are, and how time passes."""
        return [*self._board(), *self._processors(), *self._memory()]

    def _board(self):
        features = ",smm=on" if self.secure_boot else ""
        secure = ["-global", "driver=cfi.pflash01,property=secure,value=on",
                  "-global", "ICH9-LPC.disable_s3=1"] if self.secure_boot else []
        return ["-machine", f"{self.board},memory-backend=ram{features}", *secure]

    def _processors(self):
        # Above about 1010 GiB an AMD processor has a hole for HyperTransport; QEMU moves all RAM past it and then
        # runs out of address bits. Intel's have none.
        intel = ",vendor=GenuineIntel" if parse_memory(self.memory) > HUGE_MEMORY else ""
        model = self.cpu or ("host" if self.accel == "kvm" else f"max{intel}")
        clock = ["-icount", "shift=0,sleep=off"] if self.icount else []
        return ["-accel", self.accel, "-cpu", model, "-smp", str(self.cpus), *clock]

    def _memory(self):
        size = parse_memory(self.memory)
        # reserve=off: the guest may have more than the host as long as it does not touch it all.
        return ["-m", f"{size}B", "-object", f"memory-backend-ram,id=ram,size={size}B,reserve=off"]

    def _firmware(self, writable):
        code, variables = self.firmware_files()
        if variables is None:
            return ["-drive", f"if=pflash,unit=0,format=raw,file={option_text(writable)}"]
        return ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={option_text(code)}",
                "-drive", f"if=pflash,unit=1,format=raw,file={option_text(writable)}"]

    def _medium(self, path):
        kind = "media=cdrom" if self.disk == "cdrom" else "snapshot=on"
        return ["-drive", f"if=none,id=medium,format=raw,{kind},file={option_text(path)}", *DISKS[self.disk]]

    def _debug_console(self):
        if self.debug_log is None:
            return []
        return ["-chardev", f"file,id=debug,path={option_text(self.debug_log)}",
                "-device", "isa-debugcon,iobase=0xe9,chardev=debug"]


def variables_beside(code):
    """The template of variables for a firmware's file of code, as OVMF_VARS_4M.ms.fd for OVMF_CODE_4M.ms.fd.

    Between its dots a name says which keys are enrolled, as "ms", and how the code was built, as "secboot" or
    "strictnx": there need be no variables for the latter."""
    first, *words = code.name.replace("CODE", "VARS").replace(".secboot", "").split(".")
    tried = [code.with_name(".".join([first, *words[:count], *words[-1:]])) for count in range(max(len(words) - 1, 0), -1, -1)]
    for variables in tried:
        if variables.is_file() or not code.is_file():
            return variables
    raise ToolError(f"firmware {code} has no template of its variables beside it: {' or '.join(one.name for one in tried)}")


def option_text(path):
    """A path as a value in a QEMU option list, where a comma is written twice."""
    return str(Path(path).absolute()).replace(",", ",,")


def shell_line(command):
    """The command as one line a shell understands."""
    return shlex.join(str(part) for part in command)


def sign(efi, signed):
    """Signs a program with the test key whose certificate the Secure Boot machine has enrolled."""
    with tempfile.TemporaryDirectory(prefix="ashlar-key.") as folder:
        key = Path(folder) / "test.key"
        run_quietly(["openssl", "rsa", "-in", TEST_KEY, "-passin", f"pass:{TEST_KEY_PASSWORD}", "-out", key])
        run_quietly(["sbsign", "--key", key, "--cert", TEST_CERTIFICATE, "--output", signed, efi])


def window_complaint():
    """Why QEMU cannot open a window here: its module is not installed, or nobody answers on the screen. "" if it can."""
    command = [EMULATOR, "-machine", "none", "-nodefaults", "-display", "gtk", "-S", "-monitor", "stdio"]
    try:
        done = subprocess.run(command, input="quit\n", text=True, errors="replace", stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=WINDOW_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"QEMU does not open one within {WINDOW_SECONDS} seconds"
    except FileNotFoundError:
        return f"{EMULATOR} is not installed"
    if done.returncode == 0:
        return ""
    says = [line.removeprefix(f"{EMULATOR}: ") for line in done.stdout.splitlines() if line.strip()]
    hint = " (Debian's package qemu-system-gui has it)" if "is not available" in done.stdout else ""
    return says[-1] + hint if says else f"QEMU ends with status {done.returncode}"


def choose_accelerator(wish):
    """Turns "auto" into "kvm" or "tcg"; returns it with the reason, which is "" when there was nothing to decide."""
    if wish != "auto":
        return wish, ""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg", "no usable /dev/kvm: the CPU is emulated"
    if firmware_runs_on_kvm():
        return "kvm", "OVMF runs on KVM here"
    return "tcg", "/dev/kvm is there, but OVMF does not run on it: the CPU is emulated"


def firmware_runs_on_kvm():
    """Whether OVMF on KVM gets as far as saying something on the serial port: the only proof that counts."""
    probe = Machine(accel="kvm", vga="none", entropy=False)
    with tempfile.TemporaryDirectory(prefix="ashlar-probe.") as folder:
        probe.prepare_firmware(folder)
        blank = Path(folder) / "blank.img"
        with open(blank, "wb") as medium:
            medium.truncate(1 << 20)
        with subprocess.Popen(probe.command(folder, blank), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT) as process:
            try:
                return _sees(process, b"BdsDxe", b"KVM internal error", PROBE_SECONDS)
            finally:
                process.kill()


def _sees(process, good, bad, seconds):
    """Whether `good` appears in the process's output before `bad`, its end, or the time limit."""
    seen = b""
    limit = time.monotonic() + seconds
    while good not in seen:
        left = limit - time.monotonic()
        if left <= 0 or bad in seen or not select.select([process.stdout], [], [], left)[0]:
            return False
        piece = os.read(process.stdout.fileno(), 4096)
        if not piece:
            return False
        seen += piece
    return True
