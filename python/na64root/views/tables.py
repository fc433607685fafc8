"""Records as tables of pandas and arrays of NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..annotations import Array
from ..errors import ConfigError, Na64Error
from ..event_loop.histograms import Histogram
from ..records import PlaneResult, Record


def to_pandas(record: Record | Sequence[Record], table: str | None = None) -> Any:
    """A `pandas.DataFrame`.

    A plane has a row for each point: its two quantities and `upper_limit_mu`. A histogram has a row for each
    bin: its edges, `contents`, `variance`. Records in a list are rows. Of another record it is the list of
    records `table`, by default its cut flow, or the only one that it has.

    Raises:
        ConfigError: a record without such a table.
        Na64Error: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise Na64Error(f"no pandas ({error}): pip install pandas") from None
    if isinstance(record, PlaneResult) and table is None:
        x, y = record.plane.split("-")
        limits = to_numpy(record)["upper_limit_mu"]
        across, along = np.meshgrid(record.x, record.y)
        return pandas.DataFrame({x: across.ravel(), y: along.ravel(), "upper_limit_mu": limits.ravel()})
    if isinstance(record, Histogram) and table is None:
        return pandas.DataFrame(_bins(record))
    rows = _rows(record, table) if isinstance(record, Record) else record
    return pandas.DataFrame([row.model_dump() for row in rows])


def _rows(record: Record, table: str | None) -> Sequence[Record]:
    tables = {
        name: value
        for name in type(record).model_fields
        if isinstance(value := getattr(record, name), list | tuple)
        and value
        and all(isinstance(row, Record) for row in value)
    }
    if table is None:
        table = "cutflow" if "cutflow" in tables else next(iter(tables)) if len(tables) == 1 else None
    if table not in tables:
        known = ", ".join(tables) or "none"
        asked = "no table" if table is None else f"no table {table}"
        raise ConfigError(f"{asked} in {type(record).__name__} (known: {known}): name one of them")
    return tables[table]


def _bins(histogram: Histogram) -> dict[str, Array]:
    found: dict[str, Array] = {}
    lows = np.meshgrid(*(axis.edges[:-1] for axis in histogram.axes), indexing="ij")
    highs = np.meshgrid(*(axis.edges[1:] for axis in histogram.axes), indexing="ij")
    for i, (axis, low, high) in enumerate(zip(histogram.axes, lows, highs, strict=True)):
        name = axis.title or f"axis {i}"
        found |= {f"{name}, low": low.ravel(), f"{name}, high": high.ravel()}
    contents = np.asarray(histogram.contents, dtype=float)
    variances = contents if histogram.variances is None else np.asarray(histogram.variances, dtype=float)
    return found | {"contents": contents.ravel(), "variance": variances.ravel()}


def to_numpy(record: Record) -> dict[str, Array]:
    """The numbers of a record that are lists, or lists of lists of one length, as arrays by their names.

    Null is NaN. A plane has `x` of shape (nx,), `y` (ny,), `upper_limit_mu` (ny, nx), and others.

    Raises:
        ConfigError: it has none.
    """
    found: dict[str, Array] = {}
    for name in type(record).model_fields:
        value = getattr(record, name)
        if not isinstance(value, list | tuple) or not value:
            continue
        try:
            array = np.array(value, dtype=float)
        except (TypeError, ValueError):  # of records, of texts, of other shapes
            continue
        found[name] = array
    if not found:
        raise ConfigError(f"{type(record).__name__} has no numbers in lists: take its fields, or to_pandas")
    return found
