"""Faults on purpose: `fault KIND` ends in a panic that classifies it and names the right function and line."""

import re
from dataclasses import dataclass, replace

from devices import LOOKS, is_halted
from frame import STATUS_PANIC, expect
from machine import Machine
from tree import ROOT

SOURCE = "tests/kernel/provoke/faults.c"
SPACE_SOURCE = "tests/kernel/provoke/spaces.c"
LONGEST_REPORT = 45  # lines: fits a small screen
BELOW = ("monitor_execute", "monitor_run", "kernel_main", "kernel_entry")  # what every provocation was called by
STEP = re.compile(r"^ +\d+ 0x[0-9a-f]{16} (\S+)\+\S+(?: \((\S+):(\d+)\))?", re.MULTILINE)


@dataclass
class Kind:
    """What the panic of one provocation must say."""

    reason: str  # a regular expression that the reason matches
    line: str  # text of the line that does it
    function: str = ""  # where it happens, if not in the provocation itself
    source: str = SOURCE  # the line's file
    says: tuple = ()  # further regular expressions, each found in the report
    lacks: str = ""  # a regular expression that is found nowhere in it
    outer: tuple = BELOW  # and below it, in this order
    cmdline: str = ""  # boot options
    stacks: tuple = ()  # regular expressions found in what is logged before the panic
    reporter: str = "0"  # a regular expression for the number of the CPU that reports


KINDS = {
    "null": Kind(r"page fault: null dereference, at 0x18$", "READ_AT(zero + 0x18)",
                 says=(r"access:  read by kernel code, page not present", r"address: 0x18: null area")),
    "jump-null": Kind(r"page fault: null dereference, at 0$", "no_function();",
                      says=(r"access:  fetch by kernel code", r"called from provoke_jump_null")),
    "unmapped": Kind(r"page fault: nothing is mapped there, at 0xffffdfff00001000$", "READ_AT(0xffffdfff00001000ULL)",
                     says=(r"address: .*unused kernel addresses",)),
    "guard": Kind(r"page fault: guard page, at 0x", "WRITE_AT(boot_info()",
                  says=(r"address: .*guard page below the boot stack", r"access:  write by kernel code")),
    "foreign-free": Kind(r"frame_free, or use of a descriptor: never allocated: address 0x[0-9a-f]+, 1 frames; "
                         r"the block there: 0x[0-9a-f]+ order \d+, free, owner nobody yet", "free_frame(address)"),
    "read-only": Kind(r"page fault: write to read-only memory, at 0x", "WRITE_AT((uintptr_t)&constant)",
                      says=(r"address: .*kernel constants.*, constant\+0", r"-> physical .*, read-only, no-execute")),
    "execute-data": Kind(r"page fault: execution of data, at 0x", "    function();",
                         says=(r"address: .*kernel data", r"called from provoke_execute_data",
                               r"-> physical .*, writable, no-execute")),
    "smep": Kind(r"page fault: SMEP violation", "    function();",
                 says=(r"-> physical .*, read-only, executable, user", r"called from provoke_smep")),
    "smap": Kind(r"page fault: SMAP violation", "READ_AT(user_page_map(USER_PAGE_DATA)",
                 says=(r"-> physical .*, writable, no-execute, user",)),
    "corrupt-table": Kind(r"page fault: corrupted page table: a reserved bit is set",
                          "READ_AT(user_page_map(USER_PAGE_CORRUPT)", says=(r"walk: .*: reserved bits set",)),
    "non-canonical": Kind(r"general protection fault: non-canonical address, at 0x8000000000000000$",
                          "READ_AT(0x8000000000000000ULL)"),
    "selector": Kind(r"general protection fault", "movl %0, %%ds",
                     says=(r"access:  GDT entry 511 \(0xff8\)",)),
    "divide": Kind(r"divide error", "100 / zero"),
    "invalid-opcode": Kind(r"invalid opcode", 'volatile("ud2")', says=(r"code:.* <0f> 0b",)),
    "breakpoint": Kind(r"breakpoint", "}", function="provoke_breakpoint"),
    "stack-overflow": Kind(r"page fault: guard page, at 0x", "return recurse_for_ever(",
                           function="recurse_for_ever", outer=("provoke_stack_overflow", *BELOW),
                           says=(r"address: .*guard page below the boot stack", r"recurse_for_ever.* \[\d+ times\]")),
    "kernel-stack": Kind(r"page fault: guard page, at 0x", "return recurse_for_ever(",
                         function="recurse_for_ever", outer=("overflow_here",),
                         says=(r"address: .*guard page below kernel stack of a provocation",
                               r"recurse_for_ever.* \[\d+ times\]")),
    "double-fault": Kind(r"double fault: stack overflow", "return recurse_for_ever(",
                         function="recurse_for_ever", outer=("provoke_double_fault", *BELOW),
                         says=(r"rsp is in: (guard page below the )?boot stack",)),
    "stack-smash": Kind(r"stack smashing detected", "}", function="smash_stack",
                        says=(r"the chain of frames is broken",)),
    "lost-stack": Kind(r"page fault: the stack pointer leads to unmapped memory, at 0xff8$", "movq $0x1000, %rsp", outer=()),
    "assertion": Kind(r"assertion failed: sink == constant \+ 1 at tests/kernel/provoke/faults.c:\d+$", "ASSERT(sink"),
    "deadlock": Kind(r"deadlock: CPU 0 waits for the lock at 0x[0-9a-f]+, which nobody releases$", 'panic("deadlock',
                     function="panic_of_deadlock", source="kernel/lib/lock.c",
                     outer=("lock_gate_wait", "provoke_deadlock", *BELOW)),
    "too-early": Kind(r"device_map\(\) is called too early: it needs the stage \"addresses\" of start-up, which has "
                      r"reached \"heap\"$", "device_map(phys_addr(0)", function="provoke_too_early"),
    "panic": Kind(r"provoked on purpose, with the number 42$", "panic(\"provoked on purpose"),
    "panic-in-interrupt": Kind(r"provoked inside the handler of vector 225$", "panic(\"provoked inside",
                               function="handle_and_panic",
                               outer=("trap_dispatch", "provoke_panic_in_interrupt", *BELOW),
                               says=(r"context: inside an interrupt handler", r"interrupted by vector 225 \(provoked\)")),
}


