"""Acceptance of the simulated signal: selected with the code that selects data, with statistical errors.

A number of the semi-analytic chain stands beside each result, with what makes the difference: thresholds,
noise, the preshower, the beam, the R cut. None of it is tuned.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

import na64root._core as _core

from .. import cling, selection
from ..config import SIGNATURES, Card, Signature
from ..errors import ConfigError
from ..event_loop.expressions import Call
from ..ntuple import period_index
from ..records import BestCuts, BestRCut, Provenance, Record, provenance
from ..selection import SelectionOptions, cut_table
from ..signal import SignalModel, expected_signal
from ..simulation.options import SignalOptions
from ..work import Work
from .core_config import ForcedVolume, Signal, SignalMode, event_config, event_generator
from .sample import effective_events
from .simulate import SignalResult, signal

# The paper: the efficiency of the R cut is 45 % at least.
PAPER_LOWEST_R_EFFICIENCY = 0.45


# Numbers in mc_decay_volume, by name.
VOLUMES = {name: int(volume) for name, volume in _core.DecayVolume.__members__.items()}


class CutAcceptance(Record):
    """Signal left after a cut: simulated events, expected events with their statistical error.

    `effective_events` is the number of unweighted events with the same relative error.
    """

    cut: str
    events: int
    expected: float
    error: float
    effective_events: float


class SignatureAcceptance(Record):
    """A signature: its cut flow, and its share `acceptance` of the simulated A' events.

    `by_volume` has the expected events by the place of the decay, `by_volume_error` their statistical errors,
    `hcal3_share` the part of decays in HCAL3; `semi_analytic` is the expectation of the deterministic chain,
    null where that chain does not apply (forced decays, mode visible).
    """

    signature: Signature
    expected: float
    error: float
    acceptance: float
    acceptance_error: float
    effective_events: float
    cut_flow: list[CutAcceptance]
    by_volume: dict[str, float]
    by_volume_error: dict[str, float]
    hcal3_share: float
    hcal3_share_error: float
    semi_analytic: float | None


class Acceptance(Record):
    """Result of :func:`efficiency`. `produced` counts the expected A' events before all cuts.

    `decays` is where they decay, as shares; `decays_semi_analytic` the same by the chain, for A' above the
    ECAL threshold alone, where a gap belongs to what stands before it (null where it does not apply).
    """

    mode: SignalMode
    mass_GeV: float
    epsilon: float
    forced: ForcedVolume | None
    events: int
    produced: float
    decays: dict[str, float]
    decays_semi_analytic: dict[str, float] | None
    signatures: list[SignatureAcceptance]
    provenance: Provenance

    def of(self, signature: Signature) -> SignatureAcceptance:
        """What is found for a signature."""
        return next(found for found in self.signatures if found.signature == signature)


def efficiency(
    card: Card,
    point: Signal,
    *,
    events: int = 100_000,
    forced: ForcedVolume | None = None,
    period: str = "all",
    eot: Mapping[str, float] | None = None,
    work: Work = Work(),
) -> Acceptance:
    """Simulate a signal and select it as data.

    The residual efficiency of the card (DAQ, pile-up, tracking, SRD) is a factor in every expected number;
    the cuts for it pass all simulated events, so that nothing counts twice.

    Raises:
        ConfigError, Na64Error: as :func:`simulate.signal`.
    """
    sample, selected, decays = _simulated(
        card,
        point,
        events=events,
        forced=forced,
        period=period,
        eot=eot,
        work=work,
    )
    semi_analytic: dict[Signature, float] = {}
    chain_decays = None
    if forced is None and period == "all" and point.mode == "semivisible" and point.parameters is None:
        numbers = expected_signal(card, [point.mass_GeV], [point.epsilon], card.exposure(eot))[0, 0]
        semi_analytic = dict(zip(SIGNATURES, map(float, numbers), strict=True))
        chain_decays = SignalModel(card).at_mass(point.mass_GeV).decay_probability(point.epsilon)
    return Acceptance(
        mode=point.mode,
        mass_GeV=point.mass_GeV,
        epsilon=point.epsilon,
        forced=forced,
        events=events,
        produced=sample.weights_sum,
        decays=decays,
        decays_semi_analytic=chain_decays,
        signatures=[_signature(s, selected, semi_analytic.get(s)) for s in SIGNATURES],
        provenance=provenance(card, seed=work.seed),
    )


def _simulated(
    card: Card,
    point: Signal,
    *,
    events: int,
    forced: ForcedVolume | None,
    period: str = "all",
    eot: Mapping[str, float] | None = None,
    work: Work,
) -> tuple[
    SignalResult,
    selection.SelectionResult,
    dict[str, float],
]:
    """A sample, its selection, where its selected events decayed, and the shares of all."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "signal.root"
        sample = signal(
            card, path, point, SignalOptions(events=events, forced=forced, period=period, eot=eot), work=work
        )
        selected = selection.select(
            [str(path)],
            card.for_simulation,
            SelectionOptions(columns=["mc_decay_volume"], eot=eot),
            work=work.here,
        )
        cling.optimise()
        frame = cling.root().RDataFrame("tree", cling.literal(path))
        everything = frame.AsNumpy(["mc_decay_volume", "mcWeight"])
    total = float(everything["mcWeight"].sum())
    decays = _by_volume(everything["mc_decay_volume"], everything["mcWeight"])
    return sample, selected, {name: w / total if total > 0.0 else 0.0 for name, w in decays.items()}


