"""The test build.unprivileged: an ordinary user builds Ashlar elsewhere, gets the same product, and it boots.

    unprivileged.py BUILD_DIR      what was built here, by whoever runs the tests

Root becomes a user without a name, who owns nothing but one folder; anybody else stays oneself. There lies a copy of the
tree, in a folder with an odd name, all of its files without the right to execute; elsewhere.py says what is in the
environment. Nothing may be left outside that folder.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import elsewhere
import media
import tree

NOBODY = 65534
SELFTEST = "selftest=format"
LAST_LINES = 30


class Person:
    """The user who builds: what is theirs, and running their commands."""

    def __init__(self, folder):
        self._folder = Path(folder)
        self.tree = self._folder / elsewhere.COPY
        self._scratch = self._folder / "for a while, in \u00fc's home"
        self._home = self._folder / "home"
        self._user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        self._environment = {**elsewhere.TRAPS, "HOME": str(self._home), "TMPDIR": str(self._scratch)}

    def settle(self):
        """Makes the folders, and gives them away."""
        elsewhere.copy_sources(self.tree)
        self._scratch.mkdir()
        self._home.mkdir()
        self._environment.update(elsewhere.make_locale(self._folder / "locales"))
        if self._user:
            self._give_away()

    def _give_away(self):
        """Makes all of it the user's."""
        try:
            for one in (self._folder, *self._folder.rglob("*")):
                os.chown(one, NOBODY, NOBODY, follow_symlinks=False)
        except OSError as error:
            raise tree.ToolError(f"root cannot give files to the user {NOBODY} here: {error}") from error

    def run(self, *command):
        """Runs a command in the tree; returns what it said, or tells why that was not success."""
        done = subprocess.run(list(command), cwd=self.tree, env=self._environment, umask=0o077, **self._user, check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = done.stdout.decode(errors="replace").replace("\r", "")
        if done.returncode != 0:
            last = "\n".join(said.splitlines()[-LAST_LINES:])
            raise tree.ToolError(f"{' '.join(command)}: ended with status {done.returncode}:\n{last}")
        return said

    def expect(self, words, *command):
        """Runs a command, which has to say all the words."""
        said = self.run(*command)
        missing = [word for word in words if word not in said]
        if missing:
            raise tree.ToolError(f"{' '.join(command)}: does not say {missing}, but:\n{said}")

    def leftovers(self):
        """What has been left behind: in the home, in the place for temporary files, among the sources."""
        for folder in (self._scratch, self._home):
            yield from folder.iterdir()
        for path in self.tree.rglob("*"):
            inside = path.relative_to(self.tree)
            if inside.parts[0] != "build" and not os.path.lexists(tree.ROOT / inside):
                yield path


def compare(here, person, scratch):
    """Complains where the product, or an ISO of it, is not what was built here."""
    yield from elsewhere.differences(here, person.tree / "build")
    iso = Path(scratch) / "here.iso"
    media.make_iso(iso, media.contents_of(tree.efi_program(here)))
    if elsewhere.first_difference(iso, person.tree / "build" / "ashlar.iso") is not None:
        yield "ashlar.iso differs"


def use(person):
    """Builds once, boots and debugs as somebody would: with a screen that is gone, without one, from a disc."""
    boot = ["bash", "tools/run", "--accel", "tcg", "--cmdline", SELFTEST]
    person.expect(["no window, only the serial line", "ok 1 format_"], *boot)
    person.expect(["no work to do"], "cmake", "--build", "build")
    person.run("bash", "tools/image", "--iso")
    person.expect(["ok 1 format_"], *boot, "--headless", "--media", "iso")
    person.expect(["kernel/main.c:", "kernel_main("], "bash", "tools/debug", "--headless", "--batch", "-ex", "list kernel_main")


def main(arguments):
    """Says everything that is wrong."""
    os.umask(0o077)
    with tempfile.TemporaryDirectory(prefix="ashlar-elsewhere.", dir="/tmp") as folder, \
            tempfile.TemporaryDirectory(prefix="ashlar-elsewhere.") as scratch:  # root may have one that is nobody else's
        person = Person(folder)
        person.settle()
        use(person)
        wrong = [*compare(arguments[0], person, scratch), *(f"left behind: {path}" for path in person.leftovers())]
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    tree.main_of(main)
