"""What is drawn over a plane: lines of theory and other experiments, converted to its axes."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .. import theory
from ..annotations import Array
from ..config import Card
from ..records import Line, Overlay, Region
from ..theory import experiments
from ..theory.experiments import EXPERIMENTS, regions
from ..theory.overlays import (
    chi2_stable,
    decay_closed,
    electron_g2,
    landau_pole,
    muon_g2,
    relic_alpha_dark,
    relic_line,
    relic_splitting,
)
from ..theory.published import about, published_curve
from ..work import Work
from .grids import Axis, Plane

log = logging.getLogger(__name__)

# Points along x and y for curves of other experiments and the relic line, of which each takes a calculation.
OVERLAY_POINTS = 40, 16


# Each halves the interval between two of the points along y that an edge lies in.
BISECTIONS = 5


def overlays_of(card: Card, plane: Plane, *, others: bool = True, work: Work = Work()) -> dict[str, Overlay]:
    """Lines of theory and what other experiments exclude, in the paper's planes; in others there are none.

    Args:
        others: also what takes seconds: the thermal relic line, E137, BaBar, NuCal, CHARM.
    """
    axes = plane.x.quantity, plane.y.quantity
    parameters = plane.parameters
    points = min(plane.x.points, OVERLAY_POINTS[0])
    x = replace(plane.x, points=points).values
    lines: list[Line] = []
    found: dict[str, Overlay] = {}
    if axes == ("mass", "epsilon"):
        found |= _g2_overlays(card, plane.x.values)
        lines.append(electron_g2(plane.x.values))
        if others:
            log.info("computing the relic line and what other experiments exclude")
            lines.append(relic_line(x, parameters))
            for region in regions(x, parameters, threads=work.threads):
                found |= _region_overlays(region)
        found["NA64 invisible 2019"] = Overlay(
            kind="published",
            source="arXiv:1906.00176 Fig. 3, as tabulated in DarkCast",
            caveat="A' -> invisible, 2.84e11 EOT, 90 % CL: holds where chi2 lives long",
            contour=[list(point) for point in published_curve("na64_invisible_2019")],
        )
    elif plane.epsilon is None and axes in (("mass", "alpha"), ("mass1", "splitting")):
        masses = x if axes[0] == "mass" else x * parameters.mass_ratio
        epsilon = theory.epsilon_g2(masses, plane.delta_a_mu)
        if axes[0] == "mass":
            lines.append(landau_pole(plane.x.values))
            if others:
                lines.append(relic_alpha_dark(x, epsilon, parameters))
        else:
            lines += [
                chi2_stable(plane.x.values),
                decay_closed(plane.x.values, parameters.mass_ratio),
            ]
            if others:
                lines.append(relic_splitting(x, epsilon, parameters))
        if others:
            found |= _other_experiments(plane, work)
    for line in lines:
        found |= _line_overlays(line)
    low, high = plane.y.low, plane.y.high
    return {
        name: overlay
        for name, overlay in found.items()
        if any(low <= point[1] <= high for point in overlay.contour) or name.startswith("g-2")
    }


def _g2_overlays(card: Card, masses: Array) -> dict[str, Overlay]:
    """Central line and edges at two standard deviations, with Fermilab's average and before it."""
    found = {}
    for name, line in (
        ("g-2", muon_g2(card, masses)),
        ("g-2 before Fermilab", muon_g2(card, masses, before_fermilab=True)),
    ):
        for label, values in (("central", line.y), ("minus2", line.band_low), ("plus2", line.band_high)):
            contour = [[x, y] for x, y in zip(line.x, values, strict=True) if y is not None]
            if contour:
                found[f"{name} {label}"] = Overlay(
                    kind="line", source=line.source, caveat=line.caveat, contour=contour
                )
    return found


