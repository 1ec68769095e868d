"""The heap at the prompt: caches, pointers, leaks, who has what, failures on purpose, and debug rules."""

import re

from frame import expect, expect_selftest_passes
from machine import Machine
from monitor import answers, conversation

NUMBERS = ("slab_bytes", "waste_bytes", "record_bytes", "magazine_bytes", "slab_record_bytes", "part_bytes",
           "quarantine_bytes", "guard_bytes", "large_blocks", "large_bytes", "large_asked", "virtual_blocks",
           "virtual_bytes", "guarded_sampled")
RECORDS = ("magazine_bytes", "slab_record_bytes", "part_bytes", "quarantine_bytes", "guard_bytes")


def words_at(talk, symbol, count):
    """So many words of memory from a symbol on."""
    lines = talk.command(f"x/{count}g {symbol}").splitlines()
    return [int(word, 16) for line in lines for word in re.findall(r" ([0-9a-f]{16})\b", line[16:])]


def owned(talk, owner):
    """Bytes that the ledger books for an owner."""
    return {entry["name"]: entry["bytes"] for entry in talk.json("mem -j")["owners"]}.get(owner, 0)


def check_caches(talk):
    """`heap` shows the caches; its sums are those of the ledger."""
    answer = talk.json("heap -j")
    names = [cache["name"] for cache in answer["caches"]]
    expect("heap-16" in names and "heap-8192" in names and "vm-region" in names, f"caches: {names}")
    missing = [name for name in NUMBERS if name not in answer]
    expect(not missing, f"heap -j lacks {missing}")
    expect(answer["record_bytes"] == sum(answer[name] for name in RECORDS), f"records do not add up: {answer}")
    ledger = owned(talk, "slabs")
    expect(answer["slab_bytes"] + answer["record_bytes"] == ledger, f"heap and ledger ({ledger}) differ: {answer}")
    expect(answer["slab_bytes"] == sum(cache["slab_bytes"] for cache in answer["caches"]), f"slabs: {answer}")
    listed = talk.command("heap")
    expect("device mappings" in listed and "heap-5120" not in listed, f"heap lists:\n{listed}")
    for part in ("large blocks: ", "magazines ", "waste", "guarded slots: "):
        expect(part in listed, f"heap does not say {part!r}:\n{listed}")
    expect("heap-5120" in talk.command("heap -a"), "heap -a does not list caches without slabs")


def check_one_cache(talk):
    """`heap CACHE` shows one, and checks it."""
    answers(talk, "heap heap-64", r"heap-64: objects of 64 bytes.*policy    none\n.*check     sound")
    cache = talk.json("heap -j 'device mappings'")
    expect(cache["name"] == "device mappings" and cache["sound"] and cache["live"] > 0, f"heap -j CACHE: {cache}")


def check_pointers(talk):
    """`heap ADDRESS` knows objects, large blocks, free objects and what is none."""
    found = [talk.json(f"heap -j {word:#x}") for word in words_at(talk, "kernel_mmio", 500) if word >> 47 == 0x1ffff]
    objects = [fact for fact in found if fact["what"] == "allocated"]
    expect(objects and objects[0]["cache"] == "device mappings" and objects[0]["offset"] == 0, f"found: {found}")
    block = int(objects[0]["block"], 16)
    answers(talk, f"heap {block + 5:#x}", rf"{block + 5:#x}: allocated\ncache  device mappings\n"
                                          rf"object {block:#x} \+ 5, \d+ bytes")
    answers(talk, f"heap {block - 1:#x}", r".*: in a slab, in no object\ncache  device mappings")
    answers(talk, "heap kernel_heap", r".*: not the heap's")
    stack = words_at(talk, "stack", 1)[0]
    expect(stack, "there is no stack for the firmware")
    large = talk.json(f"heap -j {stack + 5000:#x}")
    expect(large["what"] == "in a large block" and int(large["block"], 16) == stack and large["offset"] == 5000,
           f"{stack:#x} + 5000: {large}")
    answers(talk, f"heap {stack:#x}", rf"{stack:#x}: in a large block\nblock  {stack:#x} \+ 0, \d+ bytes\nmemory \d+ bytes")


def check_leaks(talk):
    """Nothing is lost after the start, nor after tests have come and gone."""
    answers(talk, "heap leaks", "0 unreachable blocks")
    talk.command("selftest heap_")
    talk.command("selftest vm_")
    answers(talk, "heap leaks", "0 unreachable blocks")
    expect(talk.json("heap leaks -j") == {"blocks": [], "leaks": 0}, "heap leaks -j")