def _by_volume(volume: NDArray[Any], weight: NDArray[Any]) -> dict[str, float]:
    return {name: float(weight[volume == number].sum()) for name, number in VOLUMES.items()}


def _signature(
    signature: Signature,
    selected: selection.SelectionResult,
    semi_analytic: float | None,
) -> SignatureAcceptance:
    sums: dict[str, tuple[int, float, float]] = {}
    for row, error in zip(selected.cutflow, selected.cutflow_errors, strict=True):
        if row.signature == signature:
            n, weight, square = sums.get(row.cut, (0, 0.0, 0.0))
            sums[row.cut] = n + row.events, weight + row.weighted, square + error**2
    flow = [
        CutAcceptance(
            cut=cut, events=n, expected=w, error=math.sqrt(s), effective_events=float(effective_events(w, s))
        )
        for cut, (n, w, s) in sums.items()
    ]
    all_weight, all_square = sums["initial"][1:]
    last = flow[-1]
    share = last.expected / all_weight if all_weight > 0.0 else 0.0
    # A share of weights, passing and failing events independent.
    variance = (1.0 - share) ** 2 * last.error**2 + share**2 * (all_square - last.error**2)
    columns = selected.columns[signature]
    place, selected_weight = np.array(columns["mc_decay_volume"]), np.array(columns["weight"])
    by_volume = _by_volume(place, selected_weight)
    hcal3, hcal3_error = _share(place == VOLUMES["hcal3"], selected_weight)
    return SignatureAcceptance(
        signature=signature,
        expected=last.expected,
        error=last.error,
        acceptance=share,
        acceptance_error=math.sqrt(max(0.0, variance)) / all_weight if all_weight > 0.0 else 0.0,
        effective_events=last.effective_events,
        cut_flow=flow,
        by_volume=by_volume,
        by_volume_error={name: math.sqrt(s) for name, s in _by_volume(place, selected_weight**2).items()},
        hcal3_share=hcal3,
        hcal3_share_error=hcal3_error,
        semi_analytic=semi_analytic,
    )


def _share(inside: NDArray[np.bool_], weight: NDArray[np.float64]) -> tuple[float, float]:
    """The share of weight inside and its error; NaN where there is none."""
    total = float(weight.sum())
    if not total > 0.0:
        return math.nan, math.nan
    share = float(weight[inside].sum()) / total
    return share, math.sqrt(float((weight**2 * (inside - share) ** 2).sum())) / total


Cause = Literal["hcal3", "single_core", "noise", "width", "spot", "angles", "all"]


# What each switch does to the simulation, for :func:`r_efficiency`.
CAUSES: dict[Cause, str] = {
    "hcal3": "HCAL3 on the beam in all periods, core (1,1)",
    "single_core": "HCAL3 off the beam in 2018, but core (1,1) in all periods",
    "noise": "no noise, no thresholds",
    "width": "all energy on the axis of each shower",
    "spot": "a beam without size and divergence",
    "angles": "A' and its decay products on the axis of the beam electron",
    "all": "all of these but single_core",
}


class REfficiency(Record):
    """Efficiency of the R cut for S1 events that pass all other cuts, in all periods and in each.

    `before` is the expected signal before the R cut, in all periods.
    """

    cause: Cause | None
    description: str
    efficiency: float
    error: float
    by_period: dict[str, float]
    before: float


