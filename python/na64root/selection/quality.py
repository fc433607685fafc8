"""Data quality: every spill of a run period against the others, duplicates, events out of order.

One event loop, in one thread, because the order of the events is part of the question.
"""

from __future__ import annotations

import ctypes
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import cling
from ..annotations import Array
from ..cling import implicit_threads, root
from ..config import Card, QualityConfig
from ..event_loop.compiled import NotCompiledError
from ..event_loop.expressions import Sum
from ..event_loop.words import for_rdataframe
from ..ntuple import (
    Input,
    Ntuple,
    check_baskets,
    notes_on_files,
    open_ntuple,
    period_index,
    period_names,
    reading,
    repeated_files,
)
from ..records import Provenance, Record, provenance
from .blinding import BOX_CUTS, require_blind, without_signal_boxes
from .cut_table import PHYSICS_TRIGGER

SpillQuantity = Literal["triggers", "ecal_mean_GeV", "hcal_mean_GeV", "missing_energy_fraction"]


QUANTITIES: tuple[SpillQuantity, ...] = (
    "triggers",
    "ecal_mean_GeV",
    "hcal_mean_GeV",
    "missing_energy_fraction",
)


# A flag takes a spill out of what the others are compared with; in practice two rounds settle it.
_MOST_ROUNDS = 20


class SpillQuality(Record):
    """A spill. Means and fraction are of its physics triggers; null where there is none, or no branch."""

    run: int
    spill: int
    period: str
    events: int
    triggers: int
    ecal_mean_GeV: float | None
    hcal_mean_GeV: float | None
    missing_energy_fraction: float | None
    flags: list[SpillQuantity]


class RunQuality(Record):
    """A run: sums and means over its spills, duplicates left out.

    A run with spills that are not in the list of good runs has two of these, one of each `period`.
    """

    run: int
    period: str
    spills: int
    flagged_spills: int
    events: int
    triggers: int
    triggers_per_spill: float
    ecal_mean_GeV: float | None
    hcal_mean_GeV: float | None
    missing_energy_fraction: float | None


class Outlier(Record):
    """Why a spill is flagged.

    Attributes:
        value, typical: of the spill, and of the sound spills of its run period.
        deviation: in units in which chance gives more than `threshold` once in
            1/false_alarm_probability sound run periods, or less often.
    """

    run: int
    spill: int
    period: str
    quantity: SpillQuantity
    value: float
    typical: float
    deviation: float
    threshold: float
    reason: str


class EventNumber(Record):
    """What an event is known by."""

    run: int
    spill: int
    spillevent: int


class Quality(Record):
    """Result of :func:`assess`.

    Attributes:
        duplicates: events whose number (run, spill, place in it) came before; in no other sum here.
        duplicate_examples: the first of them.
        out_of_order: events with a smaller number than the one before.
        repeated_files: files of the same content, by checksum.
        blind: events in the signal boxes are in nothing of this but `entries`, the size of the input.
        weighted: simulation (some mcWeight is not 1, or the files say so), whose numbers may come twice.
    """

    entries: int
    duplicates: int
    duplicate_examples: list[EventNumber]
    out_of_order: int
    repeated_files: list[list[str]]
    weighted: bool
    runs: list[RunQuality]
    spills: list[SpillQuality]
    outliers: list[Outlier]
    criterion: str
    ecal_below_GeV: float
    hcal_below_GeV: float
    event_loops: int
    notes: list[str]
    files: dict[str, str]
    blind: bool = False
    provenance: Provenance

    @property
    def outlier_spills(self) -> list[tuple[int, int]]:
        """Run and spill of every flagged spill."""
        return [(spill.run, spill.spill) for spill in self.spills if spill.flags]


@dataclass(frozen=True)
class SpillSums:
    """Sums over the physics triggers of each spill; arrays of shape (n_spills,), histograms (n_spills, bins).

    `ecal_known` counts triggers with a finite ECAL energy, `hcal_known` likewise, `both_known` those
    with both; `missing` those of the last with ECAL and HCAL energies below the thresholds. Histograms have
    bins of 1 GeV from 0; the first and the last hold what is beyond.
    """

    triggers: Array
    ecal_known: Array
    ecal_sum: Array
    ecal_histogram: Array
    hcal_known: Array
    hcal_sum: Array
    hcal_histogram: Array
    both_known: Array
    missing: Array

    @classmethod
    def of(cls, columns: Mapping[str, Array], member: NDArray[Any]) -> SpillSums:
        """The sums of some spills, by their numbers in the columns."""
        return cls(**{name: columns[name][member] for name in cls.__dataclass_fields__})


