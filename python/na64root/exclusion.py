"""Exclusion planes: where the expected signal exceeds its upper limit.

The limit depends on a point only through the share of the expected signal in S1, so the exact engine runs
once on a grid of shares, and each point of the plane costs its yield alone.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import resources

import contourpy
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import interpolate, optimize

from . import limits, theory
from .config import SIGNATURES, Card, Signature
from .counting import SignalSource
from .errors import ConfigError
from .results import Count, InputFile, Provenance, Record, provenance
from .signal import Mode, SignalAtMass, SignalModel, card_counts, effective_exposure
from .signal_files import SimulatedSignal
from .signal_sample import SignalSamples

Array = NDArray[np.float64]
Progress = Callable[[int, int], None]
# A count, its signature, and the exposure times efficiency that it stands for.
LikelihoodBin = tuple[Count, Signature, float]
# Where the expected signal at a mass comes from.
ExpectedSignal = SignalAtMass | SignalSamples

# The end of the excluded part of the central g-2 line in the paper's abstract.
PAPER_END_POINT_GEV = 0.39
# The source of the signal uncertainty that a simulated sample brings itself.
MONTE_CARLO_STATISTICS = "monte_carlo_statistics"
# A strength that is no signal at all: its inverse and its logarithm leave the range of doubles.
NO_SIGNAL = 1e-300


class Overlay(Record):
    """A curve that is not computed from this data; `source` says whose it is, with its caveats."""

    source: str
    contour: list[list[float]]


class PlaneResult(Record):
    """An exclusion plane. `upper_limit_mu[j][i]` is the limit over the expected signal at (x[i], y[j]).

    Null stands for no signal at all. `epsilon_low` and `epsilon_high` are the ends of the excluded range at
    each mass, null where nothing is excluded; of its widest part where it has several: the contours have all.
    """

    plane: str
    mode: Mode
    x: list[float]
    y: list[float]
    upper_limit_mu: list[list[float | None]]
    contours: list[list[list[float]]]
    overlays: dict[str, Overlay]
    epsilon_low: list[float | None]
    epsilon_high: list[float | None]
    g2_excluded_up_to_GeV: float | None
    scorecard: dict[str, dict[str, float | str | None]]
    counts: list[Count]
    exposure: dict[str, float]
    provenance: Provenance


class LimitByShare:
    """The upper limit on the total expected signal against the share of S1 in it.

    Raises:
        ConfigError: no signature has a count.
    """

    def __init__(
        self, card: Card, counts: Sequence[Count], exposure: Mapping[str, float], points: int = 21
    ) -> None:
        self._bins = _bins(card, counts, exposure)
        if not self._bins:
            raise ConfigError(
                "no bin has both a count and exposure (nothing to set a limit with): check the input"
            )
        self._card = card
        signatures = {signature for _, signature, _ in self._bins}
        if len(signatures) == 1:
            constant = self.exact(1.0 if signatures == {"S1"} else 0.0)
            self._function: Callable[[Array], Array] = lambda share: np.full(np.shape(share), constant)
        else:
            shares = 0.5 * (1.0 - np.cos(np.linspace(0.0, math.pi, points)))
            values = [self.exact(float(share)) for share in shares]
            self._function = interpolate.PchipInterpolator(shares, values)

    def __call__(self, share_s1: ArrayLike) -> Array:
        return np.asarray(self._function(np.asarray(share_s1, dtype=float)))

    def model(self, share_s1: float) -> limits.CountingModel:
        """The counting model with this share of S1."""
        return counting_model(self._card, self._bins, share_s1)

    def exact(self, share_s1: float) -> float:
        """The limit at this share itself, not interpolated between shares."""
        limit = self._card.limit
        result = limits.upper_limit(
            self.model(share_s1),
            cl=limit.confidence_level.value,
            method="exact",
            treatment=limit.treatment,
            expected=False,
        )
        return result.upper_limit


def _bins(card: Card, counts: Sequence[Count], exposure: Mapping[str, float]) -> list[LikelihoodBin]:
    """The counts that enter the likelihood: evaluated, and with exposure."""
    bins: list[LikelihoodBin] = []
    for count in counts:
        if count.observed is None:
            continue
        part = effective_exposure(card, exposure, [count])[count.signature]
        if part > 0.0:
            bins.append((count, count.signature, part))
    return bins


def counting_model(card: Card, bins: Sequence[LikelihoodBin], share_s1: float) -> limits.CountingModel:
    """The counting model of these bins, the signal divided between signatures by the share of S1."""
    totals = {s: sum(part for _, signature, part in bins if signature == s) for s in SIGNATURES}
    share: dict[Signature, float] = {"S1": share_s1, "S2": 1.0 - share_s1}
    fractions = [share[signature] * part / totals[signature] for _, signature, part in bins]
    return _model(card, [count for count, _, _ in bins], fractions)


def counting_model_of_sample(
    card: Card, counts: Sequence[Count], exposure: Mapping[str, float], sample: SimulatedSignal
) -> limits.CountingModel:
    """The counting model with the signal of a simulated sample: its shares, and its statistical errors.

    Each bin has the relative error of its own events; a source of that name in the card is not added to it.
    """
    kept = [count for count, _, _ in _bins(card, counts, exposure)]
    found = [sample.of(count.period, count.signature) for count in kept]
    total = sum(b.expected for b in found)
    if not total > 0.0:
        raise ConfigError(
            "the signal sample has no events in a bin with a count (nothing to set a limit on): simulate more"
        )
    return _model(
        card,
        kept,
        [b.expected / total for b in found],
        [b.error / b.expected if b.expected > 0.0 else 0.0 for b in found],
        without=(MONTE_CARLO_STATISTICS,),
    )


def _model(
    card: Card,
    counts: Sequence[Count],
    fractions: Sequence[float],
    uncertainties: Sequence[float] | None = None,
    without: Sequence[str] = (),
) -> limits.CountingModel:
    return limits.CountingModel(
        bins=tuple(
            limits.Bin(
                name=f"{count.signature} {count.period}",
                signature=count.signature,
                period=count.period,
                observed=count.observed or 0,
                background=count.background,
                background_uncertainty=count.background_uncertainty,
                signal_fraction=fraction,
                signal_uncertainty=uncertainty,
            )
            for count, fraction, uncertainty in zip(
                counts, fractions, uncertainties or [0.0] * len(counts), strict=True
            )
        ),
        signal_sources={
            name: SignalSource(q.value, q.correlation)
            for name, q in card.limit.signal_uncertainties.items()
            if name not in without
        },
        constraint=card.limit.constraint,
    )


class Exclusion:
    """Expected signal over its limit, point by point: above 1 is excluded."""

    def __init__(
        self,
        card: Card,
        counts: Sequence[Count],
        exposure: Mapping[str, float],
        *,
        mode: Mode = "semivisible",
        seed: int = 1,
        threads: int = 1,
    ) -> None:
        """`seed` and `threads` are of the simulation, where the card takes the acceptance from it."""
        self.card = card
        self.signal = SignalModel(card, mode=mode)
        self._exposure, self._seed, self._threads = exposure, seed, threads
        self.limit = LimitByShare(card, counts, exposure)
        weight = effective_exposure(card, exposure, counts)
        self._weight = np.array([weight[signature] for signature in SIGNATURES])

    def at_mass(self, mass_GeV: float) -> ExpectedSignal:
        """The signal at one mass: of the chain, or of samples, as the card's `signal.acceptance` says."""
        if self.card.signal.acceptance == "chain":
            return self.signal.at_mass(mass_GeV)
        return SignalSamples(
            self.card,
            mass_GeV,
            mode=self.signal.mode,
            exposure=self._exposure,
            seed=self._seed,
            threads=self._threads,
        )

    def expected(self, at_mass: ExpectedSignal, epsilon: ArrayLike) -> Array:
        """Expected (S1, S2) events, shape (n_epsilon, 2)."""
        return np.asarray(at_mass.per_electron(epsilon) * self._weight)

    def strength(self, at_mass: ExpectedSignal, epsilon: Array) -> Array:
        """Expected signal over its upper limit, shape (n_epsilon,)."""
        events = self.expected(at_mass, np.atleast_1d(epsilon))
        total = events.sum(axis=1)
        share = np.divide(events[:, 0], total, out=np.zeros_like(total), where=total > 0.0)
        return np.asarray(total / self.limit(share))

    def epsilon_range(self, at_mass: ExpectedSignal, epsilon: Array) -> tuple[float | None, float | None]:
        """The ends of the excluded range of epsilon, by root finding between the points of the grid.

        Events seen in S2 can leave an allowed gap between a part excluded by S2 and one excluded by S1: then
        it is the widest part, in log epsilon. An end that lies outside the grid is the grid's end.
        """
        inside = np.flatnonzero(self.strength(at_mass, epsilon) >= 1.0)
        if not len(inside):
            return None, None
        part = max(np.split(inside, np.flatnonzero(np.diff(inside) > 1) + 1), key=len)
        return (
            self._edge(at_mass, epsilon, int(part[0]), int(part[0]) - 1),
            self._edge(at_mass, epsilon, int(part[-1]), int(part[-1]) + 1),
        )

    def _edge(self, at_mass: ExpectedSignal, epsilon: Array, inside: int, outside: int) -> float:
        if not 0 <= outside < len(epsilon):
            return float(epsilon[inside])

        def log_strength(log_epsilon: float) -> float:
            strength = float(self.strength(at_mass, np.array([math.exp(log_epsilon)]))[0])
            return math.log(max(strength, NO_SIGNAL))

        low, high = sorted((math.log(epsilon[inside]), math.log(epsilon[outside])))
        return math.exp(optimize.brentq(log_strength, low, high, xtol=1e-6))

    def on_central_g2_line(self, mass_GeV: float) -> float:
        """Strength at the epsilon of the central g-2 line; 0 where there is no line."""
        epsilon = theory.epsilon_g2([mass_GeV], self.card.muon_g2.central.value)
        if not np.isfinite(epsilon[0]):
            return 0.0
        return float(self.strength(self.at_mass(mass_GeV), epsilon)[0])

    def g2_end_point(self, masses: Array, strengths: Array) -> float | None:
        """Largest mass such that the central g-2 line is excluded from the first of `masses` up to it.

        Args:
            masses, strengths: shape (n_mass,), rising, and :meth:`on_central_g2_line` there.
        """
        if strengths[0] < 1.0:
            return None
        below = np.flatnonzero(strengths < 1.0)
        if not len(below):
            return float(masses[-1])
        last, first = masses[below[0] - 1], masses[below[0]]
        root = optimize.brentq(lambda mass: self.on_central_g2_line(mass) - 1.0, last, first, xtol=1e-5)
        return float(root)


