"""The monitor, driven over the serial line as a person types."""

import random
import re
import time

import patience
import tree
from frame import Failure, expect
from machine import Machine
from serial import ConversationError

LEFT, RIGHT, UP, DOWN = "\x1b[D", "\x1b[C", "\x1b[A", "\x1b[B"
HOME, END, DELETE, TAB, BACKSPACE, CONTROL_C = "\x1b[H", "\x1b[F", "\x1b[3~", "\t", "\x7f", "\x03"
CONTROL_A, CONTROL_E, CONTROL_K, CONTROL_L, CONTROL_U, CONTROL_W = "\x01", "\x05", "\x0b", "\x0c", "\x15", "\x17"
IDENTITY = "\x1b[?62c"
RANDOM_BYTES = 1 << 20


def typed(talk, keys):
    """Types keys that end in a whole line and Enter; returns the answer of the monitor."""
    talk.send_raw(keys + "\r")
    return talk.wait_for_prompt().partition("\n")[2].rstrip("\n")


def answers(talk, keys, expected):
    """The keys give an answer that matches the pattern as a whole."""
    answer = typed(talk, keys)
    expect(re.fullmatch(expected, answer, re.DOTALL), f"{keys!r} was answered with {answer!r}, not {expected!r}")


def check_editing(talk):
    """Every editing key does to the line what it should: the unknown word in the answer is the line."""
    cases = [
        ("abc" + LEFT + LEFT + "X", "aXbc"),
        ("abc" + HOME + "X" + END + "Y", "XabcY"),
        ("abc" + CONTROL_A + "X" + RIGHT + "Y" + CONTROL_E + "Z", "XaYbcZ"),
        ("abcd" + BACKSPACE + BACKSPACE + "x", "abx"),
        ("abcd" + LEFT + LEFT + DELETE + "\x04" + "x", "abx"),
        ("abcd" + LEFT + LEFT + CONTROL_K, "ab"),
        ("abcd" + LEFT + LEFT + CONTROL_U, "cd"),
        ("one two" + CONTROL_W + CONTROL_W + "three", "three"),
        ("ab" + CONTROL_L + "c", "abc"),
        ("gr\u00fc\u00dfe" + LEFT + BACKSPACE + "n", "gr\u00fcne"),
    ]
    for keys, line in cases:
        answers(talk, keys, rf"unknown command '{line}'; .*")


def check_history(talk):
    """Earlier lines come back, can be changed, and the line under way is kept."""
    typed(talk, "first")
    typed(talk, "second")
    answers(talk, UP + UP, "unknown command 'first'; .*")
    answers(talk, UP + UP + UP + DOWN + "x", "unknown command 'secondx'; .*")
    answers(talk, "draft" + UP + UP + DOWN + DOWN, "unknown command 'draft'; .*")


def check_completion(talk):
    """Tab completes commands, options and words; twice without progress it lists them."""
    answers(talk, "vers" + TAB, r"Ashlar \d+\.\d+\.\d+, .*")
    talk.send_raw("log --l" + TAB + "nonsense\r")
    talk.wait_for("--level nonsense")
    expect("is not error, warning" in talk.wait_for_prompt(), "an option was not completed")
    answers(talk, "pager of" + TAB, "")
    talk.send_raw("pager o" + TAB + TAB)
    talk.wait_for(r"on +off")
    talk.send_raw("n\r")
    talk.wait_for_prompt()
    answers(talk, "pager", "pager on, .*")
    answers(talk, "pager off", "")
    answers(talk, "help ver" + TAB, "version: .*")


def check_symbols(talk):
    """Symbols are addresses, and Tab knows them."""
    answers(talk, "x/2b kernel_main", r"[0-9a-f]{16}  [0-9a-f]{2} [0-9a-f]{2} .*")
    whole = typed(talk, "x/16b kernel_main").split()
    rest = typed(talk, "x/8b kernel_main+0x8").split()
    expect(whole[9:17] == rest[1:9], f"kernel_main+8 holds {rest}, not the rest of {whole}")
    answers(talk, "x/2b kernel_mai" + TAB, r"[0-9a-f]{16}  .*")


