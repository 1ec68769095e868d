"""Calls that few programs make, and what they say of errors: as on Linux."""

from programs import like_linux, says

THREADS = "-pthread"

CASES = {
    "program.pipes": like_linux("pipes", cpus=1),
    "program.pipes.4": like_linux("pipes", cpus=4),
    "program.splice": like_linux("splice", THREADS, cpus=1),
    "program.splice.4": like_linux("splice", THREADS, cpus=4),
    "program.process-advice": like_linux("process_advice", cpus=1),
    "program.process-advice.4": like_linux("process_advice", cpus=4),
    "program.cpu-timers": like_linux("cpu_timers", THREADS, cpus=1),
    "program.cpu-timers.4": like_linux("cpu_timers", THREADS, cpus=4),
    "program.dev-links": like_linux("dev_links"),
    "program.futex-many": like_linux("futex_many", THREADS, cpus=1),
    "program.futex-many.4": like_linux("futex_many", THREADS, cpus=4),
    "program.region-names": says("region_names", "", "done", cpus=1),
    "program.region-names.4": says("region_names", "", "done", cpus=4),
}