def mass_epsilon(
    card: Card,
    counts: Sequence[Count] | None = None,
    exposure: Mapping[str, float] | None = None,
    *,
    mode: Mode = "semivisible",
    seed: int = 1,
    threads: int = 1,
    progress: Progress | None = None,
    input_files: Sequence[InputFile] = (),
) -> PlaneResult:
    """The (mass, epsilon) plane of the card: the paper's Fig. 4.

    Args:
        counts, exposure: of an analysis; without them the card's own.
        mode: ``invisible`` for A' -> invisible (S2 alone).
        threads: masses in parallel; the result does not depend on it.
        progress: called with (masses done, all masses).
        input_files: where the counts come from, for the provenance.

    Raises:
        ConfigError: an unphysical card, no bin to set a limit with.
        ConvergenceError: an integral or a limit that did not converge.
    """
    exposure = card.exposure() if exposure is None else exposure
    counts = card_counts(card, exposure) if counts is None else counts
    if mode == "invisible":
        counts = [count for count in counts if count.signature == "S2"]
    plane = card.plane
    masses = np.geomspace(plane.mass_min_GeV.value, plane.mass_max_GeV.value, round(plane.mass_points.value))
    epsilons = np.geomspace(
        plane.epsilon_min.value, plane.epsilon_max.value, round(plane.epsilon_points.value)
    )
    exclusion = Exclusion(card, counts, exposure, mode=mode, seed=seed, threads=threads)
    g2 = theory.epsilon_g2(masses, card.muon_g2.central.value)

    def column(index: int) -> tuple[Array, tuple[float | None, float | None], float]:
        at_mass = exclusion.at_mass(float(masses[index]))
        on_line = exclusion.strength(at_mass, g2[index : index + 1])[0] if np.isfinite(g2[index]) else 0.0
        return (
            exclusion.strength(at_mass, epsilons),
            exclusion.epsilon_range(at_mass, epsilons),
            float(on_line),
        )

    columns = []
    # Samples are made one after the other, each on all threads.
    workers = threads if card.signal.acceptance == "chain" else 1
    with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        for result in pool.map(column, range(len(masses))):
            columns.append(result)
            if progress is not None:
                progress(len(columns), len(masses))
    strength = np.array([strengths for strengths, _, _ in columns]).T
    end_point = exclusion.g2_end_point(masses, np.array([on_line for _, _, on_line in columns]))
    return PlaneResult(
        plane="mass-epsilon",
        mode=mode,
        x=masses.tolist(),
        y=epsilons.tolist(),
        upper_limit_mu=[[1.0 / value if value > NO_SIGNAL else None for value in row] for row in strength],
        contours=_contours(masses, epsilons, strength),
        overlays=_overlays(card, masses),
        epsilon_low=[low for _, (low, _), _ in columns],
        epsilon_high=[high for _, (_, high), _ in columns],
        g2_excluded_up_to_GeV=end_point,
        scorecard={} if mode == "invisible" else {"g2_end_point_GeV": _score(end_point)},
        counts=list(counts),
        exposure=dict(exposure),
        provenance=provenance(
            card, seed=seed, limit_method=f"exact, {card.limit.treatment}", input_files=input_files
        ),
    )


