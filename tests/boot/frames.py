"""Physical memory at the prompt: who has what, what the pool costs, what it looks like, and its worst call."""

import re
import time

import patience
import serial
from frame import expect
from machine import Machine, parse_memory
from measurements import parse_lines
from monitor import answers, typed

MIB = 1 << 20
FRAME = 4096
FIRMWARES_OWN = {"runtime services", "ACPI NVS", "reserved", "device registers", "unusable"}
IMAGE = {"kernel image", "boot information"}  # what the loader brought along
MOST_INSTRUCTIONS = {  # of the worst call; what comes in pieces is counted by the piece
    "alloc": 2000,
    "free": 2000,
    "shortage": 2000,  # of a single frame
    "run": 2000,
    "batch": 2000,
    "reference": 2000,
    "idle": 2000,
    "at": 2000,
    "try": 2000,  # whether there was memory or not
}
SECONDS = patience.seconds(220)  # for what is counted; nothing is judged by it


def owners_of(memory):
    """Bytes by owner, of an answer to `mem -j`, which must add up."""
    owners = {owner["name"]: owner["bytes"] for owner in memory["owners"]}
    total = memory["free_bytes"] + sum(owners.values())
    expect(memory["difference"] == 0, f"the ledger does not close: {memory}")
    expect(memory["firmware_bytes"] == memory["accounted_bytes"] == total, f"mem -j does not add up: {memory}")
    return owners