TWICE_SOURCE = "tests/kernel/provoke/twice.c"
KINDS |= {
    "timer-twice": Kind(r"timer at [0-9a-f]{16} is started while it waits to expire$",
                        "timer_start(&timer, clock_nanoseconds() + FAR_AWAY)", source=TWICE_SOURCE),
    "handler-twice": Kind(r"interrupt vector 225 wanted by the second belongs to the first$", '"the second"',
                          source=TWICE_SOURCE),
}

# The allocator's own steps leave little room in the backtrace.
HEAP_BELOW = ("monitor_execute",)
HEAP_ALL = "debug=slab:*:all"


def heap(fault, line, function, **more):
    """A mistake that the heap reports: its name, and who made it, in words."""
    reason = rf"heap: {fault}: 0x[0-9a-f]+.*; called from {function}\+0x[0-9a-f]+ \(tests/kernel/provoke/faults.c:\d+\)$"
    return Kind(more.pop("reason", reason), line, outer=HEAP_BELOW, **more)


def by(what, function):
    """Of what is logged about a stack: the line after the heading names this function."""
    return rf"{what} on CPU 0 at tick \d+ by:\s+(\S+ \S+: )?\s*.*{function}\+0x"


KINDS |= {
    "heap-double-free": heap("double free", "    heap_free(&kernel_heap, block);", "provoke_heap_double_free"),
    "heap-interior": heap("pointer into an object", "heap_free(&kernel_heap, block + 5000)", "provoke_heap_interior"),
    "heap-foreign": heap("not heap memory", "    heap_free(&kernel_heap, block);", "provoke_heap_foreign"),
    "heap-wrong-cache": heap("wrong cache", "    heap_free(&kernel_heap, block);", "provoke_heap_wrong_cache",
                             says=(r"^reason: .* in cache provoked, object 0x[0-9a-f]+ \+ 0;",)),
    "heap-overrun": heap("write past the end", "    heap_free(&kernel_heap, block);", "provoke_heap_overrun", cmdline=HEAP_ALL,
                         says=(r"^reason: .* in cache heap-40, object .* \+ 33; 1 bytes, expected 0xbb, found 0x5a;",),
                         stacks=(by("allocated", "provoke_heap_overrun"),)),
    "heap-underrun": heap("write before the start", "    heap_free(&kernel_heap, block);", "provoke_heap_underrun",
                          cmdline=HEAP_ALL,
                          says=(r"^reason: .* object .* - 1; 1 bytes, expected 0xbb, found 0x5a;",),
                          stacks=(by("allocated", "provoke_heap_underrun"),)),
    "heap-large-overrun": heap("write past the end", "    heap_free(&kernel_heap, block);", "provoke_heap_large_overrun",
                               cmdline=HEAP_ALL,
                               says=(r"^reason: .* object .* \+ 100000; 1 bytes, expected 0xbb, found 0x5a;",),
                               stacks=(by("allocated", "provoke_heap_large_overrun"),)),
    "heap-write-after-free": heap("write after free", "slab_reap(&kernel_heap.slabs)", "", cmdline=HEAP_ALL,
                                  reason=r"heap: write after free: 0x[0-9a-f]+ in cache heap-40, object .* \+ 5; "
                                         r"1 bytes, expected 0x6b, found 0x5a$",
                                  stacks=(by("allocated", "provoke_heap_write_after_free"),
                                          by("freed", "provoke_heap_write_after_free"))),
    "heap-hole": Kind(r"page fault: .*at 0xffff", "slab_cache_free(&cache, block + 64)",
                      says=(r"^address: .*: physmap\+0x[0-9a-f]+, physical 0x[0-9a-f]+ \(",)),
    "heap-guarded-overrun": Kind(r"page fault: guard page, at 0x", "block[64] = 0x5a",
                                 says=(r"^address: .*guarded object of heap-64, allocated by guarded_block\+",
                                       r"^object: .* heap-64, .*access outside an object",
                                       r"^allocated at tick \d+ on CPU 0: guarded_block < provoke_heap_guarded_overrun")),
    "heap-guarded-use": Kind(r"page fault: nothing is mapped there, at 0x", "sink = block[5]",
                             says=(r"^address: .*freed object of heap-64, allocated by guarded_block\+.*, freed by provoke",
                                   r"^object: .* heap-64, .*access after free",
                                   r"^allocated at tick \d+ on CPU 0: guarded_block < provoke_heap_guarded_use",
                                   r"^freed at tick \d+ on CPU 0: provoke_heap_guarded_use < ")),
}


