"""Devices: the clock against QEMU's virtual clock, the keyboard, the firmware's services, and the ways to switch off."""

import re
import time

import patience
from frame import STATUS_PASSED, expect
from hostile_screen import Picture, read_text
from machine import Machine

COMPARE_SECONDS = 10
LOOKS = 50
SCREEN_SECONDS = patience.seconds(60)  # for what the screen shall show; nothing is judged by it
KEYS = {" ": "spc", "-": "minus", "\n": "ret"}


def compare_clock(talk, seconds):
    """So long by our clock and by a device's, which is QEMU's virtual clock: less than 1 % apart."""
    result = talk.json(f"time -j {seconds}")
    ours, theirs = result["clock_nanoseconds"], result["reference_nanoseconds"]
    print(f"{ours} ns by the clock, {theirs} ns by the {result['reference']}")
    expect(ours >= seconds * 10**9, f"the comparison took {ours} ns of {seconds} s")
    expect(abs(ours - theirs) < theirs / 100, f"{ours} ns by the clock are {theirs} ns by the {result['reference']}")


def clock(setting):
    """In emulated real time."""
    with setting.boot(Machine()) as talk:
        talk.wait_for_prompt()
        compare_clock(talk, COMPARE_SECONDS)


def clock_counted(setting):
    """With one tick an instruction: the counter's rate is known to be 1 GHz."""
    with setting.boot(Machine(icount=True)) as talk:
        talk.wait_for_prompt()
        compare_clock(talk, COMPARE_SECONDS)
        frequency = talk.json("time -j")["hertz"]
        expect(abs(frequency - 10**9) < 10**7, f"{frequency} Hz, and a tick is a nanosecond")


def press(talk, text):
    """Types at the machine's own keyboard."""
    for character in text:
        talk.control("send-key", keys=[{"type": "qcode", "data": KEYS.get(character, character)}])


def interrupts(talk, name):
    """How many interrupts of that name there were."""
    found = [entry["count"] for entry in talk.json("irq -j")["vectors"] if entry["name"] == name]
    expect(len(found) == 1, f"{len(found)} vectors are called {name!r}")
    return found[0]


def keyboard(setting):
    """What is typed at the keyboard arrives like what comes over the line, by interrupt; and the idle CPU halts."""
    with setting.boot(Machine()) as talk:
        talk.wait_for_prompt()
        before = interrupts(talk, "keyboard")
        press(talk, "time -j\n")
        talk.wait_for(r"nanoseconds.*}")
        talk.wait_for_prompt()
        seen = interrupts(talk, "keyboard") - before
        expect(seen >= len("time -j\n"), f"{seen} interrupts for {len('time -j') + 1} keys")
        expect(any(is_halted(talk) for _ in range(LOOKS)), "the CPU does not rest while nobody types")


def read_screen(talk, folder):
    """The lines of text on the screen."""
    picture = folder / "screen.ppm"
    talk.control("screendump", filename=str(picture))
    return [line for line in read_text(Picture.from_ppm(picture)).lines if line]


def wait_for_screen(talk, folder, pattern):
    """Looks at the screen until a line of it matches and the prompt is there; returns the lines."""
    limit = time.monotonic() + SCREEN_SECONDS
    while True:
        shown = read_screen(talk, folder)
        if shown and shown[-1] == "ashlar>" and any(re.search(pattern, line) for line in shown):
            return shown
        text = "\n".join(shown)
        expect(time.monotonic() < limit, f"no {pattern!r} and prompt on the screen:\n{text}")
        time.sleep(1)


def without_serial_port(setting, folder):
    """On a machine without a serial port nothing waits for one: the screen shows all, and the keyboard is heard."""
    with setting.boot(Machine(serial_port=False)) as talk:
        talk.watch_events()
        wait_for_screen(talk, folder, r"^timeline ")
        press(talk, "time -j\n")
        wait_for_screen(talk, folder, r'^\{.*"hertz":')
        press(talk, "poweroff\n")
        status = talk.wait_for_end()
        expect(status == 0 and talk.end_reason() == "guest-shutdown", f"status {status}, {talk.end_reason()}")
        expect(talk.transcript == "", f"a machine without a serial port said {talk.transcript!r}")


def is_halted(talk):
    """Whether the CPU is halted, seen from QEMU, after a moment."""
    time.sleep(0.1)
    return "HLT=1" in talk.control("human-monitor-command", **{"command-line": "info registers"})


def acpi_power_off(setting):
    """Without the firmware's services the ACPI registers switch off: QEMU's reason is the guest's shutdown."""
    with setting.boot(Machine(), "efi-runtime=off") as talk:
        talk.wait_for_prompt()
        expect("error" in talk.json("efivars -j"), "variables without runtime services")
        talk.watch_events()
        talk.send("poweroff")
        status = talk.wait_for_end()
        expect(status == 0 and talk.end_reason() == "guest-shutdown", f"status {status}, {talk.end_reason()}")


def acpi_reset(setting):
    """Without the firmware's services the ACPI reset register restarts the machine."""
    with setting.boot(Machine(), "efi-runtime=off") as talk:
        talk.wait_for_prompt()
        talk.watch_events()
        talk.send("reboot")
        status = talk.wait_for_end()
        expect(status == 0 and talk.end_reason() == "guest-reset", f"status {status}, {talk.end_reason()}")


def without_hpet(setting):
    """Without an HPET the ACPI timer gives the clock its rate."""
    with setting.boot(Machine(extra=["-machine", "hpet=off"])) as talk:
        talk.wait_for_prompt()
        expect(talk.json("time -j")["source"] == "pm-timer", "another source than the ACPI timer")
        compare_clock(talk, 1)


def variables(setting):
    """The firmware's variables are listed and read; a name that is none is an error in one line."""
    with setting.boot(Machine()) as talk:
        talk.wait_for_prompt()
        listed = talk.json("efivars -j")["variables"]
        expect(any(entry["name"] == "BootOrder" and entry["attributes"] == 7 for entry in listed),
               f"no BootOrder among {listed}")
        content = talk.json("efivars -j BootCurrent")["variables"]
        expect(len(content) == 1 and re.fullmatch("[0-9a-f]{4}", content[0]["content"]), f"BootCurrent is {content}")
        answer = talk.command("efivars NoSuchThing")
        expect(answer == "efivars: no variable is named NoSuchThing", f"answered {answer!r}")


def selftest_without_serial_port(setting):
    """Only a timer polls the devices then: the tests give it back as it was, and come to their end."""
    with setting.boot(Machine(serial_port=False), "selftest") as talk:
        status = talk.wait_for_end()
        expect(status == STATUS_PASSED, f"QEMU's status is {status}, not {STATUS_PASSED}", talk)


CASES = {
    "devices.clock": clock,
    "devices.clock-icount": clock_counted,
    "devices.keyboard": keyboard,
    "devices.acpi-poweroff": acpi_power_off,
    "devices.acpi-reset": acpi_reset,
    "devices.no-hpet": without_hpet,
    "devices.efivars": variables,
    "devices.no-serial": without_serial_port,
    "devices.no-serial.selftest": selftest_without_serial_port,
}