def _line_overlays(line: Line) -> dict[str, Overlay]:
    kind: Literal["bound", "line"] = "bound" if line.excluded_side == "above" else "line"
    found = {}
    for name, piece in _pieces(line.name, line.x, line.y):
        contour = [[x, y] for x, (y, _) in piece]
        found[name] = Overlay(kind=kind, source=line.source, caveat=line.caveat, contour=contour)
    for name, piece in _pieces(f"{line.name} band", line.x, line.band_low, line.band_high):
        found[name] = Overlay(kind="band", source=line.source, caveat=line.caveat, contour=_around(piece))
    return found


def _region_overlays(region: Region) -> dict[str, Overlay]:
    return {
        name: Overlay(kind="excluded", source=region.source, caveat=region.caveat, contour=_around(piece))
        for name, piece in _pieces(region.name, region.mass_GeV, region.epsilon_low, region.epsilon_high)
    }


Piece = list[tuple[float, tuple[float, float]]]


def _pieces(
    name: str, x: Sequence[float], low: Sequence[float | None], high: Sequence[float | None] | None = None
) -> Iterator[tuple[str, Piece]]:
    """The parts without a gap that have two points or more, numbered from the second on."""
    pieces: list[Piece] = [[]]
    for value, bottom, top in zip(x, low, low if high is None else high, strict=False):
        if bottom is None or top is None:
            pieces.append([])
        else:
            pieces[-1].append((value, (bottom, top)))
    whole = [piece for piece in pieces if len(piece) > 1]
    for number, piece in enumerate(whole, start=1):
        yield (name if number == 1 else f"{name} ({number})"), piece


def _around(piece: Piece) -> list[list[float]]:
    there = [[x, low] for x, (low, _) in piece]
    back = [[x, high] for x, (_, high) in reversed(piece)]
    return [*there, *back, there[0]]


def _other_experiments(plane: Plane, work: Work) -> dict[str, Overlay]:
    """Other experiments where epsilon is no axis: at each x the range of y that they exclude."""
    columns = replace(plane, x=replace(plane.x, points=OVERLAY_POINTS[0]))
    x, y = columns.x.values, replace(plane.y, points=OVERLAY_POINTS[1])
    found = {}
    for name in EXPERIMENTS:

        def ends(value: float, name: str = name) -> tuple[float | None, float | None]:
            return _excluded_range(columns, name, value, y)

        with ThreadPoolExecutor(max_workers=work.threads) as pool:
            ranges = list(pool.map(ends, x.tolist()))
        source, caveat = about(name)
        for key, piece in _pieces(name, x.tolist(), [low for low, _ in ranges], [high for _, high in ranges]):
            found[key] = Overlay(kind="excluded", source=source, caveat=caveat, contour=_around(piece))
    return found


def _excluded_range(plane: Plane, experiment: str, x: float, y: Axis) -> tuple[float | None, float | None]:
    """The lowest and highest y that another experiment excludes at this x, each found by bisection."""

    def excluded(values: Sequence[float]) -> NDArray[np.bool_]:
        points = [plane.at(x, value) for value in values]
        known = [point for point in points if point is not None]
        result = np.zeros(len(values), dtype=bool)
        if known:
            pairs = [(point.parameters, point.epsilon) for point in known]
            strengths = experiments.strengths(experiment, known[0].mass_GeV, pairs)
            result[[point is not None for point in points]] = strengths >= 1.0
        return result

    values = y.values
    inside = np.flatnonzero(excluded(values.tolist()))
    if not len(inside):
        return None, None
    edges = []
    for last, beyond in ((inside[0], inside[0] - 1), (inside[-1], inside[-1] + 1)):
        within = float(y.place(values[last]))
        if 0 <= beyond < len(values):
            without = float(y.place(values[beyond]))
            for _ in range(BISECTIONS):
                middle = 0.5 * (within + without)
                if excluded([float(y.value(np.array(middle)))])[0]:
                    within = middle
                else:
                    without = middle
        edges.append(float(y.value(np.array(within))))
    return edges[0], edges[1]
