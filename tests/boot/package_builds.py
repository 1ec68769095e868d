"""How the programs of packages.py are made: taken from Debian's packages, or compiled from Debian's sources, all static."""

import os
import subprocess
import tarfile
from pathlib import Path

from tree import run_quietly

import packages

MUSL = Path("usr/lib/x86_64-linux-musl")
MUSL_HEADERS = Path("usr/include/x86_64-linux-musl")
KERNEL_HEADERS = ("-idirafter", "/usr/include", "-idirafter", "/usr/include/x86_64-linux-gnu")  # of Linux, which musl has none of
GO_PARTS = ("pkg/linux_amd64", "pkg/tool/linux_amd64/compile", "pkg/tool/linux_amd64/link")
GO_ROOT = Path("usr/lib/go-1.19")
TCL_LIBRARIES = Path("usr/lib/x86_64-linux-gnu")
TCL_SCRIPTS = Path("usr/share/tcltk/tcl8.6")
SQLITE_OPTIONS = ("-DSQLITE_OMIT_LOAD_EXTENSION",)  # a static program loads nothing; all else as it comes
MEMTESTER_OPTIONS = ("-DPOSIX", "-D_DEFAULT_SOURCE", "-D_FILE_OFFSET_BITS=64", "-DTEST_NARROW_WRITES")


def shell(archives, folder):
    """Debian's bash, linked statically."""
    packages.unpack(_one(archives, "bash-static_*.deb"), folder, "bin")


def musl(archives, folder):
    """The C library musl, with its headers."""
    packages.unpack(_one(archives, "musl-dev_*.deb"), folder, "usr/lib", "usr/include")


def sqlite(archives, folder):
    """SQLite's shell. Its sources are put together by scripts in Tcl, whose interpreter is unpacked for that."""
    source = _unpacked(archives, "sqlite3_*.orig.tar.*", folder)
    tcl = folder / "tcl"
    tcl.mkdir()
    for archive in sorted(archives.glob("*tcl8.6_*.deb")):
        packages.unpack(archive, tcl)
    (tcl / "tclsh").symlink_to(tcl / "usr/bin/tclsh8.6")
    environment = {**os.environ, "PATH": f"{tcl}:{os.environ['PATH']}", "LD_LIBRARY_PATH": str(tcl / TCL_LIBRARIES),
                   "TCL_LIBRARY": str(tcl / TCL_SCRIPTS)}
    run_quietly(["make", "-f", "main.mk", f"TOP={source}", "BCC=clang", "TCC=clang -I.", "NAWK=awk", "sqlite3.c", "shell.c"],
                cwd=source, env=environment)
    _compile(folder / "sqlite3", source, ["sqlite3.c", "shell.c"], [*SQLITE_OPTIONS, "-lm"])


def memtester(archives, folder):
    """The tester of memory."""
    source = _unpacked(archives, "memtester_*.orig.tar.*", folder)
    _compile(folder / "memtester", source, ["memtester.c", "tests.c"], MEMTESTER_OPTIONS)


def go(archives, folder, source):
    """A program in Go, by the compiler and the library of Debian's package; these are large, and do not stay."""
    root = folder / "go"
    root.mkdir()
    packages.unpack(_one(archives, "golang-1.19-go_*.deb"), root, *(GO_ROOT / part for part in GO_PARTS))
    tools, library = root / GO_ROOT / "pkg/tool/linux_amd64", root / GO_ROOT / "pkg/linux_amd64"
    environment = {**os.environ, "GOROOT": str(root / GO_ROOT), "GOOS": "linux", "GOARCH": "amd64"}
    run_quietly([tools / "compile", "-p", "main", "-I", library, "-o", folder / "program.o", source], env=environment)
    run_quietly([tools / "link", "-L", library, "-o", folder / "program", folder / "program.o"], env=environment)
    run_quietly(["rm", "-r", root, folder / "program.o"])


def compile_with_musl(unpacked, source, program, *options):
    """Compiles a static program with musl instead of this machine's C library."""
    clang = run_quietly(["clang", "-print-resource-dir"]).strip()
    library = unpacked / MUSL
    run_quietly(["clang", "-O1", "-Wall", "-static", "-nostdinc", "-isystem", unpacked / MUSL_HEADERS, "-isystem",
                 f"{clang}/include", *KERNEL_HEADERS, "-nostdlib", *options, library / "crt1.o", library / "crti.o", source,
                 "-L", library, "-lc", "-lgcc", library / "crtn.o", "-o", program])
    return program


def cplusplus(source, program):
    """Compiles a static program with the C++ library of this machine."""
    run_quietly(["clang++", "-std=c++17", "-O1", "-Wall", "-static", "-pthread", source, "-o", program])
    return program


def _one(archives, pattern):
    """The one archive of a name."""
    found, = archives.glob(pattern)
    return found


def _unpacked(archives, pattern, folder):
    """The folder with the sources that an archive has."""
    target = folder / "source"
    target.mkdir()
    archive, = (path for path in archives.glob(pattern) if "orig-" not in path.name)
    with tarfile.open(archive) as sources:
        sources.extractall(target)
    inside, = target.iterdir()
    return inside


def _compile(program, source, files, options):
    """Compiles sources to a static program; what only they were there for goes."""
    subprocess.run(["clang", "-O1", "-static", "-w", "-I.", *files, *options, "-Wl,--no-warnings", "-o", program],
                   cwd=source, check=True)
    run_quietly(["rm", "-r", source.parent, *program.parent.glob("tcl")])