def _score(end_point: float | None) -> dict[str, float | str | None]:
    return {
        "published": PAPER_END_POINT_GEV,
        "source": "the paper's abstract: the central g-2 line is excluded up to 390 MeV",
        "computed": end_point,
        "ratio": None if end_point is None else end_point / PAPER_END_POINT_GEV,
    }


def _contours(x: Array, y: Array, strength: Array) -> list[list[list[float]]]:
    """Lines of strength 1, traced in the logarithms of the axes, where the strength is smooth."""
    height = np.log(np.maximum(strength, NO_SIGNAL))
    lines = contourpy.contour_generator(np.log(x), np.log(y), height).lines(0.0)
    return [np.exp(np.asarray(line)).tolist() for line in lines]


def _overlays(card: Card, masses: Array) -> dict[str, Overlay]:
    overlays = {}
    g2 = card.muon_g2
    for name, central, sigma, source in (
        ("g-2", g2.central, g2.uncertainty, g2.central.source),
        (
            "g-2 before Fermilab",
            g2.central_before_fermilab,
            g2.uncertainty_before_fermilab,
            g2.central_before_fermilab.source,
        ),
    ):
        for label, pull in (("central", 0), ("minus2", -2), ("plus2", 2)):
            line = theory.epsilon_g2(masses, central.value + pull * sigma.value)
            if np.isfinite(line).all():
                points = np.stack([masses, line], axis=1).tolist()
                overlays[f"{name} {label}"] = Overlay(source=source, contour=points)
    overlays["NA64 invisible 2019"] = Overlay(
        source="A' -> invisible, 2.84e11 EOT, 90 % CL, arXiv:1906.00176 Fig. 3, as tabulated in DarkCast",
        contour=[list(point) for point in published_curve("na64_invisible_2019")],
    )
    return overlays


def published_curve(name: str) -> list[tuple[float, float]]:
    """A published limit that comes with the package, as (mass_GeV, epsilon) points."""
    text = (resources.files("na64root") / "data" / f"{name}.csv").read_text("utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return [(float(row["mass_GeV"]), float(row["epsilon"])) for row in rows]
