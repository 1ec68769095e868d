"""Where things are in the source tree, how it is built, and how a tool ends with one clear error line."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DEFAULT_BUILD = ROOT / "build"
EFI_IN_BUILD = Path("esp/EFI/BOOT/BOOTX64.EFI")
JOBS = (os.cpu_count() or 1) + 1  # Make does one thing at a time unless told otherwise


class ToolError(Exception):
    """Something the user should read in one line; main_of() prints it and ends with status 2."""


def program(name):
    """Where a helper program is; also where administrators have theirs, which is not in everybody's PATH (sgdisk)."""
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]))
    if found is None:
        raise ToolError(f"{name} is not installed (tools/setup installs it)")
    return found


def run_quietly(command, **options):
    """Runs a helper program; on failure raises ToolError with what the program said."""
    done = subprocess.run([program(str(command[0])), *map(str, command[1:])], text=True, errors="replace",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **options)
    if done.returncode != 0:
        raise ToolError(f"{Path(str(command[0])).name} failed with status {done.returncode}: {done.stdout.strip()}")
    return done.stdout


def configure(build_dir, preset, log=None):
    """Configures `build_dir` by a preset of CMakePresets.json; output goes to `log` (a file) or is shown on failure.

    A folder that was configured before, by whatever generator, stays with that: CMake refuses to change it."""
    generator = generator_of(build_dir)
    _cmake(["cmake", "--preset", preset, "-B", str(build_dir), *(["-G", generator] if generator else [])], log)


def generator_of(build_dir):
    """The generator that `build_dir` was configured with; None when it was not."""
    cache = Path(build_dir) / "CMakeCache.txt"
    if not cache.is_file():
        return None
    found = re.search(r"^CMAKE_GENERATOR:INTERNAL=(.+)$", cache.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    return found and found[1]


def build(build_dir, log=None, targets=()):
    """Builds a configured `build_dir`: everything, or only the targets."""
    _cmake(["cmake", "--build", str(build_dir), "--parallel", str(JOBS), *(["--target", *targets] if targets else [])], log)


def _cmake(command, log):
    """Runs cmake in the source tree, keeping its output for the moment it fails."""
    done = subprocess.run(command, cwd=ROOT, text=True, errors="replace", check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if log is not None:
        log.write(done.stdout)
    if done.returncode != 0:
        sys.stderr.write(done.stdout)
        raise ToolError(f"{' '.join(command[:2])} failed (see above)")


def efi_program(build_dir):
    """The product in a build folder: loader and kernel in one file."""
    return Path(build_dir) / EFI_IN_BUILD


def fixed_time_environment():
    """An environment in which disk images come out the same at any time and place."""
    return {**os.environ, "SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH", "1704067200"),
            "TZ": "UTC", "LC_ALL": "C", "MTOOLSRC": os.devnull, "MTOOLS_SKIP_CHECK": "1"}


def main_of(main, name=None):
    """Runs a tool's main() and turns its outcome into the process's status."""
    try:
        status = main(sys.argv[1:])
    except ToolError as error:
        print(f"tools/{name or Path(sys.argv[0]).stem}: error: {error}", file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)
