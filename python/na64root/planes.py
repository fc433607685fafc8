"""Exclusion planes of any two parameters: grids, contours and bands, resumed where they were interrupted.

A plane is computed column by column, a column having one value of x. Around the contour the grid is refined,
so that the contour depends little on it. What is done is kept in a file beside the result until all is done.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import logging
import math
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import contourpy
import numpy as np
from numpy.typing import NDArray

from . import _core, overlays, theory
from .config import Card
from .errors import ConfigError
from .exclusion import NO_SIGNAL, Exclusion, ExpectedSignal
from .results import Count, InputFile, Line, Overlay, PlaneResult, Region, provenance
from .signal import Mode, Parameters, SignalAtMass, card_counts
from .signal_sample import SignalSamples

log = logging.getLogger(__name__)

Array = NDArray[np.float64]
Progress = Callable[[int, int], None]
Quantity = Literal["mass", "mass1", "epsilon", "alpha", "ratio", "splitting"]
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)
PLANES = ("mass-epsilon", "mass-alpha", "mass1-splitting")

# The end of the excluded part of the central g-2 line in the paper's abstract.
PAPER_END_POINT_GEV = 0.39
# Parts into which the cells of the grid that the contour crosses are divided, along each axis.
REFINEMENT = 4
# Points along x and y for curves of other experiments and the relic line, of which each takes a calculation.
OVERLAY_POINTS = 40, 16
# Each halves the interval between two of the points along y that an edge lies in.
BISECTIONS = 5


@dataclass(frozen=True)
class Axis:
    """Values of a quantity, from low to high, evenly in its logarithm or (`logarithmic` false) in itself.

    Quantities: ``mass`` of the A' and ``mass1`` of chi1 in GeV, ``epsilon``, ``alpha`` (alpha_D), ``ratio``
    (A' to chi1 mass), ``splitting`` (Delta over the chi1 mass).

    Raises:
        ConfigError: an unknown quantity, a range that is none, too few points.
    """

    quantity: Quantity
    low: float
    high: float
    points: int
    logarithmic: bool = True

    def __post_init__(self) -> None:
        if self.quantity not in QUANTITIES:
            raise ConfigError(f"no axis {self.quantity} (known: {', '.join(QUANTITIES)}): correct it")
        if not (math.isfinite(self.high) and 0.0 < self.low < self.high):
            raise ConfigError(
                f"axis {self.quantity} from {self.low:g} to {self.high:g} (must rise, from above zero): "
                "correct it"
            )
        if self.points < 2:
            raise ConfigError(f"axis {self.quantity} with {self.points} points (at least 2): give more")

    @property
    def values(self) -> Array:
        space = np.geomspace if self.logarithmic else np.linspace
        return np.asarray(space(self.low, self.high, self.points))

    @property
    def finer(self) -> Axis:
        return replace(self, points=REFINEMENT * (self.points - 1) + 1)

    def place(self, values: Array) -> Array:
        """Coordinates in which the axis is even."""
        return np.log(values) if self.logarithmic else np.asarray(values)

    def value(self, places: Array) -> Array:
        return np.exp(places) if self.logarithmic else np.asarray(places)


@dataclass(frozen=True)
class ModelPoint:
    """One point of a plane."""

    mass_GeV: float
    epsilon: float
    parameters: Parameters


@dataclass(frozen=True)
class Plane:
    """Two axes, and what holds where they do not say it: the card's dark sector, a mass, an epsilon.

    Without `epsilon` it is that of the central g-2 line at each mass, as in Fig. 5 of the paper.

    Raises:
        ConfigError: axes of one quantity or that leave the mass open.
    """

    name: str
    x: Axis
    y: Axis
    parameters: Parameters
    delta_a_mu: float
    epsilon: float | None = None
    mass_GeV: float | None = None

    def __post_init__(self) -> None:
        axes = {self.x.quantity, self.y.quantity}
        if len(axes) == 1:
            raise ConfigError(f"both axes are {self.x.quantity}: choose two quantities")
        if axes == {"mass", "mass1"}:
            raise ConfigError("axes mass and mass1 (their ratio is a parameter): choose mass and ratio")
        if not axes & {"mass", "mass1"} and self.mass_GeV is None:
            raise ConfigError(f"plane {self.name} has no axis mass (which mass?): give --mass-GeV")

    @classmethod
    def named(cls, name: str, card: Card) -> Plane:
        """One of the paper's planes: Fig. 4, Fig. 5 top and bottom, with the ranges of the card.

        Raises:
            ConfigError: no such plane.
        """
        ranges = card.plane

        def axis(quantity: Quantity) -> Axis:
            low, high, points = (getattr(ranges, f"{quantity}_{end}") for end in ENDS[quantity])
            return Axis(quantity, low.value, high.value, round(points.value))

        if name not in PLANES:
            raise ConfigError(f"no plane {name} (known: {', '.join(PLANES)}): correct it or give --x and --y")
        x, y = name.split("-")
        return cls(
            name,
            axis(x),  # type: ignore[arg-type]
            axis(y),  # type: ignore[arg-type]
            Parameters.of(card),
            card.muon_g2.central.value,
        )

    @classmethod
    def of_axes(
        cls, card: Card, x: Axis, y: Axis, *, epsilon: float | None = None, mass_GeV: float | None = None
    ) -> Plane:
        """Any plane, with the card's dark sector.

        Raises:
            ConfigError: a mass or epsilon that an axis gives too; axes that make no plane.
        """
        axes = {x.quantity, y.quantity}
        for name, value, taken in (
            ("--epsilon", epsilon, axes & {"epsilon"}),
            ("--mass-GeV", mass_GeV, axes & {"mass", "mass1"}),
        ):
            if value is not None and taken:
                raise ConfigError(f"{name} beside an axis {taken.pop()} (both give it): give one of them")
            if value is not None and not (math.isfinite(value) and value > 0.0):
                raise ConfigError(f"{name} {value:g} (must be above zero): correct it")
        return cls(
            f"{x.quantity}-{y.quantity}",
            x,
            y,
            Parameters.of(card),
            card.muon_g2.central.value,
            epsilon=epsilon,
            mass_GeV=mass_GeV,
        )

    @property
    def epsilon_is(self) -> str:
        """In words, for titles."""
        if "epsilon" in (self.x.quantity, self.y.quantity):
            return "an axis"
        return "central g-2 line" if self.epsilon is None else f"epsilon = {self.epsilon:g}"

    def at(self, x: float, y: float) -> ModelPoint | None:
        """The model at a point of the plane; None where A' -> chi1 chi2 is closed or there is no g-2 line."""
        given = {self.x.quantity: x, self.y.quantity: y}
        parameters = Parameters(
            given.get("alpha", self.parameters.alpha_dark),
            given.get("ratio", self.parameters.mass_ratio),
            given.get("splitting", self.parameters.relative_splitting),
        )
        mass = given.get("mass", self.mass_GeV)
        if "mass1" in given:
            mass = given["mass1"] * parameters.mass_ratio
        assert mass is not None  # __post_init__
        # 0 < Delta < M - 2 m1, in units of m1.
        if not parameters.relative_splitting < parameters.mass_ratio - 2.0:
            return None
        epsilon = given.get("epsilon", self.epsilon)
        if epsilon is None:
            epsilon = float(theory.epsilon_g2(mass, self.delta_a_mu))
        return ModelPoint(mass, epsilon, parameters) if math.isfinite(epsilon) else None


# Fields of the card's [plane] by quantity.
ENDS: dict[Quantity, tuple[str, str, str]] = {
    "mass": ("min_GeV", "max_GeV", "points"),
    "mass1": ("min_GeV", "max_GeV", "points"),
    "epsilon": ("min", "max", "points"),
    "alpha": ("min", "max", "points"),
    "splitting": ("min", "max", "points"),
}

# A column of a grid: its number, and the numbers of its points.
Column = tuple[int, tuple[int, ...]]


def scan(
    card: Card,
    plane: Plane | str = "mass-epsilon",
    counts: Sequence[Count] | None = None,
    exposure: Mapping[str, float] | None = None,
    *,
    mode: Mode = "semivisible",
    expected: bool = True,
    others: bool = False,
    kept: Path | None = None,
    seed: int = 1,
    threads: int = 1,
    executor: Executor | None = None,
    progress: Progress | None = None,
    input_files: Sequence[InputFile] = (),
) -> PlaneResult:
    """An exclusion plane, by default the paper's Fig. 4.

    Args:
        plane: its axes, or the name of one of the paper's.
        counts, exposure: of an analysis; without them the card's own.
        mode: ``invisible`` for A' -> invisible (S2 alone).
        expected: also contours of the expected limits.
        others: also the thermal relic line and what other experiments exclude.
        kept: a file for what is done, from which an interrupted scan goes on; removed at the end.
        threads: columns in parallel; the result does not depend on it.
        executor: computes the columns in place of `threads`, as that of a Dask client; its workers need
            na64root, and no file.
        progress: called with (columns done, all columns).
        input_files: where the counts come from, for the provenance.

    Raises:
        ConfigError: an unphysical card, no bin to set a limit with.
        ConvergenceError: an integral or a limit that did not converge.
    """
    chosen = Plane.named(plane, card) if isinstance(plane, str) else plane
    exposure = card.exposure() if exposure is None else exposure
    counts = card_counts(card, exposure) if counts is None else counts
    if mode == "invisible":
        counts = [count for count in counts if count.signature == "S2"]
    exclusion = Exclusion(card, counts, exposure, mode=mode, expected=expected, seed=seed, threads=threads)
    origin = provenance(
        card, seed=seed, limit_method=f"exact, {card.limit.treatment}", input_files=input_files
    )
    # The seed changes columns only where they are simulated.
    seed_of_columns = seed if exclusion.simulated else None
    what = (origin.model_dump(exclude={"input_files", "seed"}), repr(chosen), mode, expected, seed_of_columns)
    work = _Work(exclusion, chosen, _Kept(kept, what, counts, exposure), threads, executor, progress)
    x, y = chosen.x.values, chosen.y.values
    every = tuple(range(len(y)))
    lines = chosen.name == "mass-epsilon"
    columns = work.columns(x, y, [(i, every) for i in range(len(x))], lines=lines)
    coarse = _grid(columns, len(x), len(y))
    fine = _refined(work, chosen, coarse)
    low: list[float | None] = []
    high: list[float | None] = []
    end_point = None
    if lines:
        low, high = ([column.epsilon_range[end] for _, column in columns] for end in (0, 1))
        end_point = exclusion.g2_end_point(x, np.array([column.on_central_g2_line for _, column in columns]))
    contours = {name: _contours(chosen, values) for name, values in fine.items()}
    work.kept.remove()
    return PlaneResult(
        plane=chosen.name,
        mode=mode,
        epsilon_is=chosen.epsilon_is,
        x=x.tolist(),
        y=y.tolist(),
        upper_limit_mu=[
            [1.0 / value if value > NO_SIGNAL else None for value in row] for row in coarse["observed"]
        ],
        contours=contours.pop("observed"),
        expected_contours=contours,
        overlays=overlays_of(card, chosen, others=others, threads=threads),
        epsilon_low=low,
        epsilon_high=high,
        g2_excluded_up_to_GeV=end_point,
        scorecard={"g2_end_point_GeV": _score(end_point)}
        if chosen.name == "mass-epsilon" and mode == "semivisible"
        else {},
        counts=list(counts),
        exposure=dict(exposure),
        provenance=origin,
    )


@dataclass(frozen=True)
class _Found:
    """What was found in a column: strengths at its points, by the limit that they are over.

    Where the plane is that of mass and epsilon also the ends of the excluded epsilon and the strength on the
    central g-2 line.
    """

    strengths: dict[str, list[float]]
    epsilon_range: tuple[float | None, float | None] = (None, None)
    on_central_g2_line: float | None = None


class _Kept:
    """Columns that are done, one JSON line each after a line that says what they belong to."""

    def __init__(
        self, path: Path | None, what: object, counts: Sequence[Count], exposure: Mapping[str, float]
    ) -> None:
        self._path = path
        fields = sorted(_Found.__annotations__)
        whole = repr((fields, what, [count.model_dump() for count in counts], sorted(exposure.items())))
        self._key = hashlib.sha256(whole.encode()).hexdigest()
        self._done: dict[str, dict[str, Any]] = {}
        if path is None:
            return
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        if lines and lines[0] == self._key:
            for line in lines[1:]:
                try:
                    self._done.update(json.loads(line))
                except ValueError:  # cut off where the scan was interrupted
                    continue
        path.write_text("\n".join([self._key, *map(json.dumps, self._pairs())]) + "\n", "utf-8")

    def _pairs(self) -> Iterable[dict[str, dict[str, Any]]]:
        return ({name: column} for name, column in self._done.items())

    def get(self, name: str) -> _Found | None:
        return _Found(**self._done[name]) if name in self._done else None

    def add(self, name: str, column: _Found) -> None:
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({name: asdict(column)}) + "\n")

    def remove(self) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)


