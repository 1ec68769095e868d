"""tools/test --coverage: which lines of the portable rooms no host test reaches, held against the list of those that may.

The list is a table in docs/testing.md. Each row names a stretch of unreached lines by its file, its function and the text
of its first line, never by a number, so that edits elsewhere do not touch it. The check fails on a stretch that is not
listed and on a row that fits none. An assertion is one line, reached where it is evaluated: the panic inside it does not
count. A panic on a line of its own counts as every line does, and is reached by a test that provokes it.
"""

import os
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import tree

FOLDERS = ("mm", "kernel/lib", "loader/portable", "arch/x86_64")
WHOLE = ("mm", "kernel/lib", "loader/portable")  # every source in these is measured; of arch what the tests compile
LIST = tree.ROOT / "docs" / "testing.md"
HEADING = "## Lines that no host test reaches"
WHOLE_FILE = "whole file"
CHANCE = "By chance:"  # begins the reason of lines that depend on how threads meet


@dataclass
class Measured:
    """What was counted in one source."""

    counts: dict = field(default_factory=dict)     # line number: how often it was reached
    functions: dict = field(default_factory=dict)  # line number of its beginning: name


@dataclass(frozen=True)
class Gap:
    """Lines of one function, one after the other, that nothing reaches."""

    file: str
    function: str
    text: str   # of the first line
    lines: int  # that could have been reached
    first: int = 0
    last: int = 0

    def place(self):
        """Where it is, as compilers say it."""
        return f"{self.file}:{self.first}" + (f"-{self.last}" if self.last > self.first else "")

    def key(self):
        """What the list knows it by."""
        return self.file, self.function, self.text, self.lines


def read_lcov(text, folder):
    """The counts in llvm-cov's export, by the source's path from the root; `folder` is what its paths begin at."""
    found = defaultdict(Measured)
    name = ""
    for line in text.splitlines():
        kind, _, rest = line.partition(":")
        if kind == "SF":
            name = os.path.relpath(os.path.join(folder, rest), tree.ROOT)
        elif kind == "FN":
            start, _, function = rest.partition(",")
            found[name].functions.setdefault(int(start), function.rpartition(":")[2])
        elif kind == "DA":
            number, count = (int(part) for part in rest.split(",")[:2])
            found[name].counts[number] = found[name].counts.get(number, 0) + count
    return {name: one for name, one in found.items() if is_ours(name)}


def is_ours(name):
    """Whether a source is of the rooms that are measured."""
    return name.startswith(tuple(f"{folder}/" for folder in FOLDERS)) and (
        not name.startswith("arch/") or name.endswith(".c"))


def gaps_of(name, one, text):
    """The unreached stretches of a source whose text is given."""
    lines = text.splitlines()
    gaps, stretch, function, of = [], [], "", ""
    for number in sorted(one.counts):
        function = one.functions.get(number, function)
        if lines[number - 1].startswith("#define"):  # clang counts what a macro stands for where it is used, and here too
            continue
        if stretch and (one.counts[number] or function != of):
            gaps.append(make_gap(name, of, stretch, lines))
            stretch = []
        if not one.counts[number]:
            stretch.append(number)
            of = function
    if stretch:
        gaps.append(make_gap(name, of, stretch, lines))
    return gaps


def make_gap(name, function, stretch, lines):
    """The gap of these line numbers."""
    return Gap(name, function, lines[stretch[0] - 1].strip(), len(stretch), stretch[0], stretch[-1])


def find_gaps(measured, root=tree.ROOT):
    """All stretches that nothing reaches, and the sources that no test contains."""
    gaps = []
    for name, one in sorted(measured.items()):
        gaps += gaps_of(name, one, (root / name).read_text(encoding="utf-8"))
    for folder in WHOLE:
        for path in sorted((root / folder).rglob("*.c")):
            name = str(path.relative_to(root))
            if name not in measured:
                gaps.append(Gap(name, "-", WHOLE_FILE, len(path.read_text(encoding="utf-8").splitlines()), 1))
    return gaps