def assess(inputs: Input, card: Card, *, blind: bool = False) -> Quality:
    """The quality of every run and spill of the input, and the spills that stand out.

    Args:
        blind: leave events in the signal boxes out of every sum and example.

    Raises:
        DataError: as :func:`na64root.ntuple.open_ntuple` and :func:`.blinding.require_blind`, or the events
            cannot be read.
    """
    ntuple = open_ntuple(inputs, card, unpack=False)
    require_blind(ntuple, blind)
    recorded = _record(ntuple, card, blind)
    run, spill, columns = recorded.run, recorded.spill, recorded.columns
    names = period_names(card)
    index = period_index(card, run, spill)
    order = np.lexsort([spill, run])
    values = _values(SpillSums.of(columns, np.arange(len(run))))
    flags: list[list[SpillQuantity]] = [[] for _ in run]
    outliers = []
    for i in range(len(card.periods)):
        member = order[index[order] == i]
        found = flagged(SpillSums.of(columns, member), card.quality)
        for place, quantity, typical, deviation, threshold in found:
            where = int(member[place])
            flags[where].append(quantity)
            outliers.append(
                _outlier(
                    int(run[where]),
                    int(spill[where]),
                    names[i],
                    quantity,
                    float(values[quantity][where]),
                    typical,
                    deviation,
                    threshold,
                )
            )
    spills = [
        SpillQuality(
            run=int(run[i]),
            spill=int(spill[i]),
            period=names[index[i]],
            events=int(columns["events"][i]),
            triggers=int(columns["triggers"][i]),
            ecal_mean_GeV=_finite(values["ecal_mean_GeV"][i]),
            hcal_mean_GeV=_finite(values["hcal_mean_GeV"][i]),
            missing_energy_fraction=_finite(values["missing_energy_fraction"][i]),
            flags=flags[i],
        )
        for i in order
    ]
    duplicates, out_of_order = recorded.duplicates, recorded.out_of_order
    repeated = repeated_files(ntuple.files)
    return Quality(
        entries=ntuple.entries,
        duplicates=duplicates,
        duplicate_examples=[EventNumber(run=r, spill=s, spillevent=e) for r, s, e in recorded.examples],
        out_of_order=out_of_order,
        repeated_files=repeated,
        weighted=ntuple.simulated,
        runs=_runs(run[order], [names[i] for i in index[order]], columns, order, flags),
        spills=spills,
        outliers=outliers,
        criterion=criterion(card.quality),
        ecal_below_GeV=card.quality.ecal_below_GeV.value,
        hcal_below_GeV=card.quality.hcal_below_GeV.value,
        event_loops=recorded.event_loops,
        files={},
        notes=notes_on_files(duplicates, repeated) + _notes(out_of_order, ntuple, card, index),
        blind=blind,
        provenance=provenance(card, input_files=ntuple.files, input_details=ntuple.details),
    )


def criterion(quality: QualityConfig) -> str:
    """The rule of :func:`flagged` in words."""
    return (
        "signed root of the likelihood ratio of each spill against the sound spills of its run period, less "
        "its median over spills, over its spread there where that is above 1 (1.4826 MAD); flagged beyond "
        "sqrt(2 ln(2 n/p)), which bounds the probability of any flag in a sound period of n comparisons by "
        f"p = {quality.false_alarm_probability.value:g} (Chernoff)"
    )


def flagged(
    sums: SpillSums, quality: QualityConfig
) -> Iterator[tuple[int, SpillQuantity, float, float, float]]:
    """The spills of one run period that stand out: position, quantity, typical value, deviation, threshold.

    Each spill is compared with all sound ones together. The deviation is the signed root w of twice the
    log-likelihood ratio: Poisson for the number of triggers, binomial for a fraction, for a mean that of n
    draws from the energies of the sound spills (Cramer). For any of them, and any n, chance gives w > T with
    a probability below exp(-T^2/2) (Chernoff), so that small spills are not flagged for their size. Spills
    that scatter more than counting statistics, by drifts of gain or rate, widen what is accepted: w is taken
    from its median in units of 1.4826 times the median absolute deviation, where that is above 1.
    """
    spills = len(sums.triggers)
    if spills == 0:
        return
    comparisons = spills * len(QUANTITIES)
    # Both sides of every comparison.
    threshold = math.sqrt(2.0 * math.log(2.0 * comparisons / quality.false_alarm_probability.value))
    for name in QUANTITIES:
        sound = np.ones(spills, dtype=bool)
        for _ in range(_MOST_ROUNDS):
            known, typical, w = _deviations(name, sums, sound)
            if known.sum() < quality.spills_min.value:
                known = np.zeros(spills, dtype=bool)
                break
            centre = np.median(w[known])
            spread = max(1.0, 1.4826 * float(np.median(np.abs(w[known] - centre))))
            w = (w - centre) / spread
            now_sound = ~(known & (np.abs(w) > threshold))
            if (now_sound == sound).all():
                break
            sound = now_sound
        for place in np.flatnonzero(known & (np.abs(w) > threshold)):
            yield int(place), name, float(typical), float(w[place]), threshold