def lazy(refusal, line, reason=r"page fault: nothing is mapped there, at 0xffffe", room="lazily filled kernel memory"):
    """Memory of a space that is not delivered: the report says what the space said of it."""
    return Kind(reason, line, source=SPACE_SOURCE, says=(rf"^address: .*: {room}", rf"^space:   {refusal}$"))


KINDS |= {
    "lazy-guard": lazy("guard gap", "READ_AT(lazy_page(VM_ZERO, VM_READ) - ", reason=r"page fault: guard page, at 0xffffe",
                       room="guard gap in lazily filled kernel memory"),
    "lazy-reserved": lazy("reserved range", "READ_AT(lazy_page(VM_NOTHING"),
    "lazy-denied": lazy("not allowed", "WRITE_AT(lazy_page(VM_ZERO, VM_READ)"),
    "lazy-no-memory": lazy("out of memory", "WRITE_AT(address)"),
    "lazy-preempt": lazy("not asked: preemption or interrupts are off, or this is a handler", "READ_AT(address)"),
    "user-forbidden": Kind(r"page fault: nothing is mapped there, at 0x", "READ_AT(address)", source=SPACE_SOURCE,
                           lacks=r"^space: "),
    "null-forbidden": Kind(r"page fault: null dereference, at 0$", "READ_AT(sink)", source=SPACE_SOURCE, lacks=r"^space: "),
}


