"""Programs that share memory, replace it and move it: what they say under Ashlar is what they say under Linux."""

import programs

CASES = {
    "program.shared": programs.like_linux("shared", "-pthread", cpus=1),
    "program.shared.4": programs.like_linux("shared", "-pthread", cpus=4),
    "program.remap": programs.like_linux("remap", "-pthread", cpus=1),
    "program.remap.4": programs.like_linux("remap", "-pthread", cpus=4),
    "program.stack": programs.like_linux("stack", cpus=2),
}
