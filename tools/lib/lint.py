"""The tests lint.format, lint.tidy, lint.shell, lint.style and lint.rooms.

    lint.py CHECK BUILD_DIR...    the build folders' compile_commands.json tell how sources are compiled
"""

import concurrent.futures
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import rooms
import tree

SOURCE_FOLDERS = ("loader", "kernel", "mm", "arch", "include", "tests")
# The analyzer follows paths through a function up to a third of its own bound: what lies beyond took most of the
# time, in a few functions of many branches, and never found anything.
TIDY = ["clang-tidy", "--quiet", *(f"--extra-arg={part}" for part in
                                   ("-Xclang", "-analyzer-config", "-Xclang", "max-nodes=75000"))]
LONGEST_FILE = 500  # lines
LONGEST_LINE = {".py": 130, ".c": 110, ".h": 110}


def sources(*suffixes):
    """Our files with one of these suffixes."""
    found = (path for folder in (*SOURCE_FOLDERS, "tools") for path in (tree.ROOT / folder).rglob("*"))
    return sorted(path for path in found if path.suffix in suffixes and path.is_file())


def scripts():
    """Our shell scripts: what starts with a shell's #! line."""
    candidates = [path for folder in ("tools", "tests", ".ci") for path in (tree.ROOT / folder).rglob("*")]
    return sorted(path for path in candidates if path.is_file() and
                  re.match(rb"#!.*\b(ba)?sh\b", path.read_bytes()[:64].split(b"\n")[0]))


def check_format(_builds):
    """clang-format must want no change."""
    return complaints_of(["clang-format", "--dry-run", "-Werror", *sources(".c", ".h")])


def check_shell(_builds):
    """ShellCheck must be silent."""
    return complaints_of(["shellcheck", "--external-sources", "--source-path=SCRIPTDIR", *scripts()])


def complaints_of(command):
    """What a checker said if it failed, as a list of one text."""
    done = subprocess.run([str(part) for part in command], cwd=tree.ROOT, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return [done.stdout or f"{command[0]}: status {done.returncode}"] if done.returncode != 0 else []


def check_style(_builds):
    """Small rules that no other tool checks."""
    complaints = []
    for path in sources(".c", ".h", ".S", ".py", ".ld", ".txt"):
        lines = path.read_text(encoding="utf-8").splitlines()
        name = path.relative_to(tree.ROOT)
        if path.suffix in (".c", ".h", ".S", ".py") and len(lines) > LONGEST_FILE:
            complaints.append(f"{name}: {len(lines)} lines, more than {LONGEST_FILE}: it has more than one subject")
        for number, line in enumerate(lines, 1):
            complaints += [f"{name}:{number}: {what}" for what in style_of_line(path, line)]
    return complaints


def style_of_line(path, line):
    """What is wrong with one line."""
    if re.search(r"\b(TO" r"DO|FIX" r"ME|X" r"XX)\b", line):
        yield "a doubt left in the source: decide"
    if "\t" in line:
        yield "a tab"
    if line != line.rstrip():
        yield "space at the end of the line"
    if len(line) > LONGEST_LINE.get(path.suffix, 200):
        yield f"a line of {len(line)} characters"


def check_tidy(builds):
    """clang-tidy over every source of what boots, each once, several at a time."""
    jobs = {}
    for build in builds:
        database = Path(build) / "compile_commands.json"
        if not database.is_file():
            return [f"{database} does not exist: configure this build first (tools/test does)"]
        for entry in json.loads(database.read_text()):
            if Path(entry["file"]).suffix == ".c" and is_product(entry["file"]):
                jobs.setdefault(entry["file"], (build, entry))
    cache = Path(builds[0]) / "tidy"
    cache.mkdir(exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda job: tidy(*job, cache), jobs.values()))
    return [text for text in results if text]


def is_product(source):
    """Whether a source is part of what boots, its own tests included; the host's tests are left to their sanitizers."""
    parts = Path(source).relative_to(tree.ROOT).parts
    return parts[0] != "tests" or parts[1] == "kernel"


def tidy(build, entry, cache):
    """Complaints of clang-tidy about one source; an unchanged source that was clean before is not looked at again."""
    mark = cache / fingerprint(entry)
    if mark.is_file():
        return ""
    complaints = complaints_of([*TIDY, "-p", build, entry["file"]])
    if complaints:
        return complaints[0]
    mark.touch()
    return ""


def fingerprint(entry):
    """A number for all that clang-tidy's verdict depends on: the preprocessed text with its comments, the rules."""
    command = shlex.split(entry["command"])
    output = command.index("-o")
    command = command[:output] + command[output + 2:]
    command[command.index("-c")] = "-E"
    text = subprocess.run([*command, "-C"], cwd=entry["directory"], check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout
    rules = (tree.ROOT / ".clang-tidy").read_bytes() + repr(TIDY).encode()
    return hashlib.sha256(b"\0".join([entry["command"].encode(), rules, tidy_version(), text])).hexdigest()


def tidy_version():
    """clang-tidy's own version."""
    return subprocess.run(["clang-tidy", "--version"], check=True, stdout=subprocess.PIPE).stdout


def main(arguments):
    """Runs one check and prints its complaints."""
    checks = {"format": check_format, "tidy": check_tidy, "shell": check_shell, "style": check_style,
              "rooms": rooms.check}
    complaints = checks[arguments[0]](arguments[1:])
    print("\n".join(complaints), end="\n" if complaints else "")
    return 1 if complaints else 0


if __name__ == "__main__":
    tree.main_of(main)