@dataclass
class _Work:
    """Computes columns, in threads or by the workers of an executor, and keeps them as they come."""

    exclusion: Exclusion
    plane: Plane
    kept: _Kept
    threads: int
    executor: Executor | None
    progress: Progress | None
    done: int = 0
    wanted: int = 0

    def columns(
        self, x: Array, y: Array, columns: Sequence[Column], *, lines: bool = False
    ) -> list[tuple[Column, _Found]]:
        """What is found in each column, `lines` as in :func:`_column`."""
        names = {column: f"{len(x)} {column[0]} {column[1][0]} {len(column[1])}" for column in columns}
        found = {column: known for column in columns if (known := self.kept.get(names[column]))}
        self.wanted += len(columns)
        self._report(len(found))
        with self._running() as (executor, function):
            running: dict[Future[_Found], Column] = {}
            try:
                for i, rows in (column for column in columns if column not in found):
                    values = [float(y[j]) for j in rows]
                    running[executor.submit(function, float(x[i]), values, lines)] = i, rows
                for future in as_completed(running):
                    column = running[future]
                    found[column] = future.result()
                    self.kept.add(names[column], found[column])
                    self._report(1)
            finally:
                for future in running:
                    future.cancel()
        return [(column, found[column]) for column in columns]

    @contextlib.contextmanager
    def _running(self) -> Iterator[tuple[Executor, Callable[[float, list[float], bool], _Found]]]:
        if self.executor is not None:
            # Bytes, which a worker unpacks once: nothing that could be lost with a worker is kept by one.
            packed = pickle.dumps((self.exclusion.anew(threads=1), self.plane))
            yield self.executor, functools.partial(_column_on_worker, packed)
            return
        # Samples are made one after the other, each on all threads.
        workers = 1 if self.exclusion.simulated else max(1, self.threads)
        with ThreadPoolExecutor(max_workers=workers) as pool:
            yield pool, functools.partial(_column, self.exclusion, self.plane)

    def _report(self, done: int) -> None:
        self.done += done
        if self.progress is not None and done:
            self.progress(self.done, self.wanted)