def check_wrong_input(talk):
    """Whatever is wrong is answered in one line that names it."""
    cases = [
        ("nonsense", "unknown command 'nonsense'; 'help' lists all"),
        ("rebot", "unknown command 'rebot'; did you mean 'reboot'\\?"),
        ("mem 1 2 3", r"mem: too many arguments \(3\); usage: mem .*"),
        ("mem --no-such", "mem: no option '--no-such'; see 'help mem'"),
        ("x", r"x: too few arguments \(0\); usage: .*"),
        ("x 12z", "x: '12z' is neither number nor symbol"),
        ("x 0x10000000000000000", "x: '0x10000000000000000' is more than 64 bits"),
        ("x 0xffffffffffffffff+1", "x: .* leaves the 64-bit address space"),
        ("x 0", "x: cannot read 0x0"),
        ("x 0x8000000000000000", "x: cannot read 0x8000000000000000"),
        ("x 0xfffffffffffffff8", "x: .* leave the address space"),
        ("x/0 0", "x: format '0' .*"),
        ("x/99999999999999999999 0", "x: format .*"),
        ("x/4q 0", "x: format '4q' .*"),
        ("log -n", "log: option -n needs a COUNT"),
        ("log -n many", "log: 'many' is not a number"),
        ("log 'open", "no closing '"),
        ("selftest no-such-test-exists", ".*no.such.test.exists.*"),
        ("bench no-such-bench", "bench: no benchmark's name has 'no-such-bench' in it"),
        ("help nonsense", "help: no command 'nonsense'; 'help' lists all"),
        ("a 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", "more than 16 words"),
        ("", ""),
        ("   # a comment", ""),
    ]
    for line, expected in cases:
        answers(talk, line, expected)
        if not line.startswith("selftest"):
            expect("\n" not in typed(talk, line), f"{line!r} was answered in more than one line")


def check_json(talk):
    """-j answers with one line of JSON, errors too."""
    memory = talk.json("mem -j")
    expect(memory["difference"] == 0 and memory["firmware_bytes"] == memory["accounted_bytes"], f"mem -j: {memory}")
    owned = sum(owner["bytes"] for owner in memory["owners"])
    expect(memory["free_bytes"] + owned == memory["accounted_bytes"], f"mem -j does not add up: {memory}")
    boot = talk.json("boot -j")
    ticks = [stage["ticks"] for stage in boot["stages"]]
    expect(boot["stages"][0] == {"name": "loader.entry", "ticks": 0}, f"boot -j: {boot}")
    expect(ticks == sorted(ticks) and 0 < boot["ready_ticks"] <= ticks[-1], f"boot -j: {boot}")
    firmware = talk.json("firmware -j")
    expect(len(firmware["descriptors"]) > 50, "firmware -j has few descriptors")
    expect("error" in talk.json("mem surplus -j"), "an error after -j is not JSON")
    expect("error" in talk.json("x 0 -j"), "an error after -j is not JSON")
    expect(talk.json("x/2w -j 0x100000+0")["error"] == "cannot read 0x100000", "the identity map is still there")
    names = [command["name"] for command in talk.json("help -j")["commands"]]
    expect(names == sorted(names) and "mem" in names, f"help -j: {names}")
    for command in ("version", "cpu", "log", "bt", "sym kernel_main"):
        talk.json(f"{command} -j")


def check_help(talk):
    """Every command explains itself, and the documentation has a section on it."""
    names = [command["name"] for command in talk.json("help -j")["commands"]]
    chapter = (tree.ROOT / "docs" / "monitor.md").read_text(encoding="utf-8")
    overview = typed(talk, "help")
    for name in names:
        expect(re.search(rf"^  {name} ", overview, re.MULTILINE), f"help does not list {name}")
        answers(talk, f"help {name}", rf"{name}: .+\nusage: {name}.*")
        expect(re.search(rf"^### `{name}\b", chapter, re.MULTILINE), f"docs/monitor.md has no section on {name}")


