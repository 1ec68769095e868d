"""Strict reading of KTAP, the report of the in-kernel tests (Linux, Documentation/dev-tools/ktap.rst).

Strict, because a report that is cut short, or that lost a line, must not look like success.
"""

import re
from dataclasses import dataclass, field

VERSION = "KTAP version 1"


@dataclass
class Report:
    """The tests' results, by name, in order."""

    passed: list = field(default_factory=list)
    failed: list = field(default_factory=list)
    skipped: list = field(default_factory=list)
    problems: list = field(default_factory=list)  # what is wrong with the report itself

    @property
    def good(self):
        """Whether every planned test has reported, and none has failed."""
        return not self.failed and not self.problems

    def summary(self):
        """What is wrong, or the counts."""
        if self.good:
            return f"{len(self.passed)} passed, {len(self.skipped)} skipped"
        return "; ".join([*(f"failed: {name}" for name in self.failed), *self.problems])


def parse(text):
    """Reads the one KTAP report in a transcript; what stands before and after it does not matter."""
    report = Report()
    lines = [line.rstrip() for line in text.splitlines()]
    starts = [number for number, line in enumerate(lines) if line == VERSION]
    if len(starts) != 1:
        report.problems.append(f"{len(starts)} lines {VERSION!r} instead of one")
        return report
    body = [line for line in lines[starts[0] + 1:] if line and not line.startswith("#")]
    plan = re.fullmatch(r"1\.\.([0-9]+)", body[0]) if body else None
    if plan is None:
        report.problems.append(f"no plan (1..N) after the version, but {body[:1]}")
        return report
    _read_results(body[1:], int(plan[1]), report)
    return report


def _read_results(lines, planned, report):
    """Adds the result lines to the report and holds them against the plan."""
    seen = 0
    for line in lines:
        match = re.fullmatch(r"(ok|not ok) ([0-9]+) (?:- )?(\S+)(?: # SKIP\b.*)?", line)
        if match is None:
            if re.match(r"(ok\b|not ok\b|Bail out!)", line):
                report.problems.append(f"malformed: {line!r}")
            continue
        seen += 1
        verdict, number, name = match[1], int(match[2]), match[3]
        if number != seen:
            report.problems.append(f"result {seen} calls itself {number}: {line!r}")
        if name in report.passed + report.failed + report.skipped:
            report.problems.append(f"a second result for {name}")
        skipped = verdict == "ok" and "# SKIP" in line
        (report.failed if verdict == "not ok" else report.skipped if skipped else report.passed).append(name)
    if seen != planned:
        report.problems.append(f"{planned} tests planned, {seen} reported")
    if planned == 0:
        report.problems.append("no test was planned")
