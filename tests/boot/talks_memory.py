"""Virtual memory at the prompt: page tables by five ways, the arena's ranges, address spaces; right questions and wrong."""

import re

from frame import Failure, expect, expect_in
from machine import Machine
from monitor import answers, typed

WAYS = ("physmap", "identity", "offset", "temporary", "recursive")
USERS_GAP = "0x800000000000"  # canonical with neither 4 nor, in its lower half, anybody's address
ARENA, ARENA_LAST = 0xffffd00000000000, 0xffffdfffffffffff
LAZY = "0xffffe00000000000"
DEADBEEF = "0xdeadbeef000"


def number(text):
    """A number as JSON carries addresses."""
    return int(text, 16)


def check_walk(talk, levels):
    """All five ways tell the same of code, data, the physmap and a hole, in words and in JSON."""
    for place in ("kernel_main", "boot_cpu", LAZY, f"{ARENA:#x}"):
        answer = talk.json(f"pt walk {place} -j")
        steps = [step["level"] for step in answer["steps"]]
        expect(answer["via"] == "physmap" and steps == list(range(levels, levels - len(steps), -1)), f"pt walk: {answer}")
        for way in WAYS:
            other = talk.json(f"pt walk {place} --via {way} -j")
            expect(without_used_bits(other, way) == without_used_bits(answer, way), f"via {way}: {other}\nnot {answer}")
            told = typed(talk, f"pt walk {place} --via {way}")
            expect_in(f"via {way}", told.splitlines()[0])
            expect(len(told.splitlines()) == 1 + len(steps) + answer["mapped"], f"pt walk {place} --via {way}:\n{told}")
    code = talk.json("pt walk kernel_main -j")
    expect((code["mapped"], code["access"], code["cache"], code["page_bytes"]) == (True, "r-x-g", "write-back", 4096),
           f"the kernel's code: {code}")


def without_used_bits(answer, way):
    """The answer but for the way it went, and for the bits that the CPU sets when it goes there."""
    steps = [{**step, "entry": number(step["entry"]) | 0x60} for step in answer["steps"]]
    return {**answer, "via": way, "steps": steps}


def check_wrong_walks(talk):
    """A walk without an address, to no address, by no way."""
    answers(talk, "pt walk", "pt: walk takes one address")
    answers(talk, "pt walk 1 2", "pt: walk takes one address")
    answers(talk, "pt walk 0x8000000000000000", "pt: 0x8000000000000000 is not canonical")
    answers(talk, "pt walk no_such_symbol", "pt: 'no_such_symbol' is neither number nor symbol")
    answers(talk, "pt walk 0 --via teleport", "pt: 'teleport' is no way to page tables: physmap, .*, recursive")
    answers(talk, "pt walk 0 --via", "pt: option --via needs a PATH")
    answers(talk, "pt climb", "pt: 'climb' is none of walk, dump, audit")
    answers(talk, "pt", r"pt: too few arguments \(0\); usage: .*")
    answers(talk, "pt walk -1", "pt: '-1' is neither number nor symbol")
    answers(talk, "pt audit foo bar", "pt: audit takes no argument, not 'foo'")
    answers(talk, "pt audit --via recursive", "pt: audit takes no --via: only walk does")
    answers(talk, "pt dump --via recursive", "pt: dump takes no --via: only walk does")
    answers(talk, "pt audit --space 0", "pt: audit looks at all spaces")
    answers(talk, "pt walk 0 --space 0 --via physmap", "pt: --via is for the kernel's own tables")
    for space in ("1", "4294967296"):
        answers(talk, f"pt walk 0 --space {space}", f"pt: there is no space {space}; 'vm' lists them")
    answers(talk, "pt dump --space x", "pt: 'x' is not a number")
    expect(talk.json("pt walk 0x8000000000000000 -j") == {"error": "0x8000000000000000 is not canonical"}, "pt walk -j")


