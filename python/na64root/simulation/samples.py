"""Samples at several masses, reweighted to every model between them."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from ..annotations import Array
from ..config import SIGNATURES, Card
from ..errors import ConvergenceError
from ..selection.systematics import SystematicEffect
from ..signal import Parameters, SignalModel, effective_electrons
from ..work import Work
from .core_config import Signal, SignalMode
from .sample import (
    COVERED_MIN,
    LARGEST_FACTOR,
    RANGE_SHARES,
    SHARE_THAT_COUNTS,
    Reweighted,
    SignalSample,
    decay_ranges,
)

# Fewer expected events of the whole exposure decide nothing, however many simulated ones stand for them.
NEGLIGIBLE_EVENTS = 1e-4


class SignalSamples:
    """The simulated signal at one mass, for any epsilon: samples are made where those there are too small.

    Takes the place of :class:`na64root.signal.SignalAtMass`. S2, and S1 where it makes a share of the signal
    that counts, have at least the card's `signal.effective_events_min` at every point. Whether S1 counts is
    asked of the chain as well: a sample that has lost S1 does not know it. The same holds for the S2 that
    decay behind the detector, where the card counts these alone (`signal.s2`).

    What the cuts on the electron lose is simulated. Where the residual efficiency stands for it as well
    (`signal.residual = "total"`), it is divided out, as :attr:`SignalAtMass.electrons_kept`.
    """

    def __init__(
        self,
        card: Card,
        mass_GeV: float,
        *,
        mode: SignalMode = "semivisible",
        exposure: Mapping[str, float] | None = None,
        work: Work = Work(),
    ) -> None:
        """`exposure` is the electrons on target of each period, the card's when not given."""
        self.card = card
        self.mass_GeV = mass_GeV
        self.mode = mode
        self.samples: list[SignalSample] = []
        self._exposure = dict(card.exposure() if exposure is None else exposure)
        self._electrons = sum(effective_electrons(card, self._exposure).values())
        self._work = work
        self._next_event = 0
        self._chain = SignalModel(card)

    def per_electron(self, epsilon: ArrayLike, parameters: Parameters | None = None) -> Array:
        """Expected (S1, S2) per electron on target, before the residual efficiency, shape (n_epsilon, 2)."""
        values = np.atleast_1d(np.asarray(epsilon, dtype=float))
        found = [
            self._counted(self.at(float(value), parameters)) if value > 0.0 else np.zeros(2)
            for value in values
        ]
        return np.asarray(found) / self._electrons

    def s2_inclusive(self, epsilon: ArrayLike, parameters: Parameters | None = None) -> Array | None:
        """Expected S2 per electron on target, decays inside the detector too; None in mode invisible."""
        if self.mode == "invisible":
            return None
        values = np.atleast_1d(np.asarray(epsilon, dtype=float))
        found = [self.at(float(value), parameters).expected[0, 1] if value > 0.0 else 0.0 for value in values]
        return np.asarray(found) / (self._electrons * self._electrons_kept)

    def _counted(self, found: Reweighted) -> Array:
        """(S1, S2) as the card counts S2 and reads the residual efficiency."""
        s1, s2 = found.expected[0]
        if self.card.signal.s2 == "beyond" and self.mode == "semivisible":
            s2 = found.s2_beyond[0]
        return np.array([s1, s2]) / self._electrons_kept

    @functools.cached_property
    def _electrons_kept(self) -> float:
        if self.card.signal.residual == "rest" or self.mode == "visible":
            return 1.0
        return self._chain.at_mass(self.mass_GeV, Parameters.of(self.card)).electrons_kept

    def effects(self, epsilon: float, parameters: Parameters | None = None) -> list[SystematicEffect]:
        """What the card's systematic sources do to the expected signal at one point.

        The relative effects are those of the sample that serves the point, in each signature and period.
        There are none unless the card has `systematics.in_limit = "varied"`.
        """
        found = self.at(epsilon, parameters)
        events = dict(zip(SIGNATURES, self._counted(found).tolist(), strict=True))
        return found.sample.effects(events) if found.sample is not None else []

    def at(self, epsilon: float, parameters: Parameters | None = None) -> Reweighted:
        """Expected events at one point, of the nearest sample that knows it, made there where none does.

        Raises:
            ConfigError: an unphysical model.
            ConvergenceError: also a sample at the point itself has too few effective events.
        """
        new = parameters or Parameters.of(self.card)
        new.model(self.mass_GeV, epsilon)  # one line where it is unphysical
        by_chain = self._by_chain(epsilon, new)
        best = self._nearest(epsilon, new, by_chain)
        factor = 1
        while best is None or not self._suffices(best, by_chain):
            if factor > LARGEST_FACTOR:
                raise ConvergenceError(
                    f"too few effective events at m_A' = {self.mass_GeV:g} GeV, epsilon = {epsilon:g} (fewer "
                    f"than {self.card.signal.effective_events_min.value:g} of "
                    f"{factor // 4 * self.card.signal.simulated_events.value:g} simulated ones): raise "
                    "signal.simulated_events"
                )
            sample = self._make(Signal(self.mass_GeV, epsilon, self.mode, new), factor)
            self.samples.append(sample)
            best = sample.expected([epsilon])
            factor *= 4
        return best

    def _nearest(
        self, epsilon: float, parameters: Parameters, by_chain: tuple[float, float]
    ) -> Reweighted | None:
        """What the sample nearest in epsilon says, of those that suffice.

        Not the one with the most events: that would favour samples that fluctuate upwards.
        """
        for sample in sorted(self.samples, key=lambda sample: abs(math.log(sample.point.epsilon / epsilon))):
            if sample.parameters.mass_ratio != parameters.mass_ratio:
                continue
            if sample.parameters != parameters and self.card.model.annihilation == "on":
                continue
            found = sample.expected(
                [epsilon], alpha_dark=parameters.alpha_dark, relative_splitting=parameters.relative_splitting
            )
            if found.covered >= COVERED_MIN and self._suffices(found, by_chain):
                return found
        return None

    def _suffices(self, found: Reweighted, by_chain: tuple[float, float]) -> bool:
        needed = self.card.signal.effective_events_min.value
        s1, s2 = by_chain
        if self._weakest(found, s1) < needed:
            return False
        counts = s2 > SHARE_THAT_COUNTS * (s1 + s2) and s2 > NEGLIGIBLE_EVENTS
        return not counts or bool(found.s2_beyond_effective[0] >= needed)

    def _make(self, point: Signal, factor: int) -> SignalSample:
        events = factor * round(self.card.signal.simulated_events.value)
        first, self._next_event = self._next_event, self._next_event + events
        return SignalSample.make(
            self.card,
            point,
            events=events,
            forced=decay_ranges(self.card) if self.mode == "semivisible" else None,
            shares=RANGE_SHARES if self.mode == "semivisible" else None,
            eot=self._exposure,
            first_event=first,
            vary=self.card.systematics.in_limit == "varied",
            work=self._work,
        )

    def _by_chain(self, epsilon: float, parameters: Parameters) -> tuple[float, float]:
        """Expected events by the chain: S1 without the loss by the R cut, S2 of decays behind the detector.

        The latter is 0 where the card does not ask for it alone, both are in mode invisible.
        """
        if self.mode == "invisible":
            return 0.0, 0.0
        s1, s2 = self._chain.at_mass(self.mass_GeV, parameters).per_electron([epsilon])[0] * self._electrons
        asked = self.card.signal.s2 == "beyond"
        return float(s1) / max(self.card.signal.r_efficiency.value, 1e-3), float(s2) if asked else 0.0

    @staticmethod
    def _weakest(found: Reweighted, s1_by_chain: float) -> float:
        """The smaller effective number of the signatures that count."""
        s1, s2 = found.expected[0]
        if max(s1, s1_by_chain) > SHARE_THAT_COUNTS * (s1 + s2):
            return float(found.effective[0].min())
        return float(found.effective[0, 1])
