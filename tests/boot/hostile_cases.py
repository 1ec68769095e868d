"""What hostile firmware does in each boot, and what the loader and the kernel have to make of it.

`words` are those of hostile.txt (tests/boot/hostile/cases.c). A `Boot` starts the kernel; a `Refusal` makes the loader
come back with one error line, so that many of them share one boot.
"""

from dataclasses import dataclass, field

from machine import Machine

UNKNOWN_OPTION = "no-such-option"
CONFIG = "pager=off tests=on"  # the command line on the stick; load options, where there are any, follow it


@dataclass
class Boot:
    """One boot, whose case gets the kernel running."""

    words: str                                   # what firmware does
    shows: list = field(default_factory=list)    # patterns among what the kernel says
    said: list = field(default_factory=list)     # patterns among what the loader and the application say before
    warnings: list = field(default_factory=list) # patterns of the loader's warnings: these and no others
    command_line: str = CONFIG                   # what the kernel's has to be
    config: str = CONFIG                         # ashlar.cfg on the stick
    screen: str = ""                             # look at the screen ("shown") or in video memory ("memory")
    coloured: str = ""                           # text in the kernel's yellow warning on the screen
    devices: list = field(default_factory=list)  # more arguments for QEMU
    cpu: str = ""                                # QEMU's model; "" is the richest
    memory: str = Machine.memory                 # how much RAM there is
    cpus: int = Machine.cpus                     # how many processors
    selftest: bool = False                       # run the kernel's own tests, too
    firmware_map: str = ""                       # how the raw map has to look: a name in hostile_matrix.RAW_MAPS


@dataclass
class Refusal:
    """One case the loader refuses, once or run after run."""

    words: str
    error: str          # pattern of the one error line of every run
    runs: int = 1       # least number of runs
    failing: set = field(default_factory=set)  # services that must have been made to fail, in a sweep over calls
    warnings: list = field(default_factory=list)
    possible: list = field(default_factory=list)  # warnings that may be there, where a sweep can step over them


EXIT_REFUSED = r"the firmware refuses to end boot services \(attempt 1\): aborted"
NO_SCREEN_MEMORY = r"^no memory for the screen \(\d+ bytes\): it is not used$"
NO_MEMORY = r"no memory for [a-z0-9 -]+ \(\d+ bytes\): out of resources"
NO_SCREEN = [r"^screen +none$"]
SEED = r"^seed +from {}$"

REFUSALS = {
    "dry-run": Refusal("dry=1", EXIT_REFUSED),
    "stale-for-ever": Refusal("stale=ever", r"refuses to end boot services \(attempt \d+\): invalid parameter"),
    "exit-device-error": Refusal("fail=ExitBootServices count=ever status=device-error",
                                 r"refuses to end boot services \(attempt 1\): device error"),
    "map-size-fails": Refusal("dry=1 fail=GetMemoryMap status=device-error first=1",
                              r"does not tell the size of its memory map: device error"),
    "map-fails": Refusal("dry=1 fail=GetMemoryMap status=device-error first=2",
                         r"memory map cannot be read: device error"),
    "no-write-back": Refusal("dry=1 write-back=missing",
                             r"none of its \d+ entries of free memory has the attribute write-back \(EFI_MEMORY_WB\)"),
    "last-map-fails": Refusal("dry=1 fail=GetMemoryMap status=device-error first=3",
                              r"memory map cannot be read before leaving boot services .*: device error"),
    "map-fails-after-exit": Refusal("stale=1 fail=GetMemoryMap status=device-error first=4",
                                    r"memory map cannot be read again after attempt 1 .*: device error"),
    "map-grows-too-fast": Refusal("dry=1 growth=200", r"memory map cannot be read.*: buffer too small"),
    "no-loaded-image": Refusal("dry=1 hide=loaded-image", r"does not tell where the loader lies: unsupported"),
    "no-protocols": Refusal("dry=1 fail=HandleProtocol count=ever status=not-found",
                            r"does not tell where the loader lies: not found"),
    "no-limited-pages": Refusal("dry=1 refuse=limit", r"no memory for the switch to 5-level paging .*: not found"),
    "page-executes": Refusal("dry=1 attributes=good", EXIT_REFUSED),
    "page-does-not-execute": Refusal("dry=1 attributes=fixed", r"does not let the page at .* execute.*: access denied"),
    "each-page-allocation": Refusal("dry=1 sweep=calls fail=AllocatePages", f"{NO_MEMORY}|{EXIT_REFUSED}", runs=6,
                                    failing={"AllocatePages"}, warnings=[NO_SCREEN_MEMORY]),
    "each-pool-allocation": Refusal("dry=1 sweep=calls fail=AllocatePool", f"{NO_MEMORY}|{EXIT_REFUSED}"),
    "each-call": Refusal("dry=1 sweep=calls fail=all status=device-error", r"device error$|aborted$", runs=12,
                         failing={"AllocatePages", "GetMemoryMap", "HandleProtocol", "SetWatchdogTimer",
                                  "ExitBootServices"},
                         warnings=[r"ashlar\.cfg cannot be read: device error", r"initrd\.cpio cannot be opened; it is ignored$",
                                   NO_SCREEN_MEMORY]),
    "too-little-memory": Refusal("dry=1 spare-pages=100",
                                 r"no memory for kernel (code|constants|data) \(\d+ bytes\): out of resources"),
    # Segments and stack need one piece each, page tables do not: they never are what there is no memory for.
    "memory-in-pieces": Refusal("dry=1 sweep=stretch single-pages=256",
                                f"no memory for (boot information|sorting the memory map|kernel [a-z]+|the boot stack) "
                                rf"\(\d+ bytes\): out of resources|{EXIT_REFUSED}", runs=10,
                                possible=[NO_SCREEN_MEMORY]),
    "memory-almost-exhausted": Refusal("dry=1 sweep=memory", f"{NO_MEMORY}|{EXIT_REFUSED}", runs=4,
                                       possible=[NO_SCREEN_MEMORY]),
}

