"""tools/test: builds everything and runs the tests that ctest knows, in every build; says at the end what failed.

A build is a preset of CMakePresets.json. A build that cannot be configured or built is a failed test of its own,
`build.PRESET`, and does not keep the other builds from being tested. Which tests a run has is said by their labels,
which are set where the tests are declared (tests/limits.cmake).
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

import coverage
import fuzz
import tree

FOLDERS = {"host": "build-host", "default": "build", "debug": "build-debug"}  # cheapest first
COVERAGE_FOLDER = "build-coverage"
LABELS = {"quick": {"quick"}, "all": {"quick", "normal"}, "long": {"long"}, "list": {"quick", "normal", "long"}}
PARALLEL = {"quick": 2, "all": 2, "long": 6}  # the long run is one on a busy machine, too
LONG_RESULTS = tree.ROOT / "tests" / "long-results.txt"


@dataclass(frozen=True)
class Test:
    """A test as ctest knows it."""

    name: str
    label: str
    command: tuple = ()


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

    def remarks(self):
        """A line for each test that did not pass."""
        return [*(f"not run: {name}" for name in self.skipped), *(f"failed: {name}" for name in self.failed)]

    def report(self):
        """Names what did not pass, and says the last line; returns the process's status."""
        print("\n".join([*self.remarks(), self.line()]), flush=True)
        return 1 if self.failed else 0


class OneLineParser(argparse.ArgumentParser):
    """A parser that refuses in one line."""

    def error(self, message):
        raise tree.ToolError(f"{message} (--help tells all)")


def parse(arguments):
    """The command line of tools/test."""
    parser = OneLineParser(prog="tools/test", description="Builds Ashlar and runs its tests; without an option all but "
                           "those that take hours.")
    parser.add_argument("pattern", nargs="?", default="", help="regular expression: only tests whose name contains it; "
                        "with --fuzz and --fuzz-minimise the name of a target")
    parser.add_argument("-l", "--list", action="store_true", help="list the tests with their labels, run none")
    parser.add_argument("--quick", action="store_true", help="only the tests labelled quick: some minutes")
    parser.add_argument("--long", action="store_true", help="only the tests labelled long: some hours; "
                        "keeps the result in tests/long-results.txt")
    parser.add_argument("--coverage", action="store_true", help="which lines no host test reaches")
    parser.add_argument("--fuzz", metavar="MINUTES", type=minutes, help="hunt with every fuzz target, or one, that long each")
    parser.add_argument("--fuzz-minimise", action="store_true", help="take what the hunt has found into the corpus, and "
                        "drop inputs that reach nothing new")
    options = parser.parse_args(arguments)
    options.mode = mode_of(options)
    check_combination(options)
    return options


def minutes(text):
    """Minutes for argparse: a positive number."""
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of minutes")
    return value


def mode_of(options):
    """The one kind of run that is asked for."""
    wanted = [name for name, is_wanted in (("quick", options.quick), ("long", options.long), ("coverage", options.coverage),
              ("fuzz", options.fuzz is not None), ("fuzz-minimise", options.fuzz_minimise)) if is_wanted]
    if len(wanted) > 1:
        raise tree.ToolError(f"--{wanted[0]} and --{wanted[1]} are two different runs: give one")
    return wanted[0] if wanted else "all"


def check_combination(options):
    """Refuses options that mean nothing together."""
    if options.list and options.mode not in LABELS:
        raise tree.ToolError(f"--list shows tests, and --{options.mode} runs none of them by name")
    if options.pattern and options.mode == "coverage":
        raise tree.ToolError("--coverage is about all host tests together and takes no pattern")
    try:
        re.compile(options.pattern)
    except re.error as error:
        raise tree.ToolError(f"not a regular expression: {options.pattern!r} ({error})") from error


def read_tests(text):
    """The tests in ctest's listing; each must say by its label which runs have it."""
    found = []
    for entry in json.loads(text)["tests"]:
        properties = {one["name"]: one["value"] for one in entry.get("properties", [])}
        labels = properties.get("LABELS", [])
        if len(labels) != 1 or labels[0] not in LABELS["list"]:
            raise tree.ToolError(f"the test {entry['name']} has no label quick, normal or long (see tests/limits.cmake)")
        found.append(Test(entry["name"], labels[0], tuple(entry.get("command", ()))))
    return found


def tests_in(build_dir):
    """The tests of a configured build."""
    return read_tests(tree.run_quietly(["ctest", "--test-dir", build_dir, "-C", "long", "--show-only=json-v1"]))


def configure_all(outcome):
    """Configures every build; returns the tests of each that could be configured."""
    found = {}
    for preset, folder in FOLDERS.items():
        try:
            tree.configure(tree.ROOT / folder, preset)
            found[preset] = tests_in(tree.ROOT / folder)
        except tree.ToolError as error:
            print(f"tools/test: configuring {preset}: {error}", file=sys.stderr)
            outcome.failed.append(f"build.{preset}")
    return found


