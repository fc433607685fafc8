"""Exclusion planes of any two parameters: grids, contours and bands, resumed where they were interrupted.

A plane is computed column by column, a column having one value of x. Around the contour the grid is refined,
so that the contour depends little on it. What is done is kept in a file beside the result until all is done.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import json
import logging
import math
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import contourpy
import numpy as np

from .._core import ProductionPoint
from ..annotations import Array
from ..config import Card
from ..records import Count, InclusiveReading, PlaneResult, provenance
from ..selection import SelectionResult
from ..signal import Mode, Parameters, SignalAtMass, card_counts
from ..simulation.samples import SignalSamples
from ..theory.scorecard import PAPER_END_POINT_GEV, PAPER_END_POINT_SOURCE
from ..work import Work
from .counting_models import NO_SIGNAL, ExpectedSignal
from .drawn_over import overlays_of
from .grids import REFINEMENT, Plane
from .strength import Exclusion

log = logging.getLogger(__name__)

# The name of the strength where S2 counts all that its selection leaves.
INCLUSIVE = "inclusive"


INCLUSIVE_REMARK = (
    "the same data with S2 of chi2 that decay inside the detector; not published by the collaboration; no "
    "upper edge: that of the other contour is a choice, decays behind the detector alone"
)


# A column of a grid: its number, and the numbers of its points.
GridColumn = tuple[int, tuple[int, ...]]


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
    work: Work = Work(),
    selected: SelectionResult | None = None,
) -> PlaneResult:
    """An exclusion plane, by default the paper's Fig. 4.

    Args:
        plane: its axes, or the name of one of the paper's.
        counts, exposure: of an analysis; without them the card's own.
        mode: ``invisible`` for A' -> invisible (S2 alone).
        expected: also contours of the expected limits.
        others: also the thermal relic line and what other experiments exclude.
        kept: a file for what is done, from which an interrupted scan goes on; removed at the end.
        work: computes the columns, on a cluster whose workers need na64root, and no file.
        selected: where the counts come from, for the provenance and the notes.

    Raises:
        ConfigError: an unphysical card, no bin to set a limit with.
        ConvergenceError: an integral or a limit that did not converge.
    """
    exposure = card.exposure() if exposure is None else exposure
    counts = card_counts(card, exposure) if counts is None else counts
    if mode == "invisible":
        counts = [count for count in counts if count.signature == "S2"]
    exclusion = Exclusion(card, counts, exposure, mode=mode, expected=expected, work=work)
    return plane_of(exclusion, plane, others=others, kept=kept, work=work, selected=selected)


def plane_of(
    exclusion: Exclusion,
    plane: Plane | str,
    *,
    others: bool = False,
    kept: Path | None = None,
    work: Work = Work(),
    selected: SelectionResult | None = None,
) -> PlaneResult:
    """The exclusion plane of a calculator, which keeps what it computed on the way for who asks it next.

    Arguments and exceptions are those of :func:`scan`; the seed is the calculator's.
    """
    card, counts, exposure, mode = exclusion.card, exclusion.counts, exclusion.exposure, exclusion.signal.mode
    seed = exclusion.work.seed
    chosen = Plane.named(plane, card) if isinstance(plane, str) else plane
    origin = provenance(
        card,
        seed=seed,
        limit_method=f"exact, {card.limit.treatment}",
        input_files=selected.files if selected else (),
        input_details=selected.input if selected else None,
    )
    # The seed changes columns only where they are simulated.
    seed_of_columns = seed if exclusion.simulated else None
    made_with = origin.model_dump(exclude={"input_files", "input", "seed"})
    what = (made_with, repr(chosen), mode, exclusion.expected_limits, seed_of_columns)
    x, y = chosen.x.values, chosen.y.values
    every = tuple(range(len(y)))
    lines = chosen.name == "mass-epsilon"
    with (
        contextlib.closing(_Kept(kept, what, counts, exposure)) as keeping,
        work.connected() as connected,
    ):
        computing = _Computing(exclusion, chosen, keeping, connected)
        columns = computing.columns(x, y, [(i, every) for i in range(len(x))], lines=lines)
        coarse = _grid(columns, len(x), len(y))
        fine = _refined(computing, chosen, coarse)
        contours = {name: _contours(chosen, values) for name, values in fine.items()}
        keeping.remove()
    inclusive = contours.pop(INCLUSIVE, None)
    if inclusive is None and mode == "semivisible":
        log.warning("no inclusive reading of S2 in this plane (calorimeters overlap or are out of order)")
    low: list[float | None] = []
    high: list[float | None] = []
    end_point = inclusive_end = None
    if lines:
        low, high = ([column.epsilon_range[end] for _, column in columns] for end in (0, 1))
        end_point = exclusion.g2_end_point(x, np.array([column.on_central_g2_line for _, column in columns]))
        if inclusive is not None:
            on_line = np.array([column.inclusive_on_central_g2_line for _, column in columns])
            inclusive_end = exclusion.g2_end_point(x, on_line, inclusive=True)
    frame = end_point is not None and end_point >= x[-1]
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
        overlays=overlays_of(card, chosen, mode=mode, others=others, work=work),
        epsilon_low=low,
        epsilon_high=high,
        g2_excluded_up_to_GeV=end_point,
        scorecard={"g2_end_point_GeV": _score(end_point, frame)}
        if chosen.name == "mass-epsilon" and mode == "semivisible"
        else {},
        counts=counts,
        exposure=exposure,
        provenance=origin,
        x_logarithmic=chosen.x.logarithmic,
        y_logarithmic=chosen.y.logarithmic,
        weighted=selected is not None and selected.weighted,
        blind=selected is not None and selected.blind,
        notes=selected.notes if selected else [],
        inclusive=None
        if inclusive is None
        else InclusiveReading(
            contours=inclusive,
            g2_excluded_up_to_GeV=inclusive_end,
            g2_end_is_frame=inclusive_end is not None and inclusive_end >= x[-1],
            remark=INCLUSIVE_REMARK,
        ),
        confidence_level=card.limit.confidence_level.value,
        g2_end_is_frame=frame,
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
    inclusive_on_central_g2_line: float | None = None


class _Kept:
    """Columns that are done, one JSON line each after a line that says what they belong to."""

    def __init__(
        self, path: Path | None, what: object, counts: Sequence[Count], exposure: Mapping[str, float]
    ) -> None:
        self._file: TextIO | None = None
        fields = sorted(_Found.__annotations__)
        whole = repr((fields, what, [count.model_dump() for count in counts], sorted(exposure.items())))
        self._key = hashlib.sha256(whole.encode()).hexdigest()
        self._done: dict[str, dict[str, Any]] = {}
        if path is None:
            return
        self._path, file = path, path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Its columns and ours in one file would be taken for those of whichever began it.
            log.warning("another scan works in %s: this one is not kept if interrupted", path.parent)
            file.close()
            return
        except OSError:  # a file system without locks
            pass
        self._file = file
        file.seek(0)
        lines = file.read().splitlines()
        if lines and lines[0] == self._key:
            for line in lines[1:]:
                try:
                    self._done.update(json.loads(line))
                except ValueError:  # cut off where the scan was interrupted
                    continue
        file.truncate(0)
        self._write("\n".join([self._key, *map(json.dumps, self._pairs())]))

    def _pairs(self) -> Iterable[dict[str, dict[str, Any]]]:
        return ({name: column} for name, column in self._done.items())

    def get(self, name: str) -> _Found | None:
        return _Found(**self._done[name]) if name in self._done else None

    def add(self, name: str, column: _Found) -> None:
        if self._file is not None:
            self._write(json.dumps({name: vars(column)}))

    def _write(self, line: str) -> None:
        if self._file is not None:
            self._file.write(line + "\n")
            self._file.flush()

    def remove(self) -> None:
        if self._file is not None:
            self._path.unlink(missing_ok=True)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


@dataclass
class _Computing:
    """Computes columns, in threads or by the workers of an executor, and keeps them as they come."""

    exclusion: Exclusion
    plane: Plane
    kept: _Kept
    work: Work
    done: int = 0
    wanted: int = 0

    def __post_init__(self) -> None:
        self._progress = self.work.reporting("masses")

    def columns(
        self, x: Array, y: Array, columns: Sequence[GridColumn], *, lines: bool = False
    ) -> list[tuple[GridColumn, _Found]]:
        """What is found in each column, `lines` as in :func:`_column`."""
        names = {column: f"{len(x)} {column[0]} {column[1][0]} {len(column[1])}" for column in columns}
        found = {column: known for column in columns if (known := self.kept.get(names[column]))}
        self.wanted += len(columns)
        self._report(len(found))
        with self._running() as (executor, function):
            running: dict[Future[_Found], GridColumn] = {}
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
        if self.work.executor is not None:
            # Bytes, which a worker unpacks once: nothing that could be lost with a worker is kept by one.
            packed = pickle.dumps((self.exclusion.anew(threads=1), self.plane))
            yield self.work.executor, functools.partial(_column_on_worker, packed)
            return
        # Samples are made one after the other, each on all threads.
        workers = 1 if self.exclusion.simulated else self.work.threads
        with ThreadPoolExecutor(max_workers=workers) as pool:
            yield pool, functools.partial(_column, self.exclusion, self.plane)

    def _report(self, done: int) -> None:
        self.done += done
        if self._progress is not None and done:
            self._progress(self.done, self.wanted)


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
    ends = exclusion.epsilon_range(exclusion.at_mass(x), np.array(y), np.array(strengths["observed"]))
    inclusive = exclusion.on_central_g2_line(x, inclusive=True) if exclusion.has_inclusive else None
    return _Found(strengths, ends, exclusion.on_central_g2_line(x), inclusive)


def _strengths(exclusion: Exclusion, plane: Plane, x: float, y: Sequence[float]) -> dict[str, Array]:
    """Strengths along a column; NaN where there is no model."""
    events, varied, inclusive = events_along(exclusion, plane, x, y)
    known = np.asarray(np.isfinite(events).all(axis=1))
    strengths = exclusion.strengths(np.where(known[:, None], events, 0.0), varied)
    if inclusive is not None:
        other = np.where(known[:, None], np.stack([events[:, 0], inclusive], axis=1), 0.0)
        strengths[INCLUSIVE] = exclusion.strengths(other, varied, expected=False)["observed"]
    return {name: np.where(known, strength, math.nan) for name, strength in strengths.items()}


class EventsAlong(NamedTuple):
    """Expected (S1, S2) events along a column, shape (n, 2), NaN where there is no model.

    With them the size of the varied sources, shape (n,), where there are any
    (:meth:`.strength.Exclusion.varied_size`), and S2 read inclusively, shape (n,), where that has a meaning.
    """

    events: Array
    varied: Array | None
    s2_inclusive: Array | None


def events_along(exclusion: Exclusion, plane: Plane, x: float, y: Sequence[float]) -> EventsAlong:
    """The expected events along a column; what its points share is computed once."""
    points = [plane.at(x, value) for value in y]
    events = np.full((len(y), 2), math.nan)
    inclusive = np.full(len(y), math.nan)
    varied = np.zeros(len(y)) if exclusion.varied else None
    signal = _SharedSignal(exclusion)
    groups: dict[tuple[float, Parameters], list[int]] = {}
    for j, point in enumerate(points):
        if point is not None:
            groups.setdefault((point.mass_GeV, point.parameters), []).append(j)
    for (mass, parameters), members in groups.items():
        epsilon = [point.epsilon for j in members if (point := points[j]) is not None]
        events[members], s2 = signal.expected(mass, parameters, epsilon)
        if s2 is not None:
            inclusive[members] = s2
        if varied is not None:
            varied[members] = exclusion.varied_size(exclusion.at_mass(mass), epsilon, parameters)
    return EventsAlong(events, varied, inclusive if exclusion.has_inclusive else None)


class _SharedSignal:
    """Signals at a few points, which share production at one mass and kinematics at one alpha_D."""

    def __init__(self, exclusion: Exclusion) -> None:
        self._exclusion = exclusion
        self._production: dict[float, list[ProductionPoint]] = {}
        self._kinematics: dict[tuple[float, float, float], SignalAtMass] = {}

    def expected(
        self, mass_GeV: float, parameters: Parameters, epsilon: Sequence[float]
    ) -> tuple[Array, Array | None]:
        """Expected (S1, S2) events, shape (n_epsilon, 2), and S2 read inclusively, None without meaning."""
        exclusion = self._exclusion
        found = exclusion.at_mass(mass_GeV) if exclusion.simulated else None
        if isinstance(found, SignalSamples):
            events = np.asarray(found.per_electron(epsilon, parameters) * exclusion.weight)
            s2 = found.s2_inclusive(epsilon, parameters) if exclusion.has_inclusive else None
        else:
            at_mass = self._at(mass_GeV, parameters)
            events = exclusion.expected(at_mass, epsilon)
            s2 = at_mass.s2_inclusive(epsilon) if exclusion.has_inclusive else None
        return events, None if s2 is None else s2 * exclusion.weight[1]

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


def _grid(columns: Sequence[tuple[GridColumn, _Found]], n_x: int, n_y: int) -> dict[str, Array]:
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


def _refined(computing: _Computing, plane: Plane, coarse: Mapping[str, Array]) -> dict[str, Array]:
    """The grids on the finer axes: computed in cells that a contour crosses, interpolated in the others."""
    n_y, n_x = coarse["observed"].shape
    x, y = plane.x.finer.values, plane.y.finer.values
    x[::REFINEMENT] = plane.x.values  # to the last bit: their production is known
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
    if computing.exclusion.simulated:  # a sample for each mass takes seconds
        return fine
    columns: list[GridColumn] = [
        (i, tuple(np.flatnonzero(wanted[:, i]).tolist())) for i in range(len(x)) if wanted[:, i].any()
    ]
    for (i, rows), column in computing.columns(x, y, columns):
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


def _score(end_point: float | None, frame: bool) -> dict[str, float | str | None]:
    return {
        "published": PAPER_END_POINT_GEV,
        "source": PAPER_END_POINT_SOURCE,
        "computed": end_point,
        "computed_is": "at least" if frame else "the end",
        "ratio": None if end_point is None else end_point / PAPER_END_POINT_GEV,
    }
