"""What is drawn over a plane: lines of theory and other experiments, converted to its axes."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Literal

import contourpy
import numpy as np
from scipy import optimize

from .. import theory
from .._core import units
from ..annotations import Array
from ..config import Card
from ..config.mediator import SPINLESS
from ..records import Line, Overlay, Region
from ..signal import Mode, Parameters
from ..signal.parameters import ELECTRIC_CHARGE
from ..theory.experiments import experiments_of, regions, strength_at_mass
from ..theory.overlays import (
    RELIC_SOURCE,
    chi2_stable,
    decay_closed,
    electron_g2,
    landau_pole,
    masses_of_curves,
    muon_g2,
    relic_alpha_dark,
    relic_excess,
    relic_line,
    relic_splitting,
)
from ..theory.published import about, published_curve
from ..theory.relic import MASS_RANGE_GEV as RELIC_RANGE
from ..theory.relic import DarkMatter
from ..work import Work
from .grids import Axis, ModelPoint, Plane

log = logging.getLogger(__name__)

# Masses of curves: of other experiments, each of which is a calculation, of the relic line, of what is cheap.
EXPERIMENT_POINTS, RELIC_POINTS, LINE_POINTS = 44, 200, 240

# Points along each axis between which lines are traced that cross other planes.
CROSSING_POINTS = 96

# Points along the columns and in them, where other experiments and the relic line are looked for column by
# column.
COLUMNS, COLUMN_POINTS = 40, 16


# Dark matter of which an A' -> invisible tells, and whose relic lines are drawn then.
KINDS: tuple[DarkMatter, ...] = ("scalar", "majorana", "dirac")


# Each halves the interval between two of the points along y that an edge lies in.
BISECTIONS = 5


def overlays_of(
    card: Card, plane: Plane, *, mode: Mode = "semivisible", others: bool = True, work: Work = Work()
) -> dict[str, Overlay]:
    """Lines of theory and what other experiments exclude, as far as they hold for `mode` in this plane.

    In planes of a mass and a coupling (epsilon, g, y) curves are converted point by point; in all others
    lines are where they cross the plane, and other experiments what they exclude in each column.

    Args:
        mode: with `invisible` nothing that sees chi2 decay, and relic lines of KINDS.
        others: also what takes seconds: the thermal relic line, E137, BaBar, NuCal, CHARM.
    """
    if plane.of_curves:
        found = _of_curves(card, plane, mode, others, work)
    else:
        found = _crossings(card, plane, mode)
        if others and mode == "semivisible":
            found |= _relic_in_columns(plane) | _other_experiments(plane, work)
    return {name: overlay for name, overlay in found.items() if _seen(plane, overlay)}


def _seen(plane: Plane, overlay: Overlay) -> bool:
    """Whether a curve comes into the plane, or lies around it."""
    x, y = np.array(overlay.contour).T
    left, right = x.max() >= plane.x.low, x.min() <= plane.x.high
    return bool(left and right and y.max() >= plane.y.low and y.min() <= plane.y.high)


def _of_curves(card: Card, plane: Plane, mode: Mode, others: bool, work: Work) -> dict[str, Overlay]:
    """The overlays of a plane of a mass and a coupling: curves of epsilon against m_A', put into it."""
    parameters = plane.parameters
    low, high = plane.mass_range
    masses = np.geomspace(low, high, LINE_POINTS)
    charge, coupling = parameters.mediator.electron, parameters.coupling
    electron = electron_g2(masses, charge=charge, coupling=coupling)
    found = _g2_overlays(card, masses) | _line_overlays(electron)
    if mode == "semivisible":
        if others:
            log.info("computing the relic line and what other experiments exclude")
            of_pairs = masses_of_curves(low, high, RELIC_POINTS, parameters, of_pairs=True)
            found |= _line_overlays(relic_line(of_pairs, parameters))
            few = masses_of_curves(low, high, EXPERIMENT_POINTS, parameters)
            for region in regions(few, parameters, threads=work.threads):
                found |= _region_overlays(region)
        invisible = "holds where chi2 lives long"
    else:
        invisible = "excluded above"
        if others and coupling == "vector":  # whose annihilation at rest the relic density is
            small = replace(parameters, relative_splitting=1e-3)  # pairs of one mass
            of_pairs = masses_of_curves(low, high, RELIC_POINTS, small, of_pairs=True)
            for kind in KINDS:
                found |= _line_overlays(relic_line(of_pairs, parameters, kind))
    if coupling in SPINLESS:  # made with other shares of the energy, and in e+ e- at other angles
        return _placed(plane, found)
    if mode == "invisible":
        found["BaBar invisible 2017"] = _published(
            "babar_invisible_2017",
            "arXiv:1702.03327 Fig. 5, as tabulated in DarkCast",
            "A' -> invisible, 53 fb^-1, 90 % CL: excluded above",
            parameters,
        )
        if parameters.mediator.name == "b_minus_l":
            found["NA64 B-L 2022"] = Overlay(
                kind="published",
                source="arXiv:2207.09979, as tabulated in FORESEE",
                caveat="B-L boson to invisible, 3.22e11 EOT, 90 % CL: excluded above",
                contour=[
                    [mass, g / ELECTRIC_CHARGE] for mass, g in published_curve("na64_bl_invisible", "g")
                ],
            )
    found["NA64 invisible 2019"] = _published(
        "na64_invisible_2019",
        "arXiv:1906.00176 Fig. 3, as tabulated in DarkCast",
        f"A' -> invisible, 2.84e11 EOT, 90 % CL: {invisible}",
        parameters,
    )
    return _placed(plane, found)


