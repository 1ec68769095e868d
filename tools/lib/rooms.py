"""The rooms of docs/architecture.md, and what runs against them: the check lint.rooms.

An arrow is an include, or a name that one object file takes from another; a function in a header counts for the
source that includes the header. Arrows run from a room to those that its row names, and to what these may use.
A header of include/ in a row is a contract: what it declares may be called, wherever it is defined.
"""

import json
import re
import shlex
import subprocess
from collections import defaultdict
from pathlib import Path

import tree

TABLE_HEAD = "| room | what lives there | may use |"
HOOKS = "include/ashlar/hooks.h"  # the way up: its arrows tie nobody in a circle
SOURCE_ROOMS = ("loader", "include", "kernel", "arch", "mm", "tests")
INCLUDE_FOLDERS = ("include", "arch/x86_64/include", "")  # as the build has them; tests/host/include is the tests' own
MACHINE_HALF = "platform/inline.h"  # found on the include path: the machine's, or the host's
EVERYTHING = "everything"


class Rooms:
    """The table: which rooms there are, and what each may use."""

    def __init__(self, text):
        rows = text.split(TABLE_HEAD + "\n", 1)[1].splitlines()[1:]
        self.uses, self.contracts = {}, {}
        for row in rows:
            if not row.startswith("|"):
                break
            names, _what, uses = (cell.strip() for cell in row.strip("|").split("|"))
            named = re.findall(r"`([^`]+)`", uses)
            for room in re.findall(r"`([^`]+)`", names):
                self.uses[room] = {EVERYTHING} if uses == EVERYTHING else {name for name in named if not is_contract(name)}
                self.contracts[room] = {name for name in named if is_contract(name)}
        unknown = {used for uses in self.uses.values() for used in uses} - set(self.uses) - {EVERYTHING}
        if unknown:
            raise tree.ToolError(f"docs/architecture.md lets somebody use rooms that it has no row for: {sorted(unknown)}")

    def room_of(self, name):
        """The innermost room that the file lies in, or None."""
        return max((room for room in self.uses if name.startswith(room)), key=len, default=None)

    def reach(self, room):
        """Rooms whose rows apply to `room`: itself, and all that it may use, directly or not."""
        found, todo = set(), [room]
        while todo:
            here = todo.pop()
            if here not in found:
                found.add(here)
                todo += self.uses.get(here, ())
        return found

    def forbids(self, source, target):
        """Whether an arrow from file to file is none that the table allows."""
        reach = self.reach(self.room_of(source))
        return EVERYTHING not in reach and self.room_of(target) not in reach

    def contracts_of(self, source):
        """The headers whose functions the file may call, wherever they are defined."""
        return {header for room in self.reach(self.room_of(source)) for header in self.contracts.get(room, ())}


def is_contract(name):
    """Whether the table's cell names headers of include/, not a room."""
    return name.startswith("include/") and name != "include/"


