"""Programs that wait for each other: what is woken, what is written to and executed, what events and locks say; as on Linux."""

from programs import like_linux, says

THREADS = "-pthread"

CASES = {
    "program.hints": like_linux("hints", THREADS, cpus=1),
    "program.hints.4": like_linux("hints", THREADS, cpus=4),
    "program.locks": like_linux("locks", THREADS, cpus=1),
    "program.locks.4": like_linux("locks", THREADS, cpus=4),
    "program.handles": like_linux("handles", cpus=1),
    "program.handles.4": like_linux("handles", cpus=4),
    "program.events": like_linux("events", THREADS, cpus=1),
    "program.events.4": like_linux("events", THREADS, cpus=4),
    "program.uses": like_linux("uses"),
    "program.uses.rule": says("uses", "rule", "done"),
    "program.wakes": like_linux("wakes", THREADS, cpus=1),
    "program.wakes.4": like_linux("wakes", THREADS, cpus=4),
}
