"""Conversations: what a person at the prompt, or a wrong configuration, gets to see."""

import re

import media
from frame import STATUS_PANIC, expect, expect_in, expect_selftest_passes
from machine import Machine

POWER_OFF_REASONS = ("guest-shutdown",)


def commands_answer(setting):
    """Every basic command answers; an unknown one does in one line that names it."""
    with setting.boot(Machine()) as talk:
        talk.wait_for_prompt()
        listed = talk.command("help")
        for name in ("help", "mem", "boot", "selftest", "reboot", "poweroff"):
            expect(re.search(rf"^\s*{name}\b", listed, re.MULTILINE), f"help does not list {name}:\n{listed}")
        unknown = talk.command("frobnicate")
        expect("frobnicate" in unknown and "\n" not in unknown, f"an unknown command answers: {unknown!r}")
        expect(talk.command("") == "", "an empty line answers with something")
        boot = talk.json("boot -j")
        check_timeline(boot)
        check_memory(talk.json("mem -j"), 256 << 20)


def check_timeline(boot):
    """`boot -j`: stages in order of time, from the loader's entry at 0 to ready."""
    stages = [(stage["name"], stage["ticks"]) for stage in boot["stages"]]
    expect(stages[0] == ("loader.entry", 0), f"the first stage is {stages[0]}")
    ticks = [tick for _, tick in stages] + [boot["ready_ticks"]]
    expect(ticks == sorted(ticks), f"ticks do not rise: {stages}")
    expect(any(name.startswith("kernel.") for name, _ in stages), f"no stage of the kernel: {stages}")


def check_memory(memory, installed):
    """`mem -j`: the ledger closes, and it is about this machine."""
    expect(memory["difference"] == 0, f"the ledger does not close: {memory}")
    expect(memory["firmware_bytes"] == memory["accounted_bytes"], f"the ledger's sides differ: {memory}")
    expect(sum(owner["bytes"] for owner in memory["owners"]) + memory["free_bytes"] == memory["accounted_bytes"],
           f"owners and free do not add up: {memory}")
    expect(0 < memory["free_bytes"] < installed, f"free bytes of a machine with {installed}: {memory}")


def power_off(setting):
    """`poweroff` ends the machine as a power off does."""
    with setting.boot(Machine()) as talk:
        talk.watch_events()
        talk.wait_for_prompt()
        talk.send("poweroff")
        status = talk.wait_for_end()
        expect(status == 0 and talk.end_reason() in POWER_OFF_REASONS,
               f"poweroff ended with status {status}, reason {talk.end_reason()}", talk)


def reboot(setting):
    """`reboot` resets the machine, which comes up again."""
    with setting.boot(Machine(reboot=True)) as talk:
        talk.wait_for_prompt()
        talk.send("reboot")
        talk.wait_for_prompt()
        check_timeline(talk.json("boot -j"))


def debugger_line(setting, folder):
    """The debug console tells once where loader and kernel are, in a form a debugger's script can read."""
    log = folder / "debug.log"
    with setting.boot(Machine(debug_log=log), "nokaslr") as talk:
        talk.wait_for_prompt()
    text = log.read_text(encoding="utf-8", errors="replace")
    lines = re.findall(r"^ashlar: loader=(0x[0-9a-f]+) kernel=(0x[0-9a-f]+)$", text, re.MULTILINE)
    expect(len(lines) == 1, f"{len(lines)} such lines on the debug console:\n{text}")
    loader, kernel = (int(value, 16) for value in lines[0])
    expect(loader % 4096 == 0 and loader < 1 << 32, f"the loader at {loader:#x}")
    expect(kernel == 0xffffffff80000000, f"without KASLR the kernel is at {kernel:#x}")


def kaslr_moves(setting, folder):
    """With KASLR two boots put the kernel at two places in the top 2 GiB."""
    places = set()
    for number in range(2):
        log = folder / f"debug{number}.log"
        with setting.boot(Machine(debug_log=log)) as talk:
            talk.wait_for_prompt()
        places.add(int(re.search(r"kernel=(0x[0-9a-f]+)", log.read_text(errors="replace"))[1], 16))
    expect(len(places) == 2, f"both boots put the kernel at {places}")
    expect(all(place >= 0xffffffff80000000 and place % 4096 == 0 for place in places), f"places {places}")


