"""Programs that say something of their memory: advice, locking, limits; alone, and several at once."""

import programs

CASES = {
    "program.advice": programs.like_linux("advice", cpus=1),
    "program.advice.4": programs.like_linux("advice", cpus=4),
    "program.locking": programs.like_linux("locking", cpus=1),
    "program.locking.small": programs.like_linux("locking", cpus=2, memory="64M"),
    "program.advice.races": programs.says("advice_races", "", "done", cpus=1),
    "program.advice.races.4": programs.says("advice_races", "", "done", cpus=4),
}
