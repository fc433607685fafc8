"""Exclusion planes, what is drawn over them, published numbers beside ours."""

from collections.abc import Sequence
from typing import Literal

from pydantic import model_validator

from .counts import Count
from .origin import Provenance
from .record import Record


class Line(Record):
    """A curve drawn over a plane, with whose it is and what to keep in mind.

    Attributes:
        name: for the legend.  source, caveat: for the legend and the file of the figure; one line each.
        parameters: what it was computed with, apart from x and y.
        x, y: coordinates, null in y where there is no line; x rises.
        band_low, band_high: its uncertainty, empty where there is none.
        excluded_side: where the curve is a bound, the side of y that it excludes.
        uncertain: of each point, whether `caveat` says that it is less sure than the rest; empty for none.
    """

    name: str
    source: str
    caveat: str
    parameters: dict[str, float]
    x_quantity: str = "mass_GeV"
    y_quantity: str = "epsilon"
    x: list[float]
    y: list[float | None]
    band_low: list[float | None] = []
    band_high: list[float | None] = []
    excluded_side: Literal["above", "below"] | None = None
    uncertain: list[bool] = []

    @model_validator(mode="after")
    def _same_lengths(self) -> "Line":
        optional = [column for column in (self.band_low, self.band_high, self.uncertain) if column]
        _check_lengths(self.name, len(self.x), self.y, *optional)
        return self


class Region(Record):
    """What another experiment excludes, between two edges at each mass.

    Attributes:
        name, source, caveat, parameters: as of a :class:`Line`.
        mass_GeV: rises.  epsilon_low, epsilon_high: the edges, null where nothing is excluded.
        high_is_frame: of each mass, whether the upper edge is the end of the table or of the scan, and no
            measurement: nothing is known above it.
        bands: other choices of what `caveat` names, as pairs of edges.
    """

    name: str
    source: str
    caveat: str
    parameters: dict[str, float]
    mass_GeV: list[float]
    epsilon_low: list[float | None]
    epsilon_high: list[float | None]
    high_is_frame: list[bool]
    bands: dict[str, tuple[list[float | None], list[float | None]]] = {}

    @model_validator(mode="after")
    def _same_lengths(self) -> "Region":
        edges = [column for pair in self.bands.values() for column in pair]
        n = len(self.mass_GeV)
        _check_lengths(self.name, n, self.epsilon_low, self.epsilon_high, self.high_is_frame, *edges)
        return self


def _check_lengths(name: str, length: int, *columns: Sequence[object]) -> None:
    if any(len(column) != length for column in columns):
        raise ValueError(f"{name} has columns of different lengths")


class Score(Record):
    """A published number or curve beside what is computed here.

    Attributes:
        name, source: what it is, and whose.
        published, computed: a number each, or null for curves, whose points are in `points`.
        points: [x, published, computed] of a curve.
        ratio: computed over published; of a curve the median.
        median_dex, max_dex: of the size of log10(ratio) over the points of a curve.
        tolerance, within: as fixed in docs/decisions/007 before the first value, and whether it is met.
        reason: why it misses, or what else is known of the difference.
    """

    name: str
    source: str
    published: float | None = None
    computed: float | None = None
    points: list[tuple[float, float, float | None]] = []
    ratio: float | None
    median_dex: float | None = None
    max_dex: float | None = None
    tolerance: str
    within: bool
    reason: str


class Overlay(Record):
    """A curve over a plane that is not this search: whose it is, and what to keep in mind.

    `contour` has points [x, y]; of kind `excluded` it goes around a region, of kind `band` around one that is
    favoured, of kind `bound` the plane is excluded above it; `user` is a curve that a user gave.
    """

    kind: Literal["line", "band", "bound", "excluded", "published", "projection", "user"]
    source: str
    caveat: str
    contour: list[list[float]]


class InclusiveReading(Record):
    """What the same data exclude where S2 counts all that its selection leaves, decays inside too.

    `g2_end_is_frame`: the central g-2 line is excluded up to the last mass, so `g2_excluded_up_to_GeV` is
    where the plane ends and no end of the exclusion. `remark` says what to keep in mind.
    """

    contours: list[list[list[float]]]
    g2_excluded_up_to_GeV: float | None
    g2_end_is_frame: bool
    remark: str


class PlaneResult(Record):
    """An exclusion plane. `upper_limit_mu[j][i]` is the limit over the expected signal at (x[i], y[j]).

    Null stands for no signal at all and for parameters that are no model. `contours` are traced on a finer
    grid; a line that ends at the frame of the plane goes on beyond it. `expected_contours` has those of the
    expected limits, minus2 to plus2. `epsilon_low` and `epsilon_high` are the ends of the excluded range at
    each mass, null where nothing is excluded; of its widest part where it has several: the contours have all.
    They are empty where the axes are not mass and epsilon. `epsilon_is` says in words what epsilon is.
    `x_logarithmic`, `y_logarithmic`: whether an axis is even, and drawn, in its logarithm or in itself.
    `blind`: the signal boxes of the input are hidden, `counts` are the most probable ones without signal.
    `weighted`: the input is simulation with weights, for which the same holds.
    `notes` are those of the selection of input files. `inclusive` is the other reading of S2, null where it
    has no meaning (mode invisible, calorimeters out of order); where the card counts S2 as the paper does,
    the upper edge of `contours` is a choice: chi2 that decay earlier are not counted. `g2_end_is_frame` is
    as for :class:`InclusiveReading`.
    `confidence_level` is that of all limits, null in results of versions that did not write it.
    """

    plane: str
    mode: Literal["semivisible", "invisible"]
    epsilon_is: str
    x: list[float]
    y: list[float]
    upper_limit_mu: list[list[float | None]]
    contours: list[list[list[float]]]
    expected_contours: dict[str, list[list[list[float]]]]
    overlays: dict[str, Overlay]
    epsilon_low: list[float | None]
    epsilon_high: list[float | None]
    g2_excluded_up_to_GeV: float | None
    scorecard: dict[str, dict[str, float | str | None]]
    counts: list[Count]
    exposure: dict[str, float]
    provenance: Provenance
    x_logarithmic: bool = True
    y_logarithmic: bool = True
    weighted: bool = False
    blind: bool = False
    notes: list[str] = []
    inclusive: InclusiveReading | None = None
    confidence_level: float | None = None
    g2_end_is_frame: bool = False