def includes(root, names):
    """file -> {file: {how it is written}} for the includes of our files."""
    arrows = defaultdict(lambda: defaultdict(set))
    known = set(names)
    for name in names:
        for mark, path in re.findall(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', (root / name).read_text(encoding="utf-8"), re.M):
            beside = [str(Path(name).parent)] if mark == '"' else []
            places = (str(Path(folder) / path) for folder in beside + list(INCLUDE_FOLDERS))
            target = next((place for place in places if place in known), None)
            if target and path != MACHINE_HALF:
                arrows[name][target].add(path)
    return arrows


def objects(build, root):
    """target -> {object file: source} of what boots."""
    found = defaultdict(dict)
    for entry in json.loads((Path(build) / "compile_commands.json").read_text()):
        source = str(Path(entry["file"]).relative_to(root)) if Path(entry["file"]).is_relative_to(root) else None
        command = shlex.split(entry["command"])
        output = Path(entry["directory"]) / command[command.index("-o") + 1]
        if source and not source.startswith("tests/boot/"):
            found[re.search(r"CMakeFiles/([^/]+)\.dir/", str(output))[1]][str(output)] = source
    return found


def references(symbols, sources):
    """file -> {file: {names}}, from `nm -A -P` of objects linked together; sources: object -> source."""
    defined, wanted = {}, defaultdict(set)
    for line in symbols.splitlines():
        found = re.match(r"(.+?): (\S+) (\w)", line)
        if found and found[3] in "Uvw":
            wanted[sources[found[1]]].add(found[2])
        elif found and found[3].isupper():
            defined[found[2]] = sources[found[1]]
    arrows = defaultdict(lambda: defaultdict(set))
    for source, names in wanted.items():
        for name in names & set(defined):
            if defined[name] != source:
                arrows[source][defined[name]].add(name)
    return arrows


def whole_headers(arrows):
    """The arrows with NAME_types.h and NAME_inline.h taken as the parts of NAME.h that they are."""
    joined = defaultdict(lambda: defaultdict(set))
    for source, targets in arrows.items():
        for target, names in targets.items():
            ends = [re.sub(r"_(types|inline)\.h$", ".h", name) for name in (source, target)]
            if ends[0] != ends[1]:
                joined[ends[0]][ends[1]] |= names
    return joined


def declared(root, contract):
    """The functions and variables that the headers of a contract declare: a header, or a folder of them.

    A declaration begins in the first column; a member of a structure, which may be called like a function, does not."""
    place = root / contract
    headers = sorted(place.glob("*.h")) if place.is_dir() else [place]
    declaration = re.compile(r"^(?!static\b|typedef\b|(?:struct|union|enum) \w+;)"
                             r"[A-Za-z_][\w *]*?[ *](\w+)(?:\(|\[[^\]]*\];|;)", re.M)
    return {name for header in headers for name in declaration.findall(header.read_text(encoding="utf-8"))}


def circles(arrows):
    """The sets of files that arrows lead around in, each sorted (Tarjan's algorithm, without recursion)."""
    number, low, stack, on_stack, found = {}, {}, [], set(), []
    for start in list(arrows):
        work = [] if start in number else [(start, None)]
        while work:
            node, rest = work.pop()
            if rest is None:
                number[node] = low[node] = len(number)
                stack.append(node)
                on_stack.add(node)
                rest = iter(list(arrows.get(node, ())))
            for target in rest:
                if target not in number:
                    work += [(node, rest), (target, None)]
                    break
                if target in on_stack:
                    low[node] = min(low[node], number[target])
            else:
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == number[node]:
                    at = stack.index(node)
                    found.append(sorted(stack[at:]))
                    on_stack.difference_update(stack[at:])
                    del stack[at:]
    return [circle for circle in found if len(circle) > 1]


def describe(source, target, names):
    """An arrow in words."""
    return f"{source} -> {target} ({', '.join(sorted(names))})"


def judge(rooms, arrows, words_of):
    """Complaints about the arrows that the table does not allow. words_of: contract -> what its headers declare."""
    for source, targets in sorted(arrows.items()):
        if rooms.room_of(source) is None:
            yield f"{source} lies in no room of docs/architecture.md"
            continue
        promised = set().union(*map(words_of, rooms.contracts_of(source)))
        for target, names in sorted(targets.items()):
            wrong = names - promised
            if wrong and rooms.forbids(source, target):
                yield describe(source, target, wrong) + f": {rooms.room_of(source)} may not use {rooms.room_of(target)}"


def judge_circles(arrows, exempt):
    """Complaints about circles of files. exempt: names whose arrows do not count."""
    counted = {source: {target: names - exempt for target, names in targets.items() if names - exempt}
               for source, targets in arrows.items()}
    for circle in circles(counted):
        inside = [describe(source, target, counted[source][target]) for source in circle
                  for target in counted.get(source, ()) if target in circle]
        yield "a circle of files:\n  " + "\n  ".join(inside)


def check(builds):
    """All complaints about the tree and the product in the first build folder."""
    root = tree.ROOT
    rooms = Rooms((root / "docs/architecture.md").read_text(encoding="utf-8"))
    names = [str(path.relative_to(root)) for room in SOURCE_ROOMS for path in sorted((root / room).rglob("*"))
             if path.suffix in (".c", ".h", ".S")]
    words = {}

    def words_of(contract):
        return words.setdefault(contract, declared(root, contract))

    written = includes(root, names)
    taken = defaultdict(lambda: defaultdict(set))
    for sources in objects(builds[0], root).values():
        symbols = tree.run_quietly(["llvm-nm", "-A", "-P", *sources])
        for source, targets in references(symbols, sources).items():
            for target, found in targets.items():
                taken[source][target] |= found
    return [*judge(rooms, written, lambda _contract: set()), *judge_circles(whole_headers(written), set()),
            *judge(rooms, taken, words_of), *judge_circles(taken, declared(root, HOOKS))]
