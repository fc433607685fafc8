"""One event loop: everything is booked first and filled in one pass.

Cut flow per period and signature, histograms, candidates; what is booked is the cut table's. A loop is
booked in the compiled library where that has all of it, otherwise as strings that Cling compiles.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..config import SIGNATURES, Card, Signature
from ..errors import DataError
from ..event_loop import compiled
from ..event_loop.expressions import Call, Code
from ..event_loop.histograms import Histogram, bins, record, stable, variances
from ..ntuple import (
    DEFINING_CUTS,
    SENTINEL,
    Ntuple,
    notes_on_files,
    period_names,
    repeated_files,
    require_all_read,
)
from ..records import Count, CutFlowRow
from .blinding import BOX_CUTS, NOTE, hidden_cuts, signal_boxes
from .cut_table import (
    cuts,
    declare_functions,
    definitions,
    descriptions,
    functions,
    in_run_period,
    outside_signal_boxes,
    require_compiling,
)
from .engines import EventLoop, table
from .exposure import InputExposure
from .left_out import LeftOut
from .n_minus_one import Distributions, FailedCuts
from .options import SelectionOptions
from .records import Candidate, ExpectedCount, SelectedColumns, SelectionResult
from .skim import Skimmed, SkimWriter
from .systematics import VARIED_HISTOGRAMS, Variations, declare_variations

_INITIAL = "initial"


_WHOLE_NUMBERS = frozenset(["run", "spill", "spillevent", "period", "beam_cell"])


class Booked:
    """One event loop: its actions, and the records made from them."""

    def __init__(
        self,
        ntuple: Ntuple,
        card: Card,
        event_loop: EventLoop,
        options: SelectionOptions,
        variations: Variations | None,
        skim: Callable[[FailedCuts], SkimWriter] | None = None,
    ) -> None:
        """`skim` books one, of the options, on what knows which cuts an event fails."""
        self.ntuple, self.card, self.columns, self.blind = ntuple, card, list(options.columns), options.blind
        self.variations, self.event_loop = variations, event_loop
        self.names = period_names(card)
        self.loops = 0
        self.has_weight = "mcWeight" in ntuple.present
        self.cuts = {s: cuts(card, s, ntuple) for s in SIGNATURES}
        self._without_spills = options.without_spills
        self.wanted, self._skim = options, skim
        # The compiled library knows no nodes of RDataFrame, which a skim is made of.
        if skim or not self._book_compiled():
            self._book_strings()

    def run(self) -> None:
        """The event loop; every booked action is filled by it."""
        with self.event_loop.reporting(self.frame, self.read.events, self.ntuple.entries):
            self.read.fetch()
        self.loops = self.event_loop.loops(self.frame)

    # Booking

    def _book_compiled(self) -> bool:
        """Book in the compiled library; False where something is booked that it does not have."""
        try:
            self.frame = self.event_loop.compiled_frame(self.ntuple)
            self._book(self.frame)
        except compiled.NotCompiledError:
            return False
        return True

    def _book_strings(self) -> None:
        """Book strings, compiled just in time. They read what they find, so the files are unpacked before."""
        self.event_loop.check_baskets(self.ntuple)
        declare_functions(self.card)
        declare = declare_variations if self.variations else None
        self.frame = self.event_loop.data_frame(self.ntuple, functions(self.card), declare)
        in_tree = {str(name) for name in self.frame.GetColumnNames()}
        for name in self.columns:
            if (branch := name.partition("[")[0]) not in in_tree:
                raise DataError(
                    f"{self.ntuple.paths[0]} has no branch {branch} (truth of the simulation): "
                    "give a file with it"
                )
        self._book(self.frame)

    def _book(self, start: Any) -> None:
        """Book everything on a frame: of RDataFrame, or of the compiled library."""
        self.rows: dict[tuple[Signature, str], _PeriodCounts] = {}
        self.histograms: dict[str, Callable[[], dict[str, Histogram]]] = {}
        self.candidates: dict[Signature, tuple[list[str], Any]] = {}
        self.n_minus_one: Distributions | None = None
        self.skim: SkimWriter | None = None
        self.left_out = LeftOut(self.ntuple, self.card, self._without_spills)
        start = self.left_out.applied_to(start)
        self.no_value = {name: start.Filter(f"{SENTINEL}{name}").Count() for name in self.ntuple.sentinels}
        derived = definitions(self.card, self.ntuple.present)
        if self.variations:
            start = self.variations.on_branches(start, derived, self.cuts)
        start = compiled.defined(start, derived)
        require_compiling(start, self.cuts)
        if self.variations:
            start = self.variations.on_quantities(start)
        # All that was read; what is hidden is in nothing else.
        self.read = self.initial = _PeriodCounts(start, len(self.names), self.has_weight)
        # Weights below zero are in the underflow.
        signs = ("", "", 1, 0.0, 1.0)
        self.signs = start.Histo1D(signs, "na64_weight", "na64_one") if self.has_weight else None
        if self.blind and signal_boxes(self.cuts):
            start = outside_signal_boxes(start, self.cuts)
            self.initial = _PeriodCounts(start, len(self.names), self.has_weight)
        in_period = compiled.filtered(start, in_run_period(self.card), "period")
        self._book_plane("ecal_hcal_initial", "All triggers", in_period)
        # Cuts of both signatures with the same condition on the same node are one filter.
        shared: dict[tuple[int, Call | Code], tuple[Any, _PeriodCounts]] = {}
        # _PeriodCounts keeps each node alive, so that the id of a node is not given again.
        for signature in SIGNATURES:
            node, previous = in_period, 0
            lacking = self.ntuple.schema.missing_for_signature(signature, self.ntuple.present)
            hidden = self._hidden(signature)
            for cut in self.cuts[signature]:
                if cut.name in hidden:
                    break
                if cut.condition is None:
                    if cut.name in DEFINING_CUTS[signature]:
                        break
                    continue
                key = (previous, cut.condition)
                if key not in shared:
                    self._book_before(signature, cut.name, node)
                    filtered = compiled.filtered(node, cut.condition, cut.name)
                    shared[key] = filtered, _PeriodCounts(filtered, len(self.names), self.has_weight)
                    if cut.name == "trigger":
                        self._book_after_trigger(filtered)
                node, counts = shared[key]
                previous = id(counts)
                self.rows[signature, cut.name] = counts
            if not lacking and not self.blind:
                self._book_plane(f"ecal_hcal_{signature}", f"Selected, {signature}", node)
                self._book_candidates(signature, node)
                if self.variations:
                    self.variations.book(signature, node)
        if self.wanted.n_minus_one or self._skim:
            self._book_failed_cuts(in_period)
        if self.variations:
            self.variations.prepare()

    def _book_failed_cuts(self, node: Any) -> None:
        """What knows which cuts an event of the run periods fails: N-1, a skim."""
        table = {
            s: cuts
            for s, cuts in self.cuts.items()
            if not self.ntuple.schema.missing_for_signature(s, self.ntuple.present)
        }
        failed = FailedCuts(node, table)
        if self.wanted.n_minus_one:
            # Blinded, all other cuts leave nothing: one of those that bound the box has to fail.
            self.n_minus_one = Distributions(failed, self.card, BOX_CUTS if self.blind else None)
        if self._skim:
            self.skim = self._skim(failed)

    def _hidden(self, signature: Signature) -> set[str]:
        """Blinded, the cuts after which only events in the signal box are left."""
        return set(hidden_cuts([cut.name for cut in self.cuts[signature]])) if self.blind else set()

    def _book_before(self, signature: Signature, cut: str, node: Any) -> None:
        """The distribution that a cut looks at, just before it."""
        columns = {
            "srd": [
                (f"na64_srd{i}", f"srd{i}", f"SRD module {i}", "Energy [GeV]", 100, 0.0, 0.1)
                for i in range(3)
            ],
            "momentum": [("trackMomentum", "momentum", "Track momentum", "Momentum [GeV]", 120, 80.0, 120.0)],
            "r": [("na64_r", "r", "S1, after all cuts before R", "R", 100, 0.0, 1.0)],
        }
        for column, name, title, axis, n_bins, low, high in columns.get(cut, []):
            model = (name, title, n_bins, low, high)
            action = self._histogram(node.Histo1D, model, column)
            self._keep(name, title, [axis], action)
        if cut == "ecal" and "ecal_hcal_preselection" not in self.histograms:
            self._book_plane(
                "ecal_hcal_preselection", "Before the cuts of the signatures; boxes in projection", node
            )

    def _book_after_trigger(self, node: Any) -> None:
        self._book_plane("ecal_hcal_trigger", "Physics triggers", node)
        if "ecalTotal" not in self.ntuple.present:
            return
        periods = len(self.card.periods)
        model = ("ecal", "ECAL", 120, 0.0, 120.0, periods, -0.5, periods - 0.5)
        action = self._histogram(node.Histo2D, model, "ecalTotal", "na64_period")

        def split() -> dict[str, Histogram]:
            both = record(action, "", ["ECAL energy [GeV]", ""], self.weighted)
            records = {}
            for i, period in enumerate(self.card.periods):
                records[f"ecal_{period.name}"] = Histogram(
                    title=f"Physics triggers, {period.name}",
                    axes=both.axes[:1],
                    contents=np.asarray(both.contents)[:, i].tolist(),
                    variances=None if both.variances is None else np.asarray(both.variances)[:, i].tolist(),
                    outside=action.GetValue().GetBinContent(0, i + 1)
                    + action.GetValue().GetBinContent(len(both.axes[0].edges), i + 1),
                )
            return records

        self.histograms["ecal"] = split

    def _book_plane(self, name: str, title: str, node: Any) -> None:
        if not {"ecalTotal", "hcal0", "hcal1", "hcal2"} <= self.ntuple.present:
            return
        model = (name, title, 60, 0.0, 120.0, 60, 0.0, 120.0)
        action = self._histogram(node.Histo2D, model, "ecalTotal", "na64_hcal")
        axes = ["ECAL energy [GeV]", "HCAL1 + HCAL2 + HCAL3 energy [GeV]"]
        self._keep(name, title, axes, action)

    def _keep(self, name: str, title: str, axes: Sequence[str], action: Any) -> None:
        self.histograms[name] = lambda: {name: record(action, title, axes, self.weighted)}
        if self.variations and name in VARIED_HISTOGRAMS:
            self.variations.keep(name, title, axes, action)

    def _histogram(self, book: Callable[..., Any], model: tuple[Any, ...], *columns: str) -> Any:
        return book(model, *columns, "na64_weight")

    def _book_candidates(self, signature: Signature, node: Any) -> None:
        columns = {
            "run": "run",
            "spill": "spill",
            "spillevent": "spillevent",
            "period": "na64_period",
            "weight": "na64_weight",
            "out_of_time_GeV": "na64_out_of_time",
            "straw_hits_x": "straw3X",
            "straw_hits_y": "straw3Y",
            "beam_cell": "na64_leading_cell",
            "srd0": "na64_srd0",
            "srd1": "na64_srd1",
            "srd2": "na64_srd2",
            "momentum_GeV": "trackMomentum",
            "preshower_GeV": "ecal0",
            "ecal_GeV": "ecalTotal",
            "veto_GeV": "na64_veto",
            "hcal1_GeV": "hcal0",
            "hcal2_GeV": "hcal1",
            "hcal3_GeV": "hcal2",
            "r": "na64_r",
            "shower_chi2": "showerChi2",
        }
        known = self.ntuple.present | definitions(self.card, self.ntuple.present).keys()
        columns = {field: column for field, column in columns.items() if column in known}
        action = table(node, f"na64_candidate_{signature}", [*columns.values(), *self.columns])
        self.candidates[signature] = list(columns), action

    # Records

    @property
    def weighted(self) -> bool:
        """Whether the sample is simulation."""
        return self.ntuple.simulated

    def result(self, of_input: InputExposure, lacking: Mapping[Signature, Sequence[str]]) -> SelectionResult:
        """The records; runs the event loop if it has not run."""
        events, sums, _ = self.read.fetch()
        left_out = self.left_out.counts()
        read = int(events.sum()) + sum(n for n, *_ in left_out.values())
        weights = [*sums, *(weight for _, weight, _ in left_out.values())]
        require_all_read(self.ntuple, read, weights)
        notes = self._notes(lacking)
        notes += of_input.notes
        exposure = self._exposure_with_data(of_input.electrons, notes)
        histograms: dict[str, Histogram] = {}
        for make in self.histograms.values():
            histograms.update(make())
        if self.variations:
            histograms.update(self.variations.histograms(self.weighted))
        candidates = [candidate for s in self.candidates for candidate in self._candidates(s)]
        candidates.sort(key=lambda c: (c.run, c.spill, c.spillevent, c.signature))
        notes += _impossible(candidates)
        cutflow, errors = self._cutflow()
        return SelectionResult(
            cutflow=cutflow,
            cutflow_errors=errors,
            counts=self._counts(exposure, lacking),
            expected=self._expected(),
            exposure=exposure,
            kept_share=of_input.kept_share,
            candidates=candidates,
            files=list(self.ntuple.files),
            input=self.ntuple.details,
            weighted=self.weighted,
            negative_weights=round(self.signs.GetValue().GetBinContent(0)) if self.signs else 0,
            event_loops=self.loops,
            notes=notes,
            histograms=histograms,
            blind=self.blind,
            n_minus_one=tuple(self.n_minus_one.result(self.weighted)) if self.n_minus_one else (),
            skim=self._skimmed(notes),
            cuts=descriptions(self.card, self.cuts),
            systematics=self.variations.effects() if self.variations else [],
            columns={s: self._selected_columns(s) for s in self.candidates} if self.columns else {},
        )

    def _skimmed(self, notes: list[str]) -> Skimmed | None:
        if self.skim is None or self.wanted.skim is None:
            return None
        made = self.skim.checked(self.wanted.skim)
        if made.file is None:
            notes.append("no event passed the cuts of the skim: it was not written")
        return made

    def _cutflow(self) -> tuple[list[CutFlowRow], list[float]]:
        flow, errors = [], []
        events, sums, squares = self.initial.fetch()
        for signature in SIGNATURES:
            for i, period in enumerate(self.card.periods):
                for cut, counts in self._flow(signature):
                    n, weight, square = counts.fetch()
                    flow.append(_row(period.name, signature, cut, n[i], weight[i]))
                    errors.append(stable(math.sqrt(square[i])))
        outside = range(len(self.card.periods), len(self.names))
        for reason in dict.fromkeys(self.names[i] for i in outside):
            members = [i for i in outside if self.names[i] == reason]
            if events[members].sum() > 0:
                for signature in SIGNATURES:
                    flow.append(_row(reason, signature, _INITIAL, events[members].sum(), sums[members].sum()))
                    errors.append(stable(math.sqrt(squares[members].sum())))
        # Some of these may lie in the signal boxes.
        left_out = {} if self.blind else self.left_out.counts()
        for reason, (n_left, weight_left, square_left) in left_out.items():
            for signature in SIGNATURES:
                flow.append(_row(reason, signature, _INITIAL, n_left, weight_left))
                errors.append(stable(math.sqrt(square_left)))
        return flow, errors

    def _flow(self, signature: Signature) -> Iterator[tuple[str, _PeriodCounts]]:
        yield _INITIAL, self.initial
        for cut in self.cuts[signature]:
            if (signature, cut.name) in self.rows:
                yield cut.name, self.rows[signature, cut.name]

    def _last(self, signature: Signature) -> _PeriodCounts:
        return list(self._flow(signature))[-1][1]

    def _not_applied(self, signature: Signature) -> list[str]:
        return [cut.name for cut in self.cuts[signature] if cut.condition is None]

    def _counts(self, exposure: dict[str, float], lacking: Mapping[Signature, Sequence[str]]) -> list[Count]:
        counts = []
        for i, period in enumerate(self.card.periods):
            share = exposure[period.name] / self.card.eot
            for signature in SIGNATURES:
                background = self.card.limit.counts(signature)
                observed = None
                if not lacking[signature] and not self.weighted and not self.blind:
                    observed = int(self._last(signature).fetch()[0][i])
                counts.append(
                    Count(
                        period=period.name,
                        signature=signature,
                        observed=observed,
                        background=background.background.value * share,
                        background_uncertainty=background.background_uncertainty.value * share,
                        cuts_not_applied=self._not_applied(signature),
                    )
                )
        return counts

    def _expected(self) -> list[ExpectedCount]:
        if not self.weighted:
            return []
        return [
            ExpectedCount(
                period=period.name,
                signature=signature,
                expected=stable(self._last(signature).fetch()[1][i]),
                error=stable(math.sqrt(self._last(signature).fetch()[2][i])),
            )
            for i, period in enumerate(self.card.periods)
            for signature in self.candidates
        ]

    def _exposure_with_data(self, exposure: dict[str, float], notes: list[str]) -> dict[str, float]:
        """Exposure 0 for a period without a physics trigger in the input."""
        triggers = self.rows.get(("S1", "trigger"), self.initial).fetch()[0]
        result = {}
        for i, period in enumerate(self.card.periods):
            result[period.name] = exposure[period.name] if triggers[i] > 0 else 0.0
            if not triggers[i] > 0:
                notes.append(
                    f"period {period.name}: no physics trigger in the input, exposure 0, "
                    "not in the likelihood"
                )
        return result

    def _notes(self, lacking: Mapping[Signature, Sequence[str]]) -> list[str]:
        notes = []
        for signature, branches in lacking.items():
            if branches:
                notes.append(
                    f"{signature} cannot be evaluated (no branch {', '.join(branches)}): observed is null"
                )
        for cut in self.ntuple.schema.cuts_without_branches(self.ntuple.present):
            if any(cut not in DEFINING_CUTS[s] for s in SIGNATURES if not lacking[s]) and cut != "r":
                missing = ", ".join(self.ntuple.schema.missing_for(cut, self.ntuple.present))
                notes.append(f"cut {cut} is not applied (no branch {missing})")
        events = self.initial.fetch()[0]
        for i in range(len(self.card.periods), len(self.names)):
            if events[i] > 0:
                notes.append(f"{int(events[i])} events left out ({self.names[i]})")
        spills = None if self.blind else self.left_out.counts().get(LeftOut.SPILL)
        if spills:
            notes.append(f"{spills[0]} events left out ({LeftOut.SPILL})")
        duplicates = 0 if self.blind else self.left_out.duplicates
        notes += notes_on_files(duplicates, repeated_files(self.ntuple.files))
        if self.blind:
            notes.append(NOTE)
        if self.variations:
            notes += self.variations.notes
        if self.weighted:
            notes.append("mcWeight differs from 1: simulation, counts are expected and not observed")
        for name, count in self.no_value.items():
            if lacking_value := int(count.GetValue()):
                notes.append(
                    f"{lacking_value} events have no value of {name} (input.sentinels): no cut on it passes"
                )
        return notes

    def _candidates(self, signature: Signature) -> list[Candidate]:
        fields, action = self.candidates[signature]
        candidates = []
        for values in action.GetValue():
            numbers = [float(value) for value in values]
            event: dict[str, Any] = dict(zip(fields, numbers[: len(fields)], strict=True))
            for field in _WHOLE_NUMBERS & event.keys():
                event[field] = int(event[field])
            event["period"] = self.card.periods[event["period"]].name
            cell = event.pop("beam_cell", -1)
            srd = [event.pop(f"srd{k}", None) for k in range(3)]
            if not math.isfinite(event.get("r", math.nan)):
                event["r"] = None
            unknown = dict.fromkeys(Candidate.model_fields)
            candidates.append(
                Candidate(
                    **{
                        **unknown,
                        **event,
                        "signature": signature,
                        "beam_cell": divmod(cell, 6) if cell >= 0 else None,
                        "srd_GeV": tuple(srd) if srd[0] is not None else None,
                    }
                )
            )
        return candidates

    def _selected_columns(self, signature: Signature) -> SelectedColumns:
        fields, action = self.candidates[signature]
        names = [*fields, *self.columns]
        rows = np.array([np.asarray(values) for values in action.GetValue()]).reshape(-1, len(names))
        order = np.lexsort([rows[:, names.index(name)] for name in ("spillevent", "spill", "run")])
        kept = ["weight", "period", *self.columns]
        return {name: rows[order, names.index(name)].tolist() for name in kept}


class _PeriodCounts:
    """Events and sums of weights of a node, one bin for each index of the run's period."""

    def __init__(self, node: Any, bins: int, has_weight: bool) -> None:
        self.node, self.bins = node, bins
        model = ("", "", bins, -0.5, bins - 0.5)
        self.events = node.Histo1D(model, "na64_period", "na64_one")
        self.sums = node.Histo1D(model, "na64_period", "na64_weight") if has_weight else None

    def fetch(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Events, sums of weights, sums of squared weights."""
        events = self.events.GetValue()
        counts = np.rint(bins(events, (self.bins,))[1:-1]).astype(np.int64)
        if self.sums is None:
            return counts, counts.astype(float), counts.astype(float)
        sums = self.sums.GetValue()
        weights = bins(sums, (self.bins,))[1:-1]
        squares = variances(sums, (self.bins,))[1:-1]
        return counts, weights, squares


# Of a selected event, the quantities below which nothing is measured, and the branches they are made of.
_IMPOSSIBLE = {
    "out_of_time_GeV": (-20.0, "ecalTotalNoTimecut"),
    "ecal_GeV": (-1.0, "ecalTotal"),
    "hcal1_GeV": (-1.0, "hcal0"),
    "hcal2_GeV": (-1.0, "hcal1"),
    "hcal3_GeV": (-1.0, "hcal2"),
    "veto_GeV": (-1.0, "VETO_ene"),
    "shower_chi2": (0.0, "showerChi2"),
}


def _impossible(candidates: Sequence[Candidate]) -> list[str]:
    """A note for each quantity of selected events that looks like "no value" and not like a measurement."""
    notes = []
    for field, (least, branch) in _IMPOSSIBLE.items():
        values = [
            v for v in (getattr(candidate, field) for candidate in candidates) if v is not None and v < least
        ]
        if values:
            notes.append(
                f"{len(values)} selected events have {branch} as low as no measurement ({field} down to "
                f"{min(values):g}): if that stands for no value, say so in [input.sentinels]"
            )
    return notes


def _row(period: str, signature: str, cut: str, events: Any, weighted: Any) -> CutFlowRow:
    return CutFlowRow(
        period=period, signature=signature, cut=cut, events=int(events), weighted=stable(float(weighted))
    )