def _placed(plane: Plane, found: Mapping[str, Overlay]) -> dict[str, Overlay]:
    """Curves of epsilon against m_A', put into a plane of curves."""
    return {
        name: overlay.model_copy(
            update={"contour": [list(plane.place(mass, epsilon)) for mass, epsilon in overlay.contour]}
        )
        for name, overlay in found.items()
    }


def _published(name: str, source: str, caveat: str, parameters: Parameters) -> Overlay:
    """A published limit on A' -> invisible from electrons, for other mediators by the electron's charge.

    So far above m_e it is also that of an axial vector, which electrons make as they make a vector.
    """
    mediator = parameters.mediator
    charge = abs(mediator.electron)
    if not mediator.is_kinetic_mixing:
        caveat += f"; of kinetic mixing, for {mediator.name} by the charge of the electron"
    if parameters.coupling != "vector":
        caveat += "; chirality does not matter far above m_e"
    contour = [[mass, epsilon / charge] for mass, epsilon in published_curve(name)]
    return Overlay(kind="published", source=source, caveat=caveat, contour=contour)


def _crossings(card: Card, plane: Plane, mode: Mode) -> dict[str, Overlay]:
    """Lines of theory in any other plane: where they are met, between points of a fine grid."""
    x, y = (replace(axis, points=CROSSING_POINTS) for axis in (plane.x, plane.y))
    x_places, y_places = x.place(x.values), y.place(y.values)
    points = [[plane.at(a, b) for a in x.values] for b in y.values]

    def traced(line: Line, excess: Callable[[ModelPoint], float]) -> dict[str, Overlay]:
        height = np.array([[math.nan if p is None else excess(p) for p in row] for row in points])
        lines = contourpy.contour_generator(x_places, y_places, np.ma.masked_invalid(height)).lines(0.0)
        kind: Literal["bound", "line"] = "bound" if line.excluded_side == "above" else "line"
        found = {}
        for number, one in enumerate(lines, start=1):
            places = np.asarray(one)
            contour = np.stack([x.value(places[:, 0]), y.value(places[:, 1])], axis=1).tolist()
            name = line.name if number == 1 else f"{line.name} ({number})"
            found[name] = Overlay(kind=kind, source=line.source, caveat=line.caveat, contour=contour)
        return found

    axes = {plane.x.quantity, plane.y.quantity}
    found: dict[str, Overlay] = {}
    masses = np.array([point.mass_GeV for row in points for point in row if point is not None])
    if not len(masses):
        return found
    table = np.geomspace(0.999 * masses.min(), 1.001 * masses.max(), LINE_POINTS)
    if plane.epsilon_is != "central g-2 line":

        def above(values: Array) -> Callable[[ModelPoint], float]:
            log_table, log_values = np.log(table), np.log(values)
            return lambda p: (
                math.log(p.epsilon) - float(np.interp(math.log(p.mass_GeV), log_table, log_values))
            )

        g2 = muon_g2(card, table)
        for label, curve in (("central", g2.y), ("minus2", g2.band_low), ("plus2", g2.band_high)):
            if None not in curve:
                line = g2.model_copy(update={"name": f"muon g-2 {label}"})
                found |= traced(line, above(np.array(curve, dtype=float)))
        charge, coupling = plane.parameters.mediator.electron, plane.parameters.coupling
        electron = electron_g2(table, charge=charge, coupling=coupling)
        if None not in electron.y:
            found |= traced(electron, above(np.array(electron.y, dtype=float)))
    if "alpha" in axes and plane.parameters.coupling == "vector":
        pole = landau_pole(table)
        log_masses, bounds = np.log(table), np.array(pole.y, dtype=float)
        found |= traced(
            pole,
            lambda p: p.parameters.alpha_dark - float(np.interp(math.log(p.mass_GeV), log_masses, bounds)),
        )
    if mode == "semivisible" and axes & {"splitting", "mass1", "mass", "ratio"}:
        found |= traced(
            chi2_stable([1.0]),
            lambda p: (
                p.parameters.relative_splitting * p.mass_GeV / p.parameters.mass_ratio
                - 2.0 * units.electron_mass
            ),
        )
    closed = _closed(plane)
    if closed is not None and mode == "semivisible":
        found |= closed
    return found