def lock(reason, line, function="", outer=()):
    """A mistake with locks, which the build with all assertions notices."""
    return Kind(rf"lock: CPU 0 {reason}: see Locks in docs/architecture.md$", line,
                source="tests/kernel/provoke/locks.c", function=function, outer=(*outer, *BELOW))


TAKEN_BY = r"0x[0-9a-f]+, taken at {}\+0x[0-9a-f]+ \(tests/kernel/provoke/locks.c:\d+\)"
DEBUG_KINDS = {
    "lock-order": lock(rf"waits for the vmalloc lock 0x[0-9a-f]+ in the wrong order: it holds the table slots' lock "
                       rf"{TAKEN_BY.format('provoke_lock_order')}", "spinlock_acquire(&first)"),
    "lock-in-handler": lock(r"waits for the vmalloc lock 0x[0-9a-f]+ in an interrupt handler, which takes irq_spinlocks only",
                            "spinlock_acquire(&first)", "handle_and_lock",
                            ("trap_dispatch", "provoke_lock_in_handler")),
    "wait-forbidden": lock(rf"waits for the space's change mutex 0x[0-9a-f]+ where it may not wait: it holds the vmalloc lock "
                           rf"{TAKEN_BY.format('provoke_wait_forbidden')}", "mutex_acquire(&mutex)"),
    "log-locked": lock(rf"logs while it holds the IO-APIC lock {TAKEN_BY.format('provoke_log_locked')}",
                       'log_info("under a lock")'),
    "alloc-locked": lock(rf"allocates or frees memory while it holds the IO-APIC lock "
                         rf"{TAKEN_BY.format('provoke_alloc_locked')}", "heap_alloc(&kernel_heap, 40)"),
    "alloc-in-handler": lock(r"allocates or frees memory in an interrupt handler", "= heap_alloc(&kernel_heap, 40)",
                             "handle_and_allocate", ("trap_dispatch", "provoke_alloc_in_handler")),
}


TWO_SOURCE = "tests/kernel/provoke/processors.c"
TWO = Machine(cpus=2)
KINDS |= {  # these take two processors
    "deadlock-of-two": Kind(r"deadlock: CPU [01] waits for the lock at 0x[0-9a-f]+, which nobody releases$", 'panic("deadlock',
                            function="panic_of_deadlock", source="kernel/lib/lock.c", outer=("lock_gate_wait",), reporter="[01]",
                            says=(r"^CPU [01] +(wait_for|lock_gate_wait|cpu_serve_requests)\+",)),
    "deaf-cpu": Kind(r"CPU 1 does not answer what CPU 0 asks of it$", 'panic("CPU %u does not answer',
                     source="kernel/lib/cpu_request.c", function="panic_of_silence",
                     outer=("tlb_flush", "provoke_deaf_cpu", *BELOW),
                     says=(r"^CPU 1 +be_deaf\+.*processors.c:\d+", r"CPU 1: be_deaf\+")),
    "nmi-storm": Kind(r"non-maskable interrupt", "", source=TWO_SOURCE, function="provoke_nmi_storm",
                      says=(r"^CPU 1 +(send_nmis|apic_send_nmi|send|apic_write)\+",)),
}
TAKE_TWO = ("deadlock-of-two", "deaf-cpu", "nmi-storm", "panic-of-two")
# On a processor other than 0: its own stack, and other callers. All kinds in the long run, some in every one.
BELOW_ELSEWHERE = ("do_part", "thread_first")
STACKS_ELSEWHERE = {  # where the boot stack has a guard page, and where RSP may be just at the stack's end
    "stack-overflow": ("the boot stack", "kernel stack of thread work"),
    "double-fault": ("(guard page below the )?boot stack", "(guard page below )?kernel stack of thread work"),
}
SOME_ELSEWHERE = ("null", "stack-overflow", "double-fault", "lost-stack", "panic-in-interrupt", "heap-double-free", "deadlock",
                  "lazy-denied")


