"""What ROOT files hold, of any layout: trees, the numbers of their columns, and what else is in them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..cling import literal, root
from ..errors import DataError
from ..event_loop.library import surveying
from ..records import Record
from .columns import OLD_RNTUPLE
from .files import quiet_root
from .layouts import Column, column_of

# Classes of keys, and what is said of those that cannot be read.
_TREES = {
    "TTree": "TTree",
    "TNtuple": "TTree",
    "TNtupleD": "TTree",
    "ROOT::RNTuple": "RNTuple",
}
_UNREADABLE = {
    OLD_RNTUPLE: "an RNTuple of a format before 1.0, which no ROOT of today reads: write it anew, as a TTree "
    "with the ROOT that wrote it, or with ROOT 6.34 or later",
    "TChain": "a chain, which names other files: give these",
}
_FOLDERS = ("TDirectoryFile", "TDirectory")


class ColumnContent(Record):
    """A column of a tree: what it is, and what its numbers are in the `events` that were looked at.

    `shape` is that of an event, with 0 where it varies, and `lengths` the least and the most numbers of an
    event then. `nan`, `infinite` and `like_no_value` (values such as -999) are shares of the numbers;
    `minimum` and `maximum` are of the finite ones. `example`: a number, the first numbers of an array, a
    text. `not_read`: why there is none of that.
    """

    name: str
    type: str
    shape: list[int]
    events: int
    nan: float
    infinite: float
    like_no_value: dict[str, float]
    minimum: int | float | None
    maximum: int | float | None
    lengths: list[int] | None
    example: int | float | str | list[int | float | None] | None
    not_read: str | None


class TreeContent(Record):
    """A tree of a file; `not_read` says why there are no columns."""

    name: str
    kind: str
    entries: int | None
    columns: list[ColumnContent]
    not_read: str | None


class FileContent(Record):
    """The keys of a file by their class, those in folders as folder/name; `older_cycles`: of trees, how many
    keys of that name are not looked at.
    """

    trees: dict[str, str]
    objects: dict[str, list[str]]
    folders: list[str]
    older_cycles: dict[str, int]


def contents_of(path: str) -> FileContent:
    """Keys of a file that can be opened."""
    with quiet_root():
        try:
            keys = json.loads(str(surveying().contents(literal(path))))
        except root().std.exception:
            raise DataError(f"{path} cannot be read (the file is damaged): copy it again") from None
    trees = {key["name"]: key["class"] for key in keys if key["class"] in (*_TREES, *_UNREADABLE)}
    objects: dict[str, list[str]] = {}
    for key in keys:
        if key["name"] not in trees and key["class"] not in _FOLDERS:
            objects.setdefault(key["class"], []).append(key["name"])
    return FileContent(
        trees=trees,
        objects=objects,
        folders=[key["name"] for key in keys if key["class"] in _FOLDERS],
        older_cycles={key["name"]: key["older"] for key in keys if key["older"] and key["name"] in trees},
    )


class Survey:
    """The columns of a tree over some files, as the library saw them."""

    def __init__(self, paths: Sequence[str], tree: str, whole: Sequence[str], *, others: bool = True) -> None:
        """Look at all of `whole`, and at some megabytes of each of the others where they are wanted.

        Raises:
            DataError: the tree, or a column of `whole`, cannot be unpacked.
        """
        with quiet_root():
            try:
                text = surveying().survey(list(map(literal, paths)), tree, list(whole), others)
            except root().std.exception:
                text = None
        if text is None:
            raise DataError(f"'{tree}' in {paths[0]} cannot be read (the file is damaged): copy it again")
        found = json.loads(str(text))
        self.entries: list[int] = found["entries"]
        self._columns: list[dict[str, Any]] = found["columns"]
        for column in self._columns:
            if column["damaged_in"] is not None and column["name"] in whole:
                raise DataError(
                    f"branch {column['name']} in {paths[column['damaged_in']]} cannot be read (the file is "
                    "damaged): copy it again"
                )

    @property
    def read(self) -> list[str]:
        """Names of the columns whose numbers or texts were read."""
        return [column["name"] for column in self._columns if column["not_read"] is None]

    def extremes(self, name: str) -> tuple[float, float]:
        """The least and the largest finite number of a column; NaN where there is none, or another is NaN or
        infinite.
        """
        column = self._column(name)
        if column["nan"] or column["infinite"] or column["minimum"] is None:
            return float("nan"), float("nan")
        return column["minimum"], column["maximum"]

    def largest(self, name: str) -> float:
        """The largest finite number of a column, 0 where there is none."""
        return float(self._column(name)["maximum"] or 0.0)

    def events_like_no_value(self, name: str) -> dict[str, int]:
        """By value the events in which a column has one that looks like "no value"."""
        return dict(self._column(name)["suspect_events"])

    def types(self) -> dict[str, Column]:
        """Type and shape of the columns of numbers."""
        return {
            column["name"]: _column_of(column)
            for column in self._columns
            if column["not_read"] is None and "text" not in column
        }

    def contents(self) -> list[ColumnContent]:
        """The record of each column."""
        return [_content_of(column) for column in self._columns]

    def _column(self, name: str) -> dict[str, Any]:
        return next(column for column in self._columns if column["name"] == name)


def _column_of(column: Mapping[str, Any]) -> Column:
    shape = tuple(column["shape"])
    by_name = column_of(column["type"])
    if not shape:
        return by_name
    length = 1
    for size in shape:
        length *= size
    nested = by_name.nested
    element = by_name.type if by_name.array else column_of(column["type"]).type
    return Column(element, length, array=True, shape=shape if len(shape) > 1 else (), nested=nested)


def _content_of(column: Mapping[str, Any]) -> ColumnContent:
    read = column["not_read"] is None
    values = column["values"] if read else 0
    is_text = "text" in column
    has_numbers = values > 0 and not is_text

    def share(number: int) -> float:
        return number / values if has_numbers else 0.0

    example: Any = column["text"] if read and is_text else None
    if has_numbers:
        example = column["example"] if column["shape"] else column["example"][0]
    whole_numbers = isinstance(column.get("maximum"), int)
    suspects = column.get("suspect_values", {}) if has_numbers else {}
    return ColumnContent(
        name=column["name"],
        type=column["type"],
        shape=column["shape"],
        events=column["events"] if read else 0,
        nan=share(column.get("nan", 0)),
        infinite=share(column.get("infinite", 0)),
        # A whole number may well be 999.
        like_no_value={
            value: share(n) for value, n in suspects.items() if not whole_numbers or float(value) < 0
        },
        minimum=column["minimum"] if has_numbers else None,
        maximum=column["maximum"] if has_numbers else None,
        lengths=column["lengths"] if has_numbers and 0 in column["shape"] else None,
        example=example,
        not_read=column["not_read"],
    )


def trees_of(
    path: str, content: FileContent, *, leave_out: str | None = None
) -> dict[str, Survey | TreeContent]:
    """The trees of a file, looked at; what cannot be as the record that says why."""
    found: dict[str, Survey | TreeContent] = {}
    for name, kind in content.trees.items():
        if name == leave_out:
            continue
        why = _UNREADABLE.get(kind)
        folder = name.rpartition("/")[0]
        if why is None and folder and folder not in content.folders:
            why = 'its own name has a "/", where ROOT looks for a folder: write it under another name'
        if why is None:
            try:
                found[name] = Survey([path], name, [])
                continue
            except DataError:
                why = "it cannot be read (the file is damaged)"
        found[name] = TreeContent(name=name, kind=kind, entries=None, columns=[], not_read=why)
    return found


def tree_content(name: str, kind: str, survey: Survey) -> TreeContent:
    """The record of a tree that was looked at."""
    return TreeContent(
        name=name,
        kind=_TREES.get(kind, kind),
        entries=sum(survey.entries),
        columns=survey.contents(),
        not_read=None,
    )
