"""Reads the kernel's text back from pixels: from a picture of the screen, or from video memory and its format."""

import gzip
import struct
from pathlib import Path

FONT_FOLDER = Path("/usr/share/consolefonts")
FONT_SIZES = ((8, 16), (12, 24), (16, 32))


class Picture:
    """Pixels as rows of (red, green, blue), each 0..255."""

    def __init__(self, width, height, pixels):
        self.width = width
        self.height = height
        self.pixels = pixels  # pixels[y][x]

    @classmethod
    def from_ppm(cls, path):
        """A screendump in PPM format."""
        magic, size, _depth, data = Path(path).read_bytes().split(b"\n", 3)
        if magic != b"P6":
            raise ValueError(f"{path} is not a PPM picture")
        width, height = (int(number) for number in size.split())
        rows = [data[y * width * 3:(y + 1) * width * 3] for y in range(height)]
        return cls(width, height, [list(zip(row[0::3], row[1::3], row[2::3])) for row in rows])

    @classmethod
    def from_memory(cls, data, width, height, stride, masks, bytes_per_pixel):
        """Video memory; masks are those of red, green and blue, stride is in pixels."""
        cache = {}
        rows = []
        for y in range(height):
            row = []
            for x in range(width):
                at = (y * stride + x) * bytes_per_pixel
                raw = data[at:at + bytes_per_pixel]
                if raw not in cache:
                    cache[raw] = tuple(_channel(int.from_bytes(raw, "little"), mask) for mask in masks)
                row.append(cache[raw])
            rows.append(row)
        return cls(width, height, rows)


def _channel(pixel, mask):
    """A channel of a pixel, scaled to 0..255."""
    low = mask & -mask
    return round((pixel & mask) // low * 255 / (mask // low))


def _glyphs(width, height):
    """The font's printable ASCII: {rows of bits: character}."""
    data = gzip.open(FONT_FOLDER / f"spleen-{width}x{height}.psfu.gz").read()
    if data.startswith(b"\x36\x04"):
        start, count, glyph_bytes = 4, 512 if data[2] & 1 else 256, data[3]
        texts = _table_of_words(data[start + count * glyph_bytes:])
    elif data.startswith(b"\x72\xb5\x4a\x86"):
        _, _, start, _, count, glyph_bytes, _, _ = struct.unpack("<8I", data[:32])
        texts = _table_of_bytes(data[start + count * glyph_bytes:])
    else:
        raise ValueError(f"spleen-{width}x{height} is not a PSF font")
    per_row = glyph_bytes // height
    glyphs = {}
    for number in range(count):
        glyph = data[start + number * glyph_bytes:start + (number + 1) * glyph_bytes]
        rows = tuple(int.from_bytes(glyph[y * per_row:(y + 1) * per_row], "big") >> (8 * per_row - width)
                     for y in range(height))
        glyphs.update({rows: character for character in texts[number] if " " <= character <= "~"})
    return glyphs


def _table_of_words(data):
    """The characters of each glyph in a version 1 font: 16-bit code points, 0xffff ends a glyph's list."""
    texts = [""]
    for (code,) in struct.iter_unpack("<H", data[:len(data) & ~1]):
        if code == 0xffff:
            texts.append("")
        else:
            texts[-1] += chr(code)
    return texts


def _table_of_bytes(data):
    """The characters of each glyph in a version 2 font: UTF-8, 0xff ends a glyph's list, 0xfe its single characters."""
    return [entry.split(b"\xfe")[0].decode("utf-8") for entry in data.split(b"\xff")]


class Text:
    """The text on a picture: lines[row] and colours[row][column], the colour of the character there."""

    def __init__(self, lines, colours):
        self.lines = lines
        self.colours = colours

    def row_of(self, text):
        """The first row that contains `text`, or None."""
        return next((row for row, line in enumerate(self.lines) if text in line), None)


def read_text(picture):
    """Reads the picture with each size of the font; returns the Text in which most cells are characters."""
    readings = [_read(picture, width, height) for width, height in FONT_SIZES]
    return max(readings, key=lambda reading: reading[0])[1]


def _read(picture, width, height):
    glyphs = _glyphs(width, height)
    recognised = 0
    lines, colours = [], []
    for row in range(picture.height // height):
        cells = [_cell(picture, column * width, row * height, width, height, glyphs)
                 for column in range(picture.width // width)]
        recognised += sum(character not in " \ufffd" for character, _colour in cells)
        lines.append("".join(character for character, _colour in cells).rstrip())
        colours.append([colour for _character, colour in cells])
    return recognised * width * height, Text(lines, colours)


def _cell(picture, left, top, width, height, glyphs):
    """The character of a cell and its colour; U+FFFD when it is none. The brighter of two colours is the ink."""
    rows = [picture.pixels[top + y][left:left + width] for y in range(height)]
    shades = {pixel for row in rows for pixel in row}
    if len(shades) == 1:
        return " ", next(iter(shades))
    if len(shades) > 2:
        return "\ufffd", None
    ink = max(shades, key=sum)
    bits = tuple(sum((pixel == ink) << (width - 1 - x) for x, pixel in enumerate(row)) for row in rows)
    return glyphs.get(bits, "\ufffd"), ink
