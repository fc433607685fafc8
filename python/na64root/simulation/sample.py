"""Samples of simulated signal: selected as data, then reweighted to the points of the model near them.

What is reweighted, event by event, from a sample at (epsilon, alpha_D, splitting) to another point at the
same m_A' and m_A'/m_chi1: production (epsilon^2 and the branching ratio of the A'), the flight of chi2, its
energy in A' -> chi1 chi2 and the energy of the pair in its decay. What is not: angles, the mass of the pair
and the sharing between its members, which the calorimeters hardly see. A sample knows the points where its
effective number of events is large; elsewhere :class:`SignalSamples` makes another one.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from .. import cling, selection
from .._core import (
    Chi2Decayer,
    DecayModel,
    DecayVolume,
    InelasticModel,
    WidthFormula,
    aprime_width,
    aprime_width_to_chi,
    chi2_branching_to_electrons,
    chi2_ctau,
)
from ..annotations import Array
from ..config import SIGNATURES, Card, Signature
from ..errors import ConfigError
from ..selection import SelectionOptions, systematics
from ..selection.systematics import SystematicEffect
from ..signal import Parameters, SignalModel, effective_electrons
from ..simulation.options import SignalOptions
from ..work import Work
from .core_config import DecayRange, ForcedVolume, Signal, SignalMode
from .simulate import signal

# Branches of the truth that reweighting needs.
TRUTH = (
    "mc_decay_volume",
    "mc_flight_length_cm",
    "mc_gamma_beta",
    "mc_production_cm[2]",
    "mc_chi2_GeV[0]",
    "mc_chi2_GeV[3]",
    "mc_aprime_GeV[0]",
    "mc_electron_GeV[0]",
    "mc_positron_GeV[0]",
)


# A point is served only where a sample can have this share of its decays: what the masses forbid in the
# sample no weight can bring back. The bias is below the statistical error of any point that is accepted.
COVERED_MIN = 0.99


# A signature is asked for its own effective number of events where it makes this share of the signal.
SHARE_THAT_COUNTS = 0.05


# Larger logarithms of a ratio of weights belong to events whose own weight is near the end of the doubles, or
# beyond it: the sample has lost them.
LARGEST_LOG_RATIO = 300.0


# A sample that is too small is made again, four times larger each time.
LARGEST_FACTOR = 16


@dataclass(frozen=True)
class Reweighted:
    """Expected events at other parameters, shape (n, 2) for S1 and S2, with their statistical errors.

    `effective` is the number of unweighted events with the same relative error: where it is small, or 0, the
    sample does not know that point, whatever `expected` says. `covered` is the share of the decays there that
    the sample can have at all; 1 unless the splitting changes. `sample` is what was reweighted.

    `expected` is all that the selection leaves. `s2_beyond`, of shape (n,), is the part of S2 whose chi2 does
    not decay in the detector, what the paper counts, `s2_beyond_effective` its effective number.
    """

    expected: Array
    error: Array
    effective: Array
    s2_beyond: Array
    s2_beyond_effective: Array
    covered: float = 1.0
    sample: SignalSample | None = None


def effective_events(weight: ArrayLike, square: ArrayLike) -> Array:
    """(sum of weights)^2 / sum of squared weights; 0 without weights."""
    weight, square = np.asarray(weight, dtype=float), np.asarray(square, dtype=float)
    return np.asarray(np.divide(weight**2, square, out=np.zeros_like(weight), where=square > 0.0))


@dataclass(frozen=True)
class Produced:
    """chi2 of a sample before the selection and whatever their decay, of A' above the lower ECAL threshold.

    `weight` sums to their expected number; both have the shape (n_events,).
    """

    chi2_energy: Array
    weight: Array


class SignalSample:
    """The selected events of one simulated sample, which serve every epsilon, alpha_D and splitting near it.

    Production goes as epsilon^2 times the branching ratio of the A'. A decay in the detector after a flight L
    has the density exp(-L/l)/l, l = gamma beta c tau; one behind it, whose place nothing sees, the
    probability exp(-L'/l), L' the flight to the end of HCAL3.
    """

    def __init__(
        self,
        card: Card,
        point: Signal,
        selected: Mapping[Signature, selection.SelectedColumns],
        produced: Produced | None = None,
        effects: Sequence[SystematicEffect] = (),
    ) -> None:
        """`selected` has the columns of :data:`TRUTH`, as :func:`na64root.selection.select` gives them.

        `effects` are those of the card's systematic sources on the same events, where they were varied.

        Raises:
            ConfigError: mode visible, in which the A' itself flies.
        """
        if point.mode == "visible":
            raise ConfigError("mode visible is not reweighted (chi2 must decay): simulate each point")
        self.point = point
        self.parameters = point.parameters or Parameters.of(card)
        self.produced = produced
        self._effects = list(effects)
        self._card = card
        columns = {
            name: np.concatenate([selected[s][name] for s in SIGNATURES if s in selected])
            for name in ("weight", "period", *TRUTH)
        }
        signature = np.concatenate(
            [np.full(len(selected[s]["weight"]), SIGNATURES.index(s)) for s in selected]
        )
        self._signature, self._column = signature, columns
        behind = int(DecayVolume.beyond)
        place = self._column["mc_decay_volume"]
        self._seen = (place >= 0) & (place < behind)
        self._chi2_energy = self._column["mc_chi2_GeV[0]"]
        momentum = self._column["mc_gamma_beta"] * self._chi2_mass(self.parameters)
        cosine = np.divide(
            self._column["mc_chi2_GeV[3]"], momentum, out=np.ones_like(momentum), where=momentum > 0.0
        )
        # Those that fly backwards do not leave; they decay in the ECAL.
        to_end = card.geometry.hcal3_end_cm.value - self._column["mc_production_cm[2]"]
        to_end = np.divide(to_end, cosine, out=np.full_like(to_end, math.inf), where=cosine > 0.0)
        self._length = np.where(self._seen, self._column["mc_flight_length_cm"], to_end)

    @classmethod
    def make(
        cls,
        card: Card,
        point: Signal,
        *,
        events: int = 100_000,
        forced: ForcedVolume | Sequence[DecayRange] | None = None,
        shares: Sequence[float] | None = None,
        eot: Mapping[str, float] | None = None,
        first_event: int = 0,
        vary: bool = False,
        work: Work = Work(),
    ) -> SignalSample:
        """Simulate a sample and select it.

        Args:
            forced: a volume, or ranges of z that do not overlap.
            shares: of the events for each range, equal when not given; they sum to 1.
            vary: also vary the card's systematic sources.

        Raises:
            ConfigError, Na64Error: as :func:`na64root.simulation.simulate.signal`.
        """
        if point.mode == "visible":
            raise ConfigError("mode visible is not reweighted (chi2 must decay): simulate each point")
        parts: Sequence[ForcedVolume | DecayRange | None] = (
            [forced] if isinstance(forced, str | None) else forced
        )
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            edges = np.rint(events * np.cumsum([0.0, *(shares or [1.0 / len(parts)] * len(parts))])).astype(
                int
            )
            for i, part in enumerate(parts):
                first, last = int(edges[i]), int(edges[i + 1])
                paths.append(str(Path(folder) / f"signal{i}.root"))
                signal(
                    card,
                    paths[-1],
                    point,
                    SignalOptions(
                        events=max(1, last - first), forced=part, eot=eot, first_event=first_event + first
                    ),
                    work=work,
                )
            found = selection.select(
                paths,
                card.for_simulation,
                SelectionOptions(columns=TRUTH, eot=eot, systematics=vary),
                work=work.here,
            )
            produced = _produced(card, point, paths, eot)
        return cls(card, point, found.columns, produced, found.systematics)

    @classmethod
    def read(cls, files: Sequence[str], card: Card, point: Signal, *, work: Work = Work()) -> SignalSample:
        """Select a sample from files whose weights sum to the expected signal at `point`.

        Raises:
            DataError: files without mcWeight or without the truth in :data:`TRUTH`; as
                :func:`na64root.selection.select`.
        """
        columns = ("mcWeight", *TRUTH)
        found = selection.select(
            files, card.for_simulation, SelectionOptions(columns=columns), work=work.here
        )
        return cls(card, point, found.columns)

    def expected(
        self,
        epsilon: ArrayLike,
        *,
        alpha_dark: float | None = None,
        relative_splitting: float | None = None,
    ) -> Reweighted:
        """Expected events for each epsilon, shape (n,), one alpha_D and one splitting (the sample's).

        Raises:
            ConfigError: an unphysical model; another alpha_D or splitting with annihilation.
        """
        values = np.atleast_1d(np.asarray(epsilon, dtype=float))
        now = self.parameters
        new = dataclasses.replace(
            now,
            alpha_dark=now.alpha_dark if alpha_dark is None else alpha_dark,
            relative_splitting=now.relative_splitting if relative_splitting is None else relative_splitting,
        )
        if new != self.parameters and self._card.model.annihilation == "on":
            raise ConfigError(
                "a sample with annihilation at another alpha_D or splitting (no weight follows its line, "
                "which has the width of the A'): simulate there"
            )
        kinematics, covered = self._kinematics(new)
        beyond = ~self._seen & (self._signature == SIGNATURES.index("S2"))
        sums = np.zeros((len(values), len(SIGNATURES) + 1, 2))
        lost = np.zeros(len(values), dtype=bool)
        for i, value in enumerate(values):
            ratio, lost[i] = self._ratio(float(value), new)
            weight = self._column["weight"] * kinematics * ratio
            for j in range(len(SIGNATURES)):
                chosen = weight[self._signature == j]
                sums[i, j] = chosen.sum(), (chosen**2).sum()
            sums[i, -1] = weight[beyond].sum(), (weight[beyond] ** 2).sum()
        total, square = sums[..., 0], sums[..., 1]
        effective = np.where(lost[:, np.newaxis], 0.0, effective_events(total, square))
        return Reweighted(
            total[:, :-1],
            np.sqrt(square[:, :-1]),
            effective[:, :-1],
            total[:, -1],
            effective[:, -1],
            covered,
            self,
        )

    def effects(self, expected: Mapping[Signature, float]) -> list[SystematicEffect]:
        """What the varied sources do where these numbers are expected, source by source.

        The relative effect on each signature in each period is that on the sample; it is not reweighted.
        """
        nominal = dict.fromkeys(SIGNATURES, 0.0)
        for effect in self._effects:
            if effect.source == self._effects[0].source:
                nominal[effect.signature] += effect.nominal
        return [
            systematics.scaled_sum([(expected[effect.signature] / nominal[effect.signature], effect)])
            for effect in self._effects
            if nominal[effect.signature] > 0.0
        ]

    def selected(self, epsilon: float) -> dict[Signature, tuple[Array, Array, Array]]:
        """Energies of chi2 and of the A', and weights, of the selected events of each signature at `epsilon`.

        For a c tau within a factor of 10 of the sample's: there an event that is lost weighs below 1e-14.
        """
        weight = self._column["weight"] * self._ratio(epsilon, self.parameters)[0]
        result = {}
        for number, signature in enumerate(SIGNATURES):
            chosen = self._signature == number
            result[signature] = (
                self._chi2_energy[chosen],
                self._column["mc_aprime_GeV[0]"][chosen],
                weight[chosen],
            )
        return result

    def production_ratio(self, epsilon: float) -> float:
        """Expected A' at `epsilon` over those of the sample."""
        new, _ = self._production_and_ctau(epsilon, self.parameters)
        return new / self._production_and_ctau(self.point.epsilon, self.parameters)[0]

    def _ratio(self, epsilon: float, new: Parameters) -> tuple[Array, bool]:
        """Of production and flight, new over old, for each event; whether it is too large to be known."""
        production, ctau = self._production_and_ctau(self.point.epsilon, self.parameters)
        new_production, new_ctau = self._production_and_ctau(epsilon, new)
        ratio = new_production / production
        if self.point.mode == "invisible":
            return np.full_like(self._length, ratio), False
        old_length = self._column["mc_gamma_beta"] * ctau
        new_gamma = self._chi2_energy / self._chi2_mass(new)
        new_length = np.sqrt(np.maximum(0.0, new_gamma**2 - 1.0)) * new_ctau
        if new == self.parameters or self._chi2_mass(new) == self._chi2_mass(self.parameters):
            new_length = self._column["mc_gamma_beta"] * new_ctau
        with np.errstate(divide="ignore", invalid="ignore"):
            exponent = self._length / old_length - self._length / new_length
            exponent += np.where(self._seen, np.log(old_length / new_length), 0.0)
        exponent[np.isnan(exponent)] = -math.inf  # cannot be
        lost = exponent > LARGEST_LOG_RATIO
        exponent[lost] = -math.inf
        return ratio * np.exp(exponent), bool(lost.any())

    def _production_and_ctau(self, epsilon: float, parameters: Parameters) -> tuple[float, float]:
        """Up to a factor: A' whose decays are simulated; c tau of chi2 in cm."""
        model = parameters.model(self.point.mass_GeV, epsilon)
        width = WidthFormula.__members__[self._card.model.width]
        ctau = math.inf if self.point.mode == "invisible" else chi2_ctau(model, width)
        return epsilon**2 * _branching(self._card, self.point.mode, model), ctau

    def _chi2_mass(self, parameters: Parameters) -> float:
        return parameters.model(self.point.mass_GeV, self.point.epsilon).chi2_mass

    def _kinematics(self, new: Parameters) -> tuple[Array | float, float]:
        """Ratio of the densities of the energies of chi2 and of the pair, and the share that is covered.

        Both are scaled: E(chi2)/E(A') is flat between its ends, E(pair)/E(chi2) follows the decay; the mass
        of what flies over its energy is neglected, below 1 % from a gamma of 10 on.
        """
        if new.relative_splitting == self.parameters.relative_splitting:
            return 1.0, 1.0
        low, high = self._chi2_range(self.parameters)
        new_low, new_high = self._chi2_range(new)
        x = self._chi2_energy / self._column["mc_aprime_GeV[0]"]
        ratio = np.where((x >= new_low) & (x <= new_high), (high - low) / (new_high - new_low), 0.0)
        covered = max(0.0, min(high, new_high) - max(low, new_low)) / (new_high - new_low)
        if self.point.mode == "invisible":
            return ratio, covered
        old_pair, new_pair = self._pair_spectrum(self.parameters), self._pair_spectrum(new)
        u = (self._column["mc_electron_GeV[0]"] + self._column["mc_positron_GeV[0]"]) / self._chi2_energy
        density = old_pair.density(u)
        pair = np.divide(new_pair.density(u), density, out=np.zeros_like(u), where=density > 0.0)
        return ratio * np.where(self._seen, pair, 1.0), covered * (1.0 - new_pair.above(old_pair.end))

    def _chi2_range(self, parameters: Parameters) -> tuple[float, float]:
        """The ends of E(chi2)/E(A') for an A' much faster than its decay."""
        model = parameters.model(self.point.mass_GeV, self.point.epsilon)
        mass, m1, m2 = model.mass, model.chi1_mass, model.chi2_mass
        energy = (mass**2 + m2**2 - m1**2) / (2.0 * mass)
        momentum = math.sqrt(max(0.0, energy**2 - m2**2))
        return (energy - momentum) / mass, (energy + momentum) / mass

    def _pair_spectrum(self, parameters: Parameters) -> _PairSpectrum:
        model = parameters.model(self.point.mass_GeV, self.point.epsilon)
        return _PairSpectrum(Chi2Decayer(model, DecayModel.__members__[self._card.model.decay]), model)


def _branching(card: Card, mode: SignalMode, model: InelasticModel) -> float:
    """Of A' to what is simulated: chi1 chi2, and where chi2 is to be seen on to chi1 e e."""
    branching = aprime_width_to_chi(model) / aprime_width(model)
    if mode == "semivisible" and model.chi2_decays:
        branching *= chi2_branching_to_electrons(model, WidthFormula.__members__[card.model.width])
    return branching


def _produced(card: Card, point: Signal, paths: Sequence[str], eot: Mapping[str, float] | None) -> Produced:
    cling.optimise()
    frame = cling.root().RDataFrame("tree", list(map(cling.literal, paths)))
    frame = frame.Define("na64_chi2", "mc_chi2_GeV[0]").Define("na64_aprime", "mc_aprime_GeV[0]")
    data = frame.AsNumpy(["na64_chi2", "na64_aprime", "mc_production_weight"])
    parameters = point.parameters or Parameters.of(card)
    model = parameters.model(point.mass_GeV, point.epsilon)
    electrons = sum(effective_electrons(card, card.exposure(eot)).values())
    branching = _branching(card, point.mode, model)
    per_event = electrons * point.epsilon**2 * branching / len(data["na64_chi2"])
    kept = data["na64_aprime"] > min(SignalModel(card).aprime_threshold.values())
    return Produced(data["na64_chi2"][kept], per_event * data["mc_production_weight"][kept])


class _PairSpectrum:
    """The spectrum of u = E(pair)/E(chi2) in the decay of a fast chi2."""

    _BINS = 500
    _GAMMA = 1e3

    def __init__(self, decay: Chi2Decayer, model: InelasticModel) -> None:
        self.end = 1.0 - (model.chi1_mass / model.chi2_mass) ** 2  # a massless pair, forward
        self._u = np.linspace(0.0, self.end, self._BINS + 1)
        energy = self._GAMMA * model.chi2_mass
        self._above = np.array(
            [float(decay.fraction_above(float(u) * energy, np.array([energy]))[0]) for u in self._u]
        )

    def above(self, u: float) -> float:
        return float(np.interp(u, self._u, self._above))

    def density(self, u: Array) -> Array:
        values = -np.diff(self._above) / np.diff(self._u)
        middle = 0.5 * (self._u[1:] + self._u[:-1])
        inside = (u > 0.0) & (u < self.end)
        return np.where(inside, np.interp(u, middle, values), 0.0)


# Of the events of a sample for each of `decay_ranges`: most for S1, few for HCAL1, whose decays are vetoed.
RANGE_SHARES = (0.25, 0.1, 0.4, 0.25)


def decay_ranges(card: Card) -> list[DecayRange]:
    """Ranges of z in cm that share out all decays: to the ECAL and VETO, HCAL1, HCAL2 and 3, and beyond."""
    geometry = card.geometry
    edges = [
        -math.inf,
        geometry.hcal1_start_cm.value,
        geometry.hcal2_start_cm.value,
        geometry.hcal3_end_cm.value,
        math.inf,
    ]
    return list(itertools.pairwise(edges))
