"""No kernel address and no byte that nobody wrote reaches a program: all that calls write to it is looked at, twice, in
poisoned memory; registers, frames of signals, new memory and text too. Which bytes are written is compared with Linux.
"""

import functools

from program_failing import like_linux

PROGRAMS = ("told", "told_else")
POISONED = "pager=off debug=slab:*:poison"  # what comes from the heap, and nobody has written, is told by its byte

CASES = {"program.told": functools.partial(like_linux, names=PROGRAMS, cpus=1)}
DEBUG_CASES = {"program.told.poisoned": functools.partial(like_linux, names=PROGRAMS, cmdline=POISONED, cpus=2)}