def choose(found, labels, pattern):
    """Of the tests of each build those with one of the labels and a name that matches."""
    return {preset: [test for test in tests if test.label in labels and re.search(pattern, test.name)]
            for preset, tests in found.items()}


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


def run_tests(build_dir, names, parallel, outcome, environment=None):
    """Runs the named tests of a build and adds what came out; a test without a result counts as failed."""
    report = build_dir / "tests.xml"
    report.unlink(missing_ok=True)
    print(f"== testing {build_dir.name}: {len(names)} tests", flush=True)
    exact = "^(" + "|".join(re.escape(name) for name in names) + ")$"
    subprocess.run(["ctest", "--test-dir", str(build_dir), "-C", "long", "-R", exact, "-j", str(parallel), "--output-on-failure",
                    "--no-tests=error", "--output-junit", str(report)], check=False, env={**os.environ, **(environment or {})})
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


def result_line(outcome, seconds, date, commit):
    """A line of the file of long results."""
    return f"{date}  {commit}  {outcome.line()}, {seconds / 60:.0f} minutes"


def commit_under_test():
    """The commit, and whether the tree differs from it."""
    try:
        commit = tree.run_quietly(["git", "rev-parse", "--short=12", "HEAD"], cwd=tree.ROOT).strip()
        changed = tree.run_quietly(["git", "status", "--porcelain"], cwd=tree.ROOT).strip()
    except (tree.ToolError, OSError):
        return "no commit known"
    return f"{commit} and changes" if changed else commit


def keep_long_result(line, remarks, path=LONG_RESULTS):
    """Puts the result of a whole long run in place of the last one, what did not pass below it; the comments stay."""
    comments = [old for old in path.read_text(encoding="utf-8").splitlines() if old.startswith("#")]
    path.write_text("\n".join([*comments, line, *remarks]) + "\n", encoding="utf-8")


def run_suite(options):
    """Lists or runs tests by their labels."""
    outcome = Outcome()
    started = time.monotonic()
    commit = commit_under_test()
    labels = LABELS["list" if options.list and options.mode == "all" else options.mode]
    found = choose(configure_all(outcome), labels, options.pattern)
    if not any(found.values()) and not outcome.failed:
        raise tree.ToolError(f"no test of this run has {options.pattern!r} in its name (tools/test -l lists all)")
    if options.list:
        print("\n".join(f"{test.label:8}{test.name}" for tests in found.values() for test in tests))
        return 1 if outcome.failed else 0
    for preset, tests in found.items():
        if tests and build(preset, outcome):
            run_tests(tree.ROOT / FOLDERS[preset], [test.name for test in tests], PARALLEL[options.mode], outcome)
    if options.mode == "long" and not options.pattern:
        keep_long_result(result_line(outcome, time.monotonic() - started, time.strftime("%Y-%m-%d", time.gmtime()), commit),
                         outcome.remarks())
    return outcome.report()


def run_coverage():
    """Runs the host's tests in a build that counts the lines they reach, and checks what they do not."""
    outcome = Outcome()
    build_dir = tree.ROOT / COVERAGE_FOLDER
    tree.configure(build_dir, "coverage")
    print("== building coverage", flush=True)
    tree.build(build_dir)
    tests = [test for test in tests_in(build_dir) if test.label != "long"]
    profiles = build_dir / "profiles"
    profiles.mkdir(exist_ok=True)
    for old in profiles.glob("*"):
        old.unlink()
    run_tests(build_dir, [test.name for test in tests], PARALLEL["all"], outcome,
              {"LLVM_PROFILE_FILE": str(profiles / "%m.profraw")})
    complaints = coverage.check(build_dir, [test.command[0] for test in tests])
    (outcome.failed if complaints else outcome.passed).append("coverage")
    return outcome.report()


def run_fuzz(options):
    """The long hunt, or what makes its findings part of the corpus."""
    build_dir = tree.ROOT / FOLDERS["host"]
    tree.configure(build_dir, "host")
    print("== building host", flush=True)
    tree.build(build_dir)  # ctest tells the commands only of programs that are there
    targets = fuzz.targets([(test.name, test.command) for test in tests_in(build_dir)], options.pattern)
    if options.fuzz_minimise:
        for target in targets:
            fuzz.minimise(target)
        return 0
    outcome = Outcome()
    for target in targets:
        found = fuzz.hunt(target, options.fuzz, build_dir / fuzz.FINDINGS)
        (outcome.failed if found else outcome.passed).append(f"fuzz.{target.name}")
    return outcome.report()


def main(arguments):
    """Does what the options say."""
    options = parse(arguments)
    if options.mode == "coverage":
        return run_coverage()
    if options.mode in ("fuzz", "fuzz-minimise"):
        return run_fuzz(options)
    return run_suite(options)


if __name__ == "__main__":
    tree.main_of(main, "test")
