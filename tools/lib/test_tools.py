"""The tools' own tests: what they refuse, and what they must not mistake for success."""

import contextlib
import io
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import apt_folder
import checksum
import ktap
import lint
import machine
import media
import newer_emulator
import packages
import run
import suite
import tree

GOOD = "noise\nKTAP version 1\n1..3\nok 1 a\n# a remark\nok 2 b # SKIP no device\nok 3 c\nmore noise\n"


class StrictReport(unittest.TestCase):
    """ktap.parse() takes nothing but a whole report for success."""

    def test_good(self):
        report = ktap.parse(GOOD)
        self.assertTrue(report.good, report.summary())
        self.assertEqual((report.passed, report.skipped), (["a", "c"], ["b"]))

    def test_every_lost_line_is_noticed(self):
        lines = GOOD.splitlines()
        for number in (1, 2, 3, 5, 6):
            damaged = "\n".join(lines[:number] + lines[number + 1:])
            self.assertFalse(ktap.parse(damaged).good, f"without {lines[number]!r}")

    def test_every_truncation_is_noticed(self):
        for length in range(GOOD.index("ok 3 c")):
            self.assertFalse(ktap.parse(GOOD[:length]).good, GOOD[:length])

    def test_damage(self):
        for old, new in (("ok 1 a", "not ok 1 a"), ("ok 3 c", "ok 3 a"), ("ok 3 c", "ok 4 c"), ("ok 3 c", "ok c"),
                         ("1..3", "1..2"), ("1..3", "1..4"), ("more noise", "Bail out! x"), ("ok 3 c", "ok 3 c\nok 4 d"),
                         ("more noise", "KTAP version 1")):
            self.assertFalse(ktap.parse(GOOD.replace(old, new)).good, f"{old} -> {new}")

    def test_nothing_planned(self):
        self.assertFalse(ktap.parse("KTAP version 1\n1..0\n").good)
        self.assertFalse(ktap.parse("").good)


class MachineCommand(unittest.TestCase):
    """The QEMU command is the one meant."""

    def test_memory_sizes(self):
        self.assertEqual(machine.parse_memory("48"), 48 << 20)
        self.assertEqual(machine.parse_memory("3g"), 3 << 30)
        for wrong in ("", "0", "-1G", "4Q", "1.5G", "G", "4GB", "4 G"):
            with self.assertRaises(tree.ToolError, msg=wrong):
                machine.parse_memory(wrong)

    def test_commas_in_paths_are_doubled(self):
        command = machine.Machine().command("/tmp/a,b", "/tmp/a,b/medium.img")
        self.assertTrue(any("file=/tmp/a,,b/medium.img" in word for word in command))

    def test_missing_firmware_is_named(self):
        with self.assertRaisesRegex(tree.ToolError, "/no/such.fd"):
            machine.Machine(firmware=Path("/no/such.fd")).prepare_firmware("/tmp")

    def test_huge_machines_are_intel(self):
        self.assertIn("max,vendor=GenuineIntel", machine.Machine(memory="960G").command("/f", "/m"))
        self.assertIn("max", machine.Machine(memory="16G").command("/f", "/m"))

    def test_devices_that_are_left_out(self):
        whole = " ".join(machine.Machine().command("/f", "/m"))
        bare = " ".join(machine.Machine(serial_port=False, exit_device=False).command("/f", "/m"))
        self.assertIn("isa-debug-exit", whole)
        self.assertIn("-serial stdio", whole)
        self.assertNotIn("isa-debug-exit", bare)
        self.assertIn("-serial none", bare)
        self.assertNotIn("stdio", bare)

    def test_explicit_accelerator_is_taken(self):
        self.assertEqual(machine.choose_accelerator("tcg"), ("tcg", ""))

    def test_probe_decides(self):
        with mock.patch.object(machine.os, "access", return_value=True):
            for works, chosen in ((True, "kvm"), (False, "tcg")):
                with mock.patch.object(machine, "firmware_runs_on_kvm", return_value=works):
                    self.assertEqual(machine.choose_accelerator("auto")[0], chosen)

    def test_probe_wants_proof(self):
        for script, proof in (("echo BdsDxe", True), ("echo KVM internal error; sleep 9", False), ("true", False)):
            with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE) as process:
                self.assertEqual(machine._sees(process, b"BdsDxe", b"KVM internal error", 5), proof, script)
                process.kill()


class NewerEmulator(unittest.TestCase):
    """It comes from where this machine has Debian from, or there is a reason why not."""

    def test_mirror(self):
        listing = "Debian|Debian-Security|main|http://a\nOther|Other|main|http://b\nDebian|Debian|main|http://c\n"
        self.assertEqual(apt_folder.mirror_among(listing), "http://c")
        with self.assertRaisesRegex(tree.ToolError, "no source of Debian"):
            apt_folder.mirror_among("Other|Other|main|http://b\n")

    def test_unavailable(self):
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(newer_emulator, "CACHE", Path(folder) / "there"), \
             mock.patch.object(apt_folder, "_mirror", return_value=f"file:{folder}/nowhere"):
            with self.assertRaisesRegex(newer_emulator.Unavailable, "^no newer QEMU: apt-get failed"):
                newer_emulator.provide()
            self.assertFalse((Path(folder) / "there").exists())

    def test_command(self):
        found = newer_emulator.emulator_in(Path("/x"))
        command = machine.Machine(emulator=found.command, firmware=found.firmware).command("/f", "/m")
        self.assertEqual(command[0], "/x/usr/lib64/ld-linux-x86-64.so.2")
        self.assertIn("/x/usr/bin/qemu-system-x86_64", command[:5])


