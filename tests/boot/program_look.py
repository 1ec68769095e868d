"""Looking at programs: /proc, as Linux has it, and the monitor's vm PID, strace, and the key between it and a program."""

import re
import tempfile
from pathlib import Path

import debug
import debugger
import initrd
import media
import program_runs
import programs
from frame import expect, expect_in
from machine import Machine


def tools(setting, folder):
    """ps, free and top of Debian's busybox, and what a shell does with /proc."""
    expect(program_runs.BUSYBOX.is_file(), "there is no /bin/busybox: tools/setup installs the package busybox-static")
    root = Path(folder) / "root"
    root.mkdir()
    (root / "look.sh").write_text("ps; free; top -b -n1; echo said > /proc/self/fd/1; ls /proc/1/fd /proc/self/task\n"
                                  "cat /proc/1/cmdline | tr '\\0' ' '; cat /proc/*/comm; cat /proc/slabinfo\n", encoding="utf-8")
    options = ["--initrd", root, "--cpus", "2"]
    said, status = program_runs.run(setting, program_runs.BUSYBOX, "sh", "/look.sh", options=options)
    expect(status == 0, f"the shell ended with {status}: {said[-400:]}")
    expect_in("    1 0        /bin/busybox sh /look.sh", said)
    memory = re.search(r"\nMem: +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+)\n", said)
    expect(memory, "free says nothing that can be read: " + said[-3000:])
    total, used, free = (int(number) for number in memory.groups()[:3])
    expect(384 << 10 < total < 512 << 10 and used + free <= total and free > total // 2, f"of 512 MiB: {memory[0]}")
    expect(re.search(r"\nMem: \d+K used, \d+K free,.*\nCPU: .*\nLoad average: .*\n", said), "top: " + said[-3000:])
    expect_in("\nsaid\n", said)
    expect_in("/bin/busybox sh /look.sh busybox\n", said)
    expect_in("\nslabinfo - version: 2.1\n", said)


def stays(setting):
    """Whoever has read /proc leaves nothing in the kernel."""
    with tempfile.TemporaryDirectory() as folder:
        with setting.boot(programs.handed_in(programs.build(folder, "proc_names")), "pager=off") as talk:
            talk.wait_for_prompt()
            programs.run(talk)
            programs.leaves_nothing(talk, 3)
            listed = talk.command("files /proc")
            expect_in("meminfo", listed)
            expect_in("no such file", talk.command("files /proc/self").lower())


def memory_of_one(setting):
    """vm PID: what a process has, which adds up, and what lies at an address of it; as text and as JSON."""
    with tempfile.TemporaryDirectory() as folder, \
            setting.boot(programs.handed_in(programs.build(folder, "leaves"), cpus=2), "pager=off") as talk:
        talk.wait_for_prompt()
        talk.command("run program")
        programs.wait_until(talk, lambda: {row["state"] for row in talk.json("ps -j")} == {"runs", "waits"})
        number = next(row["number"] for row in talk.json("ps -j") if row["state"] == "waits")
        told = talk.json(f"vm -j {number}")
        regions = told["regions"]
        for name in ("resident", "shared", "swapped", "large"):
            expect(told[name] == sum(region[name] for region in regions), f"{name} does not add up: {told}", talk)
        expect(told["region_bytes"] == sum(region["bytes"] for region in regions), f"bytes do not add up: {told}", talk)
        names = {region["name"]: region for region in regions}
        expect({"/bin/program", "[heap]", "[stack]"} <= set(names), f"names: {list(names)}", talk)
        expect(0 < names["[stack]"]["resident"] < 10 and names["[stack]"]["access"] == "rw-p", f"{names['[stack]']}", talk)
        listed = talk.command(f"vm {number}")
        expect(len(listed.splitlines()) == len(regions) + 3, f"{len(regions)} regions, and {listed}", talk)
        base = names["[stack]"]["base"]
        expect_in(f"region {int(base, 16):016x}", talk.command(f"vm {number} {base}"))
        look = talk.json(f"vm -j {number} {base}")
        expect(look["what"] == "region" and look["base"] == base and look["mapped"] is False, f"{look}", talk)
        for line, answer in ((f"vm {number} 0xffff800000000000", "no address of a program"),
                             ("vm 9999", "no process 9999"), ("vm 9999 0x1000", "no process 9999"),
                             ("vm 0x100000000 1", "take a second argument")):
            expect_in(answer, talk.command(line))
        for row in talk.json("ps -j"):
            talk.command(f"kill {row['number']}")


def calls(setting):
    """strace: a line for each call of a program and its children, with words for numbers; and of a process that runs."""
    with tempfile.TemporaryDirectory() as folder, \
            setting.boot(programs.handed_in(programs.build(folder, "calls"), cpus=2), "pager=off") as talk:
        talk.wait_for_prompt()
        lines = [re.sub(r"^ *\d+ ", "", line) for line in talk.command("strace program").splitlines()]
        for wanted in ('openat(AT_FDCWD, "/tmp/a \\"name\\"\\n", O_RDWR|O_CREAT|O_TRUNC, 0600) = 3',
                       'write(3, "0123456789012345678901234567890123456789"..., 50) = 50',
                       'pread64(3, "0123456789", 10, 0) = 10', 'pread64(3, 0x1, 10, 0) = -1 EFAULT',
                       'openat(AT_FDCWD, "/none", O_RDONLY, 0) = -1 ENOENT', "close(77) = -1 EBADF", "getppid() = 0",
                       "madvise(NULL, 0, MADV_HUGEPAGE) = 0", "openat(AT_FDCWD, 0x1, O_RDONLY, 0) = -1 EFAULT",
                       "syscall_400(0x1, 0x2, 0x3, 0x4, 0x5, 0x6) = -1 ENOSYS", "exit_group(3) = ?",
                       "wait4(-1, NULL, 0, NULL) = 2"):
            expect(wanted in lines, f"there is no line {wanted!r} in " + "\n".join(lines), talk)
        call = "mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x"
        mapped = [line for line in lines if line.startswith(call)]
        expect(len(mapped) == 1, "mmap: " + "\n".join(lines), talk)
        expect("exit_group(9) = ?" in lines and any(line.startswith("program: exit 3;") for line in lines), "the end", talk)
        said, _, status, _ = programs.run(talk)
        expect(said == [] and status == 3, f"without strace it said {said}", talk)
        talk.command("run program stay")
        number = talk.json("ps -j")[0]["number"]
        talk.send(f"strace {number}")
        talk.wait_for(r"getppid\(\) = 0\r*\n")
        talk.send_raw("\x03")
        talk.wait_for_prompt()
        expect([row["number"] for row in talk.json("ps -j")] == [number], "the process does not go on", talk)
        expect_in("ashlar", talk.command("version").lower())
        expect_in("no process 9999", talk.command("strace 9999"))
        talk.command(f"kill {number}")


def switched(setting):
    """ctrl-] leads from a program's terminal to the monitor and back, whether the program reads or not; output goes on."""
    with tempfile.TemporaryDirectory() as folder:
        binaries = Path(folder) / "root/bin"
        binaries.mkdir(parents=True)
        programs.build(binaries, "lines")
        contents = media.contents_of(setting.product, None, initrd.of_folder(binaries.parent))
        with setting.boot(Machine(cpus=2), "pager=off", contents=contents) as talk:
            talk.wait_for_prompt()
            talk.send("run lines")
            talk.wait_for("ready")
            talk.send_raw("first\x1d")
            expect_in("the program goes on", talk.wait_for_prompt())
            expect([row["name"] for row in talk.json("ps -j")] == ["lines"], "ps does not show it", talk)
            expect_in("ctrl-] leads back", talk.command("run lines"))
            expect_in("ctrl-] leads back", talk.command("strace lines"))
            talk.send_raw("\x1d")
            talk.send(" half")
            talk.wait_for(r"line: first half\.")
            talk.send_raw("\x04")
            talk.wait_for("raw: ready")
            talk.send_raw("\x1d")
            talk.wait_for_prompt()
            talk.send_raw("\x1dx")
            talk.wait_for(r"byte: 120\.")
            expect_in("lines: exit 3", talk.wait_for_prompt())
            talk.command("version")


def debugged(setting, folder):
    """gdb lists processes and threads, shows the memory of one and where a thread sleeps, and gets a program's symbols."""
    socket = folder / "gdb"
    program = programs.build(folder, "leaves", "-g")
    machine = programs.handed_in(program, cpus=2)
    machine.extra += ["-chardev", f"socket,id=gdb,server=on,wait=off,path={socket}", "-gdb", "chardev:gdb"]
    with setting.boot(machine, "pager=off") as talk:
        talk.wait_for_prompt()
        talk.command("run program")
        programs.wait_until(talk, lambda: {row["state"] for row in talk.json("ps -j")} == {"runs", "waits"})
        number = next(row["number"] for row in talk.json("ps -j") if row["state"] == "waits")
        waits = [row["number"] for row in talk.json("threads -j") if row.get("waits_for") == "a futex"]
        runs = [row["number"] for row in talk.json("threads -j")
                if row["name"].startswith("program") and row["number"] != waits[0]]
        expect(len(waits) == 1 and len(runs) == 1, f"threads: {waits}, {runs}", talk)
        commands = [f"target remote {socket}", f"ashlar symbols {setting.build_dir}", "ashlar ps", "ashlar threads",
                    f"ashlar vm {number}", f"ashlar bt thread {waits[0]}", "info registers rip",
                    f"ashlar program {program} {number}",
                    "info symbol main", "ashlar bt thread 9999", f"ashlar bt thread {runs[0]}", "ashlar vm 9999",
                    f"ashlar program {program} 9999", f"ashlar program {socket} {number}", "ashlar program"]
        text = debugger.finish(debugger.start_gdb(["gdb", "-q", "-ex", f"source {debug.COMMANDS}", *debugger.marked(commands)]))
        print(text)
        _, _, listed, threads, memory, trace, _, symbols, main, *wrong = debugger.outputs(text, commands)
        expect(re.search(rf"^ +{number} +0 +runs +\d+ KiB  program\n +task {number}, thread {waits[0]}: waiting a futex$",
                         listed, re.MULTILINE), f"ps:\n{listed}")
        expect(re.search(rf"^ +{waits[0]}  +\d+  waiting +{number}  program +a futex$", threads, re.MULTILINE),
               f"threads:\n{threads}")
        expect(re.search(r"^ +1  +0  \w+ +-  main", threads, re.MULTILINE), f"threads:\n{threads}")
        expect(re.search(r'^space \d+ "program": .*\n(  .*\n)*  0x7ff\w+ +8 MiB +stack +read, write +[1-9]\d* pages resident',
                         memory, re.MULTILINE), f"vm:\n{memory}")
        names = re.findall(r"^#\d+ +(?:0x\w+ in )?(\w+) ", trace, re.MULTILINE)
        wanted = ("wait_rest", "process_system_call", "system_call_entry")
        order = [names.index(name) if name in names else -1 for name in wanted]
        expect(-1 not in order and order == sorted(order), f"bt:\n{trace}")
        expect(re.search(r" in system_call_entry .*\n#\d+ +0x0000000000\w+ in ", trace), f"not to the program:\n{trace}")
        expect_in("was moved by 0x0; the symbols of", symbols)
        expect_in("main in section .text", main)
        answers = ("no thread 9999", "it runs on CPU", "no process 9999", "no process 9999", "no file", "which file")
        for said, answer in zip(wrong, answers, strict=True):
            expect_in(answer, said)
        programs.wait_until(talk, lambda: talk.json("ps -j") != [])
        expect_in("agree", talk.command("vm check"))


CASES = {
    "debugger.programs": debugged,
    "monitor.vm-process": memory_of_one,
    "monitor.strace": calls,
    "monitor.switch": switched,
    "program.proc": programs.like_linux("proc", cpus=1),
    "program.proc.4": programs.like_linux("proc", cpus=4),
    "program.proc.names": programs.like_linux("proc_names", cpus=1),
    "program.proc.names.4": programs.like_linux("proc_names", cpus=4),
    "program.proc.races": programs.says("proc_races", "", "done", cpus=1),
    "program.proc.races.4": programs.says("proc_races", "", "done", cpus=4),
    "program.proc.tools": tools,
    "program.proc.stays": stays,
}