def _closed(plane: Plane) -> dict[str, Overlay] | None:
    """Where A' -> chi1 chi2 closes, f = R - 2, in planes with one of the two; None in others."""
    quantities = [plane.x.quantity, plane.y.quantity]
    ratio, splitting = plane.parameters.mass_ratio, plane.parameters.relative_splitting
    if ("splitting" in quantities) == ("ratio" in quantities):
        if "splitting" not in quantities:
            return None
        along = plane.x.values
        other = along - 2.0 if plane.x.quantity == "ratio" else along + 2.0
        contour = [[float(x), float(y)] for x, y in zip(along, other, strict=True) if y > 0.0]
    else:
        first = quantities[0] in ("splitting", "ratio")
        value = ratio - 2.0 if "splitting" in quantities else splitting + 2.0
        axis = plane.y if first else plane.x
        ends = (axis.low, axis.high)
        contour = [[value, end] if first else [end, value] for end in ends]
    line = decay_closed([1.0], ratio)
    return {line.name: Overlay(kind="bound", source=line.source, caveat=line.caveat, contour=contour)}


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


def _relic_in_columns(plane: Plane) -> dict[str, Overlay]:
    """The thermal relic line in planes that are not of curves: its y at each x."""
    parameters = plane.parameters
    x = replace(plane.x, points=COLUMNS).values
    if plane.epsilon is None and (plane.x.quantity, plane.y.quantity) in (
        ("mass", "alpha"),
        ("mass1", "splitting"),
    ):
        masses = x if plane.x.quantity == "mass" else x * parameters.mass_ratio
        epsilon = theory.epsilon_g2(masses, plane.delta_a_mu, charge=parameters.mediator.muon)
        along = relic_alpha_dark if plane.y.quantity == "alpha" else relic_splitting
        return _line_overlays(along(x, epsilon, parameters))
    y = replace(plane.y, points=COLUMN_POINTS)
    places = y.place(y.values)

    def root(value: float, factor: float) -> float | None:
        def excess(place: float) -> float:
            point = plane.at(value, float(y.value(np.array(place))))
            if point is None or not RELIC_RANGE[0] <= point.mass_GeV <= RELIC_RANGE[1]:
                return math.nan
            return relic_excess(point.mass_GeV, factor * point.epsilon, point.parameters)

        heights = np.array([excess(float(place)) for place in places])
        with np.errstate(invalid="ignore"):
            crossed = np.flatnonzero(heights[:-1] * heights[1:] < 0.0)
        if not len(crossed):
            return None
        i = int(crossed[0])
        place = optimize.brentq(excess, float(places[i]), float(places[i + 1]), xtol=1e-3)
        return float(y.value(np.array(place)))

    line = [root(float(value), 1.0) for value in x]
    return _line_overlays(
        Line(
            name="thermal relic",
            source=RELIC_SOURCE,
            caveat="chi1 and chi2 in equilibrium until freeze-out; the first solution in each column, good "
            "to 15 % in epsilon below m_A' = 0.4 GeV and 40 % above",
            parameters={},
            x_quantity=plane.x.quantity,
            y_quantity=plane.y.quantity,
            x=x.tolist(),
            y=line,
        )
    )