def lines_with(text, source):
    """Numbers of the lines of a source file that hold `text`."""
    lines = (ROOT / source).read_text(encoding="utf-8").splitlines()
    return {number for number, line in enumerate(lines, 1) if text in line}


def elsewhere(name, kind):
    """What the same kind must say on CPU 1."""
    def moved(text):
        return re.sub(r"CPU 0\b", "CPU 1", text).replace(*STACKS_ELSEWHERE.get(name, ("", "")))
    known = {*BELOW, *HEAP_BELOW}
    outer = tuple(step for step in kind.outer if step not in known)
    below = BELOW_ELSEWHERE if len(outer) < len(kind.outer) else ()
    return replace(kind, reason=moved(kind.reason), says=tuple(map(moved, kind.says)), outer=(*outer, *below),
                   stacks=tuple(map(moved, kind.stacks)), reporter="1")


def provoke(setting, name, machine=None, kind=None, where=""):
    """Boots, provokes one kind, waits for the end; returns what was said from the report on."""
    kind = kind or {**KINDS, **DEBUG_KINDS}.get(name)
    machine = machine or (TWO if name in TAKE_TWO else None)
    cmdline = kind.cmdline if kind else ""
    with setting.boot(machine or Machine(), cmdline or None) as talk:
        talk.wait_for_prompt()
        talk.send(f"fault {name}{where}")
        if name == "nmi":
            talk.wait_for(r"any key gives up\r*\n")
            talk.control("inject-nmi")
        status = talk.wait_for_end()
        expect(status == STATUS_PANIC, f"QEMU's status is {status}, not {STATUS_PANIC}", talk)
        pieces = re.split(rf"=== PANIC on CPU {kind.reporter if kind else 0} ===", talk.transcript, maxsplit=1)
        expect(len(pieces) == 2, "there is no panic report", talk)
        before, report = pieces
        for pattern in kind.stacks if kind else ():
            expect(re.search(pattern, before), f"nothing before the panic matches {pattern!r}:\n{before[-3000:]}")
        return report


def backtrace_of(report):
    """(function, file, line) of each step."""
    return [(name, file, int(line or 0)) for name, file, line in STEP.findall(report.partition("backtrace:")[2])]


def check_order(wanted, names, report):
    """Each wanted function is in the backtrace, in this order."""
    rest = iter(names)
    for name in wanted:
        expect(name in rest, f"{name} is missing in the backtrace, or out of order:\n{report}")


def check(setting, name):
    """One kind: its report says what it must, in the right place, in few lines."""
    kind = {**KINDS, **DEBUG_KINDS}[name]
    judge(name, kind, provoke(setting, name))


def check_elsewhere(setting, name):
    """The same on another processor than the first."""
    kind = elsewhere(name, {**KINDS, **DEBUG_KINDS}[name])
    judge(name, kind, provoke(setting, name, TWO, kind, " cpu=1"))


def judge(name, kind, report):
    """Whether the report says what it must of the kind."""
    function = kind.function or "provoke_" + name.replace("-", "_")
    for pattern in (rf"^reason:  {kind.reason}", r"^next:    \S", r"^last log lines:", *kind.says):
        expect(re.search(pattern, report, re.MULTILINE), f"nothing matches {pattern!r} in:\n{report}")
    expect(not kind.lacks or not re.search(kind.lacks, report, re.MULTILINE), f"{kind.lacks!r} matches in:\n{report}")
    expect("=== end of panic ===" in report, f"the report has no end:\n{report}")
    expect(report.count("\n") <= LONGEST_REPORT, f"the report has more than {LONGEST_REPORT} lines:\n{report}")
    steps = backtrace_of(report)
    check_order((function, *kind.outer), [step[0] for step in steps], report)
    places = [(file, line) for step, file, line in steps if step == function]
    wanted = lines_with(kind.line, kind.source)
    expect(any(file == kind.source and line in wanted for file, line in places),
           f"{function} is shown at {places}, not at {kind.source}:{sorted(wanted)}:\n{report}")


