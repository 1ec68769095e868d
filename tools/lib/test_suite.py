"""tests of tools/test: what its options mean and refuse, its labels, coverage's list, and the fuzzers' folders."""

import json
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import coverage
import fuzz
import patience
import suite
import tree


def listing(*tests):
    """What ctest says of (name, labels)."""
    return json.dumps({"tests": [{"name": name, "command": ["/p"], "properties": [{"name": "LABELS", "value": labels}]}
                                 for name, labels in tests]})


class Options(unittest.TestCase):
    """Each run is asked for by one option; what makes no sense is refused in one line."""

    def test_modes(self):
        for arguments, mode in (([], "all"), (["host"], "all"), (["--quick"], "quick"), (["--long", "fuzz"], "long"),
                                (["--coverage"], "coverage"), (["--fuzz", "2"], "fuzz"), (["--fuzz", ".5", "heap"], "fuzz"),
                                (["--fuzz-minimise", "heap"], "fuzz-minimise"), (["-l", "--quick"], "quick")):
            self.assertEqual(suite.parse(arguments).mode, mode, arguments)

    def test_refusals(self):
        for arguments in (["--quick", "--long"], ["--coverage", "--fuzz", "1"], ["--fuzz", "1", "--fuzz-minimise"], ["--fuzz"],
                          ["--fuzz", "0"], ["--fuzz", "-1"], ["--fuzz", "nan"], ["--fuzz", "heap"], ["-l", "--coverage"],
                          ["-l", "--fuzz", "1"], ["--coverage", "mm"], ["--slow"], ["("], ["a", "b"]):
            with self.assertRaises(tree.ToolError, msg=arguments) as caught:
                suite.parse(arguments)
            self.assertNotIn("\n", str(caught.exception), arguments)


class Labels(unittest.TestCase):
    """Labels decide; a test without one is an error, not a test that never runs."""

    def test_choice(self):
        found = {"host": suite.read_tests(listing(("a.q", ["quick"]), ("a.n", ["normal"]), ("a.l", ["long"])))}
        for mode, names in (("quick", ["a.q"]), ("all", ["a.q", "a.n"]), ("long", ["a.l"]), ("list", ["a.q", "a.n", "a.l"])):
            chosen = suite.choose(found, suite.LABELS[mode], "a")["host"]
            self.assertEqual([test.name for test in chosen], names, mode)
        self.assertEqual(suite.choose(found, suite.LABELS["all"], "q$")["host"], [suite.Test("a.q", "quick", ("/p",))])

    def test_every_test_has_one(self):
        for labels in ([], ["slow"], ["quick", "long"]):
            with self.assertRaisesRegex(tree.ToolError, "a.b has no label"):
                suite.read_tests(listing(("a.b", labels)))


class LongResults(unittest.TestCase):
    """The last result stands in place of the one before, below the comments."""

    def test_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "results.txt"
            path.write_text("# comment\nold\nfailed: x\n", encoding="utf-8")
            outcome = suite.Outcome(passed=["a"], failed=["b"], skipped=["c"])
            suite.keep_long_result(suite.result_line(outcome, 5400, "2030-01-02", "abc"), outcome.remarks(), path)
            self.assertEqual(path.read_text(encoding="utf-8"),
                             "# comment\n2030-01-02  abc  1 passed, 1 failed, 1 skipped, 90 minutes\nnot run: c\nfailed: b\n")


class Patience(unittest.TestCase):
    """The factor is written so that CMake reads it."""

    def test_factor(self):
        self.assertIn("\nTIMES_SLOWER = 5\n", Path(patience.__file__).read_text(encoding="utf-8"))
        self.assertEqual(patience.seconds(3), 15)


SOURCE = "int f(void)\n{\n    one;\n    two;\n\n    three | x;\n}\nint g(void)\n{\n    four;\n}\n#define FIVE 5\n"
LCOV = """SF:build/../mm/a/b.c
FN:1,b.c:f
FN:8,g
DA:1,5
DA:2,5
DA:3,5
DA:4,0
DA:6,0
DA:7,5
DA:8,0
DA:9,0
DA:10,0
DA:11,0
DA:12,0
end_of_record
SF:tests/host/x.c
DA:1,0
end_of_record
"""
ROWS = f"""
{coverage.HEADING}

| file | function | first line | lines | reason |
|---|---|---|---|---|
| mm/a/b.c | f | `two;` | 2 | because |
| mm/a/b.c | g | `int g(void)` | 4 | because |
"""


