"""S2 of chi2 that decay inside the detector: what the selection leaves of them, without the model."""

from __future__ import annotations

import functools
import json
import logging
from dataclasses import dataclass, field

from .. import _core
from ..config import Card
from .experiment import detector_config, set_beam

log = logging.getLogger(__name__)

# A' masses (GeV) of the samples in which the electron's losses are tabulated. The losses do not depend on the
# mass; between them these have soft and hard recoils.
REFERENCE_MASSES_GEV = (0.05, 0.8)

# Events of each of these samples: 0.3 % error of what is kept on average.
EVENTS = 10_000


@dataclass(frozen=True)
class S2Tables:
    """What VETO and HCAL leave of pairs, and what the cuts on the electron leave of the beam."""

    pairs: _core.PairLosses
    electrons: _core.ElectronLosses


@dataclass(frozen=True)
class Target:
    """The target as a source of A': numbers of :class:`na64root.signal.SignalModel`."""

    thresholds_GeV: tuple[float, ...]  # of E_A', that of S2 first
    atoms_per_radiation_length: float
    depth_scale_cm: float


@dataclass(frozen=True)
class _Setup:
    """What the tables depend on, as text, and the card to make them from."""

    text: str
    target: Target
    card: Card = field(compare=False)


def s2_tables(card: Card, target: Target) -> S2Tables | None:
    """The tables of a card, made once for all cards that agree in what they depend on (half a second).

    None where the calorimeters overlap or are in another order: then there is nothing to simulate, and the
    inclusive reading of S2 has no meaning. Thresholds of single run periods are not followed.
    """
    selection = card.selection
    parts = (
        card.beam, card.geometry, card.target, card.detector, card.pseudodata.beam_momentum_spread,
        card.pseudodata.trigger_ecal_max_GeV, card.pseudodata.trigger_ecal_resolution_GeV, selection.ecal,
        selection.veto, selection.hcal, selection.preshower, selection.beam_cell, selection.shower_chi2,
        card.signal.late_shower_shift_X0,
    )  # fmt: skip
    text = json.dumps([part.model_dump() for part in parts] + [card.model.approximation])
    return _made(_Setup(text, target, card))


@functools.lru_cache(maxsize=16)
def _made(setup: _Setup) -> S2Tables | None:
    card, target = setup.card, setup.target
    beam, cuts = card.beam.energy_GeV.value, _cuts(card, target)
    try:
        pairs = _core.PairLosses(detector_config(_core, card), cuts, max(1.0, beam))
        electrons = _core.ElectronLosses(
            [_sample(card, target, mass) for mass in REFERENCE_MASSES_GEV],
            cuts,
            [
                *_core.group_bounds(
                    [*sorted({e for e in target.thresholds_GeV if e >= target.thresholds_GeV[0]}), beam]
                ),
                beam,
            ],
            EVENTS,
        )
    except ValueError as error:
        log.debug("S2 of decays inside the detector is not computed (%s)", error)
        return None
    return S2Tables(pairs, electrons)


def _cuts(card: Card, target: Target) -> _core.S2Cuts:
    selection = card.selection
    cuts = _core.S2Cuts()
    cuts.ecal_max = selection.ecal.s2_max_GeV.value
    cuts.veto_max = selection.veto.energy_max_GeV.value
    cuts.photomultiplier_balance = selection.veto.photomultiplier_balance.value
    cuts.hcal_max = selection.hcal.s2_total_max_GeV.value
    cuts.preshower_min = selection.preshower.energy_min_GeV.value
    cuts.shower_chi2_max = selection.shower_chi2.chi2_max.value
    cuts.beam_cell_x = round(selection.beam_cell.x.value)
    cuts.beam_cell_y = round(selection.beam_cell.y.value)
    cuts.late_shift = card.signal.late_shower_shift_X0.value * target.depth_scale_cm
    return cuts


def _sample(card: Card, target: Target, mass_GeV: float) -> _core.EventConfig:
    """A' above the ECAL cut of S2 that nothing follows."""
    config = _core.EventConfig()
    # Any will do: nothing decays.
    config.model = _core.InelasticModel(mass_GeV, 1.0, alpha_dark=0.1, mass_ratio=3.0, relative_splitting=0.4)
    config.mode = _core.SignalMode.invisible
    config.approximation = _core.Approximation.__members__[card.model.approximation]
    config.target = card.target.material
    config.threshold = target.thresholds_GeV[0]
    config.atoms_per_radiation_length = target.atoms_per_radiation_length
    config.depth_scale = target.depth_scale_cm
    config.detector = detector_config(_core, card)
    set_beam(config, card)
    period = _core.EventPeriod()
    period.first_run = period.last_run = card.periods[0].first_run
    period.electrons = 1.0
    config.add_period(period)
    return config
