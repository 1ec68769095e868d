"""/proc: what it says is what Linux says, and stays sound while memory changes; busybox's ps, free and top live on it."""

import re
import tempfile
from pathlib import Path

import program_runs
import programs
from frame import expect, expect_in


def tools(setting, folder):
    """ps, free and top of Debian's busybox, and what a shell does with /proc."""
    expect(program_runs.BUSYBOX.is_file(), "there is no /bin/busybox: tools/setup installs the package busybox-static")
    root = Path(folder) / "root"
    root.mkdir()
    (root / "look.sh").write_text("ps; free; top -b -n1; echo said > /proc/self/fd/1; ls /proc/1/fd /proc/self/task\n"
                                  "cat /proc/1/cmdline | tr '\\0' ' '; cat /proc/*/comm; cat /proc/slabinfo\n", encoding="utf-8")
    said, status = program_runs.run(setting, program_runs.BUSYBOX, "sh", "/look.sh", options=["--initrd", root, "--cpus", "2"])
    expect(status == 0, f"the shell ended with {status}: {said[-400:]}")
    expect_in("    1 0        /bin/busybox sh /look.sh", said)
    memory = re.search(r"\nMem: +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+)\n", said)
    expect(memory, "free says nothing that can be read: " + said[-3000:])
    total, used, free = (int(number) for number in memory.groups()[:3])
    expect(128 << 10 < total < 256 << 10 and used + free <= total and free > total // 2, f"of 256 MiB: {memory[0]}")
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
            before = program_runs.kept(talk)
            for _ in range(3):
                programs.run(talk)
            programs.wait_until(talk, lambda: not program_runs.grown(before, program_runs.kept(talk)),
                                lambda: f"before and after three runs: {program_runs.grown(before, program_runs.kept(talk))}")
            listed = talk.command("files /proc")
            expect_in("meminfo", listed)
            expect_in("no such file", talk.command("files /proc/self").lower())


CASES = {
    "program.proc": programs.like_linux("proc", cpus=1),
    "program.proc.4": programs.like_linux("proc", cpus=4),
    "program.proc.names": programs.like_linux("proc_names", cpus=1),
    "program.proc.names.4": programs.like_linux("proc_names", cpus=4),
    "program.proc.races": programs.says("proc_races", "", "done", cpus=1),
    "program.proc.races.4": programs.says("proc_races", "", "done", cpus=4),
    "program.proc.tools": tools,
    "program.proc.stays": stays,
}