class Coverage(unittest.TestCase):
    """Unreached lines are found, and the list is held to them in both directions."""

    def gaps(self, lcov=LCOV):
        """The gaps in a tree of two sources, one of which no test contains."""
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (("mm/a/b.c", SOURCE), ("mm/c.c", "x\n")):
                (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
                (Path(folder) / name).write_text(text, encoding="utf-8")
            with mock.patch.object(coverage, "WHOLE", ("mm",)):
                return coverage.find_gaps(coverage.read_lcov(lcov, tree.ROOT), Path(folder))

    def test_gaps(self):
        self.assertEqual([(gap.place(), gap.function, gap.lines, gap.text) for gap in self.gaps()],
                         [("mm/a/b.c:4-6", "f", 2, "two;"), ("mm/a/b.c:8-11", "g", 4, "int g(void)"),
                          ("mm/c.c:1", "-", 1, coverage.WHOLE_FILE)])

    def test_a_line_is_reached_when_any_program_reaches_it(self):
        again = LCOV + "SF:mm/a/b.c\nDA:4,1\nDA:6,1\nend_of_record\n"
        self.assertEqual([gap.function for gap in self.gaps(again)], ["g", "-"])

    def test_each_function_has_its_own(self):
        gaps = self.gaps(LCOV.replace("DA:7,5", "DA:7,0"))
        self.assertEqual([(gap.function, gap.lines) for gap in gaps[:2]], [("f", 3), ("g", 4)])

    def test_list(self):
        gaps = self.gaps()[:2]
        self.assertEqual(coverage.compare(gaps, coverage.read_list(ROWS)), [])
        for old, new in (("`two;`", "`one;`"), ("| 2 |", "| 3 |"), ("| g |", "| h |"), ("b.c | g", "c.c | g")):
            self.assertEqual(len(coverage.compare(gaps, coverage.read_list(ROWS.replace(old, new)))), 2, new)
        self.assertEqual(len(coverage.compare(gaps[:1], coverage.read_list(ROWS))), 1)
        self.assertEqual(len(coverage.compare(gaps, {})), 2)

    def test_rows_are_what_is_read(self):
        gaps = [*self.gaps(), coverage.Gap("mm/a.c", "f", "a | b || c;", 1, 1, 1)]
        text = f"\n{coverage.HEADING}\n" + "\n".join(coverage.row(gap).replace("|  |", "| why |") for gap in gaps)
        self.assertEqual(coverage.compare(gaps, coverage.read_list(text)), [])

    def test_a_row_needs_a_reason(self):
        with self.assertRaisesRegex(tree.ToolError, "not a row"):
            coverage.read_list(ROWS.replace("because", ""))

    def test_lines_that_chance_reaches(self):
        name, line = "tools/lib/coverage.py", 'WHOLE_FILE = "whole file"'
        for text, reason, count in ((line, "By chance: threads meet", 0), (line, "because", 1), ("gone", "By chance: it", 1)):
            self.assertEqual(len(coverage.compare([], {(name, "f", text, 1): reason})), count, text)

    def test_totals(self):
        lines = coverage.totals(coverage.read_lcov(LCOV, tree.ROOT))
        self.assertRegex(lines[0], r"^mm/a +4 of +11 lines, +36.36 %$")
        self.assertRegex(lines[1], r"^all +4 of +11 lines")


class Fuzzing(unittest.TestCase):
    """The hunt runs targets as their tests do, names what is new, and brings inputs back."""

    def script(self, folder, text):
        """A target whose program is a shell script."""
        program = Path(folder) / "fuzz_x"
        program.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        program.chmod(0o755)
        return fuzz.target_of("x", (str(program), "-seed=1", "-runs=9", "-max_len=7", f"{folder}/found", f"{folder}/corpus"))

    def test_command_is_taken_apart(self):
        target = self.script(tempfile.gettempdir(), "")
        self.assertEqual((target.options, target.found.name, target.corpus.name), (("-max_len=7",), "found", "corpus"))

    def test_corpus_of_a_target_without_seeds(self):
        target = fuzz.target_of("vm_space", ("/p", "/found"))
        self.assertEqual(target.corpus, fuzz.CORPUS / "space" / "vm_space")
        with self.assertRaisesRegex(tree.ToolError, "fuzz_nowhere.c"):
            fuzz.target_of("nowhere", ("/p", "/found"))

    def test_unknown_target(self):
        with self.assertRaisesRegex(tree.ToolError, "'y'.*there are x"):
            fuzz.targets([("fuzz.x", ("/p", "/found", "/corpus")), ("host.y", ("/p",))], "y")

    def test_findings(self):
        with tempfile.TemporaryDirectory() as folder:
            save = 'for word; do case $word in -artifact_prefix=*) echo > "${word#*=}crash-1";; esac; done; exit 77'
            for text, count in (("exit 0", 0), (save, 1), ("exit 1", 1)):
                target = self.script(folder, text)
                with mock.patch("builtins.print"):
                    self.assertEqual(len(fuzz.hunt(target, 1, Path(folder) / "findings")), count, text)

    def test_corpus_keeps_names(self):
        with tempfile.TemporaryDirectory() as folder:
            corpus, new = Path(folder) / "corpus", Path(folder) / "new"
            for path, text in ((corpus / "named", "a"), (corpus / "useless", "b"), (new / "1", "a"), (new / "2", "c")):
                path.parent.mkdir(exist_ok=True)
                path.write_text(text, encoding="utf-8")
            self.assertEqual(fuzz.replace_corpus(corpus, sorted(new.iterdir())), (2, 2))
            self.assertEqual({path.name: path.read_text(encoding="utf-8") for path in corpus.iterdir()},
                             {"named": "a", "2": "c"})

    def test_named_seeds_stay(self):
        with tempfile.TemporaryDirectory() as folder:
            new = "c" * 40
            target = self.script(folder, f"for word; do case $word in -*) ;; *) echo c > $word/{new}; exit;; esac; done")
            target.corpus.mkdir()
            for name, text in (("by-hand", "a"), ("b" * 40, "b")):
                (target.corpus / name).write_text(text, encoding="utf-8")
            with mock.patch("builtins.print"):
                fuzz.minimise(target)
            self.assertEqual(sorted(path.name for path in target.corpus.iterdir()), ["by-hand", new])


if __name__ == "__main__":
    unittest.main()
