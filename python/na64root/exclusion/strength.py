"""Exclusion of a model point: where the expected signal exceeds its upper limit.

The limit depends on a point only through the share of the expected signal in S1, so the exact engine runs
once on a grid of shares, and each point of the plane costs its yield alone.
"""

from __future__ import annotations

import copy
import functools
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import interpolate, optimize

from .. import limits, theory
from ..annotations import Array
from ..config import SIGNATURES, Card
from ..errors import ConfigError
from ..limits import SignalSource
from ..records import Count, Expected, LimitResult
from ..selection import systematics
from ..signal import Mode, Parameters, SignalModel, effective_exposure
from ..simulation.samples import SignalSamples
from ..work import Work, said_while
from .counting_models import (
    NO_SIGNAL,
    VARIED,
    VARIED_STEP,
    ExpectedSignal,
    bins_of_counts,
    counting_model,
    total_and_share,
    varied_sources,
)
from .intervals import epsilon_intervals

log = logging.getLogger(__name__)


class LimitByShare:
    """The upper limit on the total expected signal against the share of S1 in it.

    Where limits may be some per cent off (many events, data far from what was expected), toys check those of
    three shares; where one fails, all are checked, and toys set those that fail.

    Args:
        expected: also the expected limits.
        varied: the relative size of the varied systematic sources, which take the place of those that the
            card's `systematics.replaces` names; the card's own sources when not given.
        checked: have toys check the limits of three shares; without, hundreds of these take seconds.

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
        varied: float | None = None,
        checked: bool = True,
    ) -> None:
        self._sources = None if varied is None else {VARIED: SignalSource(varied)}
        self._bins = bins_of_counts(card, counts, exposure)
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
        with said_while("limits by the share of S1"):
            found = [self._limit(float(share), expected=expected) for share in shares]
            # Limits change slowly with the share: where toys confirm these, they do the others.
            some = sorted({0, len(shares) // 2, len(shares) - 1})
            if checked and not all(self._is_confirmed(float(shares[i]), found[i]) for i in some):
                log.info("enumeration and toys give different probabilities: each limit is checked by toys")
                found = [self._limit(float(share), expected=expected, checked=True) for share in shares]
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

    @property
    def bins(self) -> list[tuple[str, str]]:
        """Period and signature of the bins of the likelihood."""
        return [(count.period, count.signature) for count, _, _ in self._bins]

    def model(
        self, share_s1: float, varied: Mapping[str, SignalSource] | None = None
    ) -> limits.CountingModel:
        """The counting model with this share of S1, and with these varied sources by name."""
        return counting_model(self._card, self._bins, share_s1, varied or self._sources)

    def exact(self, share_s1: float) -> float:
        """The limit at this share itself, not interpolated between shares."""
        return self._limit(share_s1, expected=False).upper_limit

    def _limit(self, share_s1: float, *, expected: bool, checked: bool = False) -> LimitResult:
        return limits.card_limit(self.model(share_s1), self._card, expected=expected, checked=checked)

    def _is_confirmed(self, share_s1: float, found: LimitResult) -> bool:
        """Whether an enumeration passes the check by toys, where one is made; other limits are toys'."""
        return (
            found.method != "exact" or self._limit(share_s1, expected=False, checked=True).method == "exact"
        )


def _interpolated(shares: Array, values: Sequence[float]) -> Callable[[Array], Array]:
    if len(shares) == 1:
        return functools.partial(_constant, values[0])
    function: Callable[[Array], Array] = interpolate.PchipInterpolator(shares, values)
    return function