def _deviations(
    name: SpillQuantity, sums: SpillSums, sound: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], float, Array]:
    """Of each spill: whether the quantity is known, its typical value, the signed root w."""
    if name == "triggers":
        typical = float(sums.triggers[sound].mean())
        excess = sums.triggers - typical
        deviance = 2.0 * (_x_log_ratio(sums.triggers, typical) - excess)
        return np.ones(len(sound), dtype=bool), typical, _signed_root(excess, deviance)
    if name == "missing_energy_fraction":
        n, k = sums.both_known, sums.missing
        known = n > 0
        total = n[sound].sum()
        typical = float(k[sound].sum() / total) if total > 0 else 0.0
        deviance = 2.0 * (_x_log_ratio(k, n * typical) + _x_log_ratio(n - k, n * (1.0 - typical)))
        return known, typical, _signed_root(k - n * typical, deviance)
    ecal = name == "ecal_mean_GeV"
    n = sums.ecal_known if ecal else sums.hcal_known
    total = sums.ecal_sum if ecal else sums.hcal_sum
    histogram = (sums.ecal_histogram if ecal else sums.hcal_histogram)[sound].sum(axis=0)
    known = n > 0
    if not histogram.sum() > 0.0:
        return np.zeros(len(sound), dtype=bool), 0.0, np.zeros(len(sound))
    typical = float(total[sound].sum() / n[sound].sum())
    mean = np.divide(total, n, out=np.full(len(n), typical), where=known)
    return known, typical, np.sqrt(n) * _rate_function_root(histogram, mean - typical)


def _x_log_ratio(x: Array, expected: Array | float) -> Array:
    """x ln(x/expected), 0 at x = 0; infinite where something is seen and nothing expected."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(x > 0.0, x * np.log(x / expected), 0.0)


def _signed_root(excess: Array, deviance: Array) -> Array:
    return np.asarray(np.sign(excess) * np.sqrt(np.maximum(deviance, 0.0)))


def _rate_function_root(histogram: Array, shift: Array) -> Array:
    """sign(shift) sqrt(2 I(shift)), I the rate function of means of draws from a histogram of 1 GeV bins.

    I(s) = max over t of t s - K(t), K the cumulant function of the distribution about its mean, uniform in
    each bin. K'(t) = s is solved by bisection for all shifts together; beyond the range of the histogram t
    stops at its end, which gives less than I and so no flag too many.
    """
    filled = np.flatnonzero(histogram)
    weight = histogram[filled] / histogram.sum()
    x = filled + 0.5
    x = x - float(weight @ x)
    variance_in_bin = 1.0 / 12.0

    def tilted(t: Array) -> tuple[Array, Array]:
        exponent = np.multiply.outer(t, x)
        largest = exponent.max(axis=1, keepdims=True)
        tilted_weight = weight * np.exp(exponent - largest)
        norm = tilted_weight.sum(axis=1)
        cumulant = np.log(norm) + largest[:, 0] + 0.5 * variance_in_bin * t**2
        return cumulant, (tilted_weight @ x) / norm + variance_in_bin * t

    # K' is at least x_min + t/12 and at most x_max + t/12: this brackets every shift.
    reach = 12.0 * (np.abs(shift) + np.abs(x).max())
    low, high = -reach, reach
    for _ in range(80):
        middle = 0.5 * (low + high)
        above = tilted(middle)[1] > shift
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    t = 0.5 * (low + high)
    return _signed_root(shift, 2.0 * (t * shift - tilted(t)[0]))


def _outlier(
    run: int,
    spill: int,
    period: str,
    quantity: SpillQuantity,
    value: float,
    typical: float,
    deviation: float,
    threshold: float,
) -> Outlier:
    what = {
        "triggers": "physics triggers: {:.0f}, typically {:.1f}",
        "ecal_mean_GeV": "mean ECAL energy: {:.2f} GeV, typically {:.2f} GeV",
        "hcal_mean_GeV": "mean HCAL energy: {:.2f} GeV, typically {:.2f} GeV",
        "missing_energy_fraction": "fraction with missing energy: {:.3g}, typically {:.3g}",
    }[quantity]
    return Outlier(
        run=run,
        spill=spill,
        period=period,
        quantity=quantity,
        value=value,
        typical=typical,
        deviation=deviation,
        threshold=threshold,
        reason=f"{what.format(value, typical)} ({deviation:+.1f}, flagged beyond {threshold:.1f})",
    )


def spills(ntuple: Ntuple, card: Card, *, blind: bool = False) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Run and number of each spill, of shape (n_spills,) each, from a loop over these two branches.

    Where the files are not unpacked yet, the branches that are read here are.

    Args:
        blind: without those that only events in the signal boxes are of.

    Raises:
        DataError: the events cannot be read.
    """
    recorded = _record(ntuple, card, blind, sums=False)
    return recorded.run, recorded.spill


