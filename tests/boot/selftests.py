"""The in-kernel tests themselves: again and again in one boot, in other orders, alone, and with every option."""

import re

import ktap
from alone import choose_seed, chosen
from frame import STATUS_FAILED, expect, expect_in, expect_selftest_passes
from machine import Machine

POWER_OFF_REASONS = ("guest-shutdown",)
COMPLAINT = re.compile(r"^\[ *[0-9.]+\] \S+: (?:warning|error): .*$", re.MULTILINE)

# What the in-kernel tests count and measure holds for every policy of the heap and every other option.
OPTIONS = {
    "redzone": "debug=slab:*:redzone",
    "poison": "debug=slab:*:poison",
    "owner": "debug=slab:*:owner",
    "quarantine": "debug=slab:*:quarantine",
    "large": "debug=slab:large:all",
    "owner.bitmap": "debug=slab:*:owner frames=bitmap",
    "unreadable": "debug=nonsense",
    "unknown": "colour=red nokaslr=7 =x",
    "log": "log=debug pager=on",
    "quiet": "log=error console=serial",
}


def passes(talk, line):
    """Types a command that runs tests: they pass, and nothing is logged meanwhile that looks like a defect."""
    print(line, flush=True)
    said = talk.command(line)
    report = ktap.parse(said)
    expect(report.good, f"{line}: {report.summary()}", talk)
    complaints = COMPLAINT.findall(said)
    expect(not complaints, f"{line} passes, and logs: {complaints}")
    return report


def at_prompt(setting):
    """`selftest` at the prompt reports in KTAP and comes back; a pattern chooses; one that matches nothing fails."""
    with setting.boot(Machine()) as talk:
        talk.wait_for_prompt()
        name = passes(talk, "selftest").passed[0]
        expect(name in passes(talk, f"selftest {name}").passed, f"selftest {name} has not run it", talk)
        expect(not ktap.parse(talk.command("selftest no-such-test")).good, "a pattern without a match passes")


def left_out(setting):
    """A small machine has no tests in memory, and says so, unless somebody asks for them; a larger one has them."""
    cases = (("256M", "", False), ("256M", "tests=on", True), ("512M", "", True), ("512M", "tests=off", False))
    for memory, option, there in cases:
        with setting.boot(Machine(memory=memory), f"pager=off {option}", tests=False) as talk:
            talk.wait_for_prompt()
            for line in ("selftest memory_map", "bench frame.pair.o0", "fault"):
                missing = "the tests were left out" in talk.command(line)
                expect(missing != there, f"{memory} {option}: '{line}' says otherwise", talk)
            unknown = "neither number nor symbol" in talk.command("x/2b trap_single_step_has_its_own_stack")
            expect(unknown != there, f"{memory} {option}: the symbols of the tests say otherwise", talk)
            expect_in("neither", talk.command("x/2b trap_single_step_has_its_own_stac"))
            expect_in("agree", talk.command("vm check"))


def again(setting):
    """The in-kernel tests leave all as it was: they pass three times in one boot, backwards, and in an order by chance."""
    seed = choose_seed()
    with setting.boot(Machine(), "pager=off") as talk:
        talk.wait_for_prompt()
        for how in ("", "", "", " -b", f" -s {seed}"):
            passes(talk, f"selftest{how}")
        for check in ("vm check", "frames check"):
            expect_in("agree", talk.command(check))


def then_check(setting):
    """After all tests, and then one that leaves freed blocks waiting for a flush, no validator says anything false."""
    with setting.boot(Machine(), "pager=off") as talk:
        talk.wait_for_prompt()
        for line in ("selftest", "selftest heap_frees_its_own_virtual_blocks_only"):
            passes(talk, line)
            for check in ("vm check", "frames check"):
                expect_in("agree", talk.command(check))


def pattern_without_match(setting):
    """A pattern on the command line that matches nothing is a failure, in the exit status too."""
    with setting.boot(Machine(), "selftest=no-such-test") as talk:
        status = talk.wait_for_end()
        expect(status == STATUS_FAILED, f"QEMU's status is {status}, not {STATUS_FAILED}", talk)


def power_off(setting):
    """A machine without QEMU's exit device is switched off after the tests."""
    with setting.boot(Machine(exit_device=False), "selftest") as talk:
        talk.watch_events()
        status = talk.wait_for_end()
        report = ktap.parse(talk.transcript)
        expect(report.good, report.summary(), talk)
        expect(status == 0 and talk.end_reason() in POWER_OFF_REASONS,
               f"the tests ended with status {status}, reason {talk.end_reason()}", talk)


def with_options(options):
    """A test that all tests pass with these options on the command line."""
    def test(setting):
        with setting.boot(Machine(), f"selftest {options}") as talk:
            expect_selftest_passes(talk)
    return test


CASES = {
    "selftest.prompt": at_prompt,
    "selftest.left-out": left_out,
    "selftest.again": again,
    "selftest.then-check": then_check,
    "selftest.alone": chosen,
    "selftest.no-match": pattern_without_match,
    "selftest.power-off": power_off,
    **{f"selftest.options.{name}": with_options(options) for name, options in OPTIONS.items()},
}
