"""tools/test --fuzz: the long hunt with the fuzz targets, and taking what it finds into the corpus of the source tree.

How a target is run is told by its test `fuzz.NAME`; only how long and with which random numbers is another matter here.
"""

import hashlib
import os
import random
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import tree

FINDINGS = "findings"  # in the build's folder: inputs that crash, hang or leak, a folder for each target
KINDS = ("crash-", "timeout-", "leak-", "oom-", "slow-unit-")
REPLACED = ("-seed=", "-runs=", "-max_total_time=", "-artifact_prefix=", "-merge=")
CORPUS = tree.ROOT / "tests" / "fuzz" / "corpus"


@dataclass(frozen=True)
class Target:
    """A fuzz target as its test runs it."""

    name: str
    program: Path
    options: tuple
    found: Path   # where inputs that reach something new are kept; in the build's folder
    corpus: Path  # the seeds in the source tree; may not exist


def targets(tests, name):
    """The targets among (name, command) of the build's tests: all, or the one that is called so."""
    known = [target_of(test[len("fuzz."):], command) for test, command in tests if test.startswith("fuzz.")]
    chosen = [target for target in known if name in ("", target.name)]
    if not chosen:
        raise tree.ToolError(f"no fuzz target is called {name!r}; there are {', '.join(one.name for one in known)}")
    return chosen


def target_of(name, command):
    """Takes a test's command apart: the program, options, then the folders of new inputs and of seeds."""
    options = tuple(word for word in command[1:] if word.startswith("-") and not word.startswith(REPLACED))
    folders = [Path(word) for word in command[1:] if not word.startswith("-")]
    if not folders:
        raise tree.ToolError(f"fuzz.{name} names no folder for what it finds")
    return Target(name, Path(command[0]), options, folders[0],
                  folders[1] if len(folders) > 1 else CORPUS / room_of(name) / name)


def room_of(name):
    """The room of a target: the folder of tests/fuzz/ that its source lies in."""
    sources = list(CORPUS.parent.glob(f"*/fuzz_{name}.c"))
    if len(sources) != 1:
        raise tree.ToolError(f"{len(sources)} files tests/fuzz/ROOM/fuzz_{name}.c: which room's corpus takes its inputs?")
    return sources[0].parent.name


def hunt(target, minutes, findings):
    """Runs the target that long; prints and returns what it found newly."""
    folder = Path(findings) / target.name
    folder.mkdir(parents=True, exist_ok=True)
    target.found.mkdir(parents=True, exist_ok=True)
    before = set(folder.iterdir())
    seed = random.SystemRandom().randrange(1, 1 << 31)
    print(f"== fuzzing {target.name} for {minutes:g} minutes, seed {seed}", flush=True)
    with open(folder.with_suffix(".log"), "wb") as log:
        status = subprocess.run([target.program, *target.options, f"-seed={seed}", f"-max_total_time={minutes * 60:.0f}",
                                 f"-artifact_prefix={folder}{os.sep}", target.found, *seeds(target)],
                                stdout=log, stderr=subprocess.STDOUT, check=False).returncode
    new = [path for path in sorted(set(folder.iterdir()) - before) if path.name.startswith(KINDS)]
    for path in new:
        print(f"found: {path}", flush=True)
    if status != 0 and not new:
        print(f"{target.name} ended with status {status}, see {folder.with_suffix('.log')}", flush=True)
        return [folder]
    return new


def seeds(target):
    """The folder of seeds as an argument, if there is one."""
    return [target.corpus] if target.corpus.is_dir() else []


def minimise(target):
    """Makes the corpus the seeds that people named and the fewest inputs that reach every branch which anything else, of
    the corpus and of what was found, reaches. How often a branch is taken does not count: ten times as many would stay."""
    with tempfile.TemporaryDirectory(prefix="ashlar-corpus.") as folder:
        for seed in named_seeds(target.corpus):
            shutil.copyfile(seed, Path(folder) / seed.name)
        tree.run_quietly([target.program, *target.options, "-merge=1", "-use_counters=0", folder, *seeds(target),
                          *([target.found] if target.found.is_dir() else [])])
        kept = sorted(Path(folder).iterdir())
        if not kept:
            raise tree.ToolError(f"{target.name}: no input is left; its corpus stays as it was")
        before, after = replace_corpus(target.corpus, kept)
    print(f"{target.name}: {before} inputs before, {after} now, in {target.corpus}", flush=True)


def named_seeds(corpus):
    """The seeds that people wrote; libFuzzer calls its own by the SHA-1 of their contents."""
    return [path for path in sorted(corpus.iterdir()) if not re.fullmatch("[0-9a-f]{40}", path.name)] if corpus.is_dir() else []


def replace_corpus(corpus, kept):
    """Puts the files in place of the corpus; an input that stays keeps its name. Returns the counts."""
    corpus.mkdir(parents=True, exist_ok=True)
    old = {digest(path): path for path in sorted(corpus.iterdir())}
    new = {digest(path): path for path in kept}
    for key, path in old.items():
        if key not in new:
            path.unlink()
    for key, path in new.items():
        if key not in old:
            shutil.copyfile(path, corpus / path.name)
    return len(old), len(new)


def digest(path):
    """A number for a file's contents."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