def check_dump(talk):
    """The runs ascend, the one an address lies inside of is among them, and words and JSON are the same."""
    runs = talk.json("pt dump -j")
    places = [(number(run["base"]), run["bytes"]) for run in runs]
    expect(len(runs) > 20 and places == sorted(places), f"pt dump -j: {runs}")
    expect(all(base + size <= after for (base, size), (after, _) in zip(places, places[1:])), f"overlapping runs: {runs}")
    executable = [run for run in runs if "x" in run["access"]]
    expect(len(executable) == 2 and all("w" not in run["access"] for run in executable), f"executable: {executable}")
    lines = typed(talk, "pt dump").splitlines()
    expect(abs(len(lines) - len(runs)) <= 2, f"{len(lines)} lines, {len(runs)} runs in JSON")
    here = number(talk.json("pt walk kernel_main -j")["address"])
    inside = talk.json("pt dump kernel_main kernel_main -j")
    expect(len(inside) == 1 and number(inside[0]["base"]) == here & ~0xfff, f"the page an address lies inside of: {inside}")
    expect(re.fullmatch(rf"{here & ~0xfff:016x} +4 KiB +-> \w+  r-x-g  4 KiB  write-back +kernel code",
                        typed(talk, "pt dump kernel_main kernel_main")), "pt dump of one page")
    large = next(run for run in runs if run["page_bytes"] > 4096)
    middle = number(large["base"]) + large["page_bytes"] // 2 + 5
    found = talk.json(f"pt dump {middle:#x} {middle:#x} -j")
    expect(len(found) == 1 and number(found[0]["base"]) == number(large["base"]), f"inside {large}: {found}")
    arena = talk.json(f"pt dump {ARENA:#x} {ARENA_LAST:#x} -j")
    expect(arena == [run for run in runs if ARENA <= number(run["base"]) <= ARENA_LAST], f"the arena: {arena}")
    answers(talk, "pt dump 0 0x7fffffffffff", "")
    expect(talk.json("pt dump 0 0x7fffffffffff -j") == [], "something is mapped in the user half")
    answers(talk, f"pt dump {USERS_GAP} 0xffff7fffffffffff", "")
    answers(talk, "pt dump 2 1", "pt: 0x1 lies before 0x2")
    answers(talk, "pt dump unheard_of", "pt: 'unheard_of' is neither number nor symbol")
    answers(talk, "pt dump 1 2 3", r"pt: too many arguments \(4\); usage: .*")


def check_runtime(talk):
    """The tables for UEFI runtime calls: the firmware's regions at their own addresses, and the kernel's half."""
    runs = talk.json("pt dump 0 0x7fffffffffff --space uefi -j")
    expect(len(runs) > 3 and all(run["base"] == run["physical"] for run in runs), f"pt dump --space uefi: {runs}")
    one = talk.json(f"pt walk {runs[0]['base']} --space uefi -j")
    expect((one["physical"], one["access"]) == (runs[0]["base"], runs[0]["access"]), f"pt walk --space uefi: {one}")
    expect(talk.json("pt walk kernel_main --space uefi -j")["access"] == "r-x-g", "the kernel's code in the tables for UEFI")


def check_audit(talk):
    """Nothing is wrong, and the counts are those of the dump."""
    audit = talk.json("pt audit -j")
    expect(audit["sound"] and audit["problems"] == 0 and audit["sets"] >= 1, f"pt audit -j: {audit}")
    bytes_mapped = sum(run["bytes"] for run in talk.json("pt dump -j"))
    expect(bytes_mapped <= audit["bytes"], f"{audit} audits less than the dump shows: {bytes_mapped}")
    answers(talk, "pt audit", r"\d+ mappings of \d+ MiB, \d+ sets of page tables, \d+ tables in all\n"
            "all have a reason; none is writable and executable by any alias")


