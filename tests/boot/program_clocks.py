"""Programs about time and CPUs: clocks, sleeping, timers, what was used, who runs where; as under Linux."""

import costs
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


LIMITS = {"user.clock.vdso": 60, "user.clock.call": 275}  # guest instructions, the C library's among them


def cost(setting, folder):
    """Reading the clock costs no more than it may, in guest instructions, by the vDSO and by the call."""
    machine = programs.handed_in(programs.build(folder, "clock_cost"), icount=True)
    with setting.boot(machine, "pager=off") as talk:
        talk.wait_for_prompt(costs.SECONDS)
        said = talk.command("run program", costs.SECONDS).splitlines()
    found = {name: int(ticks) for name, _, ticks in (line.partition(": ") for line in said) if name in LIMITS}
    costs.judge(found, LIMITS)


CASES = {
    "costs.clock": cost,
    "program.control": programs.like_linux("control", "-pthread", cpus=2),
    "program.cpus": programs.like_linux("cpus", "-pthread", cpus=1),
    "program.cpus.4": programs.like_linux("cpus", "-pthread", cpus=4),
    "program.shared-object": programs.like_linux("shared_object", "-pthread", cpus=1),
    "program.shared-object.4": programs.like_linux("shared_object", "-pthread", cpus=4),
    "program.clocks": programs.like_linux("clocks", "-pthread", cpus=1),
    "program.clocks.4": programs.like_linux("clocks", "-pthread", cpus=4),
    "program.clocks.set": set_clock,
    "program.timer-files": programs.like_linux("timer_files", "-pthread", cpus=1),
    "program.timer-files.4": programs.like_linux("timer_files", "-pthread", cpus=4),
}