def loader_fault(kind, *reports):
    """A test in which a fault before the kernel has its own interrupt table is told, and ends the machine."""
    def test(setting):
        with setting.boot(Machine(), f"loader-fault={kind}") as talk:
            status = talk.wait_for_end()
            said = talk.transcript
        expect(status == STATUS_PANIC, f"QEMU's status is {status}, not {STATUS_PANIC}")
        for report in (r"ashlar loader: fault between boot services and the kernel: ", *reports, r"^  rax [0-9a-f]{16} ",
                       r"^  the last stage reached was loader\."):
            expect(re.search(report, said, re.MULTILINE), f"no {report!r} in:\n{said}")
    return test


def refused(machine, complaint):
    """A test on a machine that Ashlar cannot run on: one line says why, and the firmware goes on."""
    def test(setting):
        with setting.boot(machine) as talk:
            said, _ = talk.wait_for(r"BdsDxe: failed to start ")
            errors = re.findall(r"^ashlar loader: error: (.*)$", said, re.MULTILINE)
            expect(len(errors) == 1 and complaint in errors[0], f"not one error line with {complaint!r}: {errors}", talk)
    return test


def configuration_joined(setting):
    """Lines are joined, comments and a byte order mark ignored."""
    text = b"\xef\xbb\xbf# Ashlar\r\nnokaslr # a fixed place\r\n\r\n  selftest=boot\r\n"
    with setting.boot(Machine(), text) as talk:
        expect_selftest_passes(talk)
        expect("warning" not in talk.transcript, "a warning about a good configuration", talk)


def wrong_configuration(content, *complaints):
    """A test in which ashlar.cfg holds `content`: a warning names what is wrong, and the machine boots without it."""
    def test(setting):
        with setting.boot(Machine(), content) as talk:
            before = talk.wait_for_prompt()
            warnings = [line for line in before.splitlines() if "ashlar loader: warning: " in line]
            for complaint in complaints:
                expect(any(complaint in line for line in warnings), f"no warning has {complaint!r}: {warnings}", talk)
    return test


def configuration_is_a_directory(setting):
    """A directory of the configuration file's name is no configuration."""
    contents = {**media.contents_of(setting.product), "/EFI/BOOT/ashlar.cfg/selftest.txt": b"selftest"}
    with setting.boot(Machine(), contents=contents) as talk:
        before = talk.wait_for_prompt()
        expect_in("ashlar loader: warning: \\EFI\\BOOT\\ashlar.cfg is a directory; it is ignored", before)
        expect(before.count("warning: ") == 1, "more than one warning", talk)


CASES = {
    "cpu.no-nx": refused(Machine(cpu="max,nx=off"), "NX"),
    "cpu.no-sse2": refused(Machine(cpu="max,sse2=off"), "the CPU lacks what Ashlar needs: SSE2"),
    "prompt.commands": commands_answer,
    "prompt.poweroff": power_off,
    "prompt.reboot": reboot,
    "debugger.line": debugger_line,
    "kaslr.moves": kaslr_moves,
    "config.joined": configuration_joined,
    "config.directory": configuration_is_a_directory,
    "config.oversized": wrong_configuration(b"selftest " + b"#" * 4096, "ashlar.cfg: ", "4096"),
    "config.binary": wrong_configuration(bytes(range(256)), "ashlar.cfg: ", "byte 0x00 at offset 0"),
    "config.utf16": wrong_configuration("selftest".encode("utf-16"), "ashlar.cfg: ", "UTF-16"),
    "config.open-quote": wrong_configuration(b'selftest="frame\n', "ashlar.cfg: ", "quote"),
    "gap.undefined": loader_fault("undefined", r"invalid opcode \(vector 6, ", r"rip lies in the loader's section \.text "),
    "gap.page": loader_fault("page", r"page fault \(vector 14, error 0x2\)", r"write of 0x123456789000: no page is mapped",
                             r"^    level 4 entry +36: 0{16} not present"),
    "gap.stack-guard": loader_fault("stack-guard", r"write of 0xffffff8000000ff8: no page is mapped",
                                    r"the address lies in the guard page below the boot stack", r"^    level 1 entry +0: 0{16} "),
    "options.unknown": wrong_configuration(b"colour=red nokaslr", "colour"),
    "options.malformed": wrong_configuration(b"la57=maybe =x nokaslr=7", "la57", "maybe", "=x", "nokaslr"),
}