def read_list(text):
    """The rows of the table under its heading, as {key: reason}; for a whole file the number of lines is 0."""
    section = text.partition(f"\n{HEADING}\n")[2].partition("\n## ")[0]
    rows = {}
    for line in section.splitlines():
        cells = [cell.strip().strip("`").replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) != 5 or cells[0] in ("file", "") or set(cells[0]) <= {"-"}:
            continue
        if not cells[3].isdigit() or not cells[4]:
            raise tree.ToolError(f"{LIST.name}: not a row of unreached lines: {line}")
        rows[(cells[0], cells[1], cells[2], int(cells[3]))] = cells[4]
    return rows


def row(gap):
    """The row that would list a gap, its reason to be filled in."""
    text = gap.text.replace("|", "\\|")
    return f"| {gap.file} | {gap.function} | `{text}` | {listed_key(gap)[3]} |  |"


def listed_key(gap):
    """The key of the gap's row."""
    return gap.key() if gap.text != WHOLE_FILE else (gap.file, "-", WHOLE_FILE, 0)


def by_chance(key, reason, root=tree.ROOT):
    """Whether a row is of a line, still there, that threads reach only now and then: such a row need not fit a gap."""
    path = root / key[0]
    if not reason.startswith(CHANCE) or not path.is_file():
        return False
    return key[2] in (line.strip() for line in path.read_text(encoding="utf-8").splitlines())


def compare(gaps, rows):
    """What is wrong: unreached lines that are not listed, with the row that would; rows that fit nothing."""
    known = {listed_key(gap) for gap in gaps}
    complaints = [f"{gap.place()}: {gap.function}: {gap.lines} lines that no host test reaches: {row(gap)}"
                  for gap in gaps if listed_key(gap) not in rows]
    complaints += [f"{LIST.relative_to(tree.ROOT)}: listed, but reached, changed or gone: {' | '.join(map(str, key))}"
                   for key, reason in rows.items() if key not in known and not by_chance(key, reason)]
    return complaints


def room_of(name):
    """The room a source lies in."""
    parts = Path(name).parts
    return "/".join(parts[:3 if parts[0] == "arch" else 2][:len(parts) - 1])


def totals(measured):
    """One line for each room: how many of its lines are reached."""
    reached, all_lines = defaultdict(int), defaultdict(int)
    for name, one in measured.items():
        for key in (room_of(name), "all"):
            all_lines[key] += len(one.counts)
            reached[key] += sum(1 for count in one.counts.values() if count)
    rooms = [room for room in sorted(all_lines) if room != "all"] + ["all"]
    return [f"{room:18} {reached[room]:6} of {all_lines[room]:6} lines, {100 * reached[room] / all_lines[room]:6.2f} %"
            for room in rooms if all_lines[room]]


def measure(build_dir, programs):
    """Counts of all programs, from the profiles that their runs have left in the build's folder."""
    profiles = sorted((build_dir / "profiles").glob("*.profraw"))
    if not profiles:
        raise tree.ToolError("no test left a profile")
    merged = build_dir / "merged.profdata"
    tree.run_quietly(["llvm-profdata", "merge", *profiles, "-o", merged])
    objects = [f"-object={program}" for program in programs[1:]]
    text = tree.run_quietly(["llvm-cov", "export", "-format=lcov", f"-instr-profile={merged}", programs[0], *objects],
                            cwd=tree.ROOT)
    return read_lcov(text, tree.ROOT)


def check(build_dir, programs):
    """Prints totals and complaints; returns the complaints."""
    measured = measure(Path(build_dir), programs)
    gaps = find_gaps(measured)
    complaints = compare(gaps, read_list(LIST.read_text(encoding="utf-8")))
    print("\n".join([*complaints, *totals(measured)]), flush=True)
    return complaints
