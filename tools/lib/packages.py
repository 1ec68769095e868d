"""Programs that nobody here wrote, as Debian packs them: downloaded once, kept under build/packages/ by their hashes.

A group is what one kind of test wants. Its archives stay as they came, with a list of their SHA-256 beside them; what is
unpacked or compiled from them is kept in a folder whose name has the hash of that list and of how it was made, so that
another archive or another recipe never meets what an older one left.
"""

import contextlib
import fcntl
import hashlib
import inspect
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import tree
from apt_folder import Apt
from tree import ToolError, run_quietly

RELEASE = "bookworm"
CACHE = tree.DEFAULT_BUILD / "packages"
LIST = "SHA256"


class Unavailable(ToolError):
    """They cannot be had here; the message says why."""


@dataclass(frozen=True)
class Group:
    """What one kind of test wants: packages, without what they depend on, and sources of packages."""

    name: str
    packages: tuple
    sources: tuple = ()


PROGRAMS = Group("programs", ("bash-static", "musl-dev", "tcl8.6", "libtcl8.6"), ("sqlite3", "memtester"))
GO = Group("go", ("golang-1.19-go",))  # by itself, as it is large
GROUPS = (PROGRAMS, GO)


def archives(group):
    """The folder with a group's archives; downloads them when that was not done yet, or when they are no longer what
    was downloaded. Raises Unavailable where that cannot be done."""
    with _alone(group.name):
        folder = CACHE / group.name
        if _listing(folder) is None:
            try:
                _download(group, folder)
            except (ToolError, OSError) as error:
                raise Unavailable(f"no packages: {' '.join(str(error).split())[:300]}") from error
        return folder


def made(group, make, *inputs):
    """The folder that the function `make(archives, folder, *inputs)` filled from a group's archives and other files, once."""
    source = archives(group)
    recipe = [(source / LIST).read_bytes(), inspect.getsource(inspect.getmodule(make)).encode()]
    recipe += [Path(path).read_bytes() for path in inputs]
    name = f"{group.name}.{make.__name__}.{hashlib.sha256(b''.join(recipe)).hexdigest()[:16]}"
    with _alone(name):
        if not (CACHE / name).is_dir():
            with tempfile.TemporaryDirectory(prefix="making.", dir=CACHE) as folder:
                target = Path(folder) / "made"
                target.mkdir()
                make(source, target, *inputs)
                for old in CACHE.glob(f"{group.name}.{make.__name__}.*"):
                    shutil.rmtree(old)
                target.rename(CACHE / name)
    return CACHE / name


def unpack(archive, folder, *paths):
    """Unpacks a package's archive into a folder: all of it, or only what begins with one of the paths."""
    if not paths:
        run_quietly(["dpkg-deb", "--extract", archive, folder])
        return
    with tempfile.NamedTemporaryFile(suffix=".tar", dir=folder) as tar:
        run_quietly(["sh", "-c", 'exec dpkg-deb --fsys-tarfile "$1" > "$2"', "sh", archive, tar.name])
        run_quietly(["tar", "-x", "-f", tar.name, "-C", folder, *(f"./{path}" for path in paths)])


@contextlib.contextmanager
def _alone(name):
    """Several tests may want the same at once: one makes it, the others wait."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f"{name.split('.')[0]}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _hashes(folder):
    """The list of a folder's files with their SHA-256, as sha256sum writes it."""
    files = sorted(path for path in folder.iterdir() if path.name != LIST)
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)


def _listing(folder):
    """The list that was made when the archives came, if they are still what it says."""
    if not (folder / LIST).is_file():
        return None
    listing = (folder / LIST).read_text(encoding="utf-8")
    return listing if listing == _hashes(folder) else None


def _download(group, folder):
    """Downloads a group's archives into the folder, which is there only when all of them are."""
    with tempfile.TemporaryDirectory(prefix="fetching.", dir=CACHE) as scratch:
        target = Path(scratch) / "archives"
        target.mkdir()
        apt = Apt(Path(scratch) / "apt", RELEASE, ("deb", "deb-src") if group.sources else ("deb",))
        apt.alone(group.packages, target)
        if group.sources:
            apt.sources(group.sources, target)
        (target / LIST).write_text(_hashes(target), encoding="utf-8")
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(folder)
        target.rename(folder)


def main(_arguments):
    """Downloads every group that is not there."""
    for group in GROUPS:
        archives(group)
    return 0


if __name__ == "__main__":
    tree.main_of(main, "setup")
