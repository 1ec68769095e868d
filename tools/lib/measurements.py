"""Benchmark results: lines of JSON read strictly, and the table that puts whose code is compared side by side."""

import json
from dataclasses import dataclass

from tree import ToolError

OURS = "ashlar"
COSTS = ("ns", "tick")  # units in which less is better, so that a ratio says something


@dataclass(frozen=True)
class Measurement:
    """One benchmark's outcome: numbers, or why there are none."""

    bench: str          # subsystem, operation, variant: "frame.pair.o0"
    peer: str           # whose code: OURS, or what it is compared with
    unit: str = ""      # of the numbers; a tick is a guest instruction
    median: float = 0
    least: float = 0
    most: float = 0
    samples: int = 0    # for a host benchmark, operations per sample
    skipped: str = ""   # why it could not run here

    def line(self):
        """As one line of JSON, in the form it is read from."""
        if self.skipped:
            return json.dumps({"bench": self.bench, "skipped": self.skipped, "peer": self.peer})
        return json.dumps({"bench": self.bench, "unit": self.unit, "median": self.median, "min": self.least,
                           "max": self.most, "n": self.samples, "peer": self.peer})


def parse_line(line, peer=OURS):
    """The measurement in a line of JSON; `peer` is whose it is when the line does not say."""
    try:
        values = json.loads(line)
        bench, peer = values["bench"], values.get("peer", peer)
        if "skipped" in values:
            return Measurement(bench, peer, skipped=str(values["skipped"]))
        found = Measurement(bench, peer, values["unit"], values["median"], values["min"], values["max"], values["n"])
        if not 0 <= found.least <= found.median <= found.most or found.samples < 1:
            raise ValueError("median, min, max and n contradict each other")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ToolError(f"not a benchmark's result ({type(error).__name__}: {error}): {line!r}") from error
    return found


def parse_lines(text, peer=OURS):
    """The measurements in a text that holds nothing else."""
    return [parse_line(line, peer) for line in text.splitlines() if line.strip()]


def table(measurements):
    """The table: a row per benchmark, ours with median, least and most, then each peer's median as a multiple of ours."""
    peers = list(dict.fromkeys(one.peer for one in measurements if one.peer != OURS))
    rows = {}
    for one in measurements:
        rows.setdefault((one.bench, one.unit), {})[one.peer] = one
    merge_skipped(rows)
    cells = [["", "unit", OURS, "min", "max", *(heading for peer in peers for heading in (peer, ""))]]
    for (bench, unit), row in rows.items():
        ours = row.get(OURS)
        cells.append([bench, unit, *our_cells(ours),
                      *(cell for peer in peers for cell in peer_cells(row.get(peer), ours))])
    return "\n".join(layout(cells) + remarks(measurements))


def merge_skipped(rows):
    """Puts what was skipped, and so has no unit, into the row of the same benchmark that has one."""
    for bench, unit in [key for key in rows if key[1] == ""]:
        other = next((key for key in rows if key[0] == bench and key[1] != ""), None)
        if other is not None:
            rows[other] = {**rows.pop((bench, unit)), **rows[other]}


def our_cells(ours):
    """Median, least and most of ours; dashes when it was not measured."""
    if ours is None or ours.skipped:
        return ["-"] * 3
    return [number(ours.median), number(ours.least), number(ours.most)]


def peer_cells(peer, ours):
    """A peer's median, and what multiple of ours it is."""
    if peer is None or peer.skipped:
        return ["-", ""]
    comparable = ours is not None and not ours.skipped and ours.median > 0 and peer.unit in COSTS
    return [number(peer.median), f"{peer.median / ours.median:.1f}x" if comparable else ""]


def number(value):
    """A number as the table has it: thousands apart, a fraction only where it matters."""
    return f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:.1f}"


def layout(cells):
    """Lines of columns: the first two to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return ["  ".join(cell.ljust(width) if column < 2 else cell.rjust(width)
                      for column, (cell, width) in enumerate(zip(row, widths))).rstrip() for row in cells]


def remarks(measurements):
    """A line for each benchmark that could not run."""
    return [f"{one.bench} ({one.peer}) skipped: {one.skipped}" for one in measurements if one.skipped]