def r_efficiency(
    card: Card,
    point: Signal,
    cause: Cause | None = None,
    *,
    events: int = 200_000,
    work: Work = Work(),
) -> REfficiency:
    """Efficiency of the R cut in the simulation, with one cause of losses switched off.

    Decays are forced where they can count: in HCAL2 and HCAL3.

    Raises:
        ConfigError: an unknown cause; as :func:`simulate.signal`.
    """
    if cause is not None and cause not in CAUSES:
        raise ConfigError(f"no cause {cause} of losses by R (known: {', '.join(CAUSES)}): correct it")

    def off(name: Cause) -> bool:
        return cause == name or (cause == "all" and name != "single_core")

    config = event_config(_core, card, point, forced="signal", events=events, noise=not off("noise"))
    detector = config.detector
    if off("width"):
        detector.lateral_profile = _core.LateralProfile.off
    config.detector = detector
    if off("spot"):
        config.beam_spot = config.beam_divergence = 0.0
    if off("angles"):
        config.angles = _core.Angles.off
    cores = cut_table.hcal_core_bits(card)
    if off("hcal3") or off("single_core"):
        cores = [[1 << 4] * 3 for _ in cores]
    if off("hcal3"):
        periods = config.periods
        for period in periods:
            period.hcal3_shift_x = period.hcal3_shift_y = 0.0
        config.periods = periods
    data = event_generator(config, point).generate(work.seed, 0, events, work.threads, _R_COLUMNS)
    passed = _s1_before_r(card, data)
    data = {name: column[passed] for name, column in data.items()}
    weight, r_cut = data["mcWeight"], cut_table.predicates(card, "S1")["r"]
    inside = np.zeros(len(weight), dtype=bool)
    by_period = {}
    for number, (period, core) in enumerate(zip(card.periods, cores, strict=True)):
        here = (period.first_run <= data["run"]) & (data["run"] <= period.last_run)
        r = _core.hcal_r(data["HCAL_ene"][here], core)
        inside[here] = r_cut.of({"na64_r": r}, np.full(len(r), number))
        total = float(weight[here].sum())
        by_period[period.name] = float(weight[here & inside].sum()) / total if total > 0.0 else math.nan
    share, error = _share(inside, weight)
    return REfficiency(
        cause=cause,
        description=CAUSES[cause] if cause else "everything simulated",
        efficiency=share,
        error=error,
        by_period=by_period,
        before=float(weight.sum()),
    )


class RReport(Record):
    """What each cause takes by the R cut, beside the numbers of the paper."""

    paper_average: float
    paper_lowest: float
    causes: list[REfficiency]


def r_report(card: Card, point: Signal, *, events: int = 200_000, work: Work = Work()) -> RReport:
    """:func:`r_efficiency` of everything simulated and with each cause switched off; nothing is tuned."""
    causes: tuple[Cause | None, ...] = (None, *CAUSES)
    found, progress = [], work.reporting("causes of losses by R")
    for cause in causes:
        found.append(r_efficiency(card, point, cause, events=events, work=work))
        if progress is not None:
            progress(len(found), len(causes))
    return RReport(
        paper_average=card.signal.r_efficiency.value,
        paper_lowest=PAPER_LOWEST_R_EFFICIENCY,
        causes=found,
    )


class AcceptanceReport(Acceptance):
    """What `na64root acceptance` tells; `map` is the file of the efficiency map."""

    r_report: RReport | None = None
    best_r_cut: BestRCut | None = None
    map: str | None = None
    best_cuts: BestCuts | None = None


_R_COLUMNS = {
    "run", "mcWeight", "isPhysics", "isTriggerPhysics", "isOnSpill", "isCalibration", "ECAL_ene", "ecal0",
    "ecalTotal", "VETO_ene", "hcal0", "hcal1", "hcal2", "HCAL_ene", "showerChi2",
}  # fmt: skip


# The cuts of S1 that are simulated, without R.
_BEFORE_R = ("trigger", "beam_cell", "preshower", "ecal", "veto", "hcal", "shower_chi2")


def _s1_before_r(card: Card, data: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
    """Which events, of shape (events,), pass the simulated cuts of S1 before R."""
    period = period_index(card, data["run"], np.zeros_like(data["run"]), good=False)
    derived = cut_table.definitions(card.for_simulation, data.keys())
    cuts = cut_table.predicates(card, "S1")
    columns = dict(data)
    for name in ("na64_leading_cell", "na64_veto"):
        quantity = derived[name]
        assert isinstance(quantity, Call)
        columns[name] = quantity.of(data, period)
    return np.asarray(np.logical_and.reduce([cuts[name].of(columns, period) for name in _BEFORE_R]))