def check_who_unknown(talk):
    """Without the policy nobody is named."""
    answers(talk, "heap who", r" *\d+ B in +\d+ blocks  not kept: boot with debug=slab:\*:owner")
    sites = talk.json("heap who -j")["sites"]
    expect(len(sites) == 1 and sites[0]["bytes"] > 0, f"heap who -j: {sites}")


def check_failures(talk):
    """`heap fail` makes allocations fail, counts them by cache, and ends."""
    answers(talk, "heap fail 1 heap-64", "heap-64: one in 1 allocations fails from now on; 0 did so far")
    talk.command("selftest heap_blocks_hold")
    failed = talk.json("heap -j heap-64")["failed"]
    expect(failed == 1, f"{failed} allocations of heap-64 failed")
    expect(talk.json("heap -j fail 0 heap-64") == {"cache": "heap-64", "every": 0, "failed": 1}, "heap fail -j")
    answers(talk, "heap fail 5", r"all caches: one in 5 allocations fails from now on; \d+ did so far")
    answers(talk, "heap fail 0", r"all caches: no allocation fails on purpose from now on; \d+ did so far")
    expect("ok 1 heap_blocks_hold" in talk.command("selftest heap_blocks_hold"), "allocations still fail")


def check_wrong_input(talk):
    """Whatever is wrong is answered in one line that names it."""
    cases = [
        ("heap nix", "heap: 'nix' is neither number nor symbol"),
        ("heap leaks 5", "heap: '5' is too many: only fail takes more than one argument"),
        ("heap fail", "heap: fail needs a number: .*"),
        ("heap fail many", "heap: 'many' is not a number"),
        ("heap fail 5 nix", "heap: no cache is called 'nix'"),
        ("heap fail 1 2 3", r"heap: too many arguments \(4\); usage: .*"),
        ("heap --all", "heap: no option '--all'; see 'help heap'"),
        ("heap 0xffffffffffffffff", "0xffffffffffffffff: not the heap's"),
        ("heap 0", "0: not the heap's"),
    ]
    for line, expected in cases:
        answers(talk, line, expected)
    for line in ("heap -j nix", "heap -j fail", "heap -j leaks who"):
        expect("error" in talk.json(line), f"{line} is answered without an error")


def check_who(talk):
    """With the policy `heap who` names the functions, those with most bytes first."""
    sites = talk.json("heap who -j")["sites"]
    expect(all(re.match(r"[a-z_]+\+0x", site["caller"]) for site in sites), f"heap who -j: {sites}")
    order = [site["bytes"] for site in sites]
    expect(len(sites) > 1 and order == sorted(order, reverse=True), f"heap who -j is not by size: {sites}")
    expect(sites[0]["caller"].startswith("efi_runtime_"), f"the largest is {sites[0]}")
    text = talk.command("heap who")
    expect(text.count("\n") + 1 == len(sites) and "not kept" not in text, f"heap who:\n{text}")
    stack = talk.json(f"heap -j {words_at(talk, 'stack', 1)[0]:#x}")
    expect(len(stack["allocated"]) > 1, f"the stack's block has no stack: {stack}")
    answers(talk, "heap leaks", "0 unreachable blocks")


def all_policies(setting):
    """With every policy on every cache the machine starts and all tests pass."""
    with setting.boot(Machine(), "selftest debug=slab:*:all") as talk:
        expect_selftest_passes(talk)


def refused_rules(rules, complaint):
    """A test that a rule which cannot be read gets a warning, and the machine starts without policies."""
    def test(setting):
        with setting.boot(Machine(), f"debug={rules} pager=off") as talk:
            before = talk.wait_for_prompt()
            warnings = [line for line in before.splitlines() if "heap: warning: " in line]
            expect(any(complaint in line for line in warnings), f"no warning has {complaint!r}: {warnings}", talk)
            answers(talk, "heap heap-64", r".*policy    none.*")
    return test


CASES = {
    "heap.talk": conversation("pager=off", check_caches, check_one_cache, check_pointers, check_leaks,
                              check_who_unknown, check_wrong_input, check_failures),
    "heap.who": conversation("pager=off debug=slab:*:owner", check_who),
    "heap.all-policies": all_policies,
    "heap.rules.unknown": refused_rules("slab:*:poisen", 'debug=slab:*:poisen: cannot be read from "poisen" on'),
    "heap.rules.other": refused_rules("slabs", 'debug=slabs: does not begin with "slab:"'),
    "heap.rules.long": refused_rules("slab:" + "a:all;" * 60, "debug=: more than 255 characters"),
}
