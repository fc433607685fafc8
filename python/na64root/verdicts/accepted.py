"""What the acceptance of the chain leaves of generated events, by signature and step, with its error.

Events with their decays are looked at one by one: energy of the A' above the threshold of the ECAL cut, place
of the decay, energy of the pair. A' alone decay as the model says, integrated by the core. The R cut and the
residual efficiency are those of the card.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._core import ProductionPoint
from ..config import SIGNATURES, Card, Signature
from ..errors import ConfigError
from ..signal import Parameters, SignalModel
from .events import Events
from .records import Step

# A' without decays are shared out to so many groups, whose spread is the statistical error.
GROUPS = 50

# A' may be above the mean energy of a beam with a spread by so many of them: of a Gaussian 3e-7 are.
BEAM_SPREADS = 5.0


@dataclass(frozen=True)
class Accepted:
    """Expected events of each signature with their statistical errors, and what each step leaves."""

    expected: dict[Signature, float]
    error: dict[Signature, float]
    steps: dict[Signature, list[Step]]


def of_decays(
    events: Events,
    signal: SignalModel,
    scale: Mapping[Signature, float],
    electrons_kept: float | None = None,
) -> Accepted:
    """Events with their decays.

    Args:
        scale: factor on the weights: exposure and, where it is not in them, residual efficiency.
        electrons_kept: what the cuts on the electron keep, where the residual efficiency is without them.
    """
    card = signal.card
    front, end = card.geometry.hcal2_start_cm.value, card.geometry.hcal3_end_cm.value
    place, everywhere = events.decay_cm, np.ones_like(events.weight, dtype=bool)
    expected: dict[Signature, float] = {}
    error: dict[Signature, float] = {}
    steps: dict[Signature, list[Step]] = {}
    for signature in SIGNATURES:
        passes: dict[str, NDArray[np.bool_]] = {"produced": everywhere}
        passes["ecal"] = events.aprime_GeV > signal.aprime_threshold[signature]
        factor = scale[signature]
        if signature == "S1":
            passes["decay"] = (place >= front) & (place < end)
            passes["hcal"] = events.pair_GeV > card.selection.hcal.s1_signal_min_GeV.value
        else:
            passes["decay"] = place >= end
        left, rows = everywhere, []
        for name, mask in passes.items():
            left = left & mask
            rows.append(Step(step=name, events=factor * float(events.weight[left].sum())))
        efficiency = card.signal.r_efficiency.value if signature == "S1" else 1.0
        if signature == "S1":
            rows.append(Step(step="r", events=efficiency * rows[-1].events))
        if electrons_kept is not None:
            efficiency *= electrons_kept
            rows.append(Step(step="electron", events=electrons_kept * rows[-1].events))
        expected[signature] = rows[-1].events
        error[signature] = factor * efficiency * math.sqrt(float((events.weight[left] ** 2).sum()))
        steps[signature] = rows
    return Accepted(expected, error, steps)


def of_aprimes(
    events: Events,
    signal: SignalModel,
    parameters: Parameters,
    epsilon: float,
    scale: Mapping[Signature, float],
    produced: float | None,
) -> Accepted:
    """A' that decay as the model says. They are all there is: annihilation is not added to them.

    Args:
        scale: electrons on target times residual efficiency of each signature.
        produced: A' that are made per electron on target, whatever they decay to; without, as many as the
            chain makes by bremsstrahlung above the lower threshold of the ECAL cut.

    Raises:
        ConfigError: no A' above the thresholds.
    """
    mass = events.masses.aprime
    chain = signal.production(mass)
    made = sum(point.weight for point in chain)
    depth = sum(point.weight * point.depth for point in chain) / made if made > 0.0 else 0.0
    above = events.aprime_GeV > min(signal.aprime_threshold.values())
    if not events.weight[above].sum() > 0.0:
        raise ConfigError(
            f"no A' in {events.path} is above {min(signal.aprime_threshold.values()):g} GeV (nothing "
            "passes the "
            "ECAL cut): give other events"
        )
    share = events.weight / events.weight[above].sum() * made
    if produced is not None:
        share = events.weight / events.weight.sum() * produced / epsilon**2
    groups = min(GROUPS, int(above.sum()))
    found, flow = [], []
    energies, shares = events.aprime_GeV[above], share[above]
    for group in range(groups):
        points = [
            ProductionPoint(float(energy), depth, float(weight), mass)
            for energy, weight in zip(energies[group::groups], shares[group::groups], strict=True)
        ]
        at_mass = signal.at_mass(mass, parameters, points, annihilation=False)
        found.append(at_mass.per_electron([epsilon])[0])
        flow.append((at_mass.produced(epsilon), at_mass.efficiencies(epsilon)))
    per_group = np.array(found)
    total = per_group.sum(axis=0)
    spread = np.zeros(2)
    if groups > 1:
        spread = np.sqrt(groups / (groups - 1) * ((per_group - per_group.mean(axis=0)) ** 2).sum(axis=0))
    expected: dict[Signature, float] = {}
    error: dict[Signature, float] = {}
    steps: dict[Signature, list[Step]] = {}
    for i, signature in enumerate(SIGNATURES):
        factor = scale[signature]
        rows = [Step(step="produced", events=factor * sum(made for made, _ in flow))]
        for name in flow[0][1][signature]:
            left = 0.0
            for made_here, efficiencies in flow:
                kept = made_here
                for step, efficiency in efficiencies[signature].items():
                    kept *= efficiency
                    if step == name:
                        break
                left += kept
            rows.append(Step(step=name, events=factor * left))
        expected[signature] = factor * float(total[i])
        error[signature] = factor * float(spread[i])
        steps[signature] = rows
    return Accepted(expected, error, steps)


def require_beam(card: Card, events: Events) -> None:
    """Raise ConfigError where an A' has more energy than the card's beam; that of the chain has no spread."""
    beam = card.beam.energy_GeV.value
    spread = card.pseudodata.beam_momentum_spread.value if events.placed else 0.0
    if events.aprime_GeV.max() > beam * (1.0 + BEAM_SPREADS * spread):
        raise ConfigError(
            f"an A' in {events.path} has {events.aprime_GeV.max():g} GeV (the beam has {beam:g} GeV): set "
            "beam.energy_GeV, or give events of this beam"
        )


def require_reading(card: Card, path: object) -> None:
    """Raise ConfigError where the card counts S2 in a way that events outside a detector cannot be."""
    reading = getattr(card.signal, "s2", "beyond")
    if reading != "beyond":
        raise ConfigError(
            f"the card counts S2 as {reading} (what the selection leaves of decays inside; {path} has no "
            "detector): use signal.s2 = beyond, or simulate"
        )