def shares(memory, least_free):
    """A test that the pool of a machine of this size leaves `least_free` of 1000 parts free, and costs little."""
    def test(setting):
        with setting.boot(Machine(memory=memory), "pager=off", tests=False) as talk:
            talk.wait_for_prompt()
            answer = talk.json("mem -j")
            owners = owners_of(answer)
            pool = talk.json("frames -j")
        ram = parse_memory(memory)
        ours = answer["accounted_bytes"] - sum(owners[name] for name in FIRMWARES_OWN)
        expect(ours <= ram, f"{ours} bytes are not the firmware's, of {ram}")
        free = answer["free_bytes"] * 1000 / ours
        overhead = ours - answer["free_bytes"] - sum(owners[name] for name in IMAGE)
        print(f"{memory}: {free / 10:.2f} % free of {ours} bytes; overhead {overhead} bytes")
        expect(free >= least_free, f"{free / 10:.2f} % free, less than {least_free / 10} %: {owners}")
        expect(overhead <= MIB + ram // 2000, f"overhead of {overhead} bytes: {owners}")
        frames = pool["managed_bytes"] // FRAME
        expect(pool["state_bytes"] <= frames // 2 + 4 * FRAME, f"{pool['state_bytes']} bytes of state for {frames} frames")
    return test


def check_pool(talk):
    """`frames` counts every free block once, and agrees with `mem`."""
    pool, memory = talk.json("frames -j"), talk.json("mem -j")
    blocks = sum(order["free_blocks"] * order["block_bytes"] for order in pool["orders"])
    cached = sum(order["magazine_blocks"] * order["block_bytes"] for order in pool["orders"])
    expect(pool["policy"] == "buddy", f"policy {pool['policy']}")
    expect(len(pool["orders"]) == 19, f"orders: {pool['orders']}")
    expect(blocks == pool["free_bytes"], f"{blocks} bytes in free blocks, {pool['free_bytes']} free")
    expect(cached == pool["magazine_bytes"], f"{cached} bytes in magazines, not {pool['magazine_bytes']}")
    expect(blocks + cached == memory["free_bytes"], f"frames says {blocks + cached} bytes, mem {memory['free_bytes']}")
    largest = max(order["order"] for order in pool["orders"] if order["free_blocks"])
    expect(pool["largest_order"] == largest, f"the largest order is {largest}: {pool}")
    by_arena = sum(arena["free_bytes"] for arena in pool["arenas"]) + pool["arenas_all_free"] * (1 << 30)
    expect(by_arena == blocks, f"{by_arena} bytes free in the arenas, {blocks} in all")
    expect("largest free block: order" in typed(talk, "frames"), "frames does not show the largest block")


def check_owners(talk):
    """`frames who` and `mem` say the same, and a load of tests leaves the ledger closed."""
    owners = owners_of(talk.json("mem -j"))
    who = talk.json("frames who -j")
    listed = {owner["name"]: owner["bytes"] for owner in who["owners"]}
    expect(listed == {name: size for name, size in owners.items() if size}, f"{listed} is not {owners}")
    expect(who["difference"] == 0, f"frames who: {who}")
    sizes = [owner["bytes"] for owner in who["owners"]]
    expect(sizes == sorted(sizes, reverse=True), f"not the largest first: {sizes}")
    expect("not ok" not in typed(talk, "selftest frame"), "selftest frame failed")
    expect(owners_of(talk.json("mem -j"))["tests"] == 0, "tests keep frames")
    answers(talk, "frames check", "sound: .*")
    expect(talk.json("frames check -j") == {"sound": True}, "frames check -j")


def check_map(talk):
    """The picture has a row for each stretch of memory, of cells that are free, in use, or no memory."""
    picture = talk.json("frames map -j")
    text = typed(talk, "frames map")
    cells = "".join(row["cells"] for row in picture["rows"])
    expect(len(cells) == 64 * len(picture["rows"]) and len(picture["rows"]) <= 16, f"the picture: {picture}")
    expect(set(cells) <= set(" .123456789#"), f"unknown cells: {set(cells)}")
    free = cells.count(".") * picture["cell_bytes"]
    memory = talk.json("mem -j")
    expect(memory["free_bytes"] * 9 // 10 <= free <= memory["free_bytes"], f"{free} bytes in free cells: {picture}")
    expect(all(row["cells"] in text for row in picture["rows"]), f"not the rows of {picture}:\n{text}")
    expect("\x1b[" in talk.raw_transcript, "the picture has no colours")
    owners = talk.json("frames map owners -j")
    letters = {cell.upper() for row in owners["rows"] for cell in row["cells"] if cell.isalpha()}
    expect(letters == set(owners["owners"]), f"letters {letters} without a name: {owners}")
    expect("kernel image" in owners["owners"].values(), f"the kernel is not in the picture: {owners}")


def check_frame(talk):
    """One frame: a free one, one of the firmware's, one that is no memory, and no address at all."""
    free = talk.json("frames 0x5000fff -j")
    expect(free["frame"] == 0x5000 and free["managed"] and free["state"] == "free", f"a free frame: {free}")
    expect(int(free["block"], 16) <= 0x5000000 < int(free["block"], 16) + free["bytes"], f"its block: {free}")
    expect(talk.json("frames 0 -j")["managed"] is False, "frame 0 is the pool's")
    expect(talk.json("frames 1T -j")["type"] == "none", "1 TiB is memory")
    root = talk.json("pt walk kernel_main -j")["steps"][0]["table"]
    table = talk.json(f"frames {root} -j")
    marks = {"references": 1, "pins": 0, "age": 0, "busy": False}
    expect({name: table.get(name) for name in marks} == marks and table["owner"] == "page tables", f"the root's frame: {table}")
    answers(talk, f"frames {root}", r".*references +1\n *marks +none\n.*")
    answers(talk, "frames 0x5000000", r"0x5000000: frame 20480, .*state +free.*")
    answers(talk, "frames 0xfff0000000000000", "frames: 0xfff0000000000000 is no physical address: .*")
    answers(talk, "frames nonsense", "frames: 'nonsense' is neither number nor symbol")
    answers(talk, "frames who owners", "frames: 'owners' is too much after 'who'; .*")


def commands(setting):
    """Everything `frames` shows, and that it is consistent, in one boot."""
    with setting.boot(Machine(), "pager=off") as talk:
        talk.wait_for_prompt()
        for check in (check_pool, check_owners, check_map, check_frame):
            check(talk)


def large_map(setting):
    """The picture of 960 GiB is as small as that of 256 MiB."""
    with setting.boot(Machine(memory="960G"), "pager=off") as talk:
        talk.wait_for_prompt()
        check_pool(talk)
        picture = talk.json("frames map -j")
        expect(picture["cell_bytes"] == 1 << 30 and len(picture["rows"]) == 16, f"the picture: {picture}")


def worst_call(setting):
    """From a fresh pool of 960 GiB to a full and fragmented one, no call takes long, and the log says why the worst did."""
    with setting.boot(Machine(memory="960G", icount=True, vga="none"), "pager=off") as talk:
        talk.wait_for_prompt(SECONDS)
        found = {one.bench: one.most for one in parse_lines(talk.command("bench -j frame.worst", SECONDS))}
        causes = talk.command("log bench")
        answers(talk, "frames check", "sound: .*")
    print("\n".join(f"{name}: {most} instructions" for name, most in found.items()))
    print(causes)
    for kind, limit in MOST_INSTRUCTIONS.items():
        most = found[f"frame.worst.{kind}"]
        expect(0 < most <= limit, f"frame.worst.{kind} takes {most} instructions of {limit}")
    for name, most in found.items():
        cause = rf"{name} of \d+ calls: {most} ticks, order \d+, .* refills, .* drains, .* blocks given, .* pages backed"
        expect(re.search(cause, causes), f"the log does not say what {name} did:\n{causes}")


def zeroed_frames(setting):
    """A CPU that waits at the prompt prepares zeroed frames, as many as its stock holds."""
    with setting.boot(Machine(), "pager=off") as talk:
        talk.wait_for_prompt()
        limit = time.monotonic() + serial.SECONDS
        stocks = zeroed_stocks(talk)
        while not all(stock["blocks"] == stock["capacity"] for stock in stocks):
            expect(time.monotonic() < limit, f"not as many zeroed frames as the stock holds: {stocks}")
            time.sleep(0.1)  # the CPU has nothing to do now
            stocks = zeroed_stocks(talk)
        answers(talk, "frames check", "sound: .*")  # and they are zero


def zeroed_stocks(talk):
    """The magazines of zeroed frames, as `frames -j` tells of them."""
    stocks = [magazine for magazine in talk.json("frames -j")["magazines"] if magazine["zeroed"]]
    expect(stocks and all(stock["capacity"] > 0 for stock in stocks), f"no stock of zeroed frames: {stocks}")
    return stocks


CASES = {
    "frames.commands": commands,
    "frames.map.960g": large_map,
    "frames.shares.256m": shares("256M", 990),
    "frames.shares.128g": shares("128G", 999),
    "frames.worst": worst_call,
    "frames.zeroed": zeroed_frames,
}
