"""Ashlar's commands for gdb: `source tools/gdb/ashlar.py`, or let tools/debug do it. docs/debugging.md explains them.

Each subsystem has a module here that registers its command by being imported.
"""

import os
import sys

import gdb

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))


class Ashlar(gdb.Command):
    """Looks into Ashlar's loader and kernel."""

    def __init__(self):
        super().__init__("ashlar", gdb.COMMAND_DATA, prefix=True)


Ashlar()

# pylint: disable=wrong-import-position,unused-import
import boot  # noqa: E402,F401
import frames  # noqa: E402,F401
import kernel_log  # noqa: E402,F401
import page_dump  # noqa: E402,F401
import page_tables  # noqa: E402,F401
import per_cpu  # noqa: E402,F401
import processes  # noqa: E402,F401
import ranges  # noqa: E402,F401
import symbols  # noqa: E402,F401
import threads  # noqa: E402,F401
import unwinders  # noqa: E402,F401
