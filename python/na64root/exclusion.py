"""Exclusion of a model point: where the expected signal exceeds its upper limit.

The limit depends on a point only through the share of the expected signal in S1, so the exact engine runs
once on a grid of shares, and each point of the plane costs its yield alone.
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import interpolate, optimize

from . import limits, systematics, theory
from .config import SIGNATURES, Card, Signature
from .counting import SignalSource, check_choice
from .errors import ConfigError, ConvergenceError
from .results import Count, Expected, LimitResult
from .signal import Mode, SignalAtMass, SignalModel, effective_exposure
from .signal_files import SimulatedSignal
from .signal_sample import SignalSamples

Array = NDArray[np.float64]
# A count, its signature, and the exposure times efficiency that it stands for.
LikelihoodBin = tuple[Count, Signature, float]
# Where the expected signal at a mass comes from.
ExpectedSignal = SignalAtMass | SignalSamples

# The source of the signal uncertainty that a simulated sample brings itself.
MONTE_CARLO_STATISTICS = "monte_carlo_statistics"
# Where the signal is too large and twice the log likelihood ratio above the first number, its two-sided
# p-value is below the second: it need not be enumerated, which takes minutes for hundreds of expected events.
# The ratio ends at 25 where a Gaussian signal uncertainty is 20 %.
FAR_FROM_DATA = 20.0
FAR_P_VALUE = 1e-4
# A strength that is no signal at all: its inverse and its logarithm leave the range of doubles.
NO_SIGNAL = 1e-300


class LimitByShare:
    """The upper limit on the total expected signal against the share of S1 in it.

    Args:
        expected: also the expected limits.

    Raises:
        ConfigError: no signature has a count.
    """

    def __init__(
        self,
        card: Card,
        counts: Sequence[Count],
        exposure: Mapping[str, float],
        points: int = 21,
        *,
        expected: bool = False,
    ) -> None:
        self._bins = _bins(card, counts, exposure)
        if not self._bins:
            raise ConfigError(
                "no bin has both a count and exposure (nothing to set a limit with): check the input"
            )
        self._card = card
        signatures = {signature for _, signature, _ in self._bins}
        if len(signatures) == 1:
            shares = np.array([1.0 if signatures == {"S1"} else 0.0])
        else:
            shares = 0.5 * (1.0 - np.cos(np.linspace(0.0, math.pi, points)))
        found = [self._limit(float(share), expected=expected) for share in shares]
        self._observed = _interpolated(shares, [limit.upper_limit for limit in found])
        self._expected: dict[str, Callable[[Array], Array]] = {}
        for name in Expected.model_fields if expected else ():
            values = [getattr(limit.expected, name) for limit in found]
            if None not in values:
                self._expected[name] = _interpolated(shares, values)

    def __call__(self, share_s1: ArrayLike) -> Array:
        return np.asarray(self._observed(np.asarray(share_s1, dtype=float)))

    def expected(self, share_s1: ArrayLike) -> dict[str, Array]:
        """The expected limits (minus2 to plus2) at these shares, without those that the engine has not."""
        share = np.asarray(share_s1, dtype=float)
        return {name: np.asarray(function(share)) for name, function in self._expected.items()}

    def model(self, share_s1: float) -> limits.CountingModel:
        """The counting model with this share of S1."""
        return counting_model(self._card, self._bins, share_s1)

    def exact(self, share_s1: float) -> float:
        """The limit at this share itself, not interpolated between shares."""
        return self._limit(share_s1, expected=False).upper_limit

    def _limit(self, share_s1: float, *, expected: bool) -> LimitResult:
        limit = self._card.limit
        return limits.upper_limit(
            self.model(share_s1),
            cl=limit.confidence_level.value,
            method="exact",
            treatment=limit.treatment,
            expected=expected,
        )


def _interpolated(shares: Array, values: Sequence[float]) -> Callable[[Array], Array]:
    if len(shares) == 1:
        return functools.partial(_constant, values[0])
    function: Callable[[Array], Array] = interpolate.PchipInterpolator(shares, values)
    return function


def _constant(value: float, share: Array) -> Array:
    return np.full(np.shape(share), value)


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
    """The counting model with the signal of a simulated sample: its shares, and its uncertainties.

    Each bin has the relative error of its own events; a source of that name in the card is not added to it.
    With `systematics.in_limit = "varied"` the sources of :func:`varied_sources` join those of the card.

    Raises:
        ConfigError: no signal in a bin with a count; a sample that was read without variations.
    """
    kept = [count for count, _, _ in _bins(card, counts, exposure)]
    found = [sample.of(count.period, count.signature) for count in kept]
    total = sum(b.expected for b in found)
    if not total > 0.0:
        raise ConfigError(
            "the signal sample has no events in a bin with a count (nothing to set a limit on): simulate more"
        )
    without, varied = [MONTE_CARLO_STATISTICS], {}
    if card.systematics.in_limit == "varied":
        without += card.systematics.replaces
        bins = [(count.period, count.signature) for count in kept]
        varied = {
            name: SignalSource(relative) for name, (relative, _) in varied_sources(bins, sample).items()
        }
    return _model(
        card,
        kept,
        [b.expected / total for b in found],
        [b.error / b.expected if b.expected > 0.0 else 0.0 for b in found],
        without=without,
        further=varied,
    )


def varied_sources(
    bins: Collection[tuple[str, str]], sample: SimulatedSignal
) -> dict[str, tuple[float, float]]:
    """Of each systematic source the relative effect on the expected signal, and its statistical error.

    It is that on the sum of the bins of the likelihood: one nuisance parameter moves all bins by the same
    share. How a source moves signal between bins is in `sample.systematics`; without observed events the
    limit depends on the sum alone.

    Args:
        bins: periods and signatures.

    Raises:
        ConfigError: a sample that was read without variations.
    """
    groups: dict[str, list[systematics.SystematicEffect]] = {}
    for effect in sample.systematics:
        if (effect.period, effect.signature) in bins:
            groups.setdefault(effect.source, []).append(effect)
    if not groups:
        raise ConfigError(
            "the signal sample was not varied (systematics.in_limit = varied needs it): read it with "
            "vary=True"
        )
    found = {name: systematics.of_total(group) for name, group in groups.items()}
    return {name: effect for name, effect in found.items() if effect is not None}


def _model(
    card: Card,
    counts: Sequence[Count],
    fractions: Sequence[float],
    uncertainties: Sequence[float] | None = None,
    without: Sequence[str] = (),
    further: Mapping[str, SignalSource] | None = None,
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
        }
        | dict(further or {}),
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
        expected: bool = False,
        seed: int = 1,
        threads: int = 1,
    ) -> None:
        """`seed` and `threads` are of the simulation, where the card takes the acceptance from it."""
        self.card = card
        self.signal = SignalModel(card, mode=mode)
        self._exposure, self._seed, self._threads = exposure, seed, threads
        self._at_mass: dict[float, ExpectedSignal] = {}
        self.limit = LimitByShare(card, counts, exposure, expected=expected)
        weight = effective_exposure(card, exposure, counts)
        self.weight = np.array([weight[signature] for signature in SIGNATURES])

    def anew(self, threads: int | None = None) -> Exclusion:
        """The same without the signals that it keeps: those of samples depend on what was asked before."""
        other = copy.copy(self)
        other._at_mass = {}
        if threads is not None:
            other._threads = threads
        return other

    @property
    def simulated(self) -> bool:
        """Whether the signal is that of simulated samples and not of the chain."""
        return self.card.signal.acceptance == "simulation"

    def at_mass(self, mass_GeV: float) -> ExpectedSignal:
        """The signal at one mass: of the chain, or of samples, as the card's `signal.acceptance` says.

        It is kept: a column of a plane asks for each mass three times.
        """
        if mass_GeV not in self._at_mass:
            self._at_mass[mass_GeV] = (
                SignalSamples(
                    self.card,
                    mass_GeV,
                    mode=self.signal.mode,
                    exposure=self._exposure,
                    seed=self._seed,
                    threads=self._threads,
                )
                if self.simulated
                else self.signal.at_mass(mass_GeV)
            )
        return self._at_mass[mass_GeV]

    def expected(self, at_mass: ExpectedSignal, epsilon: ArrayLike) -> Array:
        """Expected (S1, S2) events, shape (n_epsilon, 2)."""
        return np.asarray(at_mass.per_electron(epsilon) * self.weight)

    def strength(self, at_mass: ExpectedSignal, epsilon: Array) -> Array:
        """Expected signal over its upper limit, shape (n_epsilon,)."""
        total, share = _total_and_share(self.expected(at_mass, np.atleast_1d(epsilon)))
        return np.asarray(total / self.limit(share))

    def strengths(self, events: Array) -> dict[str, Array]:
        """Expected signal over its ``observed`` and expected limits (``minus2`` to ``plus2``), shape (n,).

        Args:
            events: expected (S1, S2), shape (n, 2).
        """
        total, share = _total_and_share(events)
        found = {"observed": total / self.limit(share)}
        return found | {name: total / limit for name, limit in self.limit.expected(share).items()}

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

    def epsilon_intervals(self, at_mass: ExpectedSignal, epsilon: Array) -> list[tuple[float, float]]:
        """The two-sided interval in epsilon at one mass and the card's level: :func:`epsilon_intervals`.

        Nuisance parameters are fixed where the card's treatment is ``none``, and averaged over otherwise.
        """
        limit = self.card.limit
        return epsilon_intervals(
            lambda values: self.expected(at_mass, values),
            self.limit.model,
            epsilon,
            cl=limit.confidence_level.value,
            treatment="none" if limit.treatment == "none" else "hybrid",
        )

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


def _total_and_share(events: Array) -> tuple[Array, Array]:
    total = events.sum(axis=1)
    return total, np.divide(events[:, 0], total, out=np.zeros_like(total), where=total > 0.0)


def epsilon_intervals(
    expected: Callable[[Array], Array],
    model: Callable[[float], limits.CountingModel],
    epsilon: ArrayLike,
    *,
    cl: float = 0.9,
    treatment: Literal["none", "hybrid"] = "hybrid",
) -> list[tuple[float, float]]:
    """The values of epsilon that agree with the counts: parts of the grid, rising, often none, one or two.

    At each epsilon the expected signal has a total mu and a share of S1. That epsilon belongs to the interval
    where mu belongs to the two-sided one (Feldman and Cousins) of the model with this share, so that at any
    true epsilon the interval holds it as often as the one in mu. The total is not monotonic: it grows with
    production, epsilon^2, and falls where chi2 decays too early. So two parts may agree with one count, and
    none where no epsilon makes enough signal. Few events agree with any small enough epsilon.

    Args:
        expected: (S1, S2) events, shape (n_epsilon, 2), for epsilon of shape (n_epsilon,).
        model: the counting model with a share of S1.
        epsilon: the grid, rising. A part at its end stops there; what is narrower than a step is not found.

    Raises:
        ConfigError: a grid that is not positive and rising, a level outside (0, 1), another treatment.
        ConvergenceError: an enumeration that failed.
    """
    grid = np.atleast_1d(np.asarray(epsilon, dtype=float))
    if not (len(grid) > 0 and grid[0] > 0.0 and (np.diff(grid) > 0.0).all() and np.isfinite(grid[-1])):
        raise ConfigError(
            "the grid of epsilon is not positive and rising (an interval needs one): correct it"
        )
    if not 0.0 < cl < 1.0:
        raise ConfigError(f"confidence level {cl!r} is not acceptable (must lie between 0 and 1): try 0.9")
    check_choice("treatment of a two-sided interval", treatment, ("none", "hybrid"))

    def agrees(value: float) -> bool:
        s1, s2 = (float(events) for events in expected(np.array([value]))[0])
        share = s1 / (s1 + s2) if s1 + s2 > 0.0 else 0.5
        try:
            engine = limits.experiment(model(share), treatment)
            return engine.statistic(s1 + s2) < FAR_FROM_DATA and engine.two_sided_p_value(s1 + s2) > 1.0 - cl
        except RuntimeError as error:
            raise ConvergenceError(
                f"no two-sided p-value at epsilon = {value:g} ({error}): report this"
            ) from None

    def edge(inside: float, outside: float) -> float:
        while abs(math.log(outside / inside)) > 1e-4:
            middle = math.sqrt(inside * outside)
            inside, outside = (middle, outside) if agrees(middle) else (inside, middle)
        return inside

    found = np.flatnonzero([agrees(float(value)) for value in grid])
    if not len(found):
        return []
    return [
        (
            float(grid[0]) if part[0] == 0 else edge(float(grid[part[0]]), float(grid[part[0] - 1])),
            float(grid[-1])
            if part[-1] == len(grid) - 1
            else edge(float(grid[part[-1]]), float(grid[part[-1] + 1])),
        )
        for part in np.split(found, np.flatnonzero(np.diff(found) > 1) + 1)
    ]
