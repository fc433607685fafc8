"""The exposure planner: electrons on target that it takes to exclude a line of models, mass by mass.

HCAL1 is made longer or shorter with all that stands behind it, as in card ``compact_hcal``; the beam gets
another energy, with the cuts on the ECAL in proportion to it. What stays as it is, :data:`KEPT` says.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, get_args

import numpy as np

from .. import limits, theory
from ..annotations import Array
from ..config import SIGNATURES, Card, changed_card
from ..errors import ConfigError
from ..records import Count, Provenance, Record, provenance
from ..signal import Parameters, SignalModel, card_counts, effective_exposure
from ..theory.overlays import relic_line
from ..work import Work
from .counting_models import LikelihoodBin, counting_model
from .ledger import Answers, answers, require_chain
from .strength import LimitByShare

Target = Literal["g2", "g2-band", "relic"]


Background = Literal["scaled", "kept"]


TARGETS: tuple[Target, ...] = get_args(Target)


BACKGROUNDS: tuple[Background, ...] = get_args(Background)


HCAL1_LENGTHS_CM = (50.0, 75.0, 100.0, 125.0, 150.0)


BEAM_ENERGIES_GEV = (50.0, 75.0, 100.0, 125.0, 150.0)


MASS_RANGE_GEV = (0.02, 0.8)


MASS_POINTS = 30


LARGEST_EOT = 1e14


# The grid on which median limits are interpolated: exposures by the decade, shares of S1. Steps of the
# median, which come with single counts, are smoothed over a sixteenth of a decade.
EOT_PER_DECADE = 16


SHARES = 11


SCALED = [
    "HCAL1 length: HCAL2 and HCAL3 stand as far behind HCAL1 as in the card",
    "beam energy: cuts on the ECAL and the nominal momentum in proportion to it",
]


KEPT = [
    "HCAL1 length: background per electron (an absorber of as many interaction lengths)",
    "beam energy: threshold of S1 in the HCAL, positions, efficiencies, background per electron",
]


class PlanCurve(Record):
    """Electrons on target at each mass; null where none up to the largest exposure does it.

    `eot_zero_events`: the line is excluded when no event is seen. `eot_median`: it is in half of all
    experiments without a signal.
    """

    hcal1_length_cm: float
    beam_energy_GeV: float
    eot_zero_events: list[float | None]
    eot_median: list[float | None]


class BeamSensitivity(Record):
    """What the card's exposure and counts exclude with a beam of another energy."""

    beam_energy_GeV: float
    answers: Answers


class Plan(Record):
    """Exposures needed to exclude all lines of `epsilon` at `mass_GeV`, by HCAL1 length and by beam energy.

    `epsilon[k][i]` is line k at mass i, null where there is none.
    """

    target: Target
    source: str
    mass_GeV: list[float]
    epsilon: list[list[float | None]]
    background: Background
    confidence_level: float
    largest_eot: float
    card_eot: float
    by_hcal1_length: list[PlanCurve]
    by_beam_energy: list[PlanCurve]
    sensitivity: list[BeamSensitivity]
    scaled: list[str]
    kept: list[str]
    files: dict[str, str]
    provenance: Provenance


