"""tools/run --program: programs of this machine run under Ashlar, with its status and its terminal; busybox among them."""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

import patience
import pexpect
import programs
from frame import expect, expect_in
from machine import Machine
from tree import ROOT

import initrd
import media

BUSYBOX = Path("/bin/busybox")
NOT_RUN = 125


SECONDS = patience.seconds(60)


def command(setting, program, *arguments, options=()):
    """What a person types."""
    return [sys.executable, "-B", ROOT / "tools/lib/run.py", "--headless", "--build-dir", setting.build_dir, *options,
            "--program", program, *arguments]


def run(setting, program, *arguments, options=()):
    """What tools/run says, and its status."""
    done = subprocess.run(command(setting, program, *arguments, options=options),
                          stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return done.stdout.decode("utf-8", "replace").replace("\r\n", "\n"), done.returncode


def statuses(setting, folder):
    """Its status is the program's, or 128 + the signal, or 125 when it is no program."""
    said, status = run(setting, programs.build(folder, "hello"), "dear you")
    expect_in("\nhello, dear you\n", said)
    expect(status == 7, f"hello ended with {status}")
    said, _ = run(setting, Path(folder) / "hello", "--memory", "1K")
    expect_in("\nhello, --memory\n", said)  # what stands behind the program is the program's
    said, status = run(setting, programs.build(folder, "wrong"), "null")
    expect(status == 128 + 11, f"a program that SIGSEGV ends: {status}: {said[-400:]}")
    broken = Path(folder) / "broken"
    broken.write_bytes(b"no program at all")
    said, status = run(setting, broken)
    expect(status == NOT_RUN, f"a file that is no program: {status}: {said[-400:]}")
    _, status = run(setting, Path(folder) / "hello", options=["--cmdline", "debug=unheard-of", "--memory", "1K"])
    expect(status == NOT_RUN, f"a machine that cannot start: {status}")


def stays(setting, folder):
    """With --stay the monitor comes when the program has ended; the status is the program's, or 125 after a panic."""
    program = programs.build(folder, "hello")
    for line, status in (("poweroff", 7), ("fault panic", NOT_RUN)):
        first, *others = map(str, command(setting, program, "you", options=["--stay"]))
        talk = pexpect.spawn(first, others, encoding="utf-8", codec_errors="replace", timeout=SECONDS)
        try:
            talk.expect("ashlar> ")
            expect("hello, you" in talk.before, f"before the monitor came: {talk.before[-400:]}")
            talk.send(line + "\r")
            talk.expect(pexpect.EOF)
            talk.wait()
        finally:
            talk.close(force=True)
        expect(talk.exitstatus == status, f"after '{line}' the status is {talk.exitstatus}: {talk.before[-400:]}")


def busybox(setting, folder):
    """Debian's busybox lists, prints and sums what is in the initrd."""
    expect(BUSYBOX.is_file(), "there is no /bin/busybox: tools/setup installs the package busybox-static")
    root = Path(folder) / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/motd").write_text("whole\nlines\n", encoding="utf-8")
    options = ["--initrd", root]
    said, status = run(setting, BUSYBOX, "ls", "-la", "/", options=options)
    expect(status == 0 and " etc\n" in said and " dev\n" in said, f"ls: {status}: {said[-400:]}")
    said, status = run(setting, BUSYBOX, "cat", "/etc/motd", options=options)
    expect(status == 0 and "\nwhole\nlines\n" in said, f"cat: {status}: {said[-400:]}")
    said, status = run(setting, BUSYBOX, "cat", "/none", options=options)
    expect(status == 1 and "No such file" in said, f"cat of nothing: {status}: {said[-400:]}")
    archive = Path(folder) / "root.cpio"
    archive.write_bytes(initrd.of_folder(root))
    said, status = run(setting, BUSYBOX, "sha256sum", "/bin/busybox", "/etc/motd", options=["--initrd", archive])
    expect(status == 0, f"sha256sum: {status}")
    for path in (BUSYBOX, root / "etc/motd"):
        expect_in(hashlib.sha256(path.read_bytes()).hexdigest(), said)


def typed(setting, folder):
    """A program reads lines from the console: echoed, edited, ended by ^D; and the monitor comes back."""
    root = Path(folder) / "root"
    (root / "bin").mkdir(parents=True)
    program = programs.build(root / "bin", "lines")
    contents = media.contents_of(setting.product, f"pager=off init=/bin/{program.name}", initrd.of_folder(root))
    with setting.boot(Machine(), contents=contents) as talk:
        talk.wait_for("lines: ready")
        talk.send_raw("onf\x7fe\r")
        talk.wait_for(r"line: one\.")
        talk.send_raw("word lost\x17two\r")
        talk.wait_for(r"line: word two\.")
        talk.send_raw("all of this\x15three\r")
        talk.wait_for(r"line: three\.")
        talk.send_raw("no end\x04")
        talk.wait_for(r"line: no end\.")
        talk.send_raw("\x04")
        talk.wait_for("raw: ready")
        talk.send_raw("\x04")
        talk.wait_for(r"byte: 4\.")
        talk.wait_for(r"/bin/lines ended: exit 3")
        talk.wait_for_prompt()
        expect_in("agree", talk.command("vm check"))


SCRIPT = """busybox printf 'b\\na\\n' | busybox sort > /sorted; busybox cat < /sorted; echo $(busybox seq 5 | busybox wc -l);
(exit 5); echo $?; busybox cat /none 2>&1 | busybox wc -l; exit 4"""


def shell(setting):
    """A shell's script with pipes, redirections, subshells and substitutions."""
    expect(BUSYBOX.is_file(), "there is no /bin/busybox: tools/setup installs the package busybox-static")
    said, status = run(setting, BUSYBOX, "sh", "-c", SCRIPT.replace("\n(", " ("), options=["--cpus", "2"])
    expect(status == 4 and "\na\nb\n5\n5\n1\n" in said, f"{status}: {said[-400:]}")


def nothing_stays(setting):
    """A program that uses every call of files, and fails in most, leaves nothing behind in the kernel."""
    with tempfile.TemporaryDirectory() as folder:
        with setting.boot(programs.handed_in(programs.build(folder, "files")), "pager=off") as talk:
            talk.wait_for_prompt()
            programs.run(talk)
            programs.leaves_nothing(talk, 3)


CASES = {
    "program.files.nothing_stays": nothing_stays,
    "program.run.statuses": statuses,
    "program.run.stays": stays,
    "program.run.busybox": busybox,
    "program.run.shell": shell,
    "program.run.typed": typed,
}