def _column_on_worker(packed: bytes, x: float, y: list[float], lines: bool) -> _Found:
    exclusion, plane = _unpacked(packed)
    return _column(exclusion, plane, x, y, lines)


@functools.lru_cache(maxsize=2)
def _unpacked(packed: bytes) -> tuple[Exclusion, Plane]:
    exclusion, plane = pickle.loads(packed)
    return exclusion, plane


def _column(exclusion: Exclusion, plane: Plane, x: float, y: list[float], lines: bool) -> _Found:
    """A column by itself, so that it does not matter what was computed before, and where.

    Args:
        lines: the column is one of mass, and y epsilon: also the lines in it.
    """
    exclusion = exclusion.anew()
    strengths = {name: values.tolist() for name, values in _strengths(exclusion, plane, x, y).items()}
    if not lines:
        return _Found(strengths)
    ends = exclusion.epsilon_range(exclusion.at_mass(x), np.array(y))
    return _Found(strengths, ends, exclusion.on_central_g2_line(x))


def _strengths(exclusion: Exclusion, plane: Plane, x: float, y: Sequence[float]) -> dict[str, Array]:
    """Strengths along a column; NaN where there is no model. What points share is computed once."""
    points = [plane.at(x, value) for value in y]
    events = np.full((len(y), 2), math.nan)
    varied = np.zeros(len(y)) if exclusion.varied else None
    signal = _SharedSignal(exclusion)
    groups: dict[tuple[float, Parameters], list[int]] = {}
    for j, point in enumerate(points):
        if point is not None:
            groups.setdefault((point.mass_GeV, point.parameters), []).append(j)
    for (mass, parameters), members in groups.items():
        epsilon = [point.epsilon for j in members if (point := points[j]) is not None]
        events[members] = signal.expected(mass, parameters, epsilon)
        if varied is not None:
            varied[members] = exclusion.varied_size(exclusion.at_mass(mass), epsilon, parameters)
    known = np.isfinite(events).all(axis=1)
    strengths = exclusion.strengths(np.where(known[:, None], events, 0.0), varied)
    return {name: np.where(known, strength, math.nan) for name, strength in strengths.items()}


