"""Machines that only a newer QEMU emulates: x2APIC mode, and more processors than APIC numbers of eight bits can name."""

import newer_emulator
from frame import NotRun, expect_in, expect_selftest_passes, selftest_seconds
from machine import Machine

IOMMU = ["-device", "intel-iommu,intremap=on,eim=on"]  # without it firmware uses no number above 254
MOST = ["-smp", "maxcpus=300"]


def newer(**details):
    """A machine of the newer emulator."""
    try:
        emulator = newer_emulator.provide()
    except newer_emulator.Unavailable as reason:
        raise NotRun(reason) from reason
    return Machine(emulator=emulator.command, firmware=emulator.firmware, **details)


def another(core, features=""):
    """QEMU's arguments for one more processor, whose APIC number is `core`."""
    return ["-device", f"max-x86_64-cpu,socket-id=0,die-id=0,module-id=0,core-id={core},thread-id=0{features}"]


def boots(cmdline, says, **details):
    """A test that boots such a machine; all that it runs must pass, and all of `says` be said."""
    def test(setting):
        with setting.boot(newer(**details), cmdline, cold=True) as talk:
            expect_selftest_passes(talk, selftest_seconds(details.get("cpus", 1)))
            for text in says:
                expect_in(text, talk.transcript)
    return test


CASES = {
    "newer.xapic": boots("selftest", ["apic: xAPIC mode", "4 of 4 processors are online"], cpus=4),
    "newer.x2apic": boots("selftest", ["apic: x2APIC mode", "4 of 4 processors are online"],
                          cpus=3, extra=[*MOST, *IOMMU, *another(299)]),
    "newer.x2apic.la57": boots("selftest la57=on", ["apic: x2APIC mode", "5 levels", "3 of 3 processors are online"],
                               cpus=2, cpu="max,la57=on", extra=[*MOST, *IOMMU, *another(299, ",la57=on")]),
    "newer.300": boots("selftest", ["300 of 300 processors are online"], cpus=300, memory="2G", extra=IOMMU),
}
