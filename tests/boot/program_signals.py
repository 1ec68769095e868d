"""Programs and signals: as under Linux; in masses to threads on several CPUs; and a shell's jobs at the terminal."""

import tempfile
from pathlib import Path

import initrd
import media
import programs
from frame import expect, expect_in
from machine import Machine

BUSYBOX = Path("/bin/busybox")


def answer(talk, line):
    """What the shell says to a line."""
    talk.send_raw(line + "\r")
    return talk.wait_for(r"# ")[0]


def shell_jobs(setting, folder):
    """^C ends what is in front, ^Z stops it, fg lets it go on, bg leaves it; the shell itself stays."""
    expect(BUSYBOX.is_file(), "there is no /bin/busybox: tools/setup installs the package busybox-static")
    root = Path(folder) / "root"
    (root / "bin").mkdir(parents=True)
    (root / "bin/busybox").write_bytes(BUSYBOX.read_bytes())
    (root / "bin/busybox").chmod(0o755)
    contents = media.contents_of(setting.product, "pager=off init=/bin/busybox sh", initrd.of_folder(root))
    with setting.boot(Machine(), contents=contents) as talk:
        talk.wait_for(r"/ # ")
        talk.send_raw("echo ready; busybox cat\r")
        talk.wait_for(r"[\r\n]ready")
        talk.send_raw("first\r")
        talk.wait_for(r"first\s+first")
        talk.send_raw("\x1a")
        talk.wait_for(r"\[1\]\+ +Stopped +busybox cat")
        talk.send_raw("fg\r")
        talk.wait_for(r"fg\s+busybox cat")
        talk.send_raw("second\r")
        talk.wait_for(r"second\s+second")
        talk.send_raw("\x03")
        talk.wait_for(r"\^C\s+.*# ")
        talk.send_raw("echo interrupted $?\r")
        talk.wait_for(r"interrupted 130")
        talk.send_raw("busybox cat &\r")
        talk.wait_for(r"# ")
        programs.wait_until(talk, lambda: "Stopped (tty input)" in answer(talk, "jobs"))
        answer(talk, "kill -9 %1")
        programs.wait_until(talk, lambda: "Stopped" not in answer(talk, "jobs"))
        talk.send_raw("echo rea''dy; while :; do :; done\r")
        talk.wait_for(r"[\r\n]ready")
        talk.send_raw("\x03")
        talk.wait_for(r"# ")
        talk.send_raw("echo alive\r")
        talk.wait_for(r"[\r\n]alive")
        talk.send_raw("exit 5\r")
        talk.wait_for(r"/bin/busybox ended: exit 5")
        talk.wait_for_prompt()
        expect_in("agree", talk.command("vm check"))


def loud(setting):
    """A signal ends a write to the console that takes long."""
    with tempfile.TemporaryDirectory() as folder, \
            setting.boot(programs.handed_in(programs.build(folder, "loud")), "pager=off") as talk:
        talk.wait_for_prompt()
        said, _, status, _ = programs.run(talk)
        expect(said[-1] == "ended early: 1" and status == 0, f"it said {said[-1]} and ended with {status}", talk)


CASES = {
    "program.signals.loud": loud,
    "program.signals": programs.like_linux("signals", cpus=1),
    "program.signals.4": programs.like_linux("signals", cpus=4),
    "program.signals.masses": programs.like_linux("signal_masses", "-pthread", cpus=1),
    "program.signals.masses.4": programs.like_linux("signal_masses", "-pthread", cpus=4),
    "program.signals.timers": programs.like_linux("timers", "-lrt", cpus=1),
    "program.signals.timers.4": programs.like_linux("timers", "-lrt", cpus=4),
    "program.signals.faults": programs.like_linux("faults"),
    "program.signals.jobs": programs.like_linux("jobs", cpus=1),
    "program.signals.jobs.4": programs.like_linux("jobs", cpus=4),
    "program.signals.shell": shell_jobs,
}