class Packages(unittest.TestCase):
    """They are downloaded once and known by their hashes; what is made of them is made once for each recipe."""

    GROUP = packages.Group("some", ("one",))

    def setUp(self):
        self.cache = Path(self.enterContext(tempfile.TemporaryDirectory())) / "cache"
        self.enterContext(mock.patch.object(packages, "CACHE", self.cache))
        self.downloads, self.makings = [], []

        def alone(names, target):
            self.downloads.append(names)
            (target / "one.deb").write_text("archive", encoding="utf-8")

        self.apt = self.enterContext(mock.patch.object(packages, "Apt"))
        self.apt.return_value.alone.side_effect = alone

    def make(self, source, folder, *inputs):
        """Stands for a compiler."""
        self.makings.append((source / "one.deb").read_text(encoding="utf-8"))
        (folder / "program").write_text(f"{len(inputs)}", encoding="utf-8")

    def test_once(self):
        for _ in range(2):
            program = packages.made(self.GROUP, self.make) / "program"
            self.assertEqual(program.read_text(encoding="utf-8"), "0")
        self.assertEqual((self.downloads, self.makings), ([("one",)], ["archive"]))

    def test_again_when_it_changed(self):
        first = packages.made(self.GROUP, self.make)
        more = self.cache / "more.c"
        more.write_text("text", encoding="utf-8")
        self.assertNotEqual(packages.made(self.GROUP, self.make, more), first)
        self.assertFalse(first.exists())
        (packages.archives(self.GROUP) / "one.deb").write_text("damaged", encoding="utf-8")
        self.assertEqual(packages.made(self.GROUP, self.make), first)
        self.assertEqual((len(self.downloads), self.makings), (2, ["archive"] * 3))

    def test_a_making_that_fails_leaves_nothing(self):
        def fails(_source, folder):
            (folder / "half").touch()
            raise tree.ToolError("no")
        with self.assertRaises(tree.ToolError):
            packages.made(self.GROUP, fails)
        self.assertEqual([path.name for path in self.cache.iterdir() if "fails" in path.name or "making" in path.name], [])

    def test_unavailable(self):
        self.apt.return_value.alone.side_effect = tree.ToolError("no network")
        with self.assertRaisesRegex(packages.Unavailable, "^no packages: no network"):
            packages.archives(self.GROUP)
        self.assertFalse((self.cache / "some").exists())


class Checksum(unittest.TestCase):
    """The checksum is the loader's: the same numbers are in tests/host/loader/test_checksum.c."""

    def test_same_as_the_loader_computes(self):
        data = bytes((i * 7 + 3) & 0xff for i in range(256))
        self.assertEqual(checksum.checksum(b""), 0)
        self.assertEqual(checksum.checksum(data), 0x30a8f60f0d6c40f5)
        self.assertEqual(checksum.checksum(data[8:72]), 0x35111efa9db1dac0)

    def test_padding(self):
        self.assertEqual([len(checksum.padded(bytes(length))) for length in (0, 1, 7, 8, 9)], [0, 8, 8, 8, 16])


class BuildFolders(unittest.TestCase):
    """A build folder is configured by the generator it knows, and by the preset's when it knows none."""

    def configured_with(self, cache):
        """The -G that a folder with this CMakeCache.txt (None: without one) is configured with."""
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(tree, "_cmake") as cmake:
            if cache is not None:
                (Path(folder) / "CMakeCache.txt").write_text(cache, encoding="utf-8")
            tree.configure(folder, "default")
            command = cmake.call_args.args[0]
        self.assertEqual(command[:5], ["cmake", "--preset", "default", "-B", folder])
        return command[5:]

    def test_generator_is_kept(self):
        self.assertEqual(self.configured_with(None), [])
        self.assertEqual(self.configured_with("CMAKE_BUILD_TYPE:STRING=Debug\n"), [])
        for generator in ("Unix Makefiles", "Ninja"):
            cache = f"# comment\nCMAKE_GENERATOR_PLATFORM:INTERNAL=\nCMAKE_GENERATOR:INTERNAL={generator}\nA:B=c\n"
            self.assertEqual(self.configured_with(cache), ["-G", generator])


