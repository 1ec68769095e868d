"""Secure Boot: the firmware refuses the unsigned product and starts the one signed with an enrolled key."""

import machine
import media
from frame import expect, expect_in


def unsigned_refused(setting):
    """The firmware says "Access Denied", and not one instruction of ours has run."""
    with setting.boot(machine.Machine(secure_boot=True), "selftest") as talk:
        before, _ = talk.wait_for(r"BdsDxe: failed to (?:load|start) [^\r\n]*Access Denied")
        expect("ashlar" not in before.lower(), "the refused product has said something", talk)


def signed_boots(setting, folder):
    """Signed it boots, knows that Secure Boot is on, and does not obey the configuration file, which nobody signed."""
    signed = folder / "BOOTX64.EFI"
    machine.sign(setting.product, signed)
    contents = media.contents_of(signed, "selftest")
    with setting.boot(machine.Machine(secure_boot=True), contents=contents) as talk:
        before = talk.wait_for_prompt()
        expect_in("Secure Boot is on", before)
        expect("KTAP" not in before, "the unsigned configuration file was obeyed", talk)


CASES = {"secure.unsigned": unsigned_refused, "secure.signed": signed_boots}