def panic_in_panic(setting):
    """A fault inside the report: a few lines on the serial port name both, and the machine ends all the same."""
    report = provoke(setting, "panic-in-panic")
    for pattern in (r"^PANIC INSIDE THE PANIC REPORT: page fault$", r"^the first was: page fault$",
                    r"^which is in resolve_by_faulting\+.*\(tests/kernel/provoke/faults.c:\d+\)$"):
        expect(re.search(pattern, report, re.MULTILINE), f"nothing matches {pattern!r} in:\n{report}")
    expect(report.count("\n") < 15, f"the second report is not short:\n{report}")


def panic_of_two(setting):
    """Two processors panic at once: one whole report, which says where the other was, and not a line of a second one."""
    report = provoke(setting, "panic-of-two", kind=Kind("", "", reporter="[01]"))
    reporters = re.findall(r"^reason:  CPU ([01]) is one of two that panic at once", report, re.MULTILINE)
    expect(len(reporters) == 1, f"not one report, but {len(reporters)}:\n{report}")
    expect(len(re.findall("=== PANIC|=== end of panic ===|INSIDE THE PANIC", report)) == 1 and
           report.rstrip().endswith("=== end of panic ==="), f"not one whole report:\n{report}")
    other = 1 - int(reporters[0])
    expect(re.search(rf"^CPU {other} +\w+\+0x[0-9a-f]+ ", report, re.MULTILINE), f"where CPU {other} was:\n{report}")
    name = ("provoke_panic_of_two", "panic_too")[1 - other]
    check_order((name,), [step[0] for step in backtrace_of(report)], report)


def nmi(setting):
    """An NMI from QEMU's monitor: what was running is named."""
    report = provoke(setting, "nmi")
    expect(re.search(r"^reason:  non-maskable interrupt", report, re.MULTILINE), f"not an NMI:\n{report}")
    # On a busy machine it may still be writing its line, so deep that the report has no room for the first steps.
    check_order(("provoke_nmi", *BELOW[:2]), [step[0] for step in backtrace_of(report)], report)


def real_machine(setting):
    """Where no hypervisor says that it is there, a panic writes to no port of QEMU's: the CPU halts."""
    with setting.boot(Machine(cpu="max,hypervisor=off")) as talk:
        talk.wait_for_prompt()
        talk.send("fault panic")
        talk.wait_for("=== end of panic ===")
        expect(any(is_halted(talk) for _ in range(LOOKS)), "the CPU does not halt after the panic", talk)


def wrong_kind(setting):
    """A kind that does not exist is answered in one line, and `fault` alone lists every kind."""
    with setting.boot(Machine()) as talk:
        talk.wait_for_prompt()
        for line, said in (("frobnicate", "frobnicate"), ("null cpu=7", "CPU 7 is not online"), ("null cpu=x", "cpu=x"),
                           ("null 1", "'1' is not cpu=N")):
            answer = talk.command(f"fault {line}")
            expect(said in answer and "\n" not in answer, f"fault {line} answers: {answer!r}")
        listed = set(talk.json("fault -j"))
        tested = {*KINDS, *DEBUG_KINDS, "panic-in-panic", "panic-of-two", "nmi"}
        expect(listed == tested, f"kinds without a test: {listed - tested}; tests without a kind: {tested - listed}")


CASES = {f"fault.{name}": (lambda setting, name=name: check(setting, name)) for name in KINDS}
DEBUG_CASES = {f"fault.{name}": (lambda setting, name=name: check(setting, name)) for name in DEBUG_KINDS}
LONG = {f"fault.cpu-1.{name}": (lambda setting, name=name: check_elsewhere(setting, name))
        for name in KINDS if name not in (*TAKE_TWO, *SOME_ELSEWHERE)}
CASES |= {f"fault.cpu-1.{name}": (lambda setting, name=name: check_elsewhere(setting, name)) for name in SOME_ELSEWHERE}
CASES |= LONG
CASES |= {"fault.panic-in-panic": panic_in_panic, "fault.panic-of-two": panic_of_two, "fault.real-machine": real_machine,
          "fault.nmi": nmi, "fault.unknown": wrong_kind}
