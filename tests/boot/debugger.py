"""What a person with gdb gets to see: tools/debug's session, with the commands of tools/gdb, in batch mode."""

import re
import subprocess

import debug
import patience
from frame import expect, expect_in
from machine import Machine

SECONDS = patience.seconds(60)
SOUND = "none is writable and executable, or cached in two ways, by any alias"


def entry_command(address, value):
    """A command that writes the last entry on the way to an address, past all the kernel's care; `value` may use `step`."""
    return (f"python import memory, page_tables; step = page_tables.walk(memory.number('{address}')).steps[-1]; "
            "physical = memory.physical_addresses(); physical.__enter__(); "
            f"gdb.selected_inferior().write_memory(step.where, ({value}).to_bytes(8, 'little')); "
            "physical.__exit__(None, None, None)")


SPOIL = entry_command("kernel_main", "step.entry | 2")  # the page that kernel_main lies in can be written
HOLE = "0xffffff8000000000"  # the page below the boot stack, which is never mapped
KINDS = {  # what can stand in an entry that is not present, and how it is told
    0: "absent",
    0x400: "absent, but not 0: no kind of entry looks like this",
    0xe00: "held: somebody maps there by hand",
    0x000fffffedcba200: "swapped: the page is on disk, in slot 0x12345",
    0x8000000000765102: "inaccessible: the 4 KiB page at physical 0x765000 is kept, but nobody reaches it",
}
KERNEL_LOWEST = 0xffffffff80000000
MARK = "---- {} ----"


def marked(commands):
    """The commands as arguments for gdb, each one's output under its name."""
    words = ["-batch"]
    for command in commands:
        words += ["-ex", f"echo \\n{MARK.format(command)}\\n", "-ex", command]
    return words


def outputs(text, commands):
    """What each command said, in order."""
    pieces = []
    for command in commands:
        before, _, text = text.partition(MARK.format(command) + "\n")
        pieces.append(before)
    return pieces[1:] + [text]