class _SharedSignal:
    """Signals at a few points, which share production at one mass and kinematics at one alpha_D."""

    def __init__(self, exclusion: Exclusion) -> None:
        self._exclusion = exclusion
        self._production: dict[float, list[_core.ProductionPoint]] = {}
        self._kinematics: dict[tuple[float, float, float], SignalAtMass] = {}

    def expected(self, mass_GeV: float, parameters: Parameters, epsilon: Sequence[float]) -> Array:
        """Expected (S1, S2) events, shape (n_epsilon, 2)."""
        found = self._exclusion.at_mass(mass_GeV) if self._exclusion.simulated else None
        if isinstance(found, SignalSamples):
            return np.asarray(found.per_electron(epsilon, parameters) * self._exclusion.weight)
        return self._exclusion.expected(self._at(mass_GeV, parameters), epsilon)

    def _at(self, mass_GeV: float, parameters: Parameters) -> ExpectedSignal:
        if parameters == Parameters.of(self._exclusion.card):
            return self._exclusion.at_mass(mass_GeV)
        signal = self._exclusion.signal
        key = (mass_GeV, parameters.mass_ratio, parameters.relative_splitting)
        if key not in self._kinematics:
            if mass_GeV not in self._production:
                self._production[mass_GeV] = signal.production(mass_GeV)
            self._kinematics[key] = signal.at_mass(mass_GeV, parameters, self._production[mass_GeV])
        return self._kinematics[key].with_alpha_dark(parameters.alpha_dark)


