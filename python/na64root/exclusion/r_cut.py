"""The cut on R: its best value, which the paper left for a future analysis.

"To be conservative, the cut of R < 0.06 was not changed, and the task of its optimization is left for a
future analysis on new data"; "the optimization of the selection criteria will enhance the sensitivity up to
around 10%" (the paper, on the selection). Here the sensitivity of S1 is computed against the cut.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from pydantic import BaseModel
from scipy import interpolate, stats

from .. import selection
from ..annotations import Array
from ..config import Card
from ..errors import ConfigError
from ..records import BestRCut, RCutPoint, provenance
from ..signal import card_counts
from ..simulation import simulate
from ..simulation.core_config import Signal
from ..simulation.options import PseudodataOptions, SignalOptions
from ..simulation.simulate import pseudodata
from ..work import Work
from .strength import LimitByShare

AnyModel = TypeVar("AnyModel", bound=BaseModel)


# Cuts that are tried. R is rounded by nothing: a finer grid finds the fluctuations of the sample.
CUTS = np.concatenate([np.arange(0.005, 0.1, 0.005), np.arange(0.1, 0.3, 0.02), np.arange(0.3, 1.01, 0.1)])


# Statistical errors are those of the jackknife over so many parts of each sample.
PARTS = 20


# Cuts whose sensitivity is within this of the best one are as good.
FLAT = 0.01


_BACKGROUND = "neutral_leakage"


EVERY_R = 2.0


def best_r_cut(
    card: Card,
    point: Signal,
    *,
    events: int = 200_000,
    background_exposures: float = 10.0,
    work: Work = Work(),
) -> BestRCut:
    """The cut on R with the best expected sensitivity of S1, and what it gains over the card's.

    Signal: simulated, decays in HCAL2 and HCAL3, selected as data. Background: as many events as the card
    says at its cut; how it changes with the cut is that of neutral hadrons in the pseudo-data, whose R is
    parametrised (assumed: no reference for it is published), all cuts applied but shower_chi2, which does
    not know of R there. Both with the core cells of the card.

    Args:
        events: of the signal.
        background_exposures: size of the background sample, in exposures of the card.

    Raises:
        ConfigError: samples too small to say anything; as :func:`simulate.signal`.
    """
    if not (background_exposures > 0.0 and math.isfinite(background_exposures)):
        raise ConfigError(
            f"a background of {background_exposures:g} exposures (a positive number is needed): correct it"
        )
    loose = _changed(card, "selection.r.r_max.value", EVERY_R)
    found = signal_of_s1(card, point, events, loose, work)
    signal, weight = found.r, found.weight
    background = background_of_s1(card, background_exposures, loose, work).r
    cut = card.selection.r.r_max.value
    cuts = np.unique(np.round(np.append(CUTS, cut), 6))
    # Cumulative in R, by part of the sample: shape (PARTS, cuts).
    signal_parts = _below(signal, weight, cuts)
    background_parts = _below(background, np.ones_like(background), cuts)
    place = int(np.searchsorted(cuts, cut))
    if not (signal_parts[:, place] > 0.0).all() or not (background_parts[:, place] > 0.0).all():
        raise ConfigError(
            f"{len(signal)} signal and {len(background)} background events before the cut on R are too few: "
            "simulate more"
        )
    counts = next(c for c in card_counts(card, card.exposure()) if c.signature == "S1")

    def backgrounds(total: Array) -> Array:
        return np.asarray(counts.background * total / total[place])

    all_signal, all_background = signal_parts.sum(axis=0), background_parts.sum(axis=0)
    expected = backgrounds(all_background)
    # The mean limit is smooth in the background.
    largest = 1.3 * float(expected.max())
    nodes = largest * np.linspace(0.0, 1.0, 15) ** 2
    mean_limit = interpolate.PchipInterpolator(nodes, [_mean_limit(card, float(b)) for b in nodes])

    def sensitivity(signal_sum: Array, background_sum: Array) -> Array:
        value = signal_sum / mean_limit(np.minimum(backgrounds(background_sum), largest))
        return np.asarray(value / value[place])

    central = sensitivity(all_signal, all_background)
    error = np.hypot(
        jackknife([sensitivity(all_signal - part, all_background) for part in signal_parts]),
        jackknife([sensitivity(all_signal, all_background - part) for part in background_parts]),
    )
    efficiency = all_signal / weight.sum()
    part_weights = np.array([part.sum() for part in _parts(weight)])
    efficiency_error = jackknife(
        [
            (all_signal - part) / (weight.sum() - part_weight)
            for part, part_weight in zip(signal_parts, part_weights, strict=True)
        ]
    )
    background_error = jackknife([backgrounds(all_background - part) for part in background_parts])
    best = int(np.argmax(central))
    flat = cuts[central > (1.0 - FLAT) * central[best]]
    return BestRCut(
        mass_GeV=point.mass_GeV,
        epsilon=point.epsilon,
        core=card.selection.r.core,
        r_max=cut,
        best=float(cuts[best]),
        flat=(float(flat[0]), float(flat[-1])),
        gain=float(central[best] - 1.0),
        gain_error=float(error[best]),
        cuts=[
            RCutPoint(
                r_max=float(cuts[i]),
                signal=float(all_signal[i]),
                signal_efficiency=float(efficiency[i]),
                signal_efficiency_error=float(efficiency_error[i]),
                background=float(expected[i]),
                background_error=float(background_error[i]),
                mean_limit=float(mean_limit(expected[i])),
                sensitivity=float(central[i]),
                sensitivity_error=float(error[i]),
            )
            for i in range(len(cuts))
        ],
        candidates={"signal": len(signal), "background": len(background)},
        background=f"{counts.background:g} events at R < {cut:g} (card); R of {_BACKGROUND} of the "
        "pseudo-data (assumed)",
        published="up to around 10 % by optimizing the selection criteria",
        provenance=provenance(card, seed=work.seed, limit_method=f"exact, {card.limit.treatment}"),
    )


def _changed(model: AnyModel, path: str, value: Any) -> AnyModel:
    """A copy with the number at a dotted path replaced."""
    name, _, rest = path.partition(".")
    new = _changed(getattr(model, name), rest, value) if rest else value
    return model.model_copy(update={name: new})


class S1Events(NamedTuple):
    """Events of S1 that pass a selection, shape (n,): energies in GeV, `hcal` of HCAL2 and HCAL3."""

    ecal: Array
    hcal: Array
    r: Array
    weight: Array


def signal_of_s1(card: Card, point: Signal, events: int, selected_by: Card, work: Work) -> S1Events:
    """Signal of `card` that decays in HCAL2 and HCAL3, by the selection of another card."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "signal.root"
        simulate.signal(card, path, point, SignalOptions(events=events, forced="signal"), work=work)
        return _candidates(path, selected_by, work)


