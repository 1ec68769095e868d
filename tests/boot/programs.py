"""Programs: static Linux programs, built here, run under Ashlar, and say what they say under Linux."""

import json
import os
import platform
import re
import subprocess
import tempfile
from pathlib import Path

import initrd
import media
from frame import expect, expect_in
from machine import Machine
from tree import ROOT

SOURCES = ROOT / "tests/programs"
LAST_LINE = re.compile(r"^program: (?:exit (\d+)|ended by signal (\d+)); .* faults.*, all frames back$")
LOG_LINE = re.compile(r"^(?:\x1b\[[0-9;]*m)?\[ *\d+\.\d+\] .*$")


def build(folder, name, *options):
    """A static program of tests/programs/NAME.c."""
    program = Path(folder) / name
    subprocess.run(["clang", "-O1", "-Wall", "-static", *options, SOURCES / f"{name}.c", "-o", program], check=True)
    return program


def handed_in(program, **machine):
    """A machine to which QEMU hands the program in."""
    return Machine(extra=["-fw_cfg", f"name=opt/ashlar/program,file={program}"], **machine)


def run(talk, arguments=""):
    """Runs it at the prompt: what it printed, without the log, its exit status and its signal (0: none)."""
    lines = talk.command(f"run program {arguments}".rstrip()).splitlines()
    found = LAST_LINE.match(lines[-1])
    expect(found, "the last line is: " + lines[-1], talk)
    logged = [line for line in lines[:-1] if LOG_LINE.match(line)]
    said = [line for line in lines[:-1] if not LOG_LINE.match(line)]
    return said, logged, int(found[1] or 0), int(found[2] or 0)


def hello(*options):
    """Prints, gets its argument, and its status comes back; a second time too; and as JSON."""
    def test(setting):
        with tempfile.TemporaryDirectory() as folder, \
                setting.boot(handed_in(build(folder, "hello", *options)), "pager=off") as talk:
            talk.wait_for_prompt()
            for argument in ("you", "again"):
                said, _, status, _ = run(talk, argument)
                expect(said == [f"hello, {argument}"] and status == 7, f"it said {said} and ended with {status}", talk)
            answer = talk.command("run -j program").splitlines()[-1]
            expect_in('"exit":7,"signal":0,', answer)
            expect_in('"frames_kept":0', answer)
            expect_in("agree", talk.command("vm check"))
            expect_in("no such program", talk.command("run nobody"))
    return test


def places(setting):
    """With norandom a program's memory is where it was; without, elsewhere."""
    def addresses(cmdline):
        with tempfile.TemporaryDirectory() as folder, setting.boot(handed_in(build(folder, "where")), cmdline) as talk:
            talk.wait_for_prompt()
            return [run(talk)[0] for _ in range(2)]
    first, second = addresses("pager=off norandom")
    expect(first == second and len(first) == 4, f"with norandom: {first}, {second}")
    first, second = addresses("pager=off")
    for one, other in zip(first[1:], second[1:]):  # the first is that of its code, which cannot be moved
        expect(one != other, f"twice at the same place: {one}")


def kept(talk):
    """What the kernel has at rest: blocks of its heap by size, nodes and frames of files."""
    listed = talk.json("files -j /")
    live = {cache["name"]: cache["live"] for cache in talk.json("heap -j")["caches"]}
    return {**live, "nodes": listed["nodes"], "frames": listed["frames"]}


def leaves_nothing(talk, times):
    """The program, which ran before, runs again so often, and there is not so much more of anything in the kernel."""
    before = kept(talk)

    def grown():
        """What each run may have left."""
        after = kept(talk)
        return {name: (before[name], after[name]) for name in before if after[name] >= before[name] + times}
    for _ in range(times):
        run(talk)
    # The last thread of a program is freed by a CPU that rests, which may be a moment after its end.
    wait_until(talk, lambda: not grown(), lambda: f"before and after {times} runs: {grown()}")


COMPARED = {}  # programs that are compared with Linux, with the options that they are built with


