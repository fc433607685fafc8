"""Samples at several masses, reweighted to every model between them."""

from __future__ import annotations

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


class SignalSamples:
    """The simulated signal at one mass, for any epsilon: samples are made where those there are too small.

    Takes the place of :class:`na64root.signal.SignalAtMass`. S2, and S1 where it makes a share of the signal
    that counts, have at least the card's `signal.effective_events_min` at every point. Whether S1 counts is
    asked of the chain as well: a sample that has lost S1 does not know it.
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
            self.at(float(value), parameters).expected[0] if value > 0.0 else np.zeros(2) for value in values
        ]
        return np.asarray(found) / self._electrons

    def effects(self, epsilon: float, parameters: Parameters | None = None) -> list[SystematicEffect]:
        """What the card's systematic sources do to the expected signal at one point.

        The relative effects are those of the sample that serves the point, in each signature and period.
        There are none unless the card has `systematics.in_limit = "varied"`.
        """
        found = self.at(epsilon, parameters)
        events = dict(zip(SIGNATURES, found.expected[0].tolist(), strict=True))
        return found.sample.effects(events) if found.sample is not None else []

    def at(self, epsilon: float, parameters: Parameters | None = None) -> Reweighted:
        """Expected events at one point, of the nearest sample that knows it, made there where none does.

        Raises:
            ConfigError: an unphysical model.
            ConvergenceError: also a sample at the point itself has too few effective events.
        """
        new = parameters or Parameters.of(self.card)
        new.model(self.mass_GeV, epsilon)  # one line where it is unphysical
        most_s1 = self._s1_by_chain(epsilon, new)
        best = self._nearest(epsilon, new, most_s1)
        factor = 1
        while best is None or not self._suffices(best, most_s1):
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

    def _nearest(self, epsilon: float, parameters: Parameters, s1_by_chain: float) -> Reweighted | None:
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
            if found.covered >= COVERED_MIN and self._suffices(found, s1_by_chain):
                return found
        return None

    def _suffices(self, found: Reweighted, s1_by_chain: float) -> bool:
        return self._weakest(found, s1_by_chain) >= self.card.signal.effective_events_min.value

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

    def _s1_by_chain(self, epsilon: float, parameters: Parameters) -> float:
        """Expected S1 events by the chain without the loss by the R cut; 0 in mode invisible."""
        if self.mode == "invisible":
            return 0.0
        s1 = self._chain.at_mass(self.mass_GeV, parameters).per_electron([epsilon])[0, 0]
        return float(s1) * self._electrons / max(self.card.signal.r_efficiency.value, 1e-3)

    @staticmethod
    def _weakest(found: Reweighted, s1_by_chain: float) -> float:
        """The smaller effective number of the signatures that count."""
        s1, s2 = found.expected[0]
        if max(s1, s1_by_chain) > SHARE_THAT_COUNTS * (s1 + s2):
            return float(found.effective[0].min())
        return float(found.effective[0, 1])