@dataclass(frozen=True)
class _Recorded:
    """What a SpillRecorder found: run, spill and sums of each spill, of shape (n_spills, ...)."""

    run: NDArray[np.int64]
    spill: NDArray[np.int64]
    columns: dict[str, Array]
    duplicates: int
    out_of_order: int
    examples: list[list[int]]
    event_loops: int


def _record(ntuple: Ntuple, card: Card, blind: bool, *, sums: bool = True) -> _Recorded:
    """The event loop, in one thread: the order of the events is part of the question.

    Args:
        sums: of triggers and energies too, where the input has them; and events that come twice.
    """
    with implicit_threads(1), reading(ntuple, declared=bool(card.selection.declared)):
        try:
            return _record_compiled(ntuple, card, blind, sums)
        except NotCompiledError:
            return _record_strings(ntuple, card, blind, sums)


_MODULES = ("hcal0", "hcal1", "hcal2")


def _record_compiled(ntuple: Ntuple, card: Card, blind: bool, sums: bool) -> _Recorded:
    quality, present = card.quality, ntuple.present
    trigger = ecal = hcal = ""
    frame = ntuple.compiled_frame()
    if sums and present.issuperset(_MODULES):
        hcal = "na64_hcal"
        frame = frame.Define(hcal, Sum(_MODULES))
    if sums and "ecalTotal" in present:
        ecal = "ecalTotal"
    seen = without_signal_boxes(frame, card, ntuple) if blind else frame
    if sums and not ntuple.schema.missing_for("trigger", present):
        trigger = "na64_triggered"
        seen = seen.Define(trigger, PHYSICS_TRIGGER)
    found = seen.record_spills(
        trigger,
        ecal,
        hcal,
        quality.ecal_below_GeV.value,
        quality.hcal_below_GeV.value,
        sums and not ntuple.simulated,
    ).GetValue()
    # Copies: what is found lives with the library's graph.
    return _Recorded(
        *_columns(int(found.address), int(found.size), int(found.energy_bins)),
        duplicates=int(found.duplicates),
        out_of_order=int(found.out_of_order),
        examples=np.asarray(found.examples, dtype=np.int64).reshape(-1, 3).tolist(),
        event_loops=frame.GetNRuns(),
    )


def _record_strings(ntuple: Ntuple, card: Card, blind: bool, sums: bool) -> _Recorded:
    """By code compiled just in time; where the files are not unpacked yet, the branches it reads are."""
    quality, present = card.quality, ntuple.present
    if not ntuple.unpacked:
        # What else the selection reads is unpacked where it is read, by its event loop.
        box = {name for cut in BOX_CUTS for name in ntuple.schema.cut_inputs[cut]}
        read = present if sums else {"run", "spill"} | (box if blind else set())
        for path in ntuple.paths:
            check_baskets(path, ntuple.schema, read & present)
    cling.include("selection.hpp")
    cling.include("event_numbers.hpp")
    recorder = root().na64root.SpillRecorder(
        quality.ecal_below_GeV.value, quality.hcal_below_GeV.value, sums and not ntuple.simulated
    )
    arguments = ["run", "spill", "0u", "false", "0.0", "0.0"]
    if sums:
        nan = "std::numeric_limits<double>::quiet_NaN()"
        known = not ntuple.schema.missing_for("trigger", present)
        arguments[2:] = [
            "spillevent",
            PHYSICS_TRIGGER.expression if known else "true",
            "ecalTotal" if "ecalTotal" in present else nan,
            Sum(_MODULES).expression if present.issuperset(_MODULES) else nan,
        ]
    frame = ntuple.data_frame()
    seen = without_signal_boxes(frame, card, ntuple) if blind else frame
    add = f"{pointer_to('SpillRecorder', recorder)}->add({', '.join(arguments)})"
    seen.Filter(for_rdataframe(seen, add)).Count().GetValue()
    spills = recorder.spills()
    size = int(spills.size())
    return _Recorded(
        *_columns(root().addressof(spills[0]) if size else 0, size, int(recorder.energy_bins)),
        duplicates=int(recorder.duplicates()),
        out_of_order=int(recorder.out_of_order()),
        examples=np.asarray(recorder.duplicate_examples(), dtype=np.int64).reshape(-1, 3).tolist(),
        event_loops=int(frame.GetNRuns()),
    )


