"""Several processors, looked at from outside: that all of them come, every time, and what is said of them."""

import re

from frame import STATUS_PANIC, expect, expect_in, expect_selftest_passes, selftest_seconds
from machine import Machine

BOOTS = 10


def every_time(setting):
    """Eight processors start ten times in a row, and none is lost. By hand: a hundred times (docs/testing.md)."""
    for number in range(BOOTS):
        with setting.boot(Machine(cpus=8), "selftest=processors_are_all_set_up_alike") as talk:
            expect_selftest_passes(talk)
            expect("8 of 8 processors are online" in talk.transcript, f"boot {number + 1} of {BOOTS}", talk)


def many(setting):
    """Two hundred processors pass all tests."""
    with setting.boot(Machine(cpus=200, memory="2G"), "selftest") as talk:
        expect_selftest_passes(talk, selftest_seconds(200))
        expect("200 of 200 processors are online" in talk.transcript, "some of 200 processors are lost", talk)


def shown(setting):
    """`cpus` and `irq` show each; one that is not wanted is parked."""
    with setting.boot(Machine(cpus=4), "cpus=3") as talk:
        talk.wait_for_prompt()
        cpus = talk.json("cpus -j")
        expect([cpu["state"] for cpu in cpus] == ["online", "online", "online", "parked"], f"cpus -j: {cpus}")
        expect([cpu["apic_id"] for cpu in cpus] == [0, 1, 2, 3], f"cpus -j: {cpus}")
        expect(cpus[3]["why"] == "fewer are wanted", f"cpus -j: {cpus[3]}")
        expect(cpus[0]["does"] == "this command" and cpus[1]["does"] == "rests", f"cpus -j: {cpus}")
        threads = {thread["number"]: thread["name"] for thread in talk.json("threads -j")}
        expect(threads.get(cpus[0]["thread"]) == cpus[0]["thread_name"], f"who runs the command: {cpus[0]}, {threads}")
        expect("thread" not in cpus[1], f"one that rests runs no thread but its own: {cpus[1]}")
        expect(cpus[1]["idle_percent"] > 0, f"a processor that rests has not rested: {cpus[1]}")
        expect(cpus[0]["asked"] > 0 and cpus[0]["answered"] == 0, f"the boot CPU has asked others, and nobody else: {cpus}")
        expect(cpus[1]["answered"] == cpus[2]["answered"] > 0, f"both others have answered it: {cpus}")
        frames = {}
        for magazine in talk.json("frames -j")["magazines"]:
            frames[magazine["cpu"]] = frames.get(magazine["cpu"], 0) + (magazine["blocks"] << magazine["order"])
        expect([cpu["magazine_frames"] for cpu in cpus[1:3]] == [frames[1], frames[2]], f"cpus: {cpus}, frames: {frames}")
        expect(all(0 < cpu["magazine_frames"] <= cpu["magazine_room"] for cpu in cpus[:3]), f"cpus -j: {cpus}")
        expect("ASHLAR_LOCK_STATISTICS" in talk.json("lock -j")["error"], "a build that does not count locks does not say so")
        expect(re.search(r"^ +- +3 +parked +fewer are wanted", talk.command("cpus"), re.MULTILINE), "cpus", talk)
        vectors = {vector["name"]: vector for vector in talk.json("irq -j")["vectors"]}
        asked = vectors["other CPUs"]
        expect(asked["count"] == sum(asked["by_cpu"]) and asked["by_cpu"][1] > 0, f"irq -j: {asked}")


def stopped_by_a_panic(setting):
    """A panic on one processor stops the others and says where they were."""
    with setting.boot(Machine(cpus=4)) as talk:
        talk.wait_for_prompt()
        talk.send("fault panic")
        status = talk.wait_for_end()
        expect(status == STATUS_PANIC, f"QEMU's status is {status}, not {STATUS_PANIC}", talk)
        places = re.findall(r"^CPU ([1-3]) +rest_here\+0x[0-9a-f]+ ", talk.transcript, re.MULTILINE)
        expect(places == ["1", "2", "3"], f"where the others were: {places}", talk)


def machine_with_another(features):
    """Two processors, the second of which has other features."""
    other = f"max-x86_64-cpu,{features},socket-id=0,core-id=1,thread-id=0"
    return Machine(cpu="max,la57=on", extra=["-smp", "maxcpus=2", "-device", other])