def plan(
    card: Card,
    target: Target = "g2",
    *,
    mass_GeV: Sequence[float] | None = None,
    hcal1_lengths_cm: Sequence[float] | None = None,
    beam_energies_GeV: Sequence[float] | None = None,
    background: Background = "scaled",
    largest_eot: float = LARGEST_EOT,
    work: Work = Work(),
) -> Plan:
    """The exposures needed to reach a target.

    Args:
        target: ``g2`` the central line of the muon's g-2, ``g2-band`` all of its 2 sigma band (its edges and
            the central line), ``relic`` the thermal relic line.
        mass_GeV, hcal1_lengths_cm, beam_energies_GeV: the defaults of this module where not given.
        background: ``scaled`` with the exposure, uncertainty included, or ``kept`` at the card's.
        largest_eot: beyond it an exposure is null. The exact engine enumerates up to 1000 events, observed
            and background: with backgrounds scaled that is 2e14 for the default card.
        threads: masses in parallel; the result does not depend on it.
        progress: called with (masses done, all masses).

    Raises:
        ConfigError: an unknown target, a range that is none, an unphysical model.
        ConvergenceError: an integral or a limit that did not converge.
    """
    for name, value, known in (("target", target, TARGETS), ("background", background, BACKGROUNDS)):
        if value not in known:
            raise ConfigError(f"no {name} {value} (known: {', '.join(known)}): correct it")
    if not (largest_eot > 0.0 and math.isfinite(largest_eot)):
        raise ConfigError(f"largest exposure {largest_eot:g} (must be above zero): correct it")
    require_chain(card)
    masses = np.geomspace(*MASS_RANGE_GEV, MASS_POINTS) if mass_GeV is None else np.array(mass_GeV)
    if not (len(masses) > 0 and (masses > 0.0).all() and (np.diff(masses) > 0.0).all()):
        raise ConfigError("masses that do not rise from above zero: correct --masses-GeV")
    lines, source = _lines(card, target, masses)
    by_length = [with_hcal1_length(card, length) for length in hcal1_lengths_cm or HCAL1_LENGTHS_CM]
    by_energy = [with_beam_energy(card, energy) for energy in beam_energies_GeV or BEAM_ENERGIES_GEV]
    needed = _Exposures(card, background, largest_eot)
    signals = [SignalModel(setup) for setup in (*by_length, *by_energy)]
    points = [(signal, i) for signal in signals for i in range(len(masses))]

    def compute(item: tuple[SignalModel, int]) -> tuple[float | None, float | None]:
        signal, i = item
        epsilon = lines[:, i]
        if not np.isfinite(epsilon).all():
            return None, None
        per_eot = signal.at_mass(float(masses[i])).per_electron(epsilon) * needed.efficiency
        found = [(needed.without_events(events), needed.median(events)) for events in per_eot]
        # All lines: the one that takes longest.
        return _largest([zero for zero, _ in found]), _largest([median for _, median in found])

    found, progress = [], work.reporting("masses")
    with ThreadPoolExecutor(max_workers=work.threads) as pool:
        for result in pool.map(compute, points):
            found.append(result)
            if progress is not None:
                progress(len(found), len(points))
    curves = [
        PlanCurve(
            hcal1_length_cm=hcal1_length(signal.card),
            beam_energy_GeV=signal.card.beam.energy_GeV.value,
            eot_zero_events=[zero for zero, _ in found[first : first + len(masses)]],
            eot_median=[median for _, median in found[first : first + len(masses)]],
        )
        for first, signal in zip(range(0, len(found), len(masses)), signals, strict=True)
    ]
    return Plan(
        target=target,
        source=source,
        mass_GeV=masses.tolist(),
        epsilon=[[x if math.isfinite(x) else None for x in line] for line in lines.tolist()],
        background=background,
        confidence_level=card.limit.confidence_level.value,
        largest_eot=largest_eot,
        card_eot=card.eot,
        by_hcal1_length=curves[: len(by_length)],
        by_beam_energy=curves[len(by_length) :],
        sensitivity=[
            BeamSensitivity(beam_energy_GeV=setup.beam.energy_GeV.value, answers=answers(setup))
            for setup in by_energy
        ],
        scaled=SCALED,
        kept=KEPT,
        files={},
        provenance=provenance(card, seed=work.seed, limit_method=f"exact, {card.limit.treatment}"),
    )


def hcal1_length(card: Card) -> float:
    """In cm."""
    return card.geometry.hcal1_end_cm.value - card.geometry.hcal1_start_cm.value


def with_hcal1_length(card: Card, length_cm: float) -> Card:
    """The card with another HCAL1, and all behind it as far behind it as before.

    Raises:
        ConfigError: no length.
    """
    if not (length_cm > 0.0 and math.isfinite(length_cm)):
        raise ConfigError(f"HCAL1 of {length_cm:g} cm (must be above zero): correct it")
    behind = ("hcal1_end", "hcal2_start", "hcal2_end", "hcal3_start", "hcal3_end")
    shift = length_cm - hcal1_length(card)
    return changed_card(
        card,
        {f"geometry.{name}_cm": getattr(card.geometry, f"{name}_cm").value + shift for name in behind},
    )