def background_of_s1(card: Card, exposures: float, selected_by: Card, work: Work) -> S1Events:
    """Neutral hadrons that pass HCAL1, before the cut on shower_chi2, by the selection of another card."""
    alone = card
    for name in card.pseudodata.classes:
        if name != _BACKGROUND:
            alone = _changed(alone, f"pseudodata.{name}.rate_per_eot.value", 0.0)
    any_shower = _changed(selected_by, "selection.shower_chi2.chi2_max.value", 1e9)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "background.root"
        eot = {"all": card.eot * exposures}
        pseudodata(alone, path, PseudodataOptions(eot=eot), work=work)
        return _candidates(path, any_shower, work)


def _candidates(path: Path, card: Card, work: Work) -> S1Events:
    found = selection.select([str(path)], card.for_simulation, work=work.here).candidates
    # With energy above the threshold of S1 in HCAL2 and HCAL3, R is finite.
    rows = [(c.ecal_GeV, c.hcal2_GeV + c.hcal3_GeV, c.r, c.weight) for c in found if c.signature == "S1"]
    return S1Events(*np.array(rows, dtype=float).reshape(-1, 4).T)


def _parts(values: Array) -> list[Array]:
    return [values[i::PARTS] for i in range(PARTS)]


def _below(r: Array, weight: Array, cuts: Array) -> Array:
    """Sum of weights with R below each cut, for each part of the sample, shape (PARTS, cuts)."""
    return np.array(
        [
            np.histogram(part, np.append(-1.0, cuts), weights=weights)[0].cumsum()
            for part, weights in zip(_parts(r), _parts(weight), strict=True)
        ]
    )


def jackknife(values: Sequence[Array]) -> Array:
    """Statistical error of a value from those without one part of the sample each."""
    found = np.array(values)
    return np.asarray(np.sqrt((len(found) - 1) * found.var(axis=0)))


def _mean_limit(card: Card, background: float) -> float:
    """Mean upper limit on the signal of S1 alone, over Poisson counts of the background alone."""
    count = next(c for c in card_counts(card, card.exposure()) if c.signature == "S1")
    scaled = {
        "background": background,
        "background_uncertainty": background * count.background_uncertainty / count.background,
    }
    total = 0.0
    most = int(stats.poisson.isf(1e-5, background)) if background > 0.0 else 0
    for n in range(most + 1):
        counts = [count.model_copy(update={"observed": n, **scaled})]
        total += stats.poisson.pmf(n, background) * LimitByShare(
            card, counts, card.exposure(), checked=False
        ).exact(1.0)
    return float(total)
