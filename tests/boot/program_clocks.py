"""Programs about time: clocks, sleeping, timers, what was used; said under Ashlar as under Linux."""

import programs
from frame import expect, expect_in


def set_clock(setting, folder):
    """The time of day is set by a program, and the monitor shows it."""
    program = programs.build(folder, "set_clock", "-pthread")
    with setting.boot(programs.handed_in(program, cpus=2), "pager=off") as talk:
        talk.wait_for_prompt()
        said, _, status, _ = programs.run(talk)
        expect(said == ["the time was set"] and status == 0, f"it said {said}, and ended with {status}", talk)
        expect_in("2001-09-10", talk.command("time"))


CASES = {
    "program.clocks": programs.like_linux("clocks", "-pthread", cpus=1),
    "program.clocks.4": programs.like_linux("clocks", "-pthread", cpus=4),
    "program.clocks.set": set_clock,
    "program.timer-files": programs.like_linux("timer_files", "-pthread", cpus=1),
    "program.timer-files.4": programs.like_linux("timer_files", "-pthread", cpus=4),
}