def with_beam_energy(card: Card, energy_GeV: float) -> Card:
    """The card with another beam: the cuts on the ECAL and the nominal momentum in proportion to it.

    Raises:
        ConfigError: no energy.
    """
    if not (energy_GeV > 0.0 and math.isfinite(energy_GeV)):
        raise ConfigError(f"beam of {energy_GeV:g} GeV (must be above zero): correct it")
    factor = energy_GeV / card.beam.energy_GeV.value
    ecal = card.selection.ecal
    return changed_card(
        card,
        {
            "beam.energy_GeV": energy_GeV,
            "selection.ecal.s1_max_GeV": factor * ecal.s1_max_GeV.value,
            "selection.ecal.s2_max_GeV": factor * ecal.s2_max_GeV.value,
            "selection.momentum.nominal_GeV": factor * card.selection.momentum.nominal_GeV.value,
        },
    )


def _lines(card: Card, target: Target, masses: Array) -> tuple[Array, str]:
    """epsilon of the lines to be excluded, shape (n_line, n_mass), NaN where there is none; their source."""
    if target == "relic":
        line = relic_line(masses, Parameters.of(card))
        epsilon = np.array([math.nan if y is None else y for y in line.y])
        return epsilon[None, :], f"{line.source}; {line.caveat}"
    band = theory.muon_g2_band(card, masses)
    source = card.muon_g2.central.source
    if target == "g2":
        return band.central[None, :], source
    return np.stack([band.minus2, band.central, band.plus2]), f"{source}; band of 2 sigma"


class _Exposures:
    """From expected events per electron on target, shape (2,) for S1 and S2, to the exposure needed."""

    def __init__(self, card: Card, background: Background, largest: float) -> None:
        exposure = card.exposure()
        counts = card_counts(card, exposure)
        weight = effective_exposure(card, exposure, counts)
        self.efficiency = np.array([weight[signature] for signature in SIGNATURES]) / card.eot
        self._card = card
        self._background = background
        self._largest = largest
        self._counts = counts
        self._weight = weight
        empty = [count.model_copy(update={"observed": 0}) for count in counts]
        self._limit_without_events = LimitByShare(card, empty, exposure, checked=False)
        self._median_at = functools.cache(self._median_at_node)

    def without_events(self, events: Array) -> float | None:
        total = float(events.sum())
        if not total > 0.0:
            return None
        eot = float(self._limit_without_events(events[0] / total)) / total
        return eot if eot <= self._largest else None

    def median(self, events: Array) -> float | None:
        """The smallest exposure whose median limit without signal is reached."""
        total = float(events.sum())
        if not total > 0.0:
            return None
        share = float(events[0]) / total

        def log_strength(node: int) -> float:
            return math.log(_eot(node) * total / self._median_limit(node, share))

        if self._background == "kept":
            eot = self._median_limit(0, share) / total
            return eot if eot <= self._largest else None
        # More background than none only makes it longer.
        first = float(self._limit_without_events(share)) / total
        if first > self._largest:
            return None
        node = math.floor(EOT_PER_DECADE * math.log10(first)) - 1
        below = log_strength(node)
        while _eot(node) < self._largest:
            node += 1
            above = log_strength(node)
            if above >= 0.0:
                part = 1.0 if below >= 0.0 else -below / (above - below)
                eot = _eot(node - 1 + part)
                return eot if eot <= self._largest else None
            below = above
        return None

    def _median_limit(self, node: int, share: float) -> float:
        place = share * (SHARES - 1)
        low = min(int(place), SHARES - 2)
        part = place - low
        return (1.0 - part) * self._median_at(node, low) + part * self._median_at(node, low + 1)

    def _median_at_node(self, node: int, share: int) -> float:
        scale = _eot(node) / self._card.eot if self._background == "scaled" else 1.0
        bins: list[LikelihoodBin] = [
            (_scaled(count, scale), count.signature, self._weight[count.signature]) for count in self._counts
        ]
        model = counting_model(self._card, bins, share / (SHARES - 1))
        limit = limits.card_limit(model, self._card, expected=True, checked=False)
        if limit.expected.median is None:
            raise ConfigError(
                f"no median limit with limit.treatment = {self._card.limit.treatment} (signal uncertainties "
                "too large for it): choose another treatment"
            )
        return limit.expected.median


def _eot(node: float) -> float:
    return float(10.0 ** (node / EOT_PER_DECADE))


def _scaled(count: Count, scale: float) -> Count:
    """With the most probable count without signal, where the nuisance parameters of the ensemble stay."""
    background = scale * count.background
    return count.model_copy(
        update={
            "observed": round(background),
            "background": background,
            "background_uncertainty": scale * count.background_uncertainty,
        }
    )


def _largest(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return max(known) if len(known) == len(values) else None
