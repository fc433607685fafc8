"""How records and cards show themselves: a short text, and HTML tables in a notebook.

Everything is text of the record, escaped; nothing is computed. A plane also shows its figure, where
matplotlib is installed.
"""

from __future__ import annotations

import html
import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

# More entries of a list or table are counted and not shown; longer texts are cut.
MOST_ROWS, MOST_ENTRIES, LONGEST_TEXT = 30, 6, 120

# What makes the picture of a record, by the name of its class: drawing comes after records in the order of
# packages, and matplotlib is not loaded before somebody looks.
PICTURES = {"PlaneResult": "na64root.views:picture_of_plane"}


class Short:
    """A value whose text in a `repr` is this."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def short(value: Any) -> Any:
    """A value for a `repr`: long lists, tables and texts by their size, records within by their names."""
    if isinstance(value, BaseModel):
        return Short(f"{type(value).__name__}(...)")
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return value[:LONGEST_TEXT] + "..."
    if isinstance(value, list | tuple | dict) and (
        len(value) > MOST_ENTRIES
        or any(isinstance(v, list | tuple | dict | BaseModel) for v in _values(value))
    ):
        return Short(f"<{len(value)} {'entries' if isinstance(value, dict) else 'values'}>")
    return value


def _values(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def to_html(record: BaseModel) -> str:
    """A record as HTML: its single values in a table, then its lists of records as tables, then its "
    "figure."""
    rows: list[tuple[str, str]] = []
    tables: list[str] = []
    for name, value in _fields(record, ""):
        if _is_flow(value):
            tables.append(_flow(name, value))
        elif _is_table(value):
            tables.append(_table(name, value))
        else:
            rows.append((name, _cell(value)))
    body = "".join(f"<tr><th style='text-align:left'>{_text(n)}</th><td>{v}</td></tr>" for n, v in rows)
    head = f"<p><b>{_text(type(record).__name__)}</b></p><table>{body}</table>"
    return f"<div>{picture(record)}{head}{''.join(tables)}</div>"


def picture(record: BaseModel) -> str:
    """The picture of a record as an HTML image; empty where it has none."""
    place = PICTURES.get(type(record).__name__)
    if place is None:
        return ""
    module, _, name = place.partition(":")
    make: Callable[[BaseModel], str] = getattr(importlib.import_module(module), name)
    return make(record)


def _fields(record: BaseModel, prefix: str) -> Iterable[tuple[str, Any]]:
    """Values by their dotted names, those of records within where they stand."""
    for name in type(record).model_fields:
        value = getattr(record, name)
        if isinstance(value, BaseModel) and not _is_quantity(value):
            yield from _fields(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _is_quantity(value: Any) -> bool:
    """A number of a card, with where it comes from."""
    return isinstance(value, BaseModel) and {"value", "provenance", "source"} == set(type(value).model_fields)


def _is_table(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(v, BaseModel) for v in value)


def _is_flow(value: Any) -> bool:
    """Rows of a cut flow: events left by period, signature and cut."""
    needed = {"period", "signature", "cut", "events"}
    return _is_table(value) and needed <= set(type(value[0]).model_fields)


def _flow(name: str, rows: Sequence[Any]) -> str:
    """A cut flow with a row for each cut and a column for each signature and period."""
    columns = list(dict.fromkeys((row.signature, row.period) for row in rows))
    cuts = list(dict.fromkeys(row.cut for row in rows))
    events = {(row.signature, row.period, row.cut): row.events for row in rows}
    cells = [
        [cut, *("" if (n := events.get((*column, cut))) is None else n for column in columns)] for cut in cuts
    ]
    return _html_table(name, ["cut", *(f"{s}, {p}" for s, p in columns)], cells)


def _table(name: str, rows: Sequence[Any]) -> str:
    names = list(type(rows[0]).model_fields)
    cells = [[getattr(row, n, None) for n in names] for row in rows[:MOST_ROWS]]
    more = len(rows) - MOST_ROWS
    return _html_table(name, names, cells) + (f"<p>and {more} more</p>" if more > 0 else "")


def _html_table(name: str, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    top = "".join(f"<th>{_text(one)}</th>" for one in head)
    body = "".join(f"<tr>{''.join(f'<td>{_cell(one)}</td>' for one in row)}</tr>" for row in rows)
    return (
        f"<table><caption style='text-align:left'>{_text(name)}</caption><thead><tr>{top}</tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )


def _cell(value: Any) -> str:
    """A value as HTML."""
    if _is_quantity(value):
        return f"{value.value:.6g} <small>({_text(value.provenance)}: {_text(value.source)})</small>"
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, BaseModel):
        return ", ".join(f"{_text(n)} {_cell(v)}" for n, v in _fields(value, ""))
    if isinstance(value, Mapping):
        shown = [f"{_text(k)}: {_cell(v)}" for k, v in list(value.items())[:MOST_ENTRIES]]
        return _joined(shown, len(value))
    if isinstance(value, list | tuple):
        flat = [v for v in value if not isinstance(v, list | tuple)]
        if len(flat) < len(value):
            return f"{len(value)} lists"
        numbers = [v for v in flat if isinstance(v, int | float) and not isinstance(v, bool)]
        if len(numbers) > MOST_ENTRIES:
            return f"{len(value)} values from {min(numbers):.6g} to {max(numbers):.6g}"
        return _joined([_cell(v) for v in flat[:MOST_ENTRIES]], len(flat))
    return _text(value)


def _joined(shown: Sequence[str], number: int) -> str:
    return ", ".join(shown) + (f", and {number - len(shown)} more" if number > len(shown) else "")


def _text(value: Any) -> str:
    return html.escape(str(value))