def check_kva(talk):
    """Ranges ascend and do not overlap, an address in one is found, and guard pages are named."""
    arena = talk.json("kva -j")
    ranges = [(number(one["base"]), one["bytes"], one["guard_bytes"]) for one in arena["ranges"]]
    expect(ranges == sorted(ranges) and len(ranges) > 3, f"kva -j: {arena}")
    expect(sum(size + 2 * guard for _, size, guard in ranges) == arena["bytes"], f"ranges do not tile the arena: {arena}")
    taken = [one for one in arena["ranges"] if one["taken"]]
    expect(len(taken) == arena["taken_ranges"], f"{len(taken)} ranges are taken: {arena}")
    expect_in("check    sound", typed(talk, "kva"))
    some = next(one for one in taken if one["guard_bytes"])
    base = number(some["base"])
    inside, below = talk.json(f"kva {base + 5:#x} -j"), talk.json(f"kva {base - 1:#x} -j")
    expect(inside["what"] == some["what"] and not inside["guard"], f"kva of an address inside: {inside}")
    expect(below["guard"] and below["what"] == f"guard page below {some['what']}", f"kva of a guard page: {below}")
    answers(talk, f"kva {base - 1:#x}", rf"{base - 1:#x}: guard page below {re.escape(some['what'])}\n.*")
    outside = f"0x1000 is outside the arena, which is {ARENA:#x} to {ARENA_LAST:#x}"
    answers(talk, "kva 0x1000", f"kva: {outside}")
    expect(talk.json("kva 0x1000 -j") == {"error": outside}, "kva -j of an address outside")
    answers(talk, "kva nonsense", "kva: 'nonsense' is neither number nor symbol")
    answers(talk, "kva -1", "kva: '-1' is neither number nor symbol")
    answers(talk, "kva 1 2", r"kva: too many arguments \(2\); usage: .*")


def check_aliases(talk):
    """Where a frame is seen outside of spaces: every mapping of it that the dump has."""
    runs = talk.json("pt dump -j")
    code = talk.json("pt walk kernel_main -j")
    root = number(code["steps"][0]["table"])
    physmap = number(talk.json(f"vm frame {root:#x} -j")["aliases"][0]["address"]) - root
    answers(talk, "vm frame 0x5000fff", rf"frame 0x5000000: shown by 0 pages of spaces\n"
            rf"  kernel tables at {physmap + 0x5000000:#x}: physmap")
    expect_in("  its block: owner page tables, references 1, marks: none\n", typed(talk, f"vm frame {root:#x}"))
    image = number(code["physical"]) & ~0xfff
    firmware = number(talk.json("pt dump 0 0x7fffffffffff --space uefi -j")[0]["base"])
    video = next(number(run["physical"]) for run in runs if run["cache"] == "write-combining")
    for frame, what in ((root, ["physmap"]), (image, ["physmap", "kernel code"]), (video, ["framebuffer"])):
        seen = talk.json(f"vm frame {frame:#x} -j")
        places = [(alias["tables"], alias["what"]) for alias in seen["aliases"]]
        expect(seen["count"] == 0 and places == [("kernel", name) for name in what], f"vm frame {frame:#x}: {seen}")
        expect(frame != root or (seen["references"], seen["pins"], seen["age"], seen["busy"]) == (1, 0, 0, False),
               f"the root: {seen}")
        found = [number(run["base"]) + frame - number(run["physical"]) for run in runs
                 if 0 <= frame - number(run["physical"]) < run["bytes"]]
        expect([number(alias["address"]) for alias in seen["aliases"]] == found, f"vm frame {frame:#x}: {seen}, pt dump: {found}")
    expect({"tables": "UEFI runtime", "address": f"{firmware:#x}", "what": "user half"} in
           talk.json(f"vm frame {firmware:#x} -j")["aliases"], "the firmware's mapping of its own is not among the aliases")


def check_spaces(talk, levels):
    """The kernel's space, an address in it and one in none, a frame that none shows, and the validator."""
    spaces = talk.json("vm -j")["spaces"]
    expect([space["name"] for space in spaces] == ["kernel"] and not spaces[0]["user"], f"vm -j: {spaces}")
    expect_in("ok 1 vm_memory_arrives_when_it_is_touched", typed(talk, "selftest vm_memory_arrives"))
    tables = talk.json("vm -j")["spaces"][0]["tables"]
    kept = 1 if levels == 4 else 0  # the table below an entry of the root stays, since others have the entry too
    expect(tables == kept and f"0 of them shared, {tables} tables" in typed(talk, "vm"), f"the lazy range has {tables} tables")
    answers(talk, f"vm {LAZY}", 'space 0 "kernel": no region')
    looked = talk.json(f"vm {LAZY} -j")
    expect(len(looked) == 1 and looked[0]["what"] == "no region" and not looked[0]["mapped"], f"vm ADDRESS -j: {looked}")
    answers(talk, "vm 0x1000", "0x1000: in the range of no space")
    expect(talk.json("vm 0x1000 -j") == [], "vm -j of an address in no space")
    check_aliases(talk)
    answers(talk, "vm check", "regions, tables, references, reverse map and ledger agree")
    expect(talk.json("vm check -j") == {"sound": True}, "vm check -j")
    answers(talk, "vm frame", "vm: which frame\\? 'vm frame ADDRESS', a physical address")
    answers(talk, "vm frame twelve", "vm: 'twelve' is not a number")
    answers(talk, "vm demo 1", "vm: 'demo' takes 'keep', not '1'")
    answers(talk, "vm check 1", "vm: only 'frame', 'demo' and a process take a second argument, not 'check'")
    answers(talk, "vm -1", "vm: '-1' is neither number nor symbol")
    answers(talk, "vm nonsense", "vm: 'nonsense' is neither number nor symbol")


