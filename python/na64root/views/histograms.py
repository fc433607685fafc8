"""Records as histograms of hist, which is what UHI libraries draw, and as objects of ROOT."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..annotations import Array
from ..cling import root
from ..errors import ConfigError, Na64Error
from ..event_loop import histograms
from ..event_loop.histograms import Histogram
from ..records import PlaneResult, Record


def to_hist(record: Record) -> Any:
    """A `hist.Hist` with weights: a histogram with its bins, or a plane with a bin around each point.

    Bins of a plane hold `upper_limit_mu`, NaN where there is none. It keeps to UHI, so mplhep and others take
    it. What is outside of the axes is not in a record, but as a sum: it is left out.

    Raises:
        ConfigError: a record that is neither.
        Na64Error: hist is not installed.
    """
    try:
        import hist
    except ImportError as error:
        raise Na64Error(f"no hist ({error}): pip install hist") from None
    if isinstance(record, PlaneResult):
        axes = [
            hist.axis.Variable(edges, name=name, label=name, flow=False)
            for name, edges in zip(record.plane.split("-"), _plane_edges(record), strict=True)
        ]
        filled = hist.Hist(*axes, storage=hist.storage.Double())
        filled.view()[...] = np.array(record.upper_limit_mu, dtype=float).T
        return filled
    if isinstance(record, Histogram):
        axes = [
            hist.axis.Variable(axis.edges, name=f"axis{i}", label=axis.title)
            for i, axis in enumerate(record.axes)
        ]
        counted = hist.Hist(*axes, storage=hist.storage.Weight(), label=record.title)
        contents = np.asarray(record.contents, dtype=float)
        view: Any = counted.view()
        view.value = contents
        view.variance = contents if record.variances is None else np.asarray(record.variances, dtype=float)
        return counted
    raise _not_one(record)


def to_root(record: Record, name: str = "na64root") -> Any:
    """A TH1D or TH2D that belongs to no directory: of a histogram, or of `upper_limit_mu` of a plane.

    Points of a plane without a signal hold infinity. The current directory of ROOT stays as it is.

    Raises:
        ConfigError: a record that is neither.
    """
    if not isinstance(record, PlaneResult | Histogram):
        raise _not_one(record)
    ROOT = root()
    # A histogram that is made registers itself, and another of its name there would go.
    adds = ROOT.TH1.AddDirectoryStatus()
    ROOT.TH1.AddDirectory(False)
    try:
        if isinstance(record, Histogram):
            return histograms.to_root(ROOT, name, record)
        x, y = _plane_edges(record)
        titles = ";".join(record.plane.split("-"))
        title = f"Upper limit on the signal strength;{titles}"
        filled = ROOT.TH2D(name, title, len(x) - 1, x, len(y) - 1, y)
        for j, row in enumerate(record.upper_limit_mu, start=1):
            for i, mu in enumerate(row, start=1):
                filled.SetBinContent(i, j, math.inf if mu is None else mu)
        return filled
    finally:
        ROOT.TH1.AddDirectory(adds)


def _not_one(record: Record) -> ConfigError:
    return ConfigError(
        f"{type(record).__name__} is no histogram and no plane: give one of its histograms, or use to_pandas"
    )


def _plane_edges(plane: PlaneResult) -> tuple[Array, Array]:
    return (
        bin_edges(plane.x, logarithmic=plane.x_logarithmic),
        bin_edges(plane.y, logarithmic=plane.y_logarithmic),
    )


def bin_edges(points: Sequence[float], *, logarithmic: bool) -> Array:
    """Edges of bins around points, even in their logarithm or in themselves; shape (n_points + 1,)."""
    places = np.log(points) if logarithmic else np.asarray(points)
    middle = 0.5 * (places[1:] + places[:-1])
    first, last = 2 * places[0] - middle[0], 2 * places[-1] - middle[-1]
    edges = np.concatenate([[first], middle, [last]])
    return np.exp(edges) if logarithmic else edges
