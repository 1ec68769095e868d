"""tools/test: builds everything and runs the tests that ctest knows, in every build; says at the end what failed.

A build is a preset of CMakePresets.json. A build that cannot be configured or built is a failed test of its own,
`build.PRESET`, and does not keep the other builds from being tested.
"""

import argparse
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

import tree

FOLDERS = {"host": "build-host", "default": "build", "debug": "build-debug"}  # cheapest first
PARALLEL = "2"


@dataclass
class Outcome:
    """What happened to the tests so far, by name."""

    passed: list = field(default_factory=list)
    failed: list = field(default_factory=list)
    skipped: list = field(default_factory=list)

    def line(self):
        """The last line of all."""
        skipped = f", {len(self.skipped)} skipped" if self.skipped else ""
        return f"{len(self.passed)} passed, {len(self.failed)} failed{skipped}"


def parse(arguments):
    """The command line of tools/test."""
    parser = argparse.ArgumentParser(prog="tools/test", description="Builds Ashlar and runs its tests.")
    parser.add_argument("pattern", nargs="?", default="", help="regular expression: only tests whose name contains it")
    parser.add_argument("-l", "--list", action="store_true", help="list the tests, run none")
    options = parser.parse_args(arguments)
    try:
        re.compile(options.pattern)
    except re.error as error:
        raise tree.ToolError(f"not a regular expression: {options.pattern!r} ({error})") from error
    return options


def tests_in(build_dir, pattern):
    """Names of the matching tests in a configured build."""
    text = tree.run_quietly(["ctest", "--test-dir", build_dir, "--show-only=json-v1"])
    names = [test["name"] for test in json.loads(text)["tests"]]
    return [name for name in names if re.search(pattern, name)]


def configure_all(pattern, outcome):
    """Configures every build; returns the matching tests of each that could be configured."""
    found = {}
    for preset, folder in FOLDERS.items():
        try:
            tree.configure(tree.ROOT / folder, preset)
            found[preset] = tests_in(tree.ROOT / folder, pattern)
        except tree.ToolError as error:
            print(f"tools/test: configuring {preset}: {error}", file=sys.stderr)
            outcome.failed.append(f"build.{preset}")
    return found


def build(preset, outcome):
    """Builds one preset; returns whether it worked. Only a failure is counted, as the test build.PRESET."""
    print(f"== building {preset}", flush=True)
    try:
        tree.build(tree.ROOT / FOLDERS[preset])
        return True
    except tree.ToolError as error:
        print(f"tools/test: building {preset}: {error}", file=sys.stderr)
        outcome.failed.append(f"build.{preset}")
        return False


def run_tests(preset, names, outcome):
    """Runs the named tests of a build and adds what came out; a test without a result counts as failed."""
    build_dir = tree.ROOT / FOLDERS[preset]
    report = build_dir / "tests.xml"
    report.unlink(missing_ok=True)
    print(f"== testing {preset}: {len(names)} tests", flush=True)
    exact = "^(" + "|".join(re.escape(name) for name in names) + ")$"
    subprocess.run(["ctest", "--test-dir", str(build_dir), "-R", exact, "-j", PARALLEL, "--output-on-failure",
                    "--no-tests=error", "--output-junit", str(report)], check=False)
    results = read_report(report)
    for name in names:
        getattr(outcome, results.get(name, "failed")).append(name)


def read_report(report):
    """Maps each test in ctest's report to passed, failed or skipped. What could not be started counts as failed."""
    results = {}
    if not Path(report).is_file():
        return results
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        skipped = case.find("skipped")
        if case.get("status") == "run":
            result = "passed"
        elif skipped is not None and skipped.get("message", "").startswith("SKIP_"):
            result = "skipped"
        else:
            result = "failed"
        results[case.get("name")] = result
    return results


def main(arguments):
    """Lists or runs the tests."""
    options = parse(arguments)
    outcome = Outcome()
    found = configure_all(options.pattern, outcome)
    if not any(found.values()) and not outcome.failed:
        raise tree.ToolError(f"no test has {options.pattern!r} in its name (tools/test -l lists them)")
    if options.list:
        print("\n".join(name for names in found.values() for name in names))
        return 1 if outcome.failed else 0
    for preset, names in found.items():
        if names and build(preset, outcome):
            run_tests(preset, names, outcome)
    for name in outcome.failed:
        print(f"failed: {name}")
    print(outcome.line(), flush=True)
    return 1 if outcome.failed else 0


if __name__ == "__main__":
    tree.main_of(main, "test")
