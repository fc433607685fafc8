"""Backgrounds from ratios of regions: ABCD, and neutral hadrons through HCAL1."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from ..annotations import Array
from ..config import Card, Selection
from ..errors import ConfigError, DataError
from ..selection.cut_table import hcal_below, neutral_hadron_tag, predicates
from .events import Events, good_shower, quiet_hcal
from .records import Estimate, estimate_of


def check_regions(card: Card) -> None:
    """Raise ConfigError where a control region reaches into the box of S2 or is empty, in any run period."""
    for period in card.periods:
        _check_regions(card, card.selection.in_period(period.name))


def _check_regions(card: Card, box: Selection) -> None:
    regions = card.backgrounds
    fit = regions.sideband
    rising = [
        [
            ("selection.ecal.s2_max_GeV", box.ecal.s2_max_GeV.value),
            ("backgrounds.abcd.validation_ecal_GeV", regions.abcd.validation_ecal_GeV.value),
            ("backgrounds.abcd.ecal_max_GeV", regions.abcd.ecal_max_GeV.value),
        ],
        [
            ("selection.ecal.s2_max_GeV", box.ecal.s2_max_GeV.value),
            (
                "backgrounds.sideband.ecal_max_GeV less its variation",
                fit.ecal_max_GeV.value - fit.ecal_max_variation_GeV.value,
            ),
        ],
        [
            (
                "backgrounds.sideband.ecal_max_GeV with its variation",
                fit.ecal_max_GeV.value + fit.ecal_max_variation_GeV.value,
            ),
            ("beam.energy_GeV", card.beam.energy_GeV.value),
        ],
        [
            ("selection.hcal.s2_total_max_GeV", box.hcal.s2_total_max_GeV.value),
            ("backgrounds.abcd.hcal_max_GeV", regions.abcd.hcal_max_GeV.value),
        ],
    ]
    for chain in rising:
        for (name, low), (next_name, high) in itertools.pairwise(chain):
            if high <= low:
                raise ConfigError(
                    f"{next_name} = {high:g} is not above {name} = {low:g} (a control region would be empty "
                    "or in the box of S2): correct the card"
                )


def abcd(events: Events, card: Card) -> Estimate:
    """S2 by the ABCD method: N_A = N_B N_C/N_D.

    A is the box, B has more ECAL energy (up to `ecal_max_GeV`), C fails the cut on `second` instead, D both.
    Rests on the two being independent for the background. The test of it takes the ECAL energies above the
    box alone, divided at `validation_ecal_GeV`: the difference of prediction and count there, or its
    statistical error where that is larger, is the relative uncertainty `non-closure`, at most 1.

    Raises:
        DataError: no event in D.
    """
    regions = card.backgrounds.abcd
    events = events.where(events.declared_s2 > 0.0)
    box = events.threshold(card, "ecal.s2_max_GeV")
    upper, middle = regions.ecal_max_GeV.value, regions.validation_ecal_GeV.value
    quiet, good = quiet_hcal(events, card), good_shower(events, card)
    if regions.second == "hcal":
        busy = ~quiet & events.passes(hcal_below(card, regions.hcal_max_GeV.value))
        passes, fails = quiet & good, busy & good
    else:
        passes, fails = quiet & good, quiet & ~good & np.isfinite(events.shower_chi2)

    def count(low: float | Array, high: float | Array, side: NDArray[np.bool_]) -> tuple[float, float]:
        return events.where((events.ecal >= low) & (events.ecal < high) & side).counted

    b, c, d = count(box, upper, passes), count(-math.inf, box, fails), count(box, upper, fails)
    if not d[0] > 0.0:
        raise DataError("no event in region D: more ECAL energy than in the box, and failing the other cut")
    value = b[0] * c[0] / d[0]
    statistical = _ratio_error(b, c, d)
    va = count(box, middle, passes)
    vb, vc, vd = count(middle, upper, passes), count(box, middle, fails), count(middle, upper, fails)
    notes = []
    non_closure = 1.0
    if va[0] > 0.0 and vb[0] > 0.0 and vc[0] > 0.0 and vd[0] > 0.0:
        predicted = vb[0] * vc[0] / vd[0]
        relative = math.hypot(_ratio_error(vb, vc, vd) / predicted, math.sqrt(va[1]) / va[0])
        difference = predicted / va[0] - 1.0
        non_closure = min(1.0, max(abs(difference), relative))
        notes.append(f"validation: {predicted:.3g} predicted, {va[0]:.3g} counted")
    else:
        notes.append("validation: a region is empty, non-closure taken as 100 %")
    components = {"statistical": statistical, "non-closure": value * non_closure}
    return estimate_of("S2", "abcd", value, components, {"B": b[0], "C": c[0], "D": d[0]}, notes)


def neutral_hadrons(events: Events, card: Card) -> Estimate:
    """S1 by hadrons that shower in HCAL1, scaled to those that pass it.

    Tagged events have the selection of S1 one module further up: VETO quiet, energy in HCAL1 + HCAL2 and R
    over these two, with activity in HCAL1. A neutral hadron passes HCAL1 with exp(-L/lambda), and then
    showers in HCAL2 and HCAL3 as one that did not pass showers in HCAL1 and HCAL2. Rests on every tagged
    event being a neutral hadron from the target: others make the estimate too large.

    Raises:
        DataError: no tagged event.
    """
    regions = card.backgrounds.neutral_hadron
    of_s1 = predicates(card, "S1")
    tagged = events.where(
        events.passes(of_s1["ecal"])
        & events.passes(neutral_hadron_tag(card))
        & events.passes(of_s1["r"])
        & good_shower(events, card)
        & (events.declared_s1 > 0.0)
    )
    n, squares = tagged.counted
    if not n > 0.0:
        raise DataError("no event with the selection of S1 one module further up")
    lengths = (card.geometry.hcal1_end_cm.value - card.geometry.hcal1_start_cm.value) / (
        regions.interaction_length_cm.value
    )
    value = n * math.exp(-lengths)
    components = {
        "statistical": value * math.sqrt(squares) / n,
        "interaction length": value * lengths * regions.interaction_length_uncertainty.value,
    }
    notes = [f"HCAL1 has {lengths:.2f} interaction lengths: one hadron in {math.exp(lengths):.0f} passes"]
    return estimate_of("S1", "neutral_hadron", value, components, {"tagged in HCAL1": n}, notes)


def _ratio_error(b: tuple[float, float], c: tuple[float, float], d: tuple[float, float]) -> float:
    """Statistical error of b c/d from sums of weights and of their squares; an empty b or c counts as one."""
    filled_b, filled_c = (x if x[0] > 0.0 else (1.0, 1.0) for x in (b, c))
    relative = math.sqrt(sum(squares / total**2 for total, squares in (filled_b, filled_c, d)))
    return filled_b[0] * filled_c[0] / d[0] * relative