# What the kernel logs of this machine's ACPI tables when it has found all of them.
ACPI_WHOLE = [r"acpi: XSDT at 0x[0-9a-f]+ by BOCHS: 7 tables$", r"acpi: 1 processors, 1 IO-APICs$"]


def screen(size, bytes_per_pixel, pitch, channels):
    """The kernel's line about this framebuffer."""
    return rf"^screen +{size}, {bytes_per_pixel} bytes a pixel, {pitch} bytes a row, {channels}$"


def outside(table, place):
    """An ACPI table outside RAM, which the kernel finds nevertheless."""
    return Boot(f"quarry={place} acpi={table}", said=[r"hostile: acpi \S+ at=[0-9a-f]+ bytes=[1-9]"], shows=ACPI_WHOLE)


def high(table, place):
    """The same in RAM above 4 GiB, called what `place` says."""
    return Boot(f"quarry={place} place=high acpi={table}", memory="4G", shows=ACPI_WHOLE,
                said=[r"hostile: acpi \S+ at=1[0-9a-f]{8} bytes=[1-9]"])


def in_rom(table):
    """The same in ROM."""
    return Boot(f"place=rom acpi={table}", said=[r"hostile: acpi \S+ at=c0000 bytes=[1-9]"], shows=ACPI_WHOLE)


def pixels(variant, seen, line):
    """A framebuffer of this kind. The unknown option makes the kernel warn in yellow: a colour to be found."""
    return Boot(f"graphics={variant}", screen=seen, shows=[line], warnings=[UNKNOWN_OPTION], coloured=UNKNOWN_OPTION,
                config=f"{CONFIG} {UNKNOWN_OPTION}", command_line=f"{CONFIG} {UNKNOWN_OPTION}")


