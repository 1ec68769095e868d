"""Programs under Ashlar and under Debian's Linux in the same QEMU, which boots once and runs them all.

Other tests compare with the Linux of this computer, which may be another one, on another processor. Here it is the one, and the
processor is the one, that the figures of tools/bench --vs-linux are of.
"""

import tempfile

import linux_kernel
import linux_peer
import programs
from frame import NotRun, expect
from tree import ToolError

CPUS = 2


def kernel():
    """Linux, which is downloaded; nothing is compared where that cannot be."""
    try:
        return linux_kernel.provide_kernel()
    except ToolError as reason:
        raise NotRun(reason) from reason


def same_machine(setting):
    """Each program that is compared with this computer's Linux says the same under Ashlar and under Debian's."""
    linux = kernel()
    with tempfile.TemporaryDirectory() as folder:
        built = [programs.build(folder, name, *options) for name, options in programs.COMPARED.items()]
        runs = linux_peer.run_programs([[program] for program in built], linux, icount=False, memory="256M", cpus=CPUS)
        for program, (wanted, end) in zip(built, runs):
            expect(end == "exit 0", f"{program.name} ends under Linux with {end}, having said {wanted}")
            print(f"{program.name}: {len(wanted)} lines", flush=True)
            programs.compare(setting, program, wanted, cpus=CPUS)


CASES = {"program.linux": same_machine}
