"""Debian's packages and sources, downloaded without being installed: by an apt whose whole state lies in a folder.

apt takes them from the mirror that this machine has Debian from, and checks signatures and hashes as always. Root is not
needed, and nothing of the system changes.
"""

import re
from pathlib import Path

from tree import ToolError, run_quietly

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
FOLDERS = ("etc/preferences.d", "etc/apt.conf.d", "state/lists/partial", "cache/archives/partial")


class Apt:
    """An apt in a folder, for one release of Debian; `kinds` are deb, for packages, and deb-src, for sources."""

    def __init__(self, folder, release, kinds=("deb",)):
        self.folder = Path(folder)
        mirror = _mirror()
        for path in FOLDERS:
            (self.folder / path).mkdir(parents=True)
        (self.folder / "status").touch()  # nothing is installed
        source = f"[signed-by={KEYRING}] {mirror} {release} main\n"
        (self.folder / "sources.list").write_text("".join(f"{kind} {source}" for kind in kinds), encoding="utf-8")
        self._run("update")

    def with_all_they_need(self, packages):
        """The archives of packages, and of what these depend on, as for a system on which nothing is."""
        self._run("--download-only", "install", *packages)
        return sorted((self.folder / "cache/archives").glob("*.deb"))

    def alone(self, packages, target):
        """Puts the archives of packages, without what these depend on, into a folder."""
        self._run("download", *packages, cwd=target)

    def sources(self, packages, target):
        """Puts the archives of the packages' sources into a folder."""
        self._run("--download-only", "source", *packages, cwd=target)

    def _run(self, *words, **options):
        settings = {"Dir::Etc": self.folder / "etc", "Dir::Etc::SourceList": self.folder / "sources.list",
                    "Dir::Etc::SourceParts": "/dev/null", "Dir::State": self.folder / "state",
                    "Dir::State::status": self.folder / "status", "Dir::Cache": self.folder / "cache",
                    "Acquire::Languages": "none", "Acquire::Retries": 2, "APT::Architecture": "amd64",
                    "APT::Install-Recommends": "false", "APT::Sandbox::User": ""}
        words_of_settings = (word for name, value in settings.items() for word in ("-o", f"{name}={value}"))
        run_quietly(["apt-get", "--quiet", "--yes", *words_of_settings, *words], **options)


def _mirror():
    """Where this machine has Debian itself from."""
    listing = run_quietly(["apt-get", "indextargets", "Created-By: Packages", "--format",
                           "$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(SITE)"])
    return mirror_among(listing)


def mirror_among(listing):
    """The first site in apt's listing of `origin|label|component|site` that has Debian's main part."""
    found = re.search(r"^Debian\|Debian\|main\|(\S+)$", listing, re.MULTILINE)
    if found is None:
        raise ToolError("apt has no source of Debian")
    return found[1]
