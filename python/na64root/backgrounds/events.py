"""The events of the control regions, from one loop that applies the selection's own cuts."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..annotations import Array
from ..config import SIGNATURES, Card
from ..errors import DataError
from ..event_loop.compiled import NotCompiledError, defined, filtered
from ..event_loop.expressions import Call
from ..event_loop.histograms import stable
from ..ntuple import (
    Input,
    Ntuple,
    notes_on_files,
    open_ntuple,
    reading,
    repeated_files,
    require_all_read,
)
from ..selection.blinding import require_blind
from ..selection.cut_table import (
    cuts,
    declare_functions,
    definitions,
    dimuon,
    ecal_below,
    hcal_cores,
    in_run_period,
    outside_signal_boxes,
    predicates,
    require_compiling,
    threshold_values,
)
from ..selection.engines import EventLoop
from ..selection.engines import table as rows_of
from ..selection.left_out import LeftOut
from ..work import Work
from .records import DimuonControl, DimuonYield

# What the regions are made of, of each event that passes the cuts before those of the signatures and VETO.
COLUMNS = (
    "weight",
    "period",
    "ecal",
    "hcal1",
    "hcal2",
    "hcal3",
    "shower_chi2",
    "r12",
    "declared_s1",
    "declared_s2",
)


# Cuts that the regions make themselves.
_OWN_CUTS = frozenset(["ecal", "veto", "hcal", "r", "shower_chi2"])


_NEEDED = ("ecal", "veto", "hcal", "r")


@dataclass(frozen=True)
class Events:
    """Columns of :data:`COLUMNS`, shape (n_events,); energies in GeV. NaN where the input has no such thing.

    `period` is the number of the run period in the card, by which thresholds differ. `r12` is R over HCAL1
    and HCAL2. `declared_s1` and `declared_s2` are 1 where the event passes the declared cuts of that
    signature alone.
    """

    weight: Array
    period: Array
    ecal: Array
    hcal1: Array
    hcal2: Array
    hcal3: Array
    shower_chi2: Array
    r12: Array
    declared_s1: Array
    declared_s2: Array

    def where(self, mask: NDArray[np.bool_]) -> Events:
        """The events that `mask`, of shape (n_events,), picks."""
        return Events(**{name: getattr(self, name)[mask] for name in COLUMNS})

    @property
    def hcal(self) -> Array:
        """Sum of the three modules."""
        return self.hcal1 + self.hcal2 + self.hcal3

    def threshold(self, card: Card, name: str) -> Array:
        """A threshold of the card (`ecal.s1_max_GeV`) in the run period of each event."""
        values: Array = np.array(threshold_values(card, name))
        return np.asarray(values[self.period.astype(int)])

    def passes(self, predicate: Call) -> NDArray[np.bool_]:
        """Where a predicate of the cut table holds; of R, that over HCAL1 and HCAL2 is meant."""
        columns = {
            "ecalTotal": self.ecal,
            "hcal0": self.hcal1,
            "hcal1": self.hcal2,
            "hcal2": self.hcal3,
            "showerChi2": self.shower_chi2,
            "na64_r": self.r12,
        }
        return predicate.of(columns, self.period.astype(int))

    @property
    def counted(self) -> tuple[float, float]:
        """Sum of weights and of squared weights."""
        return float(self.weight.sum()), float((self.weight**2).sum())


@dataclass(frozen=True)
class Sample:
    """What the event loop takes from an input."""

    events: Events
    dimuons: tuple[float, float]
    weighted: bool
    triggers: dict[str, float]
    ntuple: Ntuple
    notes: list[str]


def quiet_hcal(events: Events, card: Card) -> NDArray[np.bool_]:
    """Whether each event passes the cut `hcal` of S2, shape (n_events,)."""
    return events.passes(predicates(card, "S2")["hcal"])


def good_shower(events: Events, card: Card) -> NDArray[np.bool_]:
    """Passes the cut shower_chi2; everything where the input has no such branch."""
    if np.isnan(events.shower_chi2).all():
        return np.ones(len(events.shower_chi2), dtype=bool)
    return events.passes(predicates(card, "S2")["shower_chi2"])


def events_in_strip(events: Events, card: Card) -> Events:
    """The events of the box of S2 but for the ECAL energy."""
    return events.where(quiet_hcal(events, card) & good_shower(events, card) & (events.declared_s2 > 0.0))


def read(
    inputs: Input,
    card: Card,
    *,
    without_spills: Collection[tuple[int, int]] = (),
    blind: bool = False,
    work: Work = Work(),
) -> Sample:
    """The events that the regions count, from one event loop.

    They pass the cuts before those of the signatures, and VETO: the built-in ones, and the declared ones of
    both signatures. The declared cuts of one signature are columns.

    Args:
        without_spills, blind: as for :func:`estimate`.

    Raises:
        ConfigError: a declared cut that does not compile.
        DataError: the input cannot be read, or lacks a branch that defines a signature; a weight that is NaN.
    """
    ntuple = open_ntuple(inputs, card, unpack=False)
    require_blind(ntuple, blind)
    missing = [b for cut in _NEEDED for b in ntuple.schema.missing_for(cut, ntuple.present)]
    if missing:
        raise DataError(
            f"{ntuple.paths[0]} does not allow estimates of backgrounds (no branch {', '.join(missing)}): "
            "give an ntuple with them"
        )

    event_loop = EventLoop(work.here)

    def loop() -> tuple[LeftOut, tuple[LeftOut, list[float], list[float], Sample]]:
        left_out = LeftOut(ntuple, card, without_spills)
        with reading(ntuple, declared=bool(card.selection.declared)):
            try:
                made = _loop(event_loop.compiled_frame(ntuple), ntuple, card, left_out, blind)
            except NotCompiledError:
                event_loop.check_baskets(ntuple)
                declare_functions(card)
                made = _loop(ntuple.data_frame(), ntuple, card, left_out, blind)
        return left_out, (left_out, *made)

    left_out, events, weights, sample = event_loop.in_order(loop)[0]
    not_read = left_out.counts().values()
    require_all_read(
        ntuple,
        round(sum(events)) + sum(n for n, *_ in not_read),
        [*weights, *(weight for _, weight, _ in not_read)],
    )
    return sample


def _loop(
    frame: Any, ntuple: Ntuple, card: Card, left_out: LeftOut, blind: bool
) -> tuple[list[float], list[float], Sample]:
    """All events and their weights, in parts; what the regions count. `frame` is of any engine."""
    r12 = Call("hcal_r12_in_period", ("HCAL_ene", "na64_period"), (hcal_cores(card),))
    frame = left_out.applied_to(frame)
    frame = defined(frame, {**definitions(card, ntuple.present), "na64_r12": r12})
    both = {signature: cuts(card, signature, ntuple) for signature in SIGNATURES}
    require_compiling(frame, both)
    periods = len(card.periods)
    model = ("", "", periods, -0.5, periods - 0.5)
    # What lies outside of all periods is in the overflow, so that every event is in these.
    seen = frame.Histo1D(model, "na64_period", "na64_one")
    weighted = frame.Histo1D(model, "na64_period", "na64_weight")
    frame = filtered(frame, in_run_period(card), "period")
    if blind:
        frame = outside_signal_boxes(frame, both)
    of_all = [cut.name for cut in both["S1"] if not cut.declared or cut in both["S2"]]
    table = {cut.name: cut.condition for cut in both["S1"] if cut.name in of_all}
    declared = {
        signature: [f"({cut.expression})" for cut in of_one if cut.declared and cut.name not in of_all]
        for signature, of_one in both.items()
    }
    triggers = None
    for name, condition in table.items():
        if name not in _OWN_CUTS and condition is not None:
            frame = filtered(frame, condition, name)
        if name == "trigger":
            triggers = frame.Histo1D(model, "na64_period", "na64_weight")
    muons = filtered(frame, dimuon(card), "dimuon").Histo1D(("", "", 1, -1e9, 1e9), "na64_one", "na64_weight")
    ecal_max = max(
        *threshold_values(card, "ecal.s1_max_GeV"),
        card.backgrounds.abcd.ecal_max_GeV.value,
        card.backgrounds.sideband.ecal_max_GeV.value + card.backgrounds.sideband.ecal_max_variation_GeV.value,
    )
    quiet = filtered(frame, predicates(card, "S1")["veto"], "veto")
    quiet = filtered(quiet, ecal_below(card, ecal_max), "ecal")
    columns = {
        "weight": "na64_weight",
        "period": "na64_period",
        "ecal": "ecalTotal",
        "hcal1": "hcal0",
        "hcal2": "hcal1",
        "hcal3": "hcal2",
        "r12": "na64_r12",
    }
    if table["shower_chi2"]:
        columns["shower_chi2"] = "showerChi2"
    for signature, conditions in declared.items():
        if conditions:
            columns[f"declared_{signature.lower()}"] = " && ".join(conditions)
    taken = np.asarray(rows_of(quiet, "na64_regions", list(columns.values())).GetValue(), dtype=float)
    found = dict(zip(columns, taken.reshape(-1, len(columns)).T, strict=True))
    in_none = {"shower_chi2": math.nan, "declared_s1": 1.0, "declared_s2": 1.0}
    rows = np.stack(
        [found[name] if name in found else np.full(len(taken), in_none[name]) for name in COLUMNS], axis=1
    )
    # The order of events under several threads is open; sums shall not depend on it.
    rows = rows[np.lexsort(rows.T)]
    muon_sum, trigger_sum = muons.GetValue(), triggers.GetValue() if triggers is not None else None
    squares = muon_sum.GetSumw2().At(1) if muon_sum.GetSumw2N() else muon_sum.GetBinContent(1)
    in_period = (
        [float(trigger_sum.GetBinContent(i + 1)) for i in range(periods)] if trigger_sum else [1.0] * periods
    )
    not_applied = [name for name, condition in table.items() if condition is None]
    return (
        _contents(seen),
        _contents(weighted),
        Sample(
            events=Events(**dict(zip(COLUMNS, rows.T.copy(), strict=True))),
            dimuons=(stable(float(muon_sum.GetBinContent(1))), stable(float(squares))),
            weighted=ntuple.simulated,
            triggers=dict(zip((period.name for period in card.periods), in_period, strict=True)),
            ntuple=ntuple,
            notes=[
                *(f"cut {name} is not applied (no branch)" for name in not_applied),
                # Some of the duplicates may lie in the signal boxes.
                *notes_on_files(0 if blind else left_out.duplicates, repeated_files(ntuple.files)),
            ],
        ),
    )


def _contents(histogram: Any) -> list[float]:
    """Of all bins, with those at its ends."""
    filled = histogram.GetValue()
    return [float(filled.GetBinContent(i)) for i in range(filled.GetNbinsX() + 2)]


def dimuon_control(
    card: Card,
    data: Sample,
    exposure: Mapping[str, float],
    simulation: Sample | None,
    simulation_exposure: Mapping[str, float],
) -> DimuonControl:
    """Dimuons of data and simulation, per electron on target; what is their ratio, where both have some.

    Args:
        exposure, simulation_exposure: electrons on target by run period.
    """

    def of(sample: Sample, eot: float) -> DimuonYield:
        events, squares = sample.dimuons
        scale = 1.0 / eot if eot > 0.0 else 0.0
        return DimuonYield(
            events=events, eot=eot, per_electron=events * scale, error=math.sqrt(squares) * scale
        )

    found = of(data, sum(exposure.values()))
    if simulation is None:
        return DimuonControl(data=found, simulation=None, correction=None, statistical=None, uncertainty=None)
    expected = of(simulation, sum(n * (simulation.triggers[p] > 0.0) for p, n in simulation_exposure.items()))
    if not (found.events > 0.0 and expected.events > 0.0):
        return DimuonControl(
            data=found, simulation=expected, correction=None, statistical=None, uncertainty=None
        )
    correction = found.per_electron / expected.per_electron
    statistical = correction * math.hypot(
        found.error / found.per_electron, expected.error / expected.per_electron
    )
    stated = correction * card.backgrounds.dimuon.yield_uncertainty.value
    return DimuonControl(
        data=found,
        simulation=expected,
        correction=correction,
        statistical=statistical,
        uncertainty=math.hypot(statistical, stated),
    )