BOOTS = {
    "plain": Boot("quarry=plain"),
    "stale-1": Boot("stale=1"),
    "stale-3": Boot("stale=3"),
    "stale-7": Boot("stale=7"),
    "map-reversed": Boot("quarry=plain order=reversed", firmware_map="reversed"),
    "map-shuffled-600": Boot("quarry=plain order=shuffled descriptors=600", firmware_map="unsorted"),
    "map-nested": Boot("quarry=nested", firmware_map="overlapping"),
    "map-overlapping": Boot("quarry=overlap order=shuffled", firmware_map="overlapping"),
    "map-duplicate": Boot("quarry=duplicate", firmware_map="overlapping"),
    "map-zero-length": Boot("quarry=zero", firmware_map="with-empty"),
    "map-wrapping": Boot("quarry=wrap", firmware_map="with-wrapping"),
    "map-oem-types": Boot("quarry=oem", firmware_map="with-oem"),
    "map-every-type": Boot("quarry=types"),
    "map-sub-page": Boot("quarry=subpage", firmware_map="unaligned"),
    "map-late": Boot("quarry=late"),
    "map-special": Boot("quarry=special"),
    "map-far": Boot("quarry=far", warnings=[r"RAM ends at 0x8000000001000, but the physmap at 0x[0-9a-f]+: "]),
    "map-growing": Boot("quarry=plain growth=8 stale=2"),
    "stride-56": Boot("quarry=plain stride=56"),
    "stride-64": Boot("quarry=overlap stride=64", firmware_map="overlapping"),
    "runtime-attribute-missing": Boot("runtime-attribute=missing", firmware_map="without-runtime-attribute"),
    "options-none": Boot("options=none"),
    "options-plain": Boot("options=plain", command_line=f"{CONFIG} log=debug"),
    "options-binary": Boot("options=binary", warnings=[r"load options.*ignored"]),
    "options-unterminated": Boot("options=unterminated", command_line=f"{CONFIG} log=debug"),
    "options-odd-bytes": Boot("options=odd-bytes", command_line=f"{CONFIG} log=debug"),
    "options-byte-order-mark": Boot("options=byte-order-mark", command_line=f"{CONFIG} log=debug"),
    "options-program-name": Boot("options=program-name", command_line=f"{CONFIG} log=debug"),
    "options-whole-load-option": Boot("options=whole-load-option", command_line=f"{CONFIG} log=debug"),
    "options-huge": Boot("options=huge", warnings=[r"load options.*ignored"]),
    "graphics-none": Boot("graphics=none", shows=NO_SCREEN, said=[r"hidden graphics-none"]),
    "graphics-blt-only": Boot("graphics=blt-only", shows=NO_SCREEN, said=[r"video graphics-blt-only base=0 "]),
    "graphics-base-zero": Boot("graphics=base-zero", shows=NO_SCREEN, said=[r"video graphics-base-zero base=0 "]),
    "graphics-in-ram": Boot("graphics=in-ram", shows=NO_SCREEN, said=[r"video graphics-in-ram base=1000000 "],
                            warnings=[r"framebuffer at 0x1000000, 4096000 bytes, lies in RAM: it is not used$"]),
    "graphics-broken-masks": Boot("graphics=broken-masks", shows=NO_SCREEN, said=[r"video .*masks=f0f000,0,ff"]),
    "graphics-no-mode": Boot("graphics=no-mode", shows=NO_SCREEN, said=[r"video graphics-no-mode "]),
    "graphics-fake-first": Boot("graphics=fake-first", said=[r"fake graphics-fake-first"], screen="shown",
                                shows=[screen("1280 x 800", 4, 5120, "red 16:8 green 8:8 blue 0:8")]),
    "graphics-two": Boot("graphics=fake-first", said=[r"fake graphics-two"], devices=["-device", "bochs-display"],
                         shows=[r"^screen +\d+ x \d+, 4 bytes a pixel"]),
    "graphics-rgb": pixels("rgb", "memory", screen("1280 x 1600", 4, 5120, "red 0:8 green 8:8 blue 16:8")),
    "graphics-wide": pixels("wide", "shown", screen("1366 x 1600", 4, 5504, "red 16:8 green 8:8 blue 0:8")),
    "graphics-565": pixels("565", "shown", screen("1280 x 1600", 2, 2624, "red 11:5 green 5:6 blue 0:5")),
    "graphics-555": pixels("555", "shown", screen("1280 x 1600", 2, 2560, "red 10:5 green 5:5 blue 0:5")),
    "graphics-888": pixels("888", "shown", screen("1280 x 1600", 3, 3840, "red 16:8 green 8:8 blue 0:8")),
    "graphics-2101010": pixels("2101010", "memory",
                               screen("1280 x 1600", 4, 5120, "red 20:10 green 10:10 blue 0:10")),
    "graphics-odd-masks": pixels("odd-masks", "memory",
                                 screen("1280 x 1600", 4, 5120, "red 4:5 green 20:12 blue 9:6")),
    "random-none": Boot("", shows=[SEED.format("(RDSEED|RDRAND)")]),
    "random-time-stamps": Boot("", cpu="max,rdrand=off,rdseed=off",
                               shows=[SEED.format("time stamps, which can be guessed")]),
    "random-good": Boot("random=good", shows=[SEED.format("EFI_RNG_PROTOCOL")], said=[r"random random-good bytes="]),
    "random-broken": Boot("random=broken", shows=[SEED.format("(RDSEED|RDRAND)")],
                          said=[r"random random-broken bytes="]),
    "no-acpi": Boot("tables=no-acpi", shows=[r"^tables +no ACPI, SMBIOS"]),
    "no-smbios": Boot("tables=no-smbios", shows=[r"^tables +ACPI at .*, no SMBIOS$"]),
    "no-tables": Boot("tables=none", warnings=[r"has no memory attributes table"],
                      shows=[r"^tables +no ACPI, no SMBIOS$"]),
    "endless-attributes": Boot("tables=endless-attributes",
                               warnings=[r"memory attributes table has 4294967295 entries of 40 bytes; "]),
    **{f"acpi-{table}-{place}": outside(table, place) for table, place in (
        ("rsdp", "reserved"), ("xsdt", "hole"), ("madt", "reserved"), ("madt", "hole"), ("waet", "device"),
        ("dsdt", "reserved"), ("everything", "reserved"), ("everything", "device"), ("everything", "hole"),
        ("everything", "plain"))},
    **{f"acpi-{table}-high-{place}": high(table, place) for table, place in (
        ("rsdp", "hole"), ("xsdt", "reserved"), ("madt", "device"), ("dsdt", "reserved"), ("everything", "reserved"),
        ("everything", "hole"), ("everything", "plain"))},
    **{f"acpi-{table}-rom": in_rom(table) for table in ("rsdp", "madt", "dsdt", "everything")},
    "acpi-extended-checksum": Boot("quarry=plain acpi=extended-checksum", shows=[
        r"acpi: warning: RSDP at 0x[0-9a-f]+: extended checksum 0x01, expected 0$", r"acpi: 1 processors, 1 IO-APICs$"]),
    "acpi-stray-bytes": Boot("quarry=plain acpi=stray-bytes", shows=[
        r"acpi: warning: MADT at 0x[0-9a-f]+: 3 stray bytes at its end, ignored$", *ACPI_WHOLE]),
    "acpi-bogus-processors": Boot("quarry=plain acpi=bogus-processors", shows=[
        r"MADT at 0x[0-9a-f]+: 1 processors with the number that addresses all, ignored$",
        r"MADT at 0x[0-9a-f]+: 2 processors that other entries describe, ignored$", *ACPI_WHOLE]),
    "acpi-absent-processors": Boot("quarry=plain acpi=absent-processors", shows=[
        r"CPU 1, APIC 7, does not start: it did not answer its start-up messages$",
        r"CPU 2, APIC 300, is not started: its APIC number needs x2APIC mode, which this CPU lacks$",
        r"processors: 1 of 3 processors are online$"]),
    "acpi-broken-madt": Boot("quarry=plain acpi=broken-madt", shows=[
        r"MADT at 0x[0-9a-f]+: entry at 44: type 0, length 1, expected 8 to \d+$",
        r"acpi: warning: no table of processors and interrupt controllers: one processor, no interrupt routing$"]),
    "no-file-system": Boot("hide=file-system options=plain", said=[r"hidden no-file-system"],
                           command_line="log=debug"),
    "no-handles": Boot("fail=LocateHandle count=ever status=not-found"),
    "no-watchdog": Boot("fail=SetWatchdogTimer count=ever status=unsupported", said=[r"inject no-watchdog"]),
    "page-executes": Boot("attributes=good", config=f"{CONFIG} la57=on", command_line=f"{CONFIG} la57=on",
                          said=[r"attributes page-executes page=[0-9a-f]+ now=20000$"],
                          shows=[r"^paging +5 levels"]),
    "page-zero": Boot("zero-page=1", said=[r"zero page-zero pages=\d+"]),
    "page-zero-trampoline": Boot("zero-page=1", config=f"{CONFIG} la57=on", command_line=f"{CONFIG} la57=on",
                                 said=[r"zero page-zero-trampoline pages=1$"], shows=[r"^paging +5 levels"]),
    "low-memory": Boot("low-memory=1", said=[r"low low-memory pages=\d+", r"kept low-memory low=0$"]),
    "low-memory-trampoline": Boot("low-memory=1", config=f"{CONFIG} la57=on", command_line=f"{CONFIG} la57=on",
                                  said=[r"low low-memory-trampoline pages=1 ", r"kept low-memory-trampoline low=0$"],
                                  shows=[r"^paging +5 levels"]),
    # Nothing else below 4 GiB: the page of the switch to 5 levels and the first 16 page tables stay low.
    "low-memory-only": Boot("low-memory=1 refuse=limit", config=f"{CONFIG} la57=on", command_line=f"{CONFIG} la57=on",
                            said=[r"kept low-memory-only low=17$"], shows=[r"^paging +5 levels"]),
    "five-levels": Boot("levels=5", said=[r"levels five-levels la57=1$"], shows=[r"^paging +5 levels"]),
    "five-levels-cpus": Boot("levels=5", said=[r"levels five-levels-cpus la57=1$"], cpus=3, selftest=True,
                             shows=[r"^paging +5 levels", r"processors: 3 of 3 processors are online$"]),
    "memory-tight": Boot("spare-pages=1024"),
}
