"""The tools in folders with odd names and environments that are not ours: what is understood, what is refused by name."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import elsewhere
import machine
import media
import tree

LIB = Path(__file__).resolve().parent


class Environment(unittest.TestCase):
    """environment.sh makes the environment the same for everybody."""

    def test_traps_are_gone(self):
        script = '. "$1"; umask; env -0'
        done = subprocess.run(["bash", "-c", f"umask 077; {script}", "-", LIB / "environment.sh"], env={**elsewhere.TRAPS},
                              stdout=subprocess.PIPE, check=True)
        umask, settings = done.stdout.decode().split("\n", 1)
        found = dict(line.split("=", 1) for line in settings.split("\0") if line)
        self.assertEqual(int(umask, 8), 0o022)
        self.assertEqual(found["LC_ALL"], "C.UTF-8")
        self.assertEqual(found["PATH"].split(":")[:2], ["/usr/bin", "/bin"], "what the user's PATH finds first")
        self.assertIn("/usr/sbin", found["PATH"].split(":"))
        for name in ("CFLAGS", "CPPFLAGS", "ASMFLAGS", "LDFLAGS", "CC", "CPATH", "CDPATH"):
            self.assertIn(name, elsewhere.TRAPS)
            self.assertNotIn(name, found)

    def test_programs_of_administrators_are_found(self):
        with mock.patch.dict(os.environ, {"PATH": "/usr/bin:/bin"}):
            self.assertTrue(os.access(tree.program("sgdisk"), os.X_OK))
            with self.assertRaisesRegex(tree.ToolError, "no-such-program is not installed"):
                tree.run_quietly(["no-such-program"])


class FolderNames(unittest.TestCase):
    """What a folder's name may have, and what cannot be and is refused in CMake's first lines."""

    def configure(self, source, build):
        """What CMake says about building there; where it takes the name, it stops at the kind of build."""
        done = subprocess.run(["cmake", "-S", source, "-B", build, "-D", "CMAKE_BUILD_TYPE=Release"], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertNotEqual(done.returncode, 0)
        return " ".join(done.stdout.split())

    def test_characters(self):
        with tempfile.TemporaryDirectory() as folder:
            for character in '%$`"#;[]|<>':
                said = self.configure(tree.ROOT, Path(folder) / f"a{character}b")
                self.assertIn(f'a folder whose path has "{character}"', said)
            said = self.configure(tree.ROOT, Path(folder) / f"{elsewhere.COPY} (x) {{~!@}} *?:^+-")
            self.assertIn('not as "Release"', said)

    def test_equals_sign_between_source_and_build(self):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "a=b"
            source.symlink_to(tree.ROOT)
            self.assertIn('has a "=" in its path: build it in a folder inside', self.configure(source, Path(folder) / "build"))
            self.assertIn('not as "Release"', self.configure(tree.ROOT, Path(folder) / "a=c"))

    def test_relative_paths(self):
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / elsewhere.COPY
            (place / "build" / "kernel").mkdir(parents=True)
            words = [f"-ffile-prefix-map={place}/=", f"-I{place}/include", "-o", "main.c.o", f"{place}/kernel/main.c", "/usr", ""]
            said = subprocess.run(["bash", LIB / "relative_paths.sh", place, "printf", "%s\\n", *words], text=True, check=True,
                                  stdout=subprocess.PIPE, cwd=place / "build" / "kernel").stdout
        self.assertEqual(said.split("\n")[:-1], ["-ffile-prefix-map=../../=", "-I../../include", "-o", "main.c.o",
                                                 "../../kernel/main.c", "/usr", ""])

    def test_media_are_made_anywhere(self):
        with tempfile.TemporaryDirectory() as folder:
            product = Path(folder) / "product"
            product.write_bytes(bytes(range(256)) * 9)
            expected = {}
            for name in ("plain", elsewhere.COPY, "$HOME `x` (a)@@1 b\\c \"d;#[e] %f g:"):
                place = Path(folder) / name
                place.mkdir()
                with mock.patch.object(tempfile, "tempdir", str(place)):
                    for kind, make in media.MAKERS.items():
                        image = place / f"{name}.img"
                        make(image, media.contents_of(product, "selftest"))
                        self.assertEqual(expected.setdefault(kind, image.read_bytes()) == image.read_bytes(), True, (name, kind))
                        self.assertEqual(os.listdir(place), [image.name])


class FirmwareVariables(unittest.TestCase):
    """Firmware that is given by its file of code comes with the variables that lie beside it."""

    FILES = ("OVMF_CODE.fd", "OVMF_CODE_4M.fd", "OVMF_CODE_4M.ms.fd", "OVMF_CODE_4M.secboot.fd",
             "OVMF_CODE_4M.secboot.strictnx.fd", "OVMF_VARS_4M.fd", "OVMF_VARS_4M.ms.fd", "OVMF_VARS.fd", "MY_CODE", "MY_VARS",
             "LONELY_CODE.secboot.x.fd", "OVMF.fd")

    def test_rule(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in self.FILES:
                (Path(folder) / name).write_text(name, encoding="utf-8")
            for code, variables in (("OVMF_CODE.fd", "OVMF_VARS.fd"), ("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"),
                                    ("OVMF_CODE_4M.ms.fd", "OVMF_VARS_4M.ms.fd"), ("OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.fd"),
                                    ("OVMF_CODE_4M.secboot.strictnx.fd", "OVMF_VARS_4M.fd"), ("MY_CODE", "MY_VARS"),
                                    ("OVMF.fd", "OVMF.fd")):
                described = machine.Machine(firmware=Path(folder) / code)
                described.prepare_firmware(folder)
                self.assertEqual((Path(folder) / "firmware.fd").read_text(encoding="utf-8"), variables, code)
                self.assertEqual("readonly=on" in " ".join(described.command(folder, "/m")), code != "OVMF.fd", code)
            with self.assertRaisesRegex(tree.ToolError, "LONELY_CODE.* LONELY_VARS.x.fd or LONELY_VARS.fd$"):
                machine.Machine(firmware=Path(folder) / "LONELY_CODE.secboot.x.fd").prepare_firmware(folder)
            with self.assertRaisesRegex(tree.ToolError, "firmware .*NO_CODE.fd does not exist"):
                machine.Machine(firmware=Path(folder) / "NO_CODE.fd").prepare_firmware(folder)


if __name__ == "__main__":
    unittest.main()