def _grid(columns: Sequence[tuple[Column, _Found]], n_x: int, n_y: int) -> dict[str, Array]:
    """The columns as arrays of shape (n_y, n_x).

    A band that is not known in every column, where signal uncertainties are large, is left out.
    """
    names = [name for name in columns[0][1].strengths if all(name in c.strengths for _, c in columns)]
    if lost := sorted({name for _, column in columns for name in column.strengths} - set(names)):
        log.warning("no contour %s (at some points the signal uncertainty is too large)", ", ".join(lost))
    grids = {name: np.full((n_y, n_x), math.nan) for name in names}
    for (i, rows), column in columns:
        for name in names:
            grids[name][list(rows), i] = column.strengths[name]
    return grids


def _refined(work: _Work, plane: Plane, coarse: Mapping[str, Array]) -> dict[str, Array]:
    """The grids on the finer axes: computed in cells that a contour crosses, interpolated in the others."""
    n_y, n_x = coarse["observed"].shape
    x, y = plane.x.finer.values, plane.y.finer.values
    wanted = np.zeros((len(y), len(x)), dtype=bool)
    for grid in coarse.values():
        # NaN counts as not excluded: the edge of the physical region is refined too.
        excluded = np.nan_to_num(grid, nan=0.0) >= 1.0
        corners = np.stack([excluded[:-1, :-1], excluded[1:, :-1], excluded[:-1, 1:], excluded[1:, 1:]])
        for j, i in np.argwhere(corners.any(axis=0) & ~corners.all(axis=0)):
            wanted[REFINEMENT * j : REFINEMENT * (j + 1) + 1, REFINEMENT * i : REFINEMENT * (i + 1) + 1] = (
                True
            )
    fine = {name: _interpolated_grid(_height(grid), n_x, n_y) for name, grid in coarse.items()}
    if work.exclusion.simulated:  # a sample for each mass takes seconds
        return fine
    columns: list[Column] = [
        (i, tuple(np.flatnonzero(wanted[:, i]).tolist())) for i in range(len(x)) if wanted[:, i].any()
    ]
    for (i, rows), column in work.columns(x, y, columns):
        for name, values in column.strengths.items():
            fine[name][list(rows), i] = _height(np.array(values))
    return fine