def lacking(setting):
    """A processor that lacks what its start switches on says so; the machine runs on without it."""
    for name, cmdline in (("nx", ""), ("la57", "la57=on")):
        described = machine_with_another(f"{name}=off")
        with setting.boot(described, f"selftest=processor_list_begins_with_this_one {cmdline}") as talk:
            expect_selftest_passes(talk)
            expect_in(f"CPU 1 lacks {name}, which the boot CPU has", talk.transcript)
            expect_in("CPU 1, APIC 1, is not used: it lacks what the kernel uses", talk.transcript)
            expect_in("1 of 2 processors are online", talk.transcript)


def sparse(setting):
    """APIC numbers with gaps, as three cores in each of two sockets have them, without x2APIC: all processors come, and
    reach each other."""
    described = Machine(cpu="max,x2apic=off", extra=["-smp", "6,sockets=2,cores=3,threads=1"])
    with setting.boot(described, "selftest=together,processors,world") as talk:
        expect_selftest_passes(talk)
        expect("6 of 6 processors are online" in talk.transcript, "some are lost", talk)
    with setting.boot(described) as talk:
        talk.wait_for_prompt()
        cpus = talk.json("cpus -j")
        expect([(cpu["cpu"], cpu["apic_id"]) for cpu in cpus] == list(enumerate((0, 1, 2, 4, 5, 6))), f"cpus -j: {cpus}")
        expect(len({cpu["answered"] for cpu in cpus[1:]}) == 1 and cpus[1]["answered"] > 0, f"not all were asked: {cpus}")


def locks_counted(setting):
    """A build with lock statistics shows by rank what locks have cost."""
    with setting.boot(Machine(cpus=2)) as talk:
        talk.wait_for_prompt()
        first = {lock["lock"]: lock for lock in talk.json("lock -j")}
        text = talk.command("lock")
        second = {lock["lock"]: lock for lock in talk.json("lock -j")}
        console = "console's lock"
        expect(second[console]["acquisitions"] > first[console]["acquisitions"], f"nobody has taken it: {second[console]}")
        for lock in second.values():
            expect(lock["contended"] <= lock["acquisitions"], f"more waits than acquisitions: {lock}")
            expect(("longest_hold_taken_at" in lock) == (lock["longest_hold_ticks"] > 0), f"a hold without a place: {lock}")
        pool = second["frame pool's lock"]
        expect("mm/frame/" in pool["longest_hold_taken_at"] and pool["longest_hold_cpu"] in (0, 1), f"the pool's lock: {pool}")
        expect(re.search(r"^frame pool's lock +[0-9,]+ +[0-9,]+ +[0-9,]+\n    CPU [01], taken at \S+ \(mm/frame/", text,
                         re.MULTILINE), f"lock:\n{text}")


def deadlock_noted(setting):
    """A build that notes locks says of each processor what it holds, since when, and where it took it."""
    with setting.boot(Machine(cpus=2)) as talk:
        talk.wait_for_prompt()
        talk.send("fault deadlock-of-two")
        status = talk.wait_for_end()
        expect(status == STATUS_PANIC, f"QEMU's status is {status}, not {STATUS_PANIC}", talk)
        place = r"for [0-9,]+ ticks, taken at \w+\+0x[0-9a-f]+ \(tests/kernel/provoke/processors.c:\d+\)$"
        for pattern in (r"^reason:  lock: CPU 1 waits for the vmalloc lock 0x\w+ in the wrong order: it holds the table slots'",
                        rf"^CPU 0 +holds the vmalloc lock 0x[0-9a-f]+ {place}",
                        rf"^CPU 1 +holds the table slots' lock 0x[0-9a-f]+ {place}"):
            expect(re.search(pattern, talk.transcript, re.MULTILINE), f"nothing matches {pattern!r}", talk)


DEBUG_CASES = {"processors.locks": locks_counted, "processors.deadlock": deadlock_noted}
CASES = {
    "processors.every-time": every_time,
    "processors.shown": shown,
    "processors.lacking": lacking,
    "processors.panic": stopped_by_a_panic,
    "processors.sparse": sparse,
    "processors.200": many,
}
LONG = ("processors.200",)
