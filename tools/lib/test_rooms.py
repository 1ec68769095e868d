"""The check lint.rooms: what it must refuse, and what it must let pass."""

import tempfile
import unittest
from pathlib import Path

import rooms
import tree

TABLE = f"""text before
{rooms.TABLE_HEAD}
|---|---|---|
| `include/` | contracts | nothing |
| `kernel/lib/` | the ground floor | `include/`, `include/ashlar/hooks.h` |
| `mm/frame/` | frames | `kernel/lib/` |
| `mm/heap/` | the heap | `mm/frame/` |
| `kernel/` | the kernel | `mm/heap/` |
| `tests/` | tests | everything |

text behind
"""


class Table(unittest.TestCase):
    """The table of docs/architecture.md is read as it is meant."""

    def test_rooms_of_files(self):
        table = rooms.Rooms(TABLE)
        self.assertEqual(table.room_of("kernel/lib/log.c"), "kernel/lib/")
        self.assertEqual(table.room_of("kernel/main.c"), "kernel/")
        self.assertIsNone(table.room_of("attic/x.c"))

    def test_what_a_room_may_use_it_may_use_with_all_that_this_may_use(self):
        table = rooms.Rooms(TABLE)
        self.assertFalse(table.forbids("mm/heap/alloc.c", "kernel/lib/log.c"))
        self.assertFalse(table.forbids("tests/host/x.c", "kernel/main.c"))
        self.assertTrue(table.forbids("mm/frame/pool.c", "mm/heap/alloc.c"))
        self.assertTrue(table.forbids("kernel/main.c", "tests/kernel/x.c"))

    def test_a_room_without_a_row_is_named(self):
        with self.assertRaisesRegex(tree.ToolError, "mm/heep/"):
            rooms.Rooms(TABLE.replace("| `mm/heap/` |\n", "| `mm/heep/` |\n"))

    def test_the_real_one(self):
        table = rooms.Rooms((tree.ROOT / "docs/architecture.md").read_text(encoding="utf-8"))
        self.assertTrue(table.forbids("mm/frame/pool.c", "arch/x86_64/paging/tlb.c"))
        self.assertTrue(table.forbids("kernel/lib/log.c", "kernel/main.c"))


class Arrows(unittest.TestCase):
    """What runs against the table is found and named."""

    def judged(self, arrows, promised=()):
        return list(rooms.judge(rooms.Rooms(TABLE), arrows, lambda _contract: set(promised)))

    def test_a_forbidden_include(self):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for name, text in (("mm/frame/pool.c", '#include <ashlar/types.h>\n#include "mm/heap/internal.h"\n'),
                               ("mm/heap/internal.h", "#include <stdint.h>\n"), ("include/ashlar/types.h", "")):
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            arrows = rooms.includes(root, ["mm/frame/pool.c", "mm/heap/internal.h", "include/ashlar/types.h"])
        self.assertEqual(self.judged(arrows), ["mm/frame/pool.c -> mm/heap/internal.h (mm/heap/internal.h): "
                                               "mm/frame/ may not use mm/heap/"])

    SYMBOLS = "a.o: pool T 0 1\na.o: kfree U\na.o: format U\nb.o: kfree T 0 1\nb.o: here t 0 1\nc.o: format T 0 1\n"
    SOURCES = {"a.o": "mm/frame/pool.c", "b.o": "mm/heap/alloc.c", "c.o": "kernel/lib/format.c"}

    def test_a_forbidden_call(self):
        arrows = rooms.references(self.SYMBOLS, self.SOURCES)
        self.assertEqual(self.judged(arrows), ["mm/frame/pool.c -> mm/heap/alloc.c (kfree): mm/frame/ may not use mm/heap/"])

    def test_what_a_contract_declares_may_be_called(self):
        arrows = rooms.references(self.SYMBOLS, self.SOURCES)
        self.assertEqual(self.judged(arrows, ["kfree"]), [])

    def test_members_of_a_structure_are_not_declared(self):
        self.assertEqual(rooms.declared(tree.ROOT, rooms.HOOKS), {"kernel_hooks"})
        self.assertIn("tlb_drop_pages", rooms.declared(tree.ROOT, "include/ashlar/arch"))

    def test_a_file_outside_all_rooms(self):
        self.assertEqual(self.judged({"attic/x.c": {}}), ["attic/x.c lies in no room of docs/architecture.md"])


class Circles(unittest.TestCase):
    """Files that need each other are found, wherever the circle is entered."""

    TIED = {"a.c": {"b.c": {"f"}}, "b.c": {"c.c": {"g"}}, "c.c": {"a.c": {"h"}, "d.c": {"i"}}, "e.c": {"a.c": {"j"}}}

    def test_a_circle(self):
        complaint, = rooms.judge_circles(self.TIED, set())
        for arrow in ("a.c -> b.c (f)", "b.c -> c.c (g)", "c.c -> a.c (h)"):
            self.assertIn(arrow, complaint)
        self.assertNotIn("d.c", complaint)
        self.assertNotIn("e.c", complaint)

    def test_hooks_tie_nobody(self):
        self.assertEqual(list(rooms.judge_circles(self.TIED, {"h"})), [])

    def test_a_header_and_its_inline_half_are_one(self):
        halves = {"x.h": {"x_inline.h": {"x"}}, "x_inline.h": {"x.h": {"x"}, "y.h": {"y"}}}
        self.assertEqual(rooms.circles(rooms.whole_headers(halves)), [])

    def test_long_chains_are_no_circles(self):
        chain = {str(i): {str(i + 1): {"x"}} for i in range(5000)}
        self.assertEqual(rooms.circles(chain), [])


if __name__ == "__main__":
    unittest.main()