def _height(strength: Array) -> Array:
    """The logarithm, in which the strength is smooth."""
    return np.log(np.maximum(strength, NO_SIGNAL))


def _interpolated_grid(grid: Array, n_x: int, n_y: int) -> Array:
    """Bilinear, on the finer axes; NaN where a neighbour is."""
    fine_x, fine_y = (np.arange(REFINEMENT * (n - 1) + 1) / REFINEMENT for n in (n_x, n_y))
    rows = np.array([np.interp(fine_x, np.arange(n_x), row) for row in grid])
    return np.array([np.interp(fine_y, np.arange(n_y), column) for column in rows.T]).T


def _contours(plane: Plane, height: Array) -> list[list[list[float]]]:
    """Lines of strength 1, traced where axes are even and the strength is smooth."""
    x, y = plane.x.finer, plane.y.finer
    lines = contourpy.contour_generator(
        x.place(x.values), y.place(y.values), np.ma.masked_invalid(height)
    ).lines(0.0)
    return [
        np.stack([x.value(np.asarray(line)[:, 0]), y.value(np.asarray(line)[:, 1])], axis=1).tolist()
        for line in lines
    ]


def _score(end_point: float | None) -> dict[str, float | str | None]:
    return {
        "published": PAPER_END_POINT_GEV,
        "source": "the paper's abstract: the central g-2 line is excluded up to 390 MeV",
        "computed": end_point,
        "ratio": None if end_point is None else end_point / PAPER_END_POINT_GEV,
    }


def overlays_of(card: Card, plane: Plane, *, others: bool = True, threads: int = 1) -> dict[str, Overlay]:
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
        lines.append(overlays.electron_g2(plane.x.values))
        if others:
            lines.append(overlays.relic_line(x, parameters))
            for region in overlays.regions(x, parameters, threads=threads):
                found |= _region_overlays(region)
        found["NA64 invisible 2019"] = Overlay(
            kind="published",
            source="arXiv:1906.00176 Fig. 3, as tabulated in DarkCast",
            caveat="A' -> invisible, 2.84e11 EOT, 90 % CL: holds where chi2 lives long",
            contour=[list(point) for point in overlays.published_curve("na64_invisible_2019")],
        )
    elif plane.epsilon is None and axes in (("mass", "alpha"), ("mass1", "splitting")):
        masses = x if axes[0] == "mass" else x * parameters.mass_ratio
        epsilon = theory.epsilon_g2(masses, plane.delta_a_mu)
        if axes[0] == "mass":
            lines.append(overlays.landau_pole(plane.x.values))
            if others:
                lines.append(overlays.relic_alpha_dark(x, epsilon, parameters))
        else:
            lines += [
                overlays.chi2_stable(plane.x.values),
                overlays.decay_closed(plane.x.values, parameters.mass_ratio),
            ]
            if others:
                lines.append(overlays.relic_splitting(x, epsilon, parameters))
        if others:
            found |= _other_experiments(plane, threads)
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
        ("g-2", overlays.muon_g2(card, masses)),
        ("g-2 before Fermilab", overlays.muon_g2(card, masses, before_fermilab=True)),
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


def _other_experiments(plane: Plane, threads: int) -> dict[str, Overlay]:
    """Other experiments where epsilon is no axis: at each x the range of y that they exclude."""
    columns = replace(plane, x=replace(plane.x, points=OVERLAY_POINTS[0]))
    x, y = columns.x.values, replace(plane.y, points=OVERLAY_POINTS[1])
    found = {}
    for name in overlays.EXPERIMENTS:

        def ends(value: float, name: str = name) -> tuple[float | None, float | None]:
            return _excluded_range(columns, name, value, y)

        with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
            ranges = list(pool.map(ends, x.tolist()))
        source, caveat = overlays.about(name)
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
            strengths = overlays.strengths(experiment, known[0].mass_GeV, pairs)
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
