"""Backgrounds of S1 and S2 estimated from the data, and the dimuon control sample.

Each estimate counts events in regions where no signal is expected and carries them into the box of a
signature; what that rests on is in its docstring, how far it holds in docs/backgrounds.md. One event loop.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from .config import SIGNATURES, BackgroundMethod, Card, Selection, Signature
from .cut_table import (
    cuts,
    declare_functions,
    definitions,
    hcal_core_bits,
    hcal_sum,
    number,
    require_compiling,
    signal_boxes,
    threshold_values,
)
from .engines import THREADS
from .errors import ConfigError, DataError
from .exposure import input_exposure
from .histograms import stable
from .ntuple import (
    Ntuple,
    notes_on_files,
    open_ntuple,
    reading,
    repeated_files,
    require_all_read,
    require_blind,
)
from .quality import LeftOut
from .results import Count, Provenance, Record, provenance

Array = NDArray[np.float64]

# What the regions are made of, of each event that passes the cuts before those of the signatures and VETO.
COLUMNS = (
    "weight",
    "period",
    "ecal",
    "hcal",
    "hcal1",
    "hcal12",
    "shower_chi2",
    "r12",
    "declared_s1",
    "declared_s2",
)
# Cuts that the regions make themselves.
_OWN_CUTS = frozenset(["ecal", "veto", "hcal", "r", "shower_chi2"])
_NEEDED = ("ecal", "veto", "hcal", "r")


class Estimate(Record):
    """A background of one signature for the whole input.

    Attributes:
        value, uncertainty: events in the box of the signature.
        components: parts of the uncertainty, by name, in events; their sum in quadrature is `uncertainty`.
        events: in each region that was counted (sums of weights, for a weighted simulation).
        notes: what else to know.
    """

    signature: Signature
    method: BackgroundMethod
    value: float
    uncertainty: float
    components: dict[str, float]
    events: dict[str, float]
    notes: list[str]


class FitCurve(Record):
    """The fit of the sideband: events per bin with their edges, and the curve per bin with its band."""

    edges_GeV: list[float]
    events: list[float]
    energy_GeV: list[float]
    curve: list[float]
    low: list[float]
    high: list[float]
    alternatives: dict[str, list[float]]


class DimuonYield(Record):
    """Dimuon events per electron on target."""

    events: float
    eot: float
    per_electron: float
    error: float


class DimuonControl(Record):
    """The dimuon control sample; `correction` is data over simulation, null without a simulation.

    `uncertainty` holds the statistical errors of both and the card's `backgrounds.dimuon.yield_uncertainty`.
    """

    data: DimuonYield
    simulation: DimuonYield | None
    correction: float | None
    statistical: float | None
    uncertainty: float | None


class Backgrounds(Record):
    """Result of :func:`estimate`: every estimate that the input allows, why others are not there.

    `plane` counts events before the cuts of the signatures, VETO quiet, by ECAL and HCAL energy, without
    those in the box of S2.
    """

    estimates: list[Estimate]
    not_estimated: dict[str, str]
    published: dict[Signature, tuple[float, float]]
    chosen: dict[Signature, BackgroundMethod]
    dimuon: DimuonControl
    sideband: FitCurve | None
    ecal_edges_GeV: list[float]
    hcal_edges_GeV: list[float]
    plane: list[list[float]]
    weighted: bool
    exposure: dict[str, float]
    files: dict[str, str]
    notes: list[str]
    provenance: Provenance

    def of(self, signature: Signature, method: BackgroundMethod) -> Estimate:
        """The estimate of a signature by a method.

        Raises:
            DataError: the input did not allow it.
        """
        for found in self.estimates:
            if (found.signature, found.method) == (signature, method):
                return found
        raise DataError(
            f"no background of {signature} by method {method} ({self.not_estimated.get(method, 'unknown')}): "
            f"set backgrounds.{signature}=published, or give more data"
        )


class BackgroundUsed(Record):
    """The background of a signature in the likelihood, summed over run periods, and where it is from."""

    method: BackgroundMethod
    value: float
    uncertainty: float
    source: str


@dataclass(frozen=True)
class Events:
    """Columns of :data:`COLUMNS`, shape (n_events,); energies in GeV. NaN where the input has no such thing.

    `period` is the number of the run period in the card, by which thresholds differ. `hcal` is the sum of the
    three modules, `hcal12` that of HCAL1 and HCAL2, `r12` is R over HCAL1 and HCAL2. `declared_s1` and
    `declared_s2` are 1 where the event passes the declared cuts of that signature alone.
    """

    weight: Array
    period: Array
    ecal: Array
    hcal: Array
    hcal1: Array
    hcal12: Array
    shower_chi2: Array
    r12: Array
    declared_s1: Array
    declared_s2: Array

    def where(self, mask: NDArray[np.bool_]) -> Events:
        return Events(**{name: getattr(self, name)[mask] for name in COLUMNS})

    def threshold(self, card: Card, name: str) -> Array:
        """A threshold of the card (`ecal.s1_max_GeV`) in the run period of each event."""
        values: Array = np.array(threshold_values(card, name))
        return np.asarray(values[self.period.astype(int)])

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


def estimate(
    inputs: Sequence[str],
    card: Card,
    *,
    simulation: Sequence[str] = (),
    eot: Mapping[str, float] | None = None,
    simulation_eot: Mapping[str, float] | None = None,
    without_spills: Collection[tuple[int, int]] = (),
    blind: bool = False,
    threads: int = 1,
) -> Backgrounds:
    """Every background estimate that the input allows, and the dimuon control sample.

    Args:
        inputs: data.
        simulation: a simulated background sample whose weights sum to the events of `simulation_eot`.
        eot, simulation_eot: exposure of run periods, taken as it is; of others that of the card, for the data
            as :func:`na64root.exposure.input_exposure`.
        without_spills: run and spill of those that are left out of the data.
        blind: leave out the events in the signal boxes, which are all that pass the cuts `ecal` and `hcal` of
            a signature, whatever its other cuts say; of the simulation too, to be compared.

    Raises:
        ConfigError: regions that overlap the box of S2, an unknown period.
        DataError: the input cannot be read, or lacks branches that define the signatures.
    """
    check_regions(card)
    card.exposure(eot)  # before anything is read
    sample = read(inputs, card, without_spills=without_spills, blind=blind, threads=threads)
    of_input = input_exposure(sample.ntuple, card, eot, without_spills, blind=blind)
    exposure = {p: n * (sample.triggers[p] > 0.0) for p, n in of_input.electrons.items()}
    methods: dict[tuple[Signature, BackgroundMethod], Callable[[Events, Card], Estimate]] = {
        ("S1", "neutral_hadron"): neutral_hadrons,
        ("S2", "sideband"): sideband,
        ("S2", "abcd"): abcd,
    }
    estimates: list[Estimate] = []
    missing: dict[str, str] = {}
    for (_, method), make in methods.items():
        if blind and (why := in_signal_box(card, method)):
            missing[method] = f"blinded: {why}"
            continue
        try:
            estimates.append(make(sample.events, card))
        except DataError as error:
            missing[method] = str(error)
    share = sum(exposure.values()) / card.eot
    boxes = card.limit
    # The box of S2 is left out: an estimate shall not show what it is for.
    quiet = card.selection.hcal.s2_total_max_GeV.value
    in_box = sample.events.ecal < sample.events.threshold(card, "ecal.s2_max_GeV")
    shown = sample.events.where(~(in_box & _quiet(sample.events, card)))
    ecal_edges = np.linspace(0.0, card.beam.energy_GeV.value, 51)
    hcal_edges = np.arange(0.0, 2.0 * card.backgrounds.abcd.hcal_max_GeV.value, 0.5 * quiet)
    plane = np.histogram2d(shown.ecal, shown.hcal, bins=[ecal_edges, hcal_edges], weights=shown.weight)[0]
    simulated = read(simulation, card.for_simulation, blind=blind, threads=threads) if simulation else None
    notes = [*sample.notes, *of_input.notes]
    files = [*sample.ntuple.files, *(simulated.ntuple.files if simulated else ())]
    if blind:
        notes.append("blind: events in the signal boxes, after the cuts ecal and hcal, are in no region")
    if sample.weighted:
        notes.append("mcWeight differs from 1: a simulation in place of data")
    return Backgrounds(
        estimates=estimates,
        not_estimated=missing,
        published={
            "S1": (boxes.S1.background.value * share, boxes.S1.background_uncertainty.value * share),
            "S2": (boxes.S2.background.value * share, boxes.S2.background_uncertainty.value * share),
        },
        chosen={"S1": card.backgrounds.S1, "S2": card.backgrounds.S2},
        dimuon=_dimuon_control(card, sample, exposure, simulated, card.exposure(simulation_eot)),
        sideband=None if "sideband" in missing else sideband_curve(sample.events, card),
        ecal_edges_GeV=ecal_edges.tolist(),
        hcal_edges_GeV=hcal_edges.tolist(),
        plane=plane.tolist(),
        weighted=sample.weighted,
        exposure=exposure,
        files={},
        notes=notes,
        provenance=provenance(card, input_files=files, input_details=sample.ntuple.details),
    )


def in_signal_box(card: Card, method: BackgroundMethod) -> str | None:
    """Why a region of this method has the energies of a signal box, which blinding hides; None if not."""
    regions = card.backgrounds.abcd
    if method != "abcd":
        return None
    if regions.second == "shower_chi2":
        return "its region C has the energies of the box of S2, unlike with backgrounds.abcd.second = hcal"
    for period in card.periods:
        loud = card.selection.in_period(period.name).hcal.s1_signal_min_GeV.value
        if regions.hcal_max_GeV.value > loud:
            return (
                "its regions C and D have energies of the box of S1, unlike with "
                f"backgrounds.abcd.hcal_max_GeV up to {loud:g}"
            )
    return None


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


def with_estimates(
    counts: Sequence[Count], found: Backgrounds
) -> tuple[list[Count], dict[Signature, BackgroundUsed]]:
    """The counts with the backgrounds of the methods that the card chose, shared by exposure.

    Raises:
        DataError: the input did not allow a chosen method.
    """
    total = sum(found.exposure.values())
    used: dict[Signature, BackgroundUsed] = {}
    changed = []
    for count in counts:
        method = found.chosen[count.signature]
        if method == "published":
            changed.append(count)
            continue
        estimated = found.of(count.signature, method)
        share = found.exposure[count.period] / total if total > 0.0 else 0.0
        used[count.signature] = BackgroundUsed(
            method=method,
            value=estimated.value,
            uncertainty=estimated.uncertainty,
            source="estimated from the input, na64root.backgrounds",
        )
        changed.append(
            count.model_copy(
                update={
                    "background": estimated.value * share,
                    "background_uncertainty": estimated.uncertainty * share,
                }
            )
        )
    return changed, used


# The estimates


def sideband(events: Events, card: Card) -> Estimate:
    """S2 by extrapolation along the ECAL energy, in the strip without HCAL energy.

    An exponential in the ECAL energy is fitted to the events between the box and `ecal_max_GeV` (extended
    binned Poisson likelihood) and integrated over the box. Rests on one falling spectrum of missing energy
    on both sides of the edge of the box. Statistical uncertainty: the longer side of the interval where the
    profile likelihood of the number in the box falls by 1/2. The end of the range is varied, and the shape:
    a power of the missing energy; the largest change is the uncertainty `range and shape`.

    Raises:
        DataError: fewer events than `events_min` in the sideband.
    """
    regions = card.backgrounds.sideband
    strip = _strip(events, card)
    nominal = _SidebandFit.of(strip, card, exponential, regions.ecal_max_GeV.value)
    low, high = nominal.interval()
    changes = [fit.value - nominal.value for fit in _varied(strip, card).values()]
    components = {
        "statistical": max(high - nominal.value, nominal.value - low),
        "range and shape": max((abs(change) for change in changes), default=0.0),
    }
    notes = [
        f"profile interval {low:.3g} to {high:.3g}",
        f"falls by e in {nominal.parameter:.3g} GeV of missing energy",
    ]
    counted = {"sideband": float(nominal.counts.sum())}
    return _estimate("S2", "sideband", nominal.value, components, counted, notes)


def sideband_curve(events: Events, card: Card) -> FitCurve:
    """The curve of :func:`sideband` for a figure; the band is of the covariance of the fit."""
    strip = _strip(events, card)
    fit = _SidebandFit.of(strip, card, exponential, card.backgrounds.sideband.ecal_max_GeV.value)
    width = card.backgrounds.sideband.bin_width_GeV.value
    energy = np.linspace(0.0, fit.edges[-1], 120)
    curve, error = fit.curve(energy, width)
    inside = (strip.ecal >= fit.edges[0]) & (strip.ecal < fit.edges[-1])
    counts = np.histogram(strip.ecal[inside], bins=fit.edges, weights=strip.weight[inside])[0]
    return FitCurve(
        edges_GeV=fit.edges.tolist(),
        events=counts.tolist(),
        energy_GeV=energy.tolist(),
        curve=curve.tolist(),
        # A band of the logarithm: the number is positive.
        low=(curve * np.exp(-error)).tolist(),
        high=(curve * np.exp(error)).tolist(),
        alternatives={
            name: other.curve(energy, width)[0].tolist() for name, other in _varied(strip, card).items()
        },
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
    quiet, good = _quiet(events, card), _good_shower(events, card)
    if regions.second == "hcal":
        busy = ~quiet & (events.hcal < regions.hcal_max_GeV.value)
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
    return _estimate("S2", "abcd", value, components, {"B": b[0], "C": c[0], "D": d[0]}, notes)


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
    tagged = events.where(
        (events.ecal < events.threshold(card, "ecal.s1_max_GeV"))
        & (events.hcal1 >= events.threshold(card, "hcal.s1_hcal1_max_GeV"))
        & (events.hcal12 > events.threshold(card, "hcal.s1_signal_min_GeV"))
        & (events.r12 < events.threshold(card, "r.r_max"))
        & _good_shower(events, card)
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
    return _estimate("S1", "neutral_hadron", value, components, {"tagged in HCAL1": n}, notes)


def _estimate(
    signature: Signature,
    method: BackgroundMethod,
    value: float,
    components: dict[str, float],
    events: dict[str, float],
    notes: list[str],
) -> Estimate:
    return Estimate(
        signature=signature,
        method=method,
        value=value,
        uncertainty=math.hypot(*components.values()),
        components=components,
        events=events,
        notes=notes,
    )


def _quiet(events: Events, card: Card) -> NDArray[np.bool_]:
    return np.asarray(events.hcal < events.threshold(card, "hcal.s2_total_max_GeV"))


def _good_shower(events: Events, card: Card) -> NDArray[np.bool_]:
    """Passes the cut shower_chi2; everything where the input has no such branch."""
    chi2 = events.shower_chi2
    if np.isnan(chi2).all():
        return np.ones(len(chi2), dtype=bool)
    return np.asarray(np.isfinite(chi2) & (chi2 < events.threshold(card, "shower_chi2.chi2_max")))


def _strip(events: Events, card: Card) -> Events:
    """The events of the box of S2 but for the ECAL energy."""
    return events.where(_quiet(events, card) & _good_shower(events, card) & (events.declared_s2 > 0.0))


def _ratio_error(b: tuple[float, float], c: tuple[float, float], d: tuple[float, float]) -> float:
    """Statistical error of b c/d from sums of weights and of their squares; an empty b or c counts as one."""
    filled_b, filled_c = (x if x[0] > 0.0 else (1.0, 1.0) for x in (b, c))
    relative = math.sqrt(sum(squares / total**2 for total, squares in (filled_b, filled_c, d)))
    return filled_b[0] * filled_c[0] / d[0] * relative


# The fit of the sideband


def exponential(energy: Array, slope: float, beam: float) -> Array:
    """Integral of exp(E/slope) up to E, over its value at the beam energy."""
    return np.asarray(np.exp((energy - beam) / slope))


def power(energy: Array, exponent: float, beam: float) -> Array:
    """Integral of (beam - E)^-exponent up to E, but for a factor; the exponent is above 1."""
    return np.asarray((np.maximum(beam - energy, 1e-9) / beam) ** (1.0 - exponent))


Shape = Callable[[Array, float, float], Array]
# Where the fit looks for the parameter of each shape: steeper or flatter than any spectrum of hadrons.
_RANGES: dict[Shape, tuple[float, float]] = {exponential: (1.0, 500.0), power: (1.01, 40.0)}


@dataclass(frozen=True)
class _SidebandFit:
    """Extended Poisson likelihood of the bins; its parameters are the number in the box and one of the shape.

    `unit`: sum of squared weights over sum of weights; counts over it are Poisson numbers, to good
    approximation, for weighted events too.
    """

    edges: Array
    counts: Array
    unit: float
    box_max: float
    beam: float
    shape: Shape
    parameter: float

    @classmethod
    def of(cls, strip: Events, card: Card, shape: Shape, end: float) -> _SidebandFit:
        regions = card.backgrounds.sideband
        of_periods = threshold_values(card, "ecal.s2_max_GeV")
        if len(set(of_periods)) > 1:
            raise DataError(
                "one fit of all run periods needs one edge of the box, and selection.period gives "
                f"ecal.s2_max_GeV of {', '.join(f'{edge:g}' for edge in of_periods)} GeV"
            )
        box_max = of_periods[0]
        inside = strip.where((strip.ecal >= box_max) & (strip.ecal < end))
        if len(inside.weight) < regions.events_min.value:
            raise DataError(
                f"{len(inside.weight)} events between {box_max:g} and {end:g} GeV in the ECAL, fewer than "
                f"backgrounds.sideband.events_min = {regions.events_min.value:g}"
            )
        bins = max(2, round((end - box_max) / regions.bin_width_GeV.value))
        edges = np.linspace(box_max, end, bins + 1)
        total, squares = inside.counted
        unit = squares / total
        counts = np.histogram(inside.ecal, bins=edges, weights=inside.weight)[0] / unit
        fit = cls(edges, counts, unit, box_max, card.beam.energy_GeV.value, shape, math.nan)
        low, high = np.log(_RANGES[shape])
        best = optimize.minimize_scalar(
            lambda x: fit._profile(math.exp(x)), bounds=(low, high), method="bounded", options={"xatol": 1e-6}
        )
        return cls(edges, counts, unit, box_max, fit.beam, shape, math.exp(best.x))

    def _per_box_event(self, parameter: float) -> Array:
        """Expected events of each bin for one in the box."""
        below = self.shape(np.array([0.0, self.box_max]), parameter, self.beam)
        return np.asarray(np.diff(self.shape(self.edges, parameter, self.beam)) / (below[1] - below[0]))

    def _nll(self, box: float, parameter: float) -> float:
        expected = box * self._per_box_event(parameter)
        return float(expected.sum() - (self.counts * np.log(expected)).sum())

    def _profile(self, parameter: float) -> float:
        """The likelihood with the best number in the box for this parameter."""
        return self._nll(self._best_box(parameter), parameter)

    def _best_box(self, parameter: float) -> float:
        return float(self.counts.sum() / self._per_box_event(parameter).sum())

    @property
    def value(self) -> float:
        """Events in the box."""
        return self.unit * self._best_box(self.parameter)

    def interval(self) -> tuple[float, float]:
        """Where the profile likelihood of the number in the box is 1/2 below its largest value."""
        best = self._nll(self._best_box(self.parameter), self.parameter)
        bounds = tuple(np.log(_RANGES[self.shape]))

        def rise(log_box: float) -> float:
            box = math.exp(log_box)
            found = optimize.minimize_scalar(
                lambda x: self._nll(box, math.exp(x)),
                bounds=bounds,
                method="bounded",
                options={"xatol": 1e-6},
            )
            return float(found.fun) - best - 0.5

        middle = math.log(self._best_box(self.parameter))
        low = middle - 0.5
        while rise(low) < 0.0 and low > middle - 40.0:
            low -= 1.0
        high = middle + 0.5
        while rise(high) < 0.0 and high < middle + 40.0:
            high += 1.0
        down = optimize.brentq(rise, low, middle) if rise(low) > 0.0 else -math.inf
        up = optimize.brentq(rise, middle, high)
        return self.unit * math.exp(down), self.unit * math.exp(up)

    def curve(self, energy: Array, width: float) -> tuple[Array, Array]:
        """Events per bin of this width, and the error of their logarithm from the covariance of the fit."""

        def log_curve(at: Array) -> Array:
            log_box, log_parameter = at
            parameter = math.exp(log_parameter)
            below = self.shape(np.array([0.0, self.box_max]), parameter, self.beam)
            step = self.shape(energy + 0.5 * width, parameter, self.beam) - self.shape(
                energy - 0.5 * width, parameter, self.beam
            )
            return np.asarray(log_box + np.log(step / (below[1] - below[0])))

        def nll(at: Array) -> float:
            return self._nll(math.exp(at[0]), math.exp(at[1]))

        best = np.array([math.log(self._best_box(self.parameter)), math.log(self.parameter)])
        step = 1e-3
        unit = step * np.eye(2)
        hessian = np.array(
            [
                [
                    (nll(best + u + v) - nll(best + u - v) - nll(best - u + v) + nll(best - u - v))
                    / (4 * step**2)
                    for v in unit
                ]
                for u in unit
            ]
        )
        gradient = np.array([(log_curve(best + u) - log_curve(best - u)) / (2 * step) for u in unit])
        variance = np.einsum("ie,ij,je->e", gradient, np.linalg.pinv(hessian), gradient)
        return self.unit * np.exp(log_curve(best)), np.sqrt(np.maximum(variance, 0.0))


def _varied(strip: Events, card: Card) -> dict[str, _SidebandFit]:
    """Fits with another end of the range, and with another shape; those with enough events."""
    regions = card.backgrounds.sideband
    end, variation = regions.ecal_max_GeV.value, regions.ecal_max_variation_GeV.value
    fits = {}
    for name, shape, other in (
        (f"to {end - variation:g} GeV", exponential, end - variation),
        (f"to {end + variation:g} GeV", exponential, end + variation),
        ("power of missing energy", power, end),
    ):
        try:
            fits[name] = _SidebandFit.of(strip, card, shape, other)
        except DataError:
            continue  # the nominal fit has enough; a shorter range may not
    return fits


# Reading


def read(
    inputs: Sequence[str],
    card: Card,
    *,
    without_spills: Collection[tuple[int, int]] = (),
    blind: bool = False,
    threads: int = 1,
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
    ntuple = open_ntuple(inputs, card)
    require_blind(ntuple, blind)
    missing = [b for cut in _NEEDED for b in ntuple.schema.missing_for(cut, ntuple.present)]
    if missing:
        raise DataError(
            f"{ntuple.paths[0]} does not allow estimates of backgrounds (no branch {', '.join(missing)}): "
            "give an ntuple with them"
        )

    def loop() -> tuple[LeftOut, tuple[LeftOut, Any, Sample]]:
        with reading(ntuple):
            found = _loop(ntuple, card, without_spills, blind)
            return found[0], found

    left_out, all_events, sample = THREADS.in_order(threads, loop)[0]
    not_read = left_out.counts().values()
    contents = [all_events.GetBinContent(i) for i in range(len(card.periods) + 2)]
    require_all_read(
        ntuple,
        int(all_events.GetEntries()) + sum(n for n, *_ in not_read),
        [*contents, *(weight for _, weight, _ in not_read)],
    )
    return sample


def _loop(
    ntuple: Ntuple, card: Card, without_spills: Collection[tuple[int, int]], blind: bool
) -> tuple[LeftOut, Any, Sample]:
    """What was left out, a histogram of all other events with their weights, and what the regions count."""
    declare_functions(card)
    left_out = LeftOut(ntuple, card, without_spills)
    frame = left_out.applied_to(ntuple.data_frame())
    for name, expression in definitions(card, ntuple.present).items():
        frame = frame.Define(name, expression)
    both = {signature: cuts(card, signature, ntuple) for signature in SIGNATURES}
    require_compiling(frame, both)
    periods = len(card.periods)
    model = ("", "", periods, -0.5, periods - 0.5)
    # What lies outside of all periods is in the last bin, so that every event is in this one.
    seen = frame.Histo1D(model, "na64_period", "na64_weight")
    frame = frame.Filter(f"na64_period < {periods}", "period")
    if blind and (boxes := signal_boxes(both)):
        frame = frame.Filter(f"!({boxes})", "blind")
    of_all = [cut.name for cut in both["S1"] if not cut.declared or cut in both["S2"]]
    table = {cut.name: cut.expression for cut in both["S1"] if cut.name in of_all}
    declared = {
        signature: [f"({cut.expression})" for cut in of_one if cut.declared and cut.name not in of_all]
        for signature, of_one in both.items()
    }
    veto = table["veto"] or ""  # read() has seen its branch
    triggers = None
    for name, condition in table.items():
        if name not in _OWN_CUTS and condition is not None:
            frame = frame.Filter(condition, name)
        if name == "trigger":
            triggers = frame.Histo1D(model, "na64_period", "na64_weight")
    dimuon = card.backgrounds.dimuon
    muons = frame.Filter(
        f"hcal2 > {number(dimuon.hcal3_min_GeV.value)} || "
        f"(HCAL_ene[4] > {number(dimuon.centre_min_GeV.value)} && "
        f"HCAL_ene[13] > {number(dimuon.centre_min_GeV.value)} && "
        f"hcal2 > {number(dimuon.hcal3_with_centres_min_GeV.value)})",
        "dimuon",
    ).Histo1D(("", "", 1, -1e9, 1e9), "na64_one", "na64_weight")
    ecal_max = max(
        *threshold_values(card, "ecal.s1_max_GeV"),
        card.backgrounds.abcd.ecal_max_GeV.value,
        card.backgrounds.sideband.ecal_max_GeV.value + card.backgrounds.sideband.ecal_max_variation_GeV.value,
    )
    quiet = frame.Filter(veto, "veto").Filter(f"ecalTotal < {number(ecal_max)}", "ecal")
    columns = {
        "weight": "na64_weight",
        "period": "na64_period",
        "ecal": "ecalTotal",
        "hcal": "na64_hcal",
        "hcal1": "hcal0",
        "hcal12": hcal_sum("hcal0", "hcal1"),
        "shower_chi2": "showerChi2" if table["shower_chi2"] else "std::numeric_limits<double>::quiet_NaN()",
        "r12": "na64_r12",
        "declared_s1": " && ".join(declared["S1"]) or "true",
        "declared_s2": " && ".join(declared["S2"]) or "true",
    }
    quiet = quiet.Define("na64_r12", _r12_expression(card))
    values = ", ".join(f"static_cast<double>({columns[name]})" for name in COLUMNS)
    taken = quiet.Define("na64_regions", f"ROOT::RVecD{{{values}}}").Take["ROOT::RVecD"]("na64_regions")
    rows = np.array([np.asarray(row) for row in taken.GetValue()]).reshape(-1, len(COLUMNS))
    # The order of events under several threads is open; sums shall not depend on it.
    rows = rows[np.lexsort(rows.T)]
    muon_sum, trigger_sum = muons.GetValue(), triggers.GetValue() if triggers is not None else None
    squares = muon_sum.GetSumw2().At(1) if muon_sum.GetSumw2N() else muon_sum.GetBinContent(1)
    in_period = (
        [float(trigger_sum.GetBinContent(i + 1)) for i in range(periods)] if trigger_sum else [1.0] * periods
    )
    weighted = bool(trigger_sum and trigger_sum.GetSumw2N())
    not_applied = [name for name, expression in table.items() if expression is None]
    return (
        left_out,
        seen.GetValue(),
        Sample(
            events=Events(**dict(zip(COLUMNS, rows.T.copy(), strict=True))),
            dimuons=(stable(float(muon_sum.GetBinContent(1))), stable(float(squares))),
            weighted=weighted,
            triggers=dict(zip((period.name for period in card.periods), in_period, strict=True)),
            ntuple=ntuple,
            notes=[
                *(f"cut {name} is not applied (no branch)" for name in not_applied),
                # Some of the duplicates may lie in the signal boxes.
                *notes_on_files(0 if blind else left_out.duplicates, repeated_files(ntuple.files)),
            ],
        ),
    )


def _r12_expression(card: Card) -> str:
    """R over HCAL1 and HCAL2: that of the core over modules 2 and 3, of cells one module further down."""
    cores = ", ".join("{{0, " + ", ".join(map(str, bits[:2])) + "}}" for bits in hcal_core_bits(card))
    return (
        f"constexpr na64root::HcalCore cores[{len(card.periods)}] = {{{cores}}}; "
        "std::array<double, 36> cells{}; for (int i = 0; i < 27; ++i) cells[i + 9] = HCAL_ene[i]; "
        "return na64root::hcal_r(cells, cores[static_cast<int>(na64_period)]);"
    )


def _dimuon_control(
    card: Card,
    data: Sample,
    exposure: Mapping[str, float],
    simulation: Sample | None,
    simulation_exposure: Mapping[str, float],
) -> DimuonControl:
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
