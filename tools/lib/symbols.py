"""Makes the symbol tables of the kernel image from its ELF file (form: kernel/lib/symbol_table.h).

    symbols.py ELF TABLE TESTS_TABLE ROOT  writes the tables; ROOT is the source tree, which no path in them begins with
    symbols.py --check ELF FIRST           fails unless both ELF files place every symbol alike

The kernel is linked twice: the tables come from the first link and lie at the end of the second. What the in-kernel tests
bring along has a table of its own, because a small machine leaves both out of memory.
"""
import re
import struct
import subprocess
import sys

MAGIC = 0x4D595341
HEADER_BYTES = 72
SIZE_BIG = 0xFFFF
BLOCK_ROWS = 64
STT_OBJECT, STT_FUNC = 1, 2
SHT_SYMTAB = 2


def read_symbols(path):
    """(address, size, name, type, binding) of every named function, object and label that has a section."""
    with open(path, "rb") as file:
        image = file.read()
    if image[:6] != b"\x7fELF\x02\x01":
        sys.exit(f"symbols: {path} is not a 64-bit little-endian ELF file")
    section_place, = struct.unpack_from("<Q", image, 40)
    section_size, section_count = struct.unpack_from("<HH", image, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", image, section_place + i * section_size)
                for i in range(section_count)]
    symbols = []
    for _, kind, _, _, place, size, link, _, _, entry in sections:
        if kind != SHT_SYMTAB:
            continue
        names = sections[link][4]
        for at in range(place, place + size, entry):
            name_place, info, _, section, address, length = struct.unpack_from("<IBBHQQ", image, at)
            name = image[names + name_place:image.index(b"\0", names + name_place)].decode()
            if name and section != 0 and not name.startswith((".L", "$")):
                symbols.append((address, length, name, info & 15, info >> 4))
    if not symbols:
        sys.exit(f"symbols: {path} has no symbol table")
    return symbols


def read_lines(path, root):
    """Rows (address, file, line) of the line table, ascending; line 0 where a sequence ends or has no source."""
    text = subprocess.run(["llvm-dwarfdump", "--debug-line", path], check=True, capture_output=True, text=True).stdout
    directories, files, version, rows = {}, {}, 5, []
    pending = None
    for line in text.splitlines():
        if line.startswith("0x"):
            fields = line.split()
            address, number, file = int(fields[0], 16), int(fields[1]), int(fields[3])
            ends = "end_sequence" in fields
            if number == 0 and not ends and rows:  # made by the compiler: counts to the line before
                file, number = last
            last = (file, number)
            rows.append((address, files.get(file, "?"), 0 if ends else number))
        elif match := re.match(r"\s*version: (\d+)", line):
            version, directories, files = int(match[1]), {}, {}
        elif match := re.match(r'include_directories\[\s*(\d+)\] = "(.*)"', line):
            directories[int(match[1])] = match[2]
        elif match := re.match(r"file_names\[\s*(\d+)\]:", line):
            pending = int(match[1])
        elif match := re.match(r'\s*name: "(.*)"', line):
            name = match[1]
        elif match := re.match(r"\s*dir_index: (\d+)", line):
            directory = int(match[1])
            home = directories.get(directory, "") if version >= 5 or directory else ""
            files[pending] = (name if name.startswith("/") or home in ("", ".") else f"{home}/{name}").removeprefix(f"{root}/")
    return rows


def clean_rows(rows, base):
    """One row per address, only where the place changes; sequences that the linker dropped are at 0."""
    last_at = {}
    for address, file, line in sorted((row for row in rows if row[0] >= base), key=lambda row: row[0]):
        if line or address not in last_at:
            last_at[address] = (file, line)
    cleaned, previous = [], None
    for address, place in sorted(last_at.items()):
        place = place if place[1] else None
        if place != previous:
            cleaned.append((address - base, place))
            previous = place
    return cleaned


