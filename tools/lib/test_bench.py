"""Tests of tools/bench: results are read strictly, and the table compares what is comparable."""

import contextlib
import io
import tempfile
import unittest
from pathlib import Path

import bench
import linux_peer
import measurements
import user_bench
from tree import ToolError

LINE = '{"bench":"frame.pair.o0","unit":"tick","median":31,"min":30,"max":40,"n":21}'
LINUX = LINE.replace("31,", "697.5,").replace('"max":40', '"max":800').replace("}", ',"peer":"linux-6.1"}')
SKIPPED = '{"bench":"irq.timer","skipped":"no timer"}'


class StrictResults(unittest.TestCase):
    """A damaged line is an error, never a number."""

    def test_good(self):
        one = measurements.parse_line(LINE)
        self.assertEqual((one.bench, one.peer, one.median, one.samples), ("frame.pair.o0", "ashlar", 31, 21))
        self.assertEqual(measurements.parse_line(LINUX).peer, "linux-6.1")
        self.assertEqual(measurements.parse_line(SKIPPED).skipped, "no timer")

    def test_line_is_read_back(self):
        for line in (LINE, LINUX, SKIPPED):
            one = measurements.parse_line(line)
            self.assertEqual(measurements.parse_line(one.line()), one)

    def test_every_truncation_is_noticed(self):
        for length in range(1, len(LINE)):
            with self.assertRaises(ToolError, msg=LINE[:length]):
                measurements.parse_lines(LINE[:length])

    def test_damage(self):
        for old, new in (("31", "29"), ("31", "41"), ("31", '"31"'), ("31", "null"), ("30", "-1"), ("21", "0"),
                         ('"unit"', '"uint"'), (LINE, "31"), (LINE, "[]"), (LINE, "a log line")):
            with self.assertRaises(ToolError, msg=f"{old} -> {new}"):
                measurements.parse_lines(LINE.replace(old, new))

    def test_kernel_without_match(self):
        self.assertEqual(bench.read_kernel_report('error: no benchmark\'s name has \'x\' in it'), [])
        with self.assertRaises(ToolError):
            bench.read_kernel_report("error: something else")

    def test_linux_report_is_whole(self):
        said = f"[noise]\n{LINUX}\nmore noise\n"
        self.assertEqual(len(linux_peer.read_report(said, 1)), 1)
        for count in (0, 2):
            with self.assertRaises(ToolError):
                linux_peer.read_report(said, count)


    def test_program_report_is_whole(self):
        lines = ["[1.0] a log line", LINE, SKIPPED]
        self.assertEqual(len(user_bench.read_report([*lines, "bench: end of 2 benchmarks"])), 2)
        for wrong in (lines, [*lines, "bench: end of 3 benchmarks"], ["bench: end of 1 benchmarks"]):
            with self.assertRaises(ToolError, msg=wrong):
                user_bench.read_report(wrong)

    def test_what_is_moved_is_said(self):
        def remarks(line):
            return user_bench.remarks(measurements.parse_lines(line))
        self.assertEqual(remarks(LINE), "")
        self.assertIn("user.pread.4k 4,096.", remarks(LINE.replace("frame.pair.o0", "user.pread.4k")))
        self.assertEqual(remarks('{"bench":"user.swap.in","skipped":"no swap"}'), "")


class Runs(unittest.TestCase):
    """What Linux's first program tells of the programs that it runs."""

    SAID = "noise\ninit: runs /bin/one\na\nb\ninit: exit 0\ninit: runs /bin/two\ninit: signal 11\n"

    def test_good(self):
        self.assertEqual(linux_peer.read_runs(self.SAID, 2), [(["a", "b"], "exit 0"), ([], "signal 11")])

    def test_damage(self):
        for said, count in ((self.SAID, 3), (self.SAID, 1), (self.SAID.replace("exit 0", "cannot run it"), 2),
                            (self.SAID.replace("init: signal 11\n", ""), 2)):
            with self.assertRaises(ToolError, msg=said):
                linux_peer.read_runs(said, count)


class Table(unittest.TestCase):
    """The table has a row per benchmark, a column per peer, and a ratio where less is better."""

    @staticmethod
    def rows(*lines):
        """The table of these results, split into words."""
        return [row.split() for row in measurements.table(measurements.parse_lines("\n".join(lines))).splitlines()]

    def test_side_by_side(self):
        self.assertEqual(self.rows(LINE, LINUX), [
            ["unit", "ashlar", "min", "max", "linux-6.1"], ["frame.pair.o0", "tick", "31", "30", "40", "697.5", "22.5x"]])

    def test_one_side_only(self):
        other = LINUX.replace("pair", "mix")
        self.assertEqual(self.rows(LINE, other)[1:], [["frame.pair.o0", "tick", "31", "30", "40", "-"],
                                                      ["frame.mix.o0", "tick", "-", "-", "-", "697.5"]])

    def test_no_ratio_of_shares(self):
        permille = [line.replace("tick", "permille") for line in (LINE, LINUX)]
        self.assertNotIn("x", "".join(self.rows(*permille)[1][2:]))

    def test_skipped_says_why(self):
        there = LINUX.replace("frame.pair.o0", "irq.timer")
        rows = self.rows(SKIPPED, there)
        self.assertEqual(rows[1], ["irq.timer", "tick", "-", "-", "-", "697.5"])
        self.assertEqual(rows[2:], [["irq.timer", "(ashlar)", "skipped:", "no", "timer"]])

    def test_columns_line_up(self):
        lines = measurements.table(measurements.parse_lines(f"{LINE}\n{LINUX}")).splitlines()
        self.assertEqual(lines[0].index("ashlar") + len("ashlar"), lines[1].index(" 31") + len(" 31"))


class Options(unittest.TestCase):
    """What tools/bench refuses before it builds anything."""

    def test_refused(self):
        for wrong in (["--host", "--vs-linux"], ["--memory", "many"], ["--user", "--cpus", "0"]):
            with self.assertRaises(ToolError, msg=wrong):
                bench.parse(wrong)
        for wrong in (["a b"], ["$(x)"], ["a", "b"], ["-r", "x"], ["--vs"]):
            with self.assertRaises(SystemExit, msg=wrong), contextlib.redirect_stderr(io.StringIO()):
                bench.parse(wrong)


class Initramfs(unittest.TestCase):
    """The archive Linux gets: headers of 110 characters, names and contents at multiples of four bytes."""

    def test_entries(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "file"
            file.write_bytes(b"12345")
            archive = linux_peer.make_initramfs(file, ["run /bin/0/x"], {"bin/0/x": file})
        found = {}
        at = 0
        while "TRAILER!!!" not in found:
            fields = [int(archive[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in range(13)]
            self.assertEqual(archive[at:at + 6], b"070701")
            name = archive[at + 110:at + 110 + fields[11]].rstrip(b"\0").decode()
            at += -(-(110 + fields[11]) // 4) * 4
            found[name] = (oct(fields[1]), archive[at:at + fields[6]], tuple(fields[9:11]))
            at += -(-fields[6] // 4) * 4
        self.assertEqual(found["init"], ("0o100755", b"12345", (0, 0)))
        self.assertEqual(found["bin/0/x"], found["init"])
        self.assertEqual(found["plan"][1], b"run /bin/0/x\n")
        self.assertEqual(found["dev/console"], ("0o20666", b"", (5, 1)))
        self.assertEqual(list(found)[-1], "TRAILER!!!")


if __name__ == "__main__":
    unittest.main()