def like_linux(name, *options, **machine):
    """Says under Ashlar, line by line, what it says here, under Linux."""
    COMPARED[name] = options

    def test(setting):
        expect(platform.system() == "Linux" and os.uname().machine == "x86_64", "this is no Linux to compare with")
        with tempfile.TemporaryDirectory() as folder:
            program = build(folder, name, *options)
            linux = subprocess.run([program], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
            compare(setting, program, linux.stdout.splitlines(), **machine)
    return test


def compare(setting, program, wanted, **machine):
    """The program says these lines under Ashlar, and ends well."""
    with setting.boot(handed_in(program, **machine), "pager=off") as talk:
        talk.wait_for_prompt()
        said, _, status, _ = run(talk)
        differing = [f"{ours!r}, and Linux {theirs!r}" for ours, theirs in zip(said, wanted) if ours != theirs]
        expect(said == wanted and status == 0, "\n".join(differing) or f"{len(said)} lines, not {len(wanted)}", talk)
        expect_in("agree", talk.command("vm check"))
        if machine.get("cpus", 1) == 1:
            leaves_nothing(talk, 2)


FAULTS = {  # argument: signal, and what the log says of it
    "null": (11, "SIGSEGV: write at 0x0: nothing lies there; by the instruction at 0x"),
    "kernel": (11, "SIGSEGV: read at 0xffff800000000000: not a program's address"),
    "far": (11, "SIGSEGV: exception 13"),
    "code": (11, "SIGSEGV: write at 0x"),
    "stack": (11, "beyond the stack's limit"),
    "execute": (11, "SIGSEGV: execute at 0x"),
    "divide": (8, "SIGFPE"),
    "undefined": (4, "SIGILL"),
    "breakpoint": (5, "SIGTRAP"),
    "step": (5, "SIGTRAP"),
    "privileged": (11, "SIGSEGV: exception 13"),
    "interrupt": (11, "SIGSEGV: exception 13"),
    "return": (11, "SIGSEGV"),
}


def faults(setting):
    """What a program does wrong ends it, with a line that says what; and nobody else."""
    with tempfile.TemporaryDirectory() as folder, setting.boot(handed_in(build(folder, "wrong")), "pager=off") as talk:
        talk.wait_for_prompt()
        for argument, (signal, text) in FAULTS.items():
            said, logged, _, ended_by = run(talk, argument)
            expect(ended_by == signal and said == [], f"{argument}: ended by {ended_by}, said {said}", talk)
            expect_in(text, "\n".join(logged))
        said, logged, status, _ = run(talk, "unknown")
        expect(said == ["38"] and status == 0, f"unknown calls: {said}, {status}", talk)
        expect(len([line for line in logged if "not there" in line]) == 2, f"of two numbers: {logged}")
        _, logged, _, _ = run(talk, "unknown")
        expect(logged == [], f"a second time: {logged}")
        expect_in("agree", talk.command("vm check"))


def refused(setting):
    """Files that are no programs, each with a line in the log."""
    with tempfile.TemporaryDirectory() as folder:
        program = build(folder, "hello")
        whole = program.read_bytes()
        for damage, text in ((b"\x7fELG" + whole[4:], "not an ELF file"), (whole[:100], "pass the file's end"), (b"", "too few")):
            program.write_bytes(damage)
            with setting.boot(handed_in(program), "pager=off") as talk:
                talk.wait_for_prompt()
                answer = talk.command("run program")
                expect_in("no program for this kernel", answer)
                expect_in(text, answer)


def left_behind(setting):
    """Processes whose parent has gone: ps shows them, kill ends them, and then nothing is left."""
    with tempfile.TemporaryDirectory() as folder, \
            setting.boot(handed_in(build(folder, "leaves"), cpus=2), "pager=off") as talk:
        talk.wait_for_prompt()
        expect_in("frames did not come back", talk.command("run program"))
        def processes():
            return json.loads(talk.command("ps -j").splitlines()[-1])
        wait_until(talk, lambda: {row["state"] for row in processes()} == {"runs", "waits"})
        rows = processes()
        expect(all(row["parent"] == 0 for row in rows), f"somebody has a parent: {rows}", talk)
        expect_in("a futex", talk.command("ps"))
        expect_in("no process 9999", talk.command("kill 9999"))
        for row in rows:
            talk.command(f"kill {row['number']}")
        wait_until(talk, lambda: processes() == [])
        expect_in("agree", talk.command("vm check"))


def wait_until(talk, holds, complaint=lambda: "it never holds"):
    """Asks until it holds; what never holds after a thousand questions fails with the complaint."""
    for _ in range(1000):
        if holds():
            return
    expect(False, complaint(), talk)


def forks(setting, **machine):
    """What processes took comes back."""
    with tempfile.TemporaryDirectory() as folder, \
            setting.boot(handed_in(build(folder, "forks", "-pthread"), **machine), "pager=off") as talk:
        talk.wait_for_prompt()
        for _ in range(2):
            said, _, status, _ = run(talk)
            expect(said == ["done"] and status == 0, f"it said {said}")
        expect_in("agree", talk.command("vm check"))


def says(name, arguments, wanted, **machine):
    """Says one line, which no Linux is asked for."""
    def test(setting):
        with tempfile.TemporaryDirectory() as folder, \
                setting.boot(handed_in(build(folder, name), **machine), "pager=off") as talk:
            talk.wait_for_prompt()
            said, _, status, _ = run(talk, arguments)
            expect(said == [wanted] and status == 0, f"it said {said}, and ended with {status}", talk)
    return test


def bomb(setting):
    """Forks without end are refused, and the machine goes on."""
    with tempfile.TemporaryDirectory() as folder, \
            setting.boot(handed_in(build(folder, "forks", "-pthread"), cpus=2, memory="64M"), "pager=off") as talk:
        talk.wait_for_prompt()
        for _ in range(3):
            *said, last = talk.command("run program bomb").splitlines()
            expect(said[-2:] == ["1: refused", "done"], f"it said {said}", talk)
            expect(last.startswith("program: exit 0") and last.endswith("all frames back"), last, talk)
        expect_in("agree", talk.command("vm check"))


SCRIPTS = {  # in /bin: what stands in them, and what is said when they are executed with the argument "last"
    "script": ("#! /bin/execute tell\n", "executed: /bin/execute tell /bin/script last [ONE=1] [TWO=] script /bin/script 1"),
    "second": ("#!/bin/script of two\n", "executed: /bin/execute tell /bin/script of two /bin/second last [ONE=1] [TWO=] "
               "second /bin/second 1"),
    "circle": ("#!/bin/circle\n", 'execve(arguments[2], arguments + 2, environment): error 40'),
    "broken": ("#!\n", 'execve(arguments[2], arguments + 2, environment): error 8'),
    "text": ("echo\n", 'execve(arguments[2], arguments + 2, environment): error 8'),
}


def scripts(setting):
    """Scripts lead to the programs that they name, with the arguments that Linux gives them."""
    with tempfile.TemporaryDirectory() as folder:
        binaries = Path(folder) / "root/bin"
        binaries.mkdir(parents=True)
        build(folder, "execute", "-pthread").rename(binaries / "execute")
        for name, (text, _) in SCRIPTS.items():
            (binaries / name).write_text(text)
            (binaries / name).chmod(0o755)
        contents = media.contents_of(setting.product, None, initrd.of_folder(binaries.parent))
        with setting.boot(Machine(), "pager=off", contents=contents) as talk:
            talk.wait_for_prompt()
            for name, (_, wanted) in SCRIPTS.items():
                expect_in(wanted, talk.command(f"run execute go /bin/{name} last"))


CASES = {
    "program.scripts": scripts,
    "program.left-behind": left_behind,
    "program.forks": lambda setting: forks(setting, cpus=1),
    "program.forks.4": lambda setting: forks(setting, cpus=4),
    "program.bomb": bomb,
    "program.numbers": says("numbers", "", "done"),
    "program.many": says("many", "", "1000 at once, and 1000 ended", cpus=2, memory="1G"),
    "program.midst": says("midst", "", "in the midst: 1 1", cpus=2),
    "program.only-read": says("only_read", "/bin/program", "E"),
    "program.hello": hello(),
    "program.hello.pie": hello("-static-pie", "-fPIE"),
    "program.places": places,
    "program.memory": like_linux("memory"),
    "program.files": like_linux("files"),
    "program.processes": like_linux("processes", cpus=1),
    "program.processes.4": like_linux("processes", cpus=4),
    "program.execute": like_linux("execute", "-pthread", cpus=1),
    "program.execute.4": like_linux("execute", "-pthread", cpus=4),
    "program.threads": like_linux("threads", "-pthread", cpus=1),
    "program.threads.4": like_linux("threads", "-pthread", cpus=4),
    "program.faults": faults,
    "program.refused": refused,
}