def leb128(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class Text:
    """NUL-terminated strings, each kept once."""

    def __init__(self):
        self.bytes = bytearray(b"\0")
        self.places = {}

    def place(self, string):
        if string not in self.places:
            self.places[string] = len(self.bytes)
            self.bytes += string.encode() + b"\0"
        return self.places[string]


def encode_rows(rows, text):
    """The parts `blocks`, `rows` and `files`."""
    blocks, out, files = [], bytearray(), {}
    for i, (address, place) in enumerate(rows):
        if i % BLOCK_ROWS == 0:
            blocks.append((address, len(out)))
            last_address, last_line, last_file = address, 0, None
        line = place[1] if place else last_line
        file = files.setdefault(place[0], len(files) + 1) if place else 0
        delta = line - last_line
        zigzag = delta * 2 if delta >= 0 else -delta * 2 - 1
        changed = file != last_file
        out += leb128(address - last_address) + leb128(zigzag << 1 | changed)
        if changed:
            out += leb128(file)
        last_address, last_line, last_file = address, line, file
    return (b"".join(struct.pack("<II", *block) for block in blocks), bytes(out),
            b"".join(text.place(file).to_bytes(3, "little") for file in files))


def chosen_symbols(symbols, base):
    """Functions and objects by address; of several at one address the last, which look-ups find, is the best name."""
    chosen = [(address - base, size, name, kind, binding) for address, size, name, kind, binding in symbols
              if kind in (STT_OBJECT, STT_FUNC) and address >= base]
    return sorted(chosen, key=lambda s: (s[0], s[1], s[3] == STT_FUNC, s[4], s[2]))


def make_tables(path, root):
    """The table of the kernel, and that of its tests."""
    symbols = read_symbols(path)
    place = {name: address for address, _, name, _, _ in symbols}
    base = place["image_start"]
    chosen = chosen_symbols(symbols, base)
    if len(chosen) >= 1 << 16:
        sys.exit(f"symbols: {len(chosen)} symbols are more than the table's 16-bit numbers can name")
    rows = clean_rows(read_lines(path, root), base)
    tests = range(place["tests_text_start"] - base, place["symbol_table_start"] - base)
    return [encode_table([s for s in chosen if (s[0] in tests) == of_tests],
                         [row for row in rows if (row[0] in tests) == of_tests]) for of_tests in (False, True)]


def encode_table(chosen, line_rows):
    text = Text()
    names = [text.place(name) for _, _, name, _, _ in chosen]
    by_name = sorted(range(len(chosen)), key=lambda i: (chosen[i][2].encode(), i))
    blocks, rows, files = encode_rows(line_rows, text)
    parts = [
        (b"".join(struct.pack("<I", s[0]) for s in chosen), len(chosen)),
        (b"".join(struct.pack("<H", s[1] if 0 < s[1] < SIZE_BIG else SIZE_BIG) for s in chosen), len(chosen)),
        (b"".join(place.to_bytes(3, "little") for place in names), len(chosen)),
        (b"".join(struct.pack("<H", i) for i in by_name), len(chosen)),
        (blocks, len(blocks) // 8),
        (rows, len(rows)),
        (files, len(files) // 3),
        (bytes(text.bytes), len(text.bytes)),
    ]
    place, places = HEADER_BYTES, []
    for part, count in parts:
        places.append(struct.pack("<II", place, count))
        place += len(part)
    return struct.pack("<II", MAGIC, place) + b"".join(places) + b"".join(part for part, _ in parts)


def check(final, first):
    moving = {"symbol_table_end", "tests_symbol_table_start", "tests_symbol_table_end", "image_end"}
    placed = [sorted(s for s in read_symbols(path) if s[2] not in moving) for path in (final, first)]
    if placed[0] != placed[1]:
        moved = sorted(set(placed[0]) ^ set(placed[1]))[:4]
        sys.exit(f"symbols: the table moved what it names: {moved}")


def main():
    if len(sys.argv) == 4 and sys.argv[1] == "--check":
        check(sys.argv[2], sys.argv[3])
    elif len(sys.argv) == 5:
        for path, table in zip(sys.argv[2:4], make_tables(sys.argv[1], sys.argv[4])):
            with open(path, "wb") as file:
                file.write(table)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
