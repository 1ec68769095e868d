"""Other people's boot loaders in front of ours: shim and GRUB under Secure Boot, and U-Boot as the firmware.

All of them are Debian's packages. shim and the product are signed with the test key that the firmware has enrolled;
GRUB is as Debian signed it, which shim knows.
"""

import machine
import media
from frame import expect, expect_in, expect_selftest_passes

SHIM = "/usr/lib/shim/shimx64.efi"
GRUB = "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"
UBOOT = "/usr/lib/u-boot/qemu-x86_64/u-boot.rom"
OURS = "/EFI/ashlar/BOOTX64.EFI"
GRUB_COMMANDS = f"""set timeout=0
menuentry Ashlar {{
    chainloader {OURS}
}}
"""


def shim_starts_it(setting, folder):
    """shim reads the headers more strictly than the firmware does, and checks the signature itself."""
    contents = _with_shim(setting, folder)
    contents["/EFI/BOOT/grubx64.efi"] = folder / "ours.efi"  # what shim starts is called so
    with setting.boot(machine.Machine(secure_boot=True), contents=contents) as talk:
        expect_in("Secure Boot on", talk.wait_for_prompt())


def grub_starts_it(setting, folder):
    """GRUB's chainloader asks shim for the signature, and places the image by itself."""
    contents = _with_shim(setting, folder)
    contents.update({"/EFI/BOOT/grubx64.efi": GRUB, "/EFI/debian/grub.cfg": GRUB_COMMANDS.encode(),
                     OURS: folder / "ours.efi"})
    with setting.boot(machine.Machine(secure_boot=True), contents=contents) as talk:
        expect_in("Secure Boot on", talk.wait_for_prompt())


def _with_shim(setting, folder):
    """A medium on which the firmware starts shim; signs the product to ours.efi."""
    machine.sign(SHIM, folder / "shim.efi")
    machine.sign(setting.product, folder / "ours.efi")
    return media.contents_of(folder / "shim.efi")


def uboot_starts_it(setting):
    """U-Boot starts EFI programs with vector instructions turned off; all in-kernel tests pass there."""
    with setting.boot(machine.Machine(firmware=UBOOT, vga="none"), "selftest") as talk:
        expect_selftest_passes(talk)


def uboot_without_acpi(setting):
    """The pc board without ACPI, on which OVMF waits for ever for a timer that is not there (docs/testing.md). U-Boot announces
    ACPI tables nevertheless, where there are none."""
    described = machine.Machine(firmware=UBOOT, vga="none", board="pc", disk="virtio", extra=["-machine", "acpi=off"])
    with setting.boot(described, "selftest") as talk:
        expect_selftest_passes(talk)
        expect_in("no ACPI tables: one processor, no interrupt routing, no ACPI power-off", talk.transcript)


def uboot_powers_off(setting):
    """Its ACPI tables are others than OVMF's; `poweroff` ends the machine."""
    with setting.boot(machine.Machine(firmware=UBOOT, vga="none")) as talk:
        talk.watch_events()
        talk.wait_for_prompt()
        talk.send("poweroff")
        status = talk.wait_for_end()
        expect(status == 0, f"poweroff ended with status {status}, reason {talk.end_reason()}", talk)


CASES = {"chain.shim": shim_starts_it, "chain.grub": grub_starts_it, "chain.uboot": uboot_starts_it,
         "chain.uboot-off": uboot_powers_off, "chain.uboot-no-acpi": uboot_without_acpi}