def check_demonstration(talk):
    """One frame at 0xdeadbeef000: what is written through one is read through the other, and all of it goes again."""
    before = talk.json("mem -j")
    seen = talk.json("vm demo -j")
    expect(seen["virtual"] == DEADBEEF and number(seen["written_virtual_read_physical"]) == 0xdeadbeef and
           number(seen["written_physical_read_virtual"]) == 0xc0ffee and number(seen["frame"]) % 4096 == 0, f"vm demo: {seen}")
    answers(talk, "vm demo", rf"mapped virtual {DEADBEEF} onto frame 0x\w+ in space 1, made for that\n"
            rf"  written at {DEADBEEF}: 0xdeadbeef; read through the physmap: 0xdeadbeef\n"
            r"  written through the physmap: 0xc0ffee; read at 0xdeadbeef008: 0xc0ffee")
    kept = talk.json("vm demo keep -j")
    walk = talk.json(f"pt walk {DEADBEEF} --space 1 -j")
    shown = (walk["space"], walk["physical"], walk["access"], walk["page_bytes"])
    expect(shown == (f"{kept['space']}", kept["frame"], "rw-u-", 4096), f"pt walk --space 1: {walk}")
    runs = talk.json("pt dump --space 1 0 0x7fffffffffff -j")
    expect([(run["base"], run["physical"]) for run in runs] == [(DEADBEEF, kept["frame"])], f"pt dump --space 1: {runs}")
    expect(not talk.json(f"pt walk {DEADBEEF} --space 0 -j")["mapped"], "the kernel's tables show it")
    seen = talk.json(f"vm frame {kept['frame']} -j")
    expect([(place["space"], place["address"]) for place in seen["places"]] == [(1, DEADBEEF)] and
           [alias["what"] for alias in seen["aliases"]] == ["physmap"], f"vm frame of the demonstration: {seen}")
    talk.json("vm demo keep -j")
    names = [space["name"] for space in talk.json("vm -j")["spaces"]]
    expect(names == ["kernel", "demonstration"], f"a demonstration was kept twice: {names}")
    check_audit(talk)
    talk.json("vm demo -j")
    after = talk.json("mem -j")
    kept = {owner["name"]: owner["bytes"] for owner in before["owners"] if owner["name"] in ("user memory", "other")}
    expect(all(owner["bytes"] == kept.get(owner["name"], owner["bytes"]) for owner in after["owners"]) and
           after["difference"] == 0, f"the demonstration keeps memory: {before}\n{after}")


def commands(machine, cmdline, levels):
    """A test that holds every check against one machine, and names all that failed."""
    def test(setting):
        failed = []
        with setting.boot(machine, f"pager=off {cmdline}".strip()) as talk:
            talk.wait_for_prompt()
            for check in (lambda told: check_walk(told, levels), check_wrong_walks, check_dump, check_runtime, check_audit,
                          check_kva, lambda told: check_spaces(told, levels), check_demonstration, check_audit):
                try:
                    check(talk)
                except Failure as failure:
                    failed.append(str(failure))
        expect(not failed, "\n".join(failed))
    return test


CASES = {
    "memory.commands": commands(Machine(), "", 4),
    "memory.commands.la57": commands(Machine(cpu="max,la57=on"), "la57=on", 5),
}