def finish(process):
    """All that gdb says until it ends."""
    try:
        return process.communicate(timeout=SECONDS)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def start_gdb(command):
    """gdb without the user's settings."""
    return subprocess.Popen([command[0], "-nx", *command[1:]], text=True, errors="replace", stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def session(setting, folder, commands, machine=None, cmdline=None):
    """Runs commands at the loader's first instruction; returns the Session and what they said."""
    described = machine or Machine()
    described.extra = ["-no-shutdown", *described.extra]
    with debug.Session(described, setting.build_dir, cmdline, serial_log=folder / "serial.log") as begun:
        text = finish(start_gdb(begun.gdb_command(*marked(commands))))
    print(text)
    return begun, outputs(text, commands)


def found(pattern, text):
    """The number that the pattern's group finds."""
    match = re.search(pattern, text)
    expect(match, f"nothing matches {pattern!r} in:\n{text}")
    return int(match[1], 0)


def kernel_session(setting, folder):
    """At kernel_main and at the prompt: symbols where loader and kernel are, every command tells the truth."""
    commands = ["ashlar start", "bt", "p/x (long)&kernel_main", "ashlar pt kernel_main", "ashlar pt 0x8000000000000000",
                "ashlar pt-audit", "ashlar boot-info", "ashlar memory-map", "ashlar log", "hbreak monitor_run", "continue", "bt",
                "ashlar pt $rsp", "ashlar percpu", "ashlar log", "ashlar log 1", "ashlar frames",
                "ashlar kva", "ashlar vm", "ashlar pt-audit", "ashlar pt-dump", "ashlar pt-dump kernel_main kernel_main",
                "ashlar pt-dump 0 0x7fffffffffff", "ashlar pt-dump 2 1", "ashlar pt-dump 1 2 3"]
    for entry in KINDS:
        commands += [entry_command(HOLE, entry), f"ashlar pt {HOLE}"]
    log = folder / "debug.log"
    begun, said = session(setting, folder, commands, Machine(debug_log=log), "log=warning")
    (start, entry, address, text_walk, bad_walk, loaders, info, ranges, empty, _, _, there, stack_walk, cpu, lines, last,
     pools, ranges_taken, spaces, *pages) = said
    told = re.search(r"ashlar: loader=(0x[0-9a-f]+) kernel=(0x[0-9a-f]+)", log.read_text(errors="replace"))
    loader, kernel = int(told[1], 16), int(told[2], 16)
    expect(begun.loader_base == loader, f"the loader is at {loader:#x}, the tool says {begun.loader_base:#x}")
    expect(found(r"kernel is at (0x[0-9a-f]+)", start) == kernel >= KERNEL_LOWEST, f"the kernel is at {kernel:#x}:\n{start}")
    expect(re.search(r"#0 +kernel_main .*kernel/main\.c:\d+\n#1 .*kernel_entry \(\)[^\n]*\n$", entry), f"bt:\n{entry}")
    check_text_walk(text_walk, found(r"= (0x[0-9a-f]+)", address), kernel, info)
    expect_in("not canonical", bad_walk)
    expect_in(SOUND, loaders)
    expect_in("command line  \"log=warning\"", info)
    check_ranges(ranges, kernel_physical(info))
    expect_in("the log is empty", empty)
    expect(re.search(r"#0 +monitor_run .*\n#1 .*kernel_main .*\n#2 .*kernel_entry", there), f"bt:\n{there}")
    expect_in("read, write, supervisor only; write-back", stack_walk)
    expect(re.search(r"CPU 0: .*\n  at 0x\w+ <monitor_run.* at kernel/monitor/loop\.c:\d+", cpu), f"percpu:\n{cpu}")
    check_log(lines, last)
    check_pools(pools)
    expect(re.search(r"0xffffd\w+ +4 KiB +1 guard pages +local APIC registers", ranges_taken), f"kva:\n{ranges_taken}")
    expect(re.search(r'space 0 "kernel": 0xffffe00000000000 to .*, \d+ pages resident', spaces), f"vm:\n{spaces}")
    pages, kinds = pages[:-2 * len(KINDS)], pages[-2 * len(KINDS) + 1::2]
    check_pages(pages, found(r"= (0x[0-9a-f]+)", address), kernel, kernel_physical(info))
    check_kinds(kinds)


def check_pages(said, address, kernel, physical):
    """What the kernel's own tables map, all of it and in parts."""
    audit, everything, one, lower, backwards, too_many = said
    expect_in(SOUND, audit)
    lines = [(int(base, 16), int(target, 16), access)
             for base, target, access in re.findall(r"^(0x\w+) .* -> (0x\w+)  (\S+)  \S+ .iB  \S+", everything, re.MULTILINE)]
    expect(len(lines) > 20 and lines == sorted(lines), f"pt-dump:\n{everything}")
    code = [(base, target) for base, target, access in lines if access == "r-x-g"]
    expect(code == [(kernel, physical)], f"code is not only the kernel's, at {kernel:#x}: {code}")
    expect(found(r"^(0x\w+) .* r-x-g  4 KiB  write-back\n*$", one) == address - address % 4096, f"one page:\n{one}")
    expect_in("nothing is mapped there", lower)
    expect_in("0x1 lies before 0x2", backwards)
    expect_in("two addresses at most", too_many)


def check_kinds(said):
    """Each kind of entry that is not present is told by its name, with what is kept in it."""
    for told, walked in zip(KINDS.values(), said, strict=True):
        line = rf"PT +entry +0 at .*\n  not mapped: not present: {re.escape(told)}\n"
        expect(re.search(line, walked), f"not {told!r}:\n{walked}")


def spaces_session(setting, folder):
    """In the midst of a test: the regions of a space, and what has been delivered of them."""
    commands = ["ashlar start", "tbreak vm_space_unmap", "continue", "ashlar vm"]
    _, said = session(setting, folder, commands, cmdline="selftest=vm_memory_arrives_when_it_is_touched")
    expect(re.search(r"  0xffffe0\w+ +1 GiB +zero +read, write +2 pages resident", said[-1]), f"vm:\n{said[-1]}")


def kernel_physical(info):
    """Where the kernel's code, its first segment, lies."""
    return found(r"segment +0x[0-9a-f]+, physical (0x[0-9a-f]+), \d+ KiB: read, execute", info)


def check_text_walk(walked, address, kernel, info):
    """The walk ends in the page that boot_info names, with the access that code has."""
    expect_in(f"{address:#x} from CR3", walked)
    expect(found(r"physical (0x[0-9a-f]+) in a 4 KiB page", walked) == kernel_physical(info) + address - kernel,
           f"the walk ends somewhere else:\n{walked}{info}")
    expect_in("read, execute, supervisor only; write-back", walked)
    expect(re.findall(r"(PML4|PDPT|PD|PT) +entry", walked) == ["PML4", "PDPT", "PD", "PT"], f"levels of:\n{walked}")


def check_ranges(text, kernel):
    """The map is sorted and disjoint, and the kernel lies in memory of its type."""
    ranges = [(int(low, 16), int(high, 16), kind)
              for low, high, kind in re.findall(r"^ +(0x\w+) \.\. (0x\w+) .*  (\S+)$", text, re.MULTILINE)]
    expect(len(ranges) > 10, f"the memory map:\n{text}")
    expect(all(one[1] < other[0] for one, other in zip(ranges, ranges[1:])), f"the map is not sorted:\n{text}")
    expect(any(low <= kernel <= high and kind == "kernel" for low, high, kind in ranges),
           f"{kernel:#x} is in no range of type kernel:\n{text}")


def check_log(lines, last):
    """The ring's lines, those the console does not show included."""
    expect(re.search(r"^\[ +\d+\.\d{6}\] cpu 0 info +clock: ", lines, re.MULTILINE), f"log:\n{lines}")
    expect(last.strip() and last.strip() == lines.strip().splitlines()[-1], f"the last line: {last!r}, of\n{lines}")


def check_pools(text):
    """A pool's accounts add up; a kernel without one says so."""
    if "no variable is a frame pool" in text:
        return
    managed, free = found(r"managed +(\d+) frames", text), found(r"free +(\d+) frames", text)
    in_magazines, allocated = found(r"in magazines +(\d+)", text), found(r"allocated +(\d+)", text)
    expect(0 < free <= managed and allocated >= 0 and free + in_magazines + allocated == managed, f"frames:\n{text}")


def loader_session(setting, folder):
    """In the loader from its first instruction on, and over the hand-over with 5 levels."""
    commands = ["bt", "ashlar boot-info", "ashlar log", "hbreak seed_collect", "continue", "bt", "ashlar boot-info",
                "delete", "continue", "bt", "ashlar start", "ashlar pt kernel_main", "ashlar pt-audit", SPOIL,
                "ashlar pt-audit"]
    _, said = session(setting, folder, commands, cmdline="la57=on")
    first, nothing, no_kernel, _, _, inside, early, _, leaving, last, arrived, walked, sound, _, spoiled = said
    expect(re.search(r"#0 +efi_main .* at loader/main\.c:\d+", first), f"bt:\n{first}")
    expect_in("there is no boot_info yet", nothing)
    expect_in("the kernel's symbols are not loaded", no_kernel)
    expect(re.search(r"#0 +seed_collect .*\n(#\d .*\n)*#\d .*efi_main .* at loader/main\.c", inside), f"bt:\n{inside}")
    expect_in("command line  \"la57=on\"", early)
    expect_in("about to enter the kernel", leaving)
    expect(re.search(r"#0 .*kernel_enter .*\n#1 .*leave .*\n#2 .*efi_main ", last), f"bt:\n{last}")
    expect(re.search(r"kernel_main .*kernel/main\.c:\d+", arrived), f"start:\n{arrived}")
    expect(re.findall(r"(\w+) +entry", walked) == ["PML5", "PML4", "PDPT", "PD", "PT"], f"levels of:\n{walked}")
    expect_in(SOUND, sound)
    expect(re.search(r"^0x\w+ can be written, and executed at 0x\w+: physical 0x", spoiled, re.MULTILINE), f"audit:\n{spoiled}")


def panic(setting, folder):
    """A backtrace leads from the panic through the trap to the instruction that faulted, and to the start."""
    invalid = "set {short}$pc = 0x0b0f"  # UD2 where the monitor begins
    commands = ["ashlar start", "tbreak monitor_run", "continue", invalid, "hbreak panic_exception", "continue", "bt",
                "ashlar percpu"]
    trace, cpu = session(setting, folder, commands)[1][-2:]
    names = re.findall(r"^#\d+ +(?:0x\w+ in )?(\w+) ", trace, re.MULTILINE)
    wanted = ("panic_exception", "trap_dispatch", "monitor_run", "kernel_main", "kernel_entry")
    order = [names.index(name) if name in names else -1 for name in wanted]
    expect(order[0] == 0 and -1 not in order and order == sorted(order), f"bt:\n{trace}")
    expect(names[-1] == "kernel_entry", f"the backtrace does not end at the kernel's entry:\n{trace}")
    expect(re.search(r"in a trap: vector 6, .* from 0x\w+ <monitor_run.*> at kernel/monitor/loop\.c:\d+", cpu), f"percpu:\n{cpu}")


def late(setting, folder):
    """gdb that comes when the kernel runs already finds it, wherever it is and whichever CPU is looked at."""
    socket = folder / "gdb"
    listen = ["-chardev", f"socket,id=gdb,server=on,wait=off,path={socket}", "-gdb", "chardev:gdb"]
    with setting.boot(Machine(cpus=2, extra=listen)) as talk:
        talk.wait_for_prompt()
        commands = [f"target remote {socket}", "thread 2", f"ashlar symbols {setting.build_dir}", "thread 1", "bt", "ashlar log",
                    "ashlar symbols", "ashlar cpus", "ashlar bt 1", "ashlar bt 0", "ashlar bt 7", "ashlar bt", "thread"]
        text = finish(start_gdb(["gdb", "-q", "-ex", f"source {debug.COMMANDS}", *marked(commands)]))
    print(text)
    _, _, symbols, _, trace, lines, again, cpus, other, boot, missing, unsaid, selected = outputs(text, commands)
    expect(found(r"kernel is at (0x[0-9a-f]+)", symbols) >= KERNEL_LOWEST, f"symbols:\n{symbols}")
    expect(re.search(r"#\d .*monitor_run", trace), f"bt:\n{trace}")
    check_log(lines, lines.strip().splitlines()[-1])
    expect_in("symbols are loaded, at", again)
    check_cpus(cpus, other, boot)
    expect_in("there is no CPU 7", missing)
    expect_in("which CPU?", unsaid)
    expect_in("Current thread is 1 ", selected)


def check_cpus(cpus, other, boot):
    """A line for each CPU, and a backtrace of each."""
    for number in (0, 1):
        expect(re.search(rf"^ +{number}  (rests|works|trap \d+) +\d+ +\d+ +\d+  0x\w+ <", cpus, re.MULTILINE), f"cpus:\n{cpus}")
    resting = r"^#\d .*(threads_idle|rest_here) .*\n(#\d .*\n)*#\d .*processor_enter "
    expect(re.search(resting, other, re.MULTILINE), f"bt 1:\n{other}")
    expect(re.search(r"^#\d+ .*monitor_run ", boot, re.MULTILINE), f"bt 0:\n{boot}")


CASES = {
    "debugger.kernel": kernel_session,
    "debugger.spaces": spaces_session,
    "debugger.loader": loader_session,
    "debugger.panic": panic,
    "debugger.late": late,
}