class RunOptions(unittest.TestCase):
    """tools/run: a dry run, and combinations that cannot be."""

    @staticmethod
    def dry_run(*arguments):
        """What tools/run --dry-run prints."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            run.main(["--dry-run", "--accel", "tcg", *arguments])
        return printed.getvalue()

    def test_options_reach_qemu(self):
        line = self.dry_run("--headless", "--memory", "3G", "--cpus", "8", "--cpu", "qemu64", "--machine", "pc",
                            "--vga", "none", "--", "-s", "-S")
        for word in ("3221225472B", "-smp 8", "-cpu qemu64", "-machine pc,", "-vga none", "-display none", "-s -S"):
            self.assertIn(word, line)
        self.assertIn("-icount shift=0,sleep=off", self.dry_run("--icount"))
        self.assertIn("media=cdrom", self.dry_run("--media", "iso"))
        self.assertIn("secboot", self.dry_run("--secure-boot"))

    def test_impossible_combinations(self):
        for arguments in (["--icount", "--accel", "kvm"], ["--secure-boot", "--machine", "pc"], ["--memory", "many"]):
            with self.assertRaises(tree.ToolError, msg=arguments):
                run.main(["--dry-run", *arguments])

    def test_status(self):
        with contextlib.redirect_stderr(io.StringIO()) as said:
            self.assertEqual([run.status_of(status) for status in (0, 33, 35, 37, 1, -11)], [0, 0, 1, 2, 3, 3])
        self.assertIn("-11", said.getvalue())


class Window(unittest.TestCase):
    """tools/run goes on without a window, and says why there is none."""

    def complaint(self, status, says):
        """What is made of a QEMU that ends so."""
        done = subprocess.CompletedProcess([], status, says)
        with mock.patch("subprocess.run", return_value=done):
            return machine.window_complaint()

    def test_reasons(self):
        self.assertEqual(self.complaint(0, "QEMU 7.2 monitor\n(qemu) quit\n"), "")
        self.assertIn("qemu-system-gui", self.complaint(1, "Display 'gtk' is not available.\n"))
        self.assertEqual(self.complaint(1, f"\n{machine.EMULATOR}: gtk initialization failed\n"), "gtk initialization failed")
        self.assertEqual(self.complaint(134, ""), "QEMU ends with status 134")
        with mock.patch("subprocess.run", side_effect=subprocess.TimeoutExpired([], 1)):
            self.assertIn(f"within {machine.WINDOW_SECONDS} seconds", machine.window_complaint())

    def test_only_where_there_is_a_screen(self):
        for screen, complaint, display in (("", "", "none"), (":0", "", "gtk"), (":0", "gone", "none")):
            with mock.patch.dict("os.environ", {"DISPLAY": screen, "WAYLAND_DISPLAY": ""}), \
                    mock.patch("machine.window_complaint", return_value=complaint), \
                    contextlib.redirect_stderr(io.StringIO()) as said:
                self.assertEqual(run.display_arguments(True), ["-display", display])
                self.assertEqual(complaint in said.getvalue(), True)
                self.assertEqual(run.display_arguments(False), ["-display", "none"])


class Images(unittest.TestCase):
    """Media come out the same every time, and complain when the product is not there."""

    def test_same_bytes_twice(self):
        with tempfile.TemporaryDirectory() as folder:
            product = Path(folder) / "product"
            product.write_bytes(bytes(range(256)) * 9000)
            for kind, make in media.MAKERS.items():
                made = []
                for number in range(2):
                    image = Path(folder) / f"{kind}, {number}.img"
                    product.touch()
                    make(image, media.contents_of(product, "selftest"))
                    made.append(image.read_bytes())
                self.assertEqual(made[0] == made[1], True, kind)

    def test_missing_product_is_named(self):
        with self.assertRaisesRegex(tree.ToolError, "no/BOOTX64.EFI"):
            media.contents_of("no/BOOTX64.EFI")


class SuiteReport(unittest.TestCase):
    """tools/test takes nothing for success that was not."""

    def test_results(self):
        with tempfile.NamedTemporaryFile("w", suffix=".xml") as report:
            report.write('<testsuite><testcase name="a" status="run"/><testcase name="b" status="fail"/>'
                         '<testcase name="c" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/></testcase>'
                         '<testcase name="d" status="notrun"><skipped message="Unable to find executable"/></testcase>'
                         "</testsuite>")
            report.flush()
            self.assertEqual(suite.read_report(report.name),
                             {"a": "passed", "b": "failed", "c": "skipped", "d": "failed"})

    def test_no_report_is_no_success(self):
        self.assertEqual(suite.read_report("/no/such/report.xml"), {})

    def test_last_line(self):
        outcome = suite.Outcome(passed=["a", "b"], failed=["c"])
        self.assertEqual(outcome.line(), "2 passed, 1 failed")
        outcome.skipped.append("d")
        self.assertEqual(outcome.line(), "2 passed, 1 failed, 1 skipped")


class Style(unittest.TestCase):
    """lint.style sees what it is for."""

    def test_lines(self):
        for line in ("x = 1; // TO" "DO", "\tx", "x ", "x" * 111):
            self.assertTrue(list(lint.style_of_line(Path("a.c"), line)), line)
        self.assertEqual(list(lint.style_of_line(Path("a.c"), "    x = 1; /* why */")), [])


if __name__ == "__main__":
    unittest.main()
