"""Programs that nobody here wrote, as Debian packs them or compiled from Debian's sources, say under Ashlar what they say here.

What is downloaded (tools/lib/packages.py) is not there without a network; the tests that want it are then named as not run.
"""

import functools
import re
import shutil
import subprocess
from pathlib import Path

import package_builds
import programs
from frame import NotRun, expect, expect_in
from machine import Machine

import initrd
import media
import packages
import patience

BUSYBOX = Path("/bin/busybox")
LDCONFIG = Path("/sbin/ldconfig")
SECONDS = patience.seconds(100)


def made(group, make, *inputs):
    """What packages.made() gives, or the reason why the test is not run."""
    try:
        return packages.made(group, make, *inputs)
    except packages.Unavailable as reason:
        raise NotRun(reason) from reason


def root_of(folder, *files):
    """A folder for an initrd: bin/ with busybox and some more files, and data/ with something to look for and to count."""
    root = Path(folder) / "root"
    (root / "bin").mkdir(parents=True)
    for number in range(1, 6):
        place = root / f"data/d{number}"
        place.mkdir(parents=True)
        for name in "abc":
            lines = range(1, number * 20 + ord(name) % 7)
            (place / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    expect(BUSYBOX.is_file(), "there is no /bin/busybox: tools/setup installs the package busybox-static")
    for path in (BUSYBOX, *files):
        shutil.copy(path, root / "bin")
    return root


def here(root, program, *arguments):
    """What a program says on this machine's Linux, in a copy of the folder, and its status."""
    place = root.parent / "here"
    shutil.copytree(root, place, symlinks=True)
    done = subprocess.run([place / "bin" / program, *arguments], cwd=place, env={"PATH": str(place / "bin")},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    shutil.rmtree(place)
    return (done.stdout + done.stderr).splitlines(), done.returncode


def run(talk, program, *arguments):
    """What a program says at the prompt, without the log, and its status: 128 + its signal, if one ended it."""
    *lines, last = talk.command(" ".join(["run", program, *arguments]), SECONDS).splitlines()
    ended = re.match(rf"{re.escape(program)}: (exit|ended by signal) (\d+); ", last)
    expect(ended, "the last line is: " + last, talk)
    said = [line for line in lines if not programs.LOG_LINE.match(line)]
    return said, int(ended[2]) + (128 if ended[1] != "exit" else 0)


def boot(setting, root, cmdline="pager=off", **machine):
    """A machine with the folder as its initrd."""
    return setting.boot(Machine(**machine), contents=media.contents_of(setting.product, cmdline, initrd.of_folder(root)))


def compared(root, talk, program, *arguments):
    """Runs a program there and here; both must say the same and end the same."""
    wanted, wanted_status = here(root, program, *arguments)
    said, status = run(talk, program, *arguments)
    differing = [f"{ours!r}, and Linux {theirs!r}" for ours, theirs in zip(said, wanted) if ours != theirs]
    expect(said == wanted, "\n".join(differing[:5]) or f"{len(said)} lines, not {len(wanted)}", talk)
    expect(status == wanted_status, f"{program} ended with {status}, and on Linux with {wanted_status}", talk)
    expect(wanted, f"{program} says nothing")


def busybox(setting, folder, **machine):
    """A script of busybox's shell; and a program that is static and yet may lie anywhere (static-pie)."""
    root = root_of(folder, LDCONFIG)
    shutil.copy(programs.SOURCES / "busybox.sh", root)
    (root / "etc").mkdir()
    shutil.copy("/etc/ld.so.cache", root / "etc")
    with boot(setting, root, **machine) as talk:
        talk.wait_for_prompt()
        compared(root, talk, "busybox", "sh", "busybox.sh")
        compared(root, talk, "ldconfig", "-p", "-C", "etc/ld.so.cache")
        expect_in("agree", talk.command("vm check"))


def bash(setting, folder, **machine):
    """A script of bash."""
    root = root_of(folder, made(packages.PROGRAMS, package_builds.shell) / "bin/bash-static")
    shutil.copy(programs.SOURCES / "bash.sh", root)
    with boot(setting, root, **machine) as talk:
        talk.wait_for_prompt()
        compared(root, talk, "bash-static", "bash.sh")
        expect_in("agree", talk.command("vm check"))



def libraries(setting, folder):
    """The C++ library; and what C libraries, glibc and musl, build on threads."""
    musl = made(packages.PROGRAMS, package_builds.musl)
    built = [package_builds.compile_with_musl(musl, programs.SOURCES / f"{name}.c", Path(folder) / f"{name}-musl")
             for name in ("robust", "threads")]
    built.append(programs.build(folder, "robust", "-pthread"))
    root = root_of(folder, *built, package_builds.cplusplus(programs.SOURCES / "cplusplus.cpp", Path(folder) / "cplusplus"))
    with boot(setting, root, cpus=4) as talk:
        talk.wait_for_prompt()
        for program in (("cplusplus",), ("robust", "cancel"), ("robust-musl", "cancel"), ("threads-musl",)):
            compared(root, talk, *program)
        expect_in("agree", talk.command("vm check"))


def sqlite(setting, folder, rows=20_000, **machine):
    """SQLite's shell: a database in memory, and one in a file."""
    root = root_of(folder, made(packages.PROGRAMS, package_builds.sqlite) / "sqlite3")
    script = (programs.SOURCES / "database.sql").read_text(encoding="utf-8").replace("ROWS", str(rows))
    (root / "fill.sql").write_text(script, encoding="utf-8")
    with boot(setting, root, **machine) as talk:
        talk.wait_for_prompt()
        for database in (":memory:", "data/database"):
            compared(root, talk, "sqlite3", "-batch", "-init", "fill.sql", database, ".quit")
        run(talk, "busybox", "rm", "data/database")
        expect_in("agree", talk.command("vm check"))


def memtester(setting, folder):
    """memtester finds 1 MiB of memory sound, in every one of its tests."""
    root = root_of(folder, made(packages.PROGRAMS, package_builds.memtester) / "memtester")
    with boot(setting, root) as talk:
        talk.wait_for_prompt()
        said, status = run(talk, "memtester", "1M", "1")
        sound = [line for line in said if line.endswith("ok")]
        expect(status == 0 and said[-1] == "Done." and len(sound) > 15, f"{status}: {said[-3:]}, {len(sound)} are ok", talk)
        expect_in("trying mlock ...locked.", "\n".join(said))


def go(setting, folder, **machine):
    """A program in Go: goroutines, and a collector that runs beside them."""
    program = made(packages.GO, package_builds.go, programs.SOURCES / "collector.go") / "program"
    root = root_of(folder)
    shutil.copy(program, root / "bin/collector")
    with boot(setting, root, **machine) as talk:
        talk.wait_for_prompt()
        compared(root, talk, "collector")
        expect_in("agree", talk.command("vm check"))


def bombs(setting, folder, **machine):
    """What wants memory without end is refused, and the shell goes on."""
    root = root_of(folder)
    shutil.copy(programs.SOURCES / "bombs.sh", root)
    with boot(setting, root, **machine) as talk:
        talk.wait_for_prompt()
        said, status = run(talk, "busybox", "sh", "bombs.sh")
        expect(status == 0 and said[-1] == "1000", f"the shell ended with {status}: {said}", talk)
        refused = [line for line in said[:-1] if re.search(r"without end: [1-9]", line)]
        expect(len(refused) == 3 and len(said) == 4, f"somebody was not refused: {said}")
        expect_in("agree", talk.command("vm check"))
        expect_in("agree", talk.command("frames check"))


CASES = {
    "program.packages.busybox": functools.partial(busybox, cpus=1),
    "program.packages.busybox.64m": functools.partial(busybox, cpus=2, memory="64M"),
    "program.packages.bash": functools.partial(bash, cpus=4),
    "program.packages.libraries": libraries,
    "program.packages.memtester": memtester,
    "program.packages.sqlite": sqlite,
    "program.packages.go": functools.partial(go, cpus=4),
    "program.packages.sqlite.million": functools.partial(sqlite, rows=1_000_000, memory="1G"),
    "program.packages.bombs": functools.partial(bombs, cpus=2, memory="64M"),
}
LONG = ("program.packages.sqlite.million",)