def _other_experiments(plane: Plane, work: Work) -> dict[str, Overlay]:
    """Other experiments in planes that are not of curves: in each column the range that they exclude.

    A column has one mass, so that it shares the production; where y moves the mass, rows are taken. Where
    both do (mass1 and ratio) they are left out: each point would be a production of its own.
    """
    moved = {"mass", "mass1"} | ({"ratio"} if "mass1" in (plane.x.quantity, plane.y.quantity) else set())
    if plane.y.quantity in moved and plane.x.quantity in moved:
        return {}
    turned = plane.y.quantity in moved
    columns = replace(plane, x=plane.y, y=plane.x) if turned else plane
    x, y = replace(columns.x, points=COLUMNS).values, replace(columns.y, points=COLUMN_POINTS)
    found = {}
    for name in experiments_of(plane.parameters):

        def ends(value: float, name: str = name) -> tuple[float | None, float | None]:
            return _excluded_range(columns, name, value, y)

        with ThreadPoolExecutor(max_workers=work.threads) as pool:
            ranges = list(pool.map(ends, x.tolist()))
        source, caveat = about(name)
        for key, piece in _pieces(name, x.tolist(), [low for low, _ in ranges], [high for _, high in ranges]):
            contour = [point[::-1] if turned else point for point in _around(piece)]
            found[key] = Overlay(kind="excluded", source=source, caveat=caveat, contour=contour)
    return found


def _excluded_range(plane: Plane, experiment: str, x: float, y: Axis) -> tuple[float | None, float | None]:
    """The lowest and highest y that another experiment excludes at this x, each found by bisection."""
    masses = {point.mass_GeV for value in y.values if (point := plane.at(x, float(value))) is not None}
    if not masses:
        return None, None
    (mass,) = masses
    strength = strength_at_mass(experiment, mass)

    def excluded(value: float) -> bool:
        point = plane.at(x, value)
        return point is not None and strength(point.parameters, point.epsilon) >= 1.0

    values = y.values
    inside = [i for i, value in enumerate(values.tolist()) if excluded(value)]
    if not inside:
        return None, None
    edges = []
    for last, beyond in ((inside[0], inside[0] - 1), (inside[-1], inside[-1] + 1)):
        within = float(y.place(values[last]))
        if 0 <= beyond < len(values):
            without = float(y.place(values[beyond]))
            for _ in range(BISECTIONS):
                middle = 0.5 * (within + without)
                if excluded(float(y.value(np.array(middle)))):
                    within = middle
                else:
                    without = middle
        edges.append(float(y.value(np.array(within))))
    return edges[0], edges[1]