def _constant(value: float, share: Array) -> Array:
    return np.full(np.shape(share), value)


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
        work: Work = Work(),
    ) -> None:
        """`work` is that of the simulation, where the card takes the acceptance from it."""
        self.card, self.expected_limits = card, expected
        self.counts, self.exposure = list(counts), dict(exposure)
        self.signal = SignalModel(card, mode=mode)
        # Only what goes to a worker with it, too.
        self.work = Work(seed=work.seed, threads=work.threads)
        self._at_mass: dict[float, ExpectedSignal] = {}
        self._limits_of_size: dict[int, LimitByShare] = {}
        self.limit = LimitByShare(card, counts, exposure, expected=expected)
        weight = effective_exposure(card, exposure, counts)
        self.weight = np.array([weight[signature] for signature in SIGNATURES])

    def anew(self, threads: int | None = None) -> Exclusion:
        """The same without the signals that it keeps: those of samples depend on what was asked before."""
        other = copy.copy(self)
        other._at_mass = {}
        if threads is not None:
            other.work = replace(self.work, threads=threads)
        return other

    @property
    def simulated(self) -> bool:
        """Whether the signal is that of simulated samples and not of the chain."""
        return self.card.signal.acceptance == "simulation"

    @property
    def varied(self) -> bool:
        """Whether the systematic sources are those of the varied samples."""
        return self.simulated and self.card.systematics.in_limit == "varied"

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
                    exposure=self.exposure,
                    work=self.work,
                )
                if self.simulated
                else self.signal.at_mass(mass_GeV)
            )
        return self._at_mass[mass_GeV]

    def expected(self, at_mass: ExpectedSignal, epsilon: ArrayLike) -> Array:
        """Expected (S1, S2) events, shape (n_epsilon, 2)."""
        return np.asarray(at_mass.per_electron(epsilon) * self.weight)

    def model(self, at_mass: ExpectedSignal, epsilon: float) -> limits.CountingModel:
        """The counting model at one point, with the shares and the sources of its signal."""
        _, share = total_and_share(self.expected(at_mass, [epsilon]))
        varied = {
            name: SignalSource(relative)
            for name, (relative, _) in self.varied_sources(at_mass, epsilon).items()
        }
        return self.limit.model(float(share[0]), varied)

    def varied_sources(
        self, at_mass: ExpectedSignal, epsilon: float, parameters: Parameters | None = None
    ) -> dict[str, tuple[float, float]]:
        """Of each varied source the relative effect on the expected signal at one point, and its error.

        None unless the card has `systematics.in_limit = "varied"` and the signal is simulated.
        """
        if not (self.varied and isinstance(at_mass, SignalSamples)):
            return {}
        found = varied_sources(self.limit.bins, at_mass.effects(epsilon, parameters))
        if found:  # else nothing is expected there
            systematics.require_all(self.card, found)
        return found

    def varied_size(
        self, at_mass: ExpectedSignal, epsilon: ArrayLike, parameters: Parameters | None = None
    ) -> Array | None:
        """Of :meth:`varied_sources` the sum in quadrature, shape (n_epsilon,); None where none is varied."""
        if not self.varied:
            return None
        sources = [self.varied_sources(at_mass, float(x), parameters) for x in np.atleast_1d(epsilon)]
        return np.array([math.hypot(*(relative for relative, _ in found.values())) for found in sources])

    def strength(self, at_mass: ExpectedSignal, epsilon: Array) -> Array:
        """Expected signal over its upper limit, shape (n_epsilon,)."""
        values = np.atleast_1d(epsilon)
        events = self.expected(at_mass, values)
        return self.strengths(events, self.varied_size(at_mass, values))["observed"]

    def strengths(
        self, events: Array, varied: Array | None = None, *, expected: bool = True
    ) -> dict[str, Array]:
        """Expected signal over its ``observed`` and expected limits (``minus2`` to ``plus2``), shape (n,).

        Args:
            events: expected (S1, S2), shape (n, 2).
            varied: :meth:`varied_size` at these points, shape (n,).
            expected: also over the expected limits, where they are known.
        """
        total, share = total_and_share(events)
        return {name: total / limit for name, limit in self._limits(share, varied, expected).items()}

    def _limits(self, share: Array, varied: Array | None, expected: bool) -> dict[str, Array]:
        """The ``observed`` limit and the expected ones, shape (n,)."""

        def of(limit: LimitByShare, share: Array) -> dict[str, Array]:
            return {"observed": limit(share), **(limit.expected(share) if expected else {})}

        if varied is None:
            return of(self.limit, share)
        found: dict[str, Array] = {}
        below = np.floor(varied / VARIED_STEP).astype(int)
        for steps in np.unique(below):
            here = below == steps
            low, high = (of(self._limit_of_size(n), share[here]) for n in (int(steps), int(steps) + 1))
            weight = varied[here] / VARIED_STEP - steps
            for name in low.keys() & high.keys():
                values = found.setdefault(name, np.full(len(share), math.nan))
                values[here] = (1.0 - weight) * low[name] + weight * high[name]
        return found

    def _limit_of_size(self, steps: int) -> LimitByShare:
        if steps not in self._limits_of_size:
            self._limits_of_size[steps] = LimitByShare(
                self.card,
                self.counts,
                self.exposure,
                expected=self.expected_limits,
                varied=steps * VARIED_STEP,
            )
        return self._limits_of_size[steps]

    def epsilon_range(
        self, at_mass: ExpectedSignal, epsilon: Array, strength: Array | None = None
    ) -> tuple[float | None, float | None]:
        """The ends of the excluded range of epsilon, by root finding between the points of the grid.

        `strength` is that at these points, where it is known.

        Events seen in S2 can leave an allowed gap between a part excluded by S2 and one excluded by S1: then
        it is the widest part, in log epsilon. An end that lies outside the grid is the grid's end.
        """
        known = self.strength(at_mass, epsilon) if strength is None else strength
        inside = np.flatnonzero(known >= 1.0)
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
        They are those of the card, not of varied sources.
        """
        limit = self.card.limit
        return epsilon_intervals(
            lambda values: self.expected(at_mass, values),
            self.limit.model,
            epsilon,
            cl=limit.confidence_level.value,
            treatment="none" if limit.treatment == "none" else "hybrid",
        )

    @property
    def has_inclusive(self) -> bool:
        """Whether S2 of decays inside the detector has a meaning: calorimeters in order, chi2 that decays."""
        return self.signal.mode == "semivisible" and self.signal.s2_tables is not None

    def inclusive(self, at_mass: ExpectedSignal, epsilon: ArrayLike) -> Array:
        """Expected (S1, S2) with S2 read inclusively, whatever the card counts, shape (n_epsilon, 2).

        Raises:
            ConfigError: the reading has no meaning here.
        """
        s2 = at_mass.s2_inclusive(epsilon)
        if s2 is None:
            raise ConfigError(
                "no inclusive reading of S2 here (mode invisible, or calorimeters out of order): use "
                "the paper's"
            )
        s1 = np.asarray(at_mass.per_electron(epsilon))[:, 0]
        return np.asarray(np.stack([s1, s2], axis=1) * self.weight)

    def on_central_g2_line(self, mass_GeV: float, *, inclusive: bool = False) -> float:
        """Strength at the epsilon of the central g-2 line; 0 where there is no line."""
        epsilon = theory.muon_g2_band(self.card, [mass_GeV]).central
        if not np.isfinite(epsilon[0]):
            return 0.0
        at_mass = self.at_mass(mass_GeV)
        if not inclusive:
            return float(self.strength(at_mass, epsilon)[0])
        events = self.inclusive(at_mass, epsilon)
        return float(self.strengths(events, self.varied_size(at_mass, epsilon))["observed"][0])

    def g2_end_point(self, masses: Array, strengths: Array, *, inclusive: bool = False) -> float | None:
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
        root = optimize.brentq(
            lambda mass: self.on_central_g2_line(mass, inclusive=inclusive) - 1.0, last, first, xtol=1e-5
        )
        return float(root)