def check_interruption(talk):
    """ctrl-c leaves a line, and stops a long command soon; what was typed ahead of it is gone."""
    talk.send_raw("half a line" + CONTROL_C)
    expect("^C" in talk.wait_for_prompt(), "ctrl-c at the prompt is not shown")
    talk.send_raw("x/65536g 0xffff" + CONTROL_U + "x/65536g kernel_main-0\r")
    talk.wait_for(r"[0-9a-f]{16}  ")
    talk.send_raw("version\r" + CONTROL_C)
    said = talk.wait_for_prompt()
    expect("^C" in said, "the command was not interrupted")
    expect(said.count("\n") < 20000, "the command went on to its end")
    answers(talk, "nothing-waits", "unknown command 'nothing-waits'; .*")


def check_type_ahead(talk):
    """What is typed while a command runs is kept for the next prompts."""
    talk.send_raw("boot\rfirst-ahead\rsecond-ahead\r")
    for word in ("first-ahead", "second-ahead"):
        talk.wait_for(f"unknown command '{word}'")
    talk.wait_for_prompt()


def check_long_line(talk):
    """A line of 10,000 characters is refused in one line; the longest that fits is not."""
    answers(talk, "y" * 10000, "line too long: 10000 bytes, at most 1023")
    answers(talk, "y" * 1023, f"unknown command '{'y' * 40}'; .*")


def check_binary(talk):
    """Binary bytes on a line are answered as any other unknown command."""
    talk.send_bytes(b"\xff\xfe\x00\x01\x80bin\xc3\x1b[999;999x\x90\r")
    expect("unknown command" in talk.wait_for_prompt(), "binary bytes were not answered")


def check_random(talk):
    """1 MiB of random bytes, and the monitor still answers."""
    source = random.Random(1)
    started = time.monotonic()
    talk.send_bytes(source.randbytes(RANDOM_BYTES))
    talk.send_raw(CONTROL_C + "\rversion\r")
    talk.wait_for("Ashlar [0-9]", seconds=patience.seconds(180))
    talk.wait_for_prompt()
    print(f"# {RANDOM_BYTES} random bytes took {time.monotonic() - started:.0f} s")
    answers(talk, "version", "Ashlar .*")


def check_pager(talk):
    """On a terminal that answers, long output stops; space and enter go on, q ends it."""
    page_end = r"-- more: space, enter, q --"
    talk.send("firmware")
    talk.wait_for(r"\x1b\[18t\x1b\[c")
    talk.send_raw("\x1b[8;20;100t" + IDENTITY)
    talk.wait_for(page_end)
    talk.send_raw(" ")
    page = talk.wait_for(page_end)[0]
    expect(page.count("\n") == 19, f"a page of 20 rows has {page.count(chr(10))} lines")
    talk.send_raw("\r")
    expect(talk.wait_for(page_end)[0].count("\n") == 1, "enter does not show one line")
    talk.send_raw("q")
    expect("^C" not in talk.wait_for("ashlar> ")[0], "q looks like an interruption")
    talk.send("firmware -j")
    talk.wait_for_prompt()
    talk.send("pager off")
    talk.wait_for_prompt()
    talk.send("firmware")
    expect("more" not in talk.wait_for_prompt(), "pager off still stops")


def check_silent_terminal(talk):
    """A terminal that does not answer is asked once, and output is never held up."""
    expect(talk.command("firmware").count("\n") > 50, "output was held up")
    talk.command("firmware")
    expect(talk.raw_transcript.count("\x1b[c") == 1, "the terminal was not asked exactly once")


def conversation(cmdline, *checks):
    """A test that boots once and holds every check against the same machine; it names all that failed."""
    def test(setting):
        failed = []
        with setting.boot(Machine(), cmdline) as talk:
            talk.wait_for_prompt()
            for check in checks:
                try:
                    check(talk)
                except (Failure, ConversationError) as failure:
                    failed.append(f"{check.__name__}: {failure}")
        expect(not failed, "\n".join(failed))
    return test


CASES = {
    "monitor.typing": conversation("pager=off", check_editing, check_history, check_completion, check_symbols,
                                   check_wrong_input, check_json, check_help, check_interruption,
                                   check_type_ahead, check_long_line, check_binary),
    "monitor.random": conversation("pager=off", check_random),
    "monitor.pager": conversation("", check_pager),
    "monitor.silent-terminal": conversation("", check_silent_terminal),
}
