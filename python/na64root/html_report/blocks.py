"""What a page is made of: sections of text, facts, tables and drawings."""

from __future__ import annotations

import base64
import csv
import functools
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

Cell: TypeAlias = "str | float | int | None"


# Rows that a table shows before the rest is folded away, and those that it has in all; its download has every
# one.
MOST_ROWS = 40


MOST_ROWS_FOLDED = 400


BLINDED = (
    "This result is blinded: events in the signal boxes are in none of its numbers, and nothing is observed. "
    "The most probable counts without a signal stand in for those observed."
)


def written(value: Cell) -> str:
    """A cell as the page shows it; the download has every digit."""
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def percent(cl: float) -> str:
    """A confidence level in words."""
    return f"{100 * cl:g} %"


@dataclass(frozen=True)
class Table:
    """Numbers with their names. `rows` have a cell for each column; `name` is that of the download."""

    name: str
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    @functools.cached_property
    def numeric(self) -> list[bool]:
        """Whether a column holds numbers alone."""
        columns = list(zip(*self.rows, strict=True)) or [()] * len(self.columns)
        return [any(x is not None for x in c) and not any(isinstance(x, str) for x in c) for c in columns]

    @property
    def shown(self) -> list[list[str]]:
        """The rows before the fold, as text."""
        return [[written(cell) for cell in row] for row in self.rows[:MOST_ROWS]]

    @property
    def folded(self) -> list[list[str]]:
        """More rows."""
        return [[written(cell) for cell in row] for row in self.rows[MOST_ROWS:MOST_ROWS_FOLDED]]

    @property
    def left_out(self) -> int:
        """The number of rows that are in the download alone."""
        return max(0, len(self.rows) - MOST_ROWS_FOLDED)

    @property
    def csv(self) -> str:
        """All rows as CSV with a line of column names."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(["" if cell is None else cell for cell in row] for row in self.rows)
        return text.getvalue()

    @property
    def link(self) -> str:
        """The CSV as an address that holds it."""
        return "data:text/csv;charset=utf-8;base64," + base64.b64encode(self.csv.encode()).decode()


@dataclass(frozen=True)
class Drawing:
    """A figure as SVG, what it shows in words, and the numbers behind it."""

    title: str
    alternative: str
    svg: str
    data: Table


@dataclass(frozen=True)
class Text:
    """Paragraphs."""

    paragraphs: Sequence[str]


@dataclass(frozen=True)
class Code:
    """A command that can be copied."""

    text: str


@dataclass(frozen=True)
class Folded:
    """Blocks behind a line that opens them."""

    title: str
    blocks: Sequence[Block]


Block: TypeAlias = "Table | Drawing | Text | Code | Folded"


@dataclass(frozen=True)
class Section:
    """One result: its title, what it says in plain words, the rest."""

    title: str
    headline: Sequence[str]
    blocks: Sequence[Block] = field(default_factory=list)


def facts(name: str, caption: str, pairs: Iterable[tuple[str, Cell]]) -> Table:
    """A table of two columns."""
    return Table(name, caption, ("quantity", "value"), list(pairs))


def notes(said: Sequence[str]) -> list[Block]:
    """What the run said beside its numbers."""
    return [Folded("Notes of the run", [Text(list(said))])] if said else []
