"""Histograms as records: made of filled ROOT ones, and made into ROOT ones again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..records import Record


class HistogramAxis(Record):
    """Axis of a histogram; `edges` has one number more than there are bins."""

    title: str
    edges: list[float]


class Histogram(Record):
    """`contents` has the bins of the first axis, in two dimensions a list of bins of the second in each.

    `outside` is the sum of weights under, over or at no bin (NaN). `variances` is null for unweighted events.
    """

    title: str
    axes: list[HistogramAxis]
    contents: list[float] | list[list[float]]
    variances: list[float] | list[list[float]] | None
    outside: float


def record(action: Any, title: str, axis_titles: Sequence[str], weighted: bool) -> Histogram:
    """A filled histogram as a record."""
    filled = action.GetValue() if hasattr(action, "GetValue") else action
    axes = [filled.GetXaxis(), filled.GetYaxis()][: len(axis_titles)]
    shape = tuple(axis.GetNbins() for axis in axes)
    full = bins(filled, shape)
    inside = (slice(1, -1),) * len(shape)
    # Not as a difference of sums, which rounding leaves where nothing is outside.
    outside = full.copy()
    outside[inside] = 0.0
    squares = None
    if weighted:
        squares = stable_list(variances(filled, shape)[inside])
    edges = [[axis.GetBinLowEdge(i + 1) for i in range(axis.GetNbins() + 1)] for axis in axes]
    return Histogram(
        title=title,
        axes=[
            HistogramAxis(title=name, edges=values) for name, values in zip(axis_titles, edges, strict=True)
        ],
        contents=stable_list(full[inside]),
        variances=squares,
        outside=stable(float(outside.sum())),
    )


def to_root(ROOT: Any, name: str, histogram: Histogram) -> Any:
    """A TH1D or TH2D of no directory with the contents and errors of the record."""
    edges = [np.asarray(axis.edges) for axis in histogram.axes]
    titles = ";".join([histogram.title, *(axis.title for axis in histogram.axes), "Events"])
    kind = ROOT.TH1D if len(edges) == 1 else ROOT.TH2D
    filled = kind(name, titles, *(part for axis in edges for part in (len(axis) - 1, axis)))
    filled.SetDirectory(ROOT.nullptr)
    contents = np.asarray(histogram.contents, dtype=float)
    for index in zip(*np.nonzero(contents), strict=True):
        filled.SetBinContent(*(int(i) + 1 for i in index), contents[index])
    if histogram.variances is not None:
        errors = np.sqrt(np.asarray(histogram.variances, dtype=float))
        for index in zip(*np.nonzero(errors), strict=True):
            filled.SetBinError(*(int(i) + 1 for i in index), errors[index])
    filled.SetEntries(float(contents.sum()))
    return filled


def bins(array: Any, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """A copy of a TArrayD with the bins of a histogram, under- and overflow included, first axis first."""
    size = math.prod(n + 2 for n in shape)
    flat = np.frombuffer(array.GetArray(), dtype=np.float64, count=size).copy()
    return flat.reshape(*(n + 2 for n in reversed(shape))).T


def variances(filled: Any, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Sums of squared weights; where all weights were 1 ROOT keeps none, and they are the contents."""
    return bins(filled.GetSumw2() if filled.GetSumw2N() > 0 else filled, shape)


def stable(value: float) -> float:
    """A sum without the last digits, which depend on the order of summation and so on the threads."""
    return float(f"{value:.12g}")


def stable_list(values: np.ndarray[Any, Any]) -> Any:
    """Nested lists of an array, each number as :func:`stable` gives it."""
    return [stable_list(value) if isinstance(value, np.ndarray) else stable(float(value)) for value in values]
