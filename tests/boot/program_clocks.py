"""Programs about time: clocks, sleeping, what was used; said under Ashlar as under Linux."""

import programs

CASES = {
    "program.clocks": programs.like_linux("clocks", "-pthread", cpus=1),
    "program.clocks.4": programs.like_linux("clocks", "-pthread", cpus=4),
}