def pointer_to(name: str, instance: Any) -> str:
    """A C++ expression for an object that Python holds."""
    return f"reinterpret_cast<na64root::{name} *>({root().addressof(instance)}ul)"


def _columns(
    address: int, size: int, energy_bins: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], dict[str, Array]]:
    """Run, spill and sums of each recorded spill, copied from `size` records of SpillRecorder::Spill."""
    bins = (energy_bins,)
    numbers = ["events", "triggers", "ecal_known", "hcal_known", "both_known", "missing"]
    fields: list[tuple[Any, ...]] = [("run", "u4"), ("spill", "u4")]
    fields += [(name, "u8") for name in numbers]
    fields += [("ecal_sum", "f8"), ("hcal_sum", "f8")]
    fields += [("ecal_histogram", "u4", bins), ("hcal_histogram", "u4", bins)]
    layout = np.dtype(fields)
    table: NDArray[Any] = np.zeros(0, dtype=layout)
    if size > 0:
        memory: Any = (ctypes.c_char * (layout.itemsize * size)).from_address(address)
        table = np.frombuffer(memory, dtype=layout)
    columns = {name: table[name].astype(float) for name in layout.names or () if name not in ("run", "spill")}
    return table["run"].astype(np.int64), table["spill"].astype(np.int64), columns


def _values(sums: SpillSums) -> dict[SpillQuantity, Array]:
    """Each quantity of each row, NaN where it is not known."""

    def ratio(part: Array, whole: Array) -> Array:
        return np.asarray(np.divide(part, whole, out=np.full(len(whole), math.nan), where=whole > 0.0))

    return {
        "triggers": sums.triggers,
        "ecal_mean_GeV": ratio(sums.ecal_sum, sums.ecal_known),
        "hcal_mean_GeV": ratio(sums.hcal_sum, sums.hcal_known),
        "missing_energy_fraction": ratio(sums.missing, sums.both_known),
    }


def _runs(
    run: NDArray[np.int64],
    periods: Sequence[str],
    columns: Mapping[str, Array],
    order: NDArray[Any],
    flags: Sequence[Sequence[SpillQuantity]],
) -> list[RunQuality]:
    runs = []
    in_periods = sorted(range(len(run)), key=lambda i: (int(run[i]), periods[i]))
    for (number, period), group in itertools.groupby(in_periods, key=lambda i: (int(run[i]), periods[i])):
        places = list(group)
        rows = order[places]
        total = {name: column[rows].sum(axis=0, keepdims=True) for name, column in columns.items()}
        values = _values(SpillSums.of(total, np.arange(1)))
        runs.append(
            RunQuality(
                run=number,
                period=period,
                spills=len(places),
                flagged_spills=sum(bool(flags[i]) for i in rows),
                events=int(total["events"][0]),
                triggers=int(total["triggers"][0]),
                triggers_per_spill=float(total["triggers"][0]) / len(places),
                ecal_mean_GeV=_finite(values["ecal_mean_GeV"][0]),
                hcal_mean_GeV=_finite(values["hcal_mean_GeV"][0]),
                missing_energy_fraction=_finite(values["missing_energy_fraction"][0]),
            )
        )
    return runs


def _notes(out_of_order: int, ntuple: Ntuple, card: Card, index: NDArray[Any]) -> list[str]:
    notes = []
    if out_of_order:
        notes.append(f"{out_of_order} events have a smaller number than the one before: not in order")
    if ntuple.schema.missing_for("trigger", ntuple.present):
        missing = ", ".join(ntuple.schema.missing_for("trigger", ntuple.present))
        notes.append(f"every event counts as a physics trigger (no branch {missing})")
    for i, period in enumerate(card.periods):
        spills = int((index == i).sum())
        if 0 < spills < card.quality.spills_min.value:
            notes.append(f"period {period.name}: no spill is judged (fewer than "
                         f"{card.quality.spills_min.value:g} spills)")  # fmt: skip
    return notes


def _finite(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None
