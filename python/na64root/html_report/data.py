"""Sections of what is read off data: analyses, selections, backgrounds, quality."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import figures
from ..analyze import Analysis, SignalOfSample
from ..backgrounds import Backgrounds
from ..config import Card
from ..records import Count, CutFlowRow, cuts_in_order
from ..reports.figured import backgrounds_figure, quality_figure
from ..reports.selection_report import SelectionReport, n_minus_one_figure
from ..selection import Candidate, ExpectedCount
from ..selection.quality import Quality
from ..selection.systematics import SystematicEffect
from .blocks import BLINDED, Block, Cell, Drawing, Section, Table, Text, notes, percent
from .drawings import Draw
from .limits import evidence, in_words, side_by_side

HIDDEN = "hidden"


def of_analysis(record: Analysis, draw: Draw) -> Section:
    """An analysis: headline, cut flow, counts, candidates, limits, what is excluded."""
    headline = [_counts_in_words(record.counts, record.expected, record.blind)]
    if record.limit is not None:
        headline.append(in_words(record.limit.quoted, record.limit.kind))
    headline += evidence(record.discovery, record.interval)
    headline.append(_end_of(record))
    if record.signal is not None:
        headline.append(_sample_in_words(record.signal))
    if record.blind:
        headline.insert(0, BLINDED)
    blocks: list[Block] = cut_flow(record.cutflow, list(record.exposure), draw, "analysis")
    blocks.append(_counts(record.counts, record.expected, record.exposure, record.blind, "analysis"))
    blocks.append(candidates(record.candidates, record.blind, "analysis"))
    if record.limit is not None:
        blocks += side_by_side(record.limit, draw)
    if record.exclusion.mass_GeV:
        blocks.append(_excluded_range(record, draw))
    if record.signal_uncertainties:
        blocks.append(
            Table(
                "signal-uncertainties",
                "Uncertainties of the signal in the limit",
                ("source", "relative", "its error", "correlation", "origin"),
                [
                    (u.source, u.uncertainty, u.error, u.correlation, u.origin)
                    for u in record.signal_uncertainties
                ],
            )
        )
    if record.background_estimates:
        blocks.append(
            Table(
                "backgrounds-used",
                "Backgrounds in the likelihood",
                ("signature", "method", "background [events]", "uncertainty", "from"),
                [
                    (signature, used.method, used.value, used.uncertainty, used.source)
                    for signature, used in record.background_estimates.items()
                ],
            )
        )
    if record.systematics:
        blocks.append(_systematics(record.systematics))
    return Section("Analysis", headline, [*blocks, *notes(record.notes)])


def of_selection(record: SelectionReport, draw: Draw) -> Section:
    """A selection: cut flow, candidates, cuts with their thresholds, N−1."""
    headline = [_counts_in_words(record.counts, record.expected, record.blind)]
    if record.blind:
        headline.insert(0, BLINDED)
    blocks: list[Block] = cut_flow(record.cutflow, list(record.exposure), draw, "selection")
    blocks.append(_counts(record.counts, record.expected, record.exposure, record.blind, "selection"))
    blocks.append(candidates(record.candidates, record.blind, "selection"))
    if record.skim is not None and record.skim.file is not None:
        blocks.append(Text([f"The skim {record.skim.file} has {record.skim.events} events, all branches."]))
    blocks.append(
        Table(
            "cuts",
            "The cuts and their thresholds",
            ("signature", "cut", "threshold", "value by period", "unit", "provenance", "source"),
            [
                (
                    cut.signature,
                    cut.name,
                    threshold.name,
                    _by_period(threshold.values),
                    threshold.unit,
                    threshold.provenance,
                    threshold.source,
                )
                for cut in record.cuts
                for threshold in cut.thresholds
            ],
        )
    )
    for signature in dict.fromkeys(found.signature for found in record.n_minus_one):
        of_signature = [found for found in record.n_minus_one if found.signature == signature]
        rows: list[tuple[Cell, ...]] = []
        for found in of_signature:
            edges, contents = found.histogram.axes[0].edges, np.ravel(found.histogram.contents)
            for low, high, events in zip(edges[:-1], edges[1:], contents, strict=True):
                if events:
                    rows.append((found.cut, found.variable, low, high, float(events)))
        blocks.append(
            draw(
                f"N−1 of {signature}",
                f"A histogram for each cut of {signature}: its quantity, of events that pass all other "
                "cuts. What "
                "no period accepts is shaded.",
                n_minus_one_figure(of_signature, blind=record.blind),
                Table(f"n-minus-one-{signature}", "Bins that are not empty",
                      ("cut", "quantity", "from", "to", "events"), rows),
            )
        )  # fmt: skip
    return Section("Selection", headline, [*blocks, *notes(record.notes)])


def of_backgrounds(record: Backgrounds, card: Card | None, draw: Draw) -> Section:
    """Backgrounds from control regions."""
    headline = [
        f"{e.signature} by {e.method}: {e.value:.3g} ± {e.uncertainty:.2g} events of background."
        for e in record.estimates
    ]
    headline += [f"No estimate by {method}: {why}." for method, why in record.not_estimated.items()]
    if record.blind:
        headline.insert(0, BLINDED)
    rows: list[tuple[Cell, ...]] = [
        (signature, "published", value, error, None, None)
        for signature, (value, error) in record.published.items()
    ]
    rows += [
        (
            e.signature,
            e.method,
            e.value,
            e.uncertainty,
            ", ".join(f"{name} {value:.2g}" for name, value in e.components.items()),
            ", ".join(f"{name}: {value:.6g}" for name, value in e.events.items()),
        )
        for e in record.estimates
    ]
    blocks: list[Block] = [
        Table(
            "backgrounds",
            "Backgrounds in the signal boxes",
            ("signature", "method", "background [events]", "uncertainty", "its parts", "events in regions"),
            rows,
        )
    ]
    dimuon = record.dimuon
    yields = [("data", dimuon.data)] + ([("simulation", dimuon.simulation)] if dimuon.simulation else [])
    blocks.append(
        Table(
            "dimuons",
            "Dimuons, a control sample: data over simulation "
            + (f"{dimuon.correction:.4g}" if dimuon.correction is not None else "needs a simulation"),
            ("sample", "events", "electrons on target", "per electron", "its error"),
            [(name, y.events, y.eot, y.per_electron, y.error) for name, y in yields],
        )
    )
    if card is not None:
        edges = (record.ecal_edges_GeV, record.hcal_edges_GeV)
        cells: list[tuple[Cell, ...]] = [
            (edges[0][i], edges[0][i + 1], edges[1][j], edges[1][j + 1], events)
            for i, column in enumerate(record.plane)
            for j, events in enumerate(column)
            if events
        ]
        blocks.append(
            draw(
                "Control regions",
                "Events in the plane of ECAL against HCAL energy with the control regions, without those "
                "in the box "
                "of S2; beside it the fit of the sideband, where there is one.",
                backgrounds_figure(record, card),
                Table("control-regions", "Cells that are not empty",
                      ("ECAL from [GeV]", "to", "HCAL from [GeV]", "to ", "events"), cells),
            )
        )  # fmt: skip
    explained = [f"{e.signature}, {e.method}: {note}" for e in record.estimates for note in e.notes]
    return Section("Backgrounds from the data", headline, [*blocks, *notes([*explained, *record.notes])])


def of_quality(record: Quality, card: Card | None, draw: Draw) -> Section:
    """Runs and spills, and those that stand out."""
    flagged = len(record.outlier_spills)
    headline = [
        f"{flagged} of {len(record.spills)} spills stand out, in {len(record.runs)} runs; "
        f"{record.duplicates} "
        f"events came twice, {record.out_of_order} out of order."
    ]
    if record.blind:
        headline.insert(0, BLINDED)
    spills = Table(
        "spills",
        "Spills",
        ("run", "spill", "period", "triggers", "mean ECAL [GeV]", "mean HCAL [GeV]",
         f"share ECAL < {record.ecal_below_GeV:g} and HCAL < {record.hcal_below_GeV:g} GeV", "flagged for"),
        [
            (s.run, s.spill, s.period, s.triggers, s.ecal_mean_GeV, s.hcal_mean_GeV,
             s.missing_energy_fraction, ", ".join(s.flags))
            for s in record.spills
        ],
    )  # fmt: skip
    known = (period.name for period in card.periods) if card is not None else (r.period for r in record.runs)
    periods = list(dict.fromkeys(known))
    blocks: list[Block] = []
    if record.spills:
        blocks.append(
            draw(
                "Spills in the order of runs",
                f"Four rows of points, one point a spill; the {flagged} flagged ones are circles.",
                quality_figure(record, periods),
                spills,
            )
        )
    blocks += [
        Table(
            "runs",
            "Runs",
            ("run", "period", "spills", "flagged", "events", "triggers", "per spill", "mean ECAL [GeV]",
             "mean HCAL [GeV]"),
            [
                (r.run, r.period, r.spills, r.flagged_spills, r.events, r.triggers, r.triggers_per_spill,
                 r.ecal_mean_GeV, r.hcal_mean_GeV)
                for r in record.runs
            ],
        ),
        Table(
            "outliers",
            "Spills that stand out, and why",
            ("run", "spill", "quantity", "value", "typical", "deviation", "threshold", "why"),
            [
                (o.run, o.spill, o.quantity, o.value, o.typical, o.deviation, o.threshold, o.reason)
                for o in record.outliers
            ],
        ),
        Text([f"The criterion: {record.criterion}."]),
    ]  # fmt: skip
    return Section("Quality of the data", headline, [*blocks, *notes(record.notes)])


def cut_flow(rows: Sequence[CutFlowRow], periods: Sequence[str], draw: Draw, name: str) -> list[Block]:
    """The cut flow as a drawing and as a table, with the share that each cut leaves."""
    inside = [row for row in rows if row.period in periods]
    weighted = any(row.events != row.weighted for row in inside)
    bins = list(dict.fromkeys((row.period, row.signature) for row in inside))
    left = {
        (row.cut, row.period, row.signature): row.weighted if weighted else float(row.events)
        for row in inside
    }
    cuts = cuts_in_order(inside)
    before: dict[tuple[str, str], float] = {}
    table_rows: list[tuple[Cell, ...]] = []
    for cut in cuts:
        cells: list[Cell] = [cut]
        for bin_ in bins:
            events = left.get((cut, *bin_))
            share = None
            if events is not None and before.get(bin_):
                share = 100.0 * events / before[bin_]
            if events is not None:
                before[bin_] = events
            cells += [events if weighted or events is None else int(events), share]
        table_rows.append(tuple(cells))
    columns = ["cut"]
    for period, signature in bins:
        columns += [f"{period} {signature}", f"{period} {signature} [%]"]
    table = Table(
        f"{name}-cut-flow",
        "Cut flow: events left after each cut, and the share of those before it"
        + (", sums of weights" if weighted else ""),
        columns,
        table_rows,
    )
    blocks: list[Block] = []
    if inside:
        last = {bin_: before.get(bin_) for bin_ in bins}
        ends = "; ".join(f"{p} {s}: {value:g}" for (p, s), value in last.items() if value is not None)
        blocks.append(
            draw(
                "Cut flow",
                "Bars of the events left after each cut, for each run period, S1 beside S2. At the end: "
                f"{ends}.",
                figures.cut_flow(inside),
                table,
            )
        )
    blocks.append(table)
    outside = {row.period: row.events for row in rows if row.period not in periods}
    if outside:
        said = [f"{reason}: {number} events, in no bin." for reason, number in outside.items()]
        blocks.append(Text(said))
    return blocks


def candidates(found: Sequence[Candidate], blind: bool, name: str) -> Block:
    """The events that passed every cut, or that they are hidden."""
    if blind:
        return Text([f"Candidates: {HIDDEN}."])
    if not found:
        return Text(["Candidates: none, no event passes every cut."])
    return Table(
        f"{name}-candidates",
        f"Candidates: the {len(found)} events that pass every cut",
        ("signature", "period", "run", "spill", "event", "weight", "ECAL [GeV]", "VETO [GeV]", "HCAL1 [GeV]",
         "HCAL2 [GeV]", "HCAL3 [GeV]", "R", "momentum [GeV]", "shower χ²"),
        [
            (c.signature, c.period, c.run, c.spill, c.spillevent, c.weight, c.ecal_GeV, c.veto_GeV,
             c.hcal1_GeV, c.hcal2_GeV, c.hcal3_GeV, c.r, c.momentum_GeV, c.shower_chi2)
            for c in found
        ],
    )  # fmt: skip


def end_in_words(
    end: float | None, blind: bool = False, frame: bool = False, *, has_line: bool = True
) -> str:
    """How far the muon's g−2 is excluded; with `frame` the plane ends there."""
    if not has_line:
        return "There is no central g−2 line: this mediator does not make the muon's g−2 larger."
    would = "would be" if blind else "is"
    if end is None:
        return f"The central g−2 line {would} excluded nowhere from the lowest mass on."
    beyond = " and beyond, the end of the plane" * frame
    return f"The central g−2 line {would} excluded up to a dark-photon mass of {end:.3f} GeV{beyond}."


def _end_of(record: Analysis) -> str:
    return end_in_words(
        record.g2_excluded_up_to_GeV,
        record.blind,
        record.g2_end_is_frame,
        has_line="g-2 central" in record.exclusion.overlays,
    )


def _by_period(values: dict[str, float]) -> str:
    if len(set(values.values())) == 1:
        return f"{next(iter(values.values())):g}"
    return ", ".join(f"{period} {value:g}" for period, value in values.items())


def _counts_in_words(counts: Sequence[Count], expected: Sequence[ExpectedCount], blind: bool) -> str:
    said = []
    for signature in dict.fromkeys(count.signature for count in counts):
        of = [count for count in counts if count.signature == signature]
        background = sum(c.background for c in of)
        seen = [c.observed for c in of if c.observed is not None]
        simulated = [e.expected for e in expected if e.signature == signature]
        if blind:
            what = "the number of events is hidden"
        elif simulated:
            what = f"{sum(simulated):.4g} events of a weighted simulation pass"
        elif seen:
            n = sum(seen)
            what = f"{n or 'no'} event{'s' * (n != 1)} {'were' if n != 1 else 'was'} seen"
        else:
            what = "the files do not hold what it needs"
        said.append(f"in {signature} {what}, {background:.3g} expected from background")
    text = "; ".join(said)
    return (text[:1].upper() + text[1:] or "No bin has been counted") + "."


def _sample_in_words(signal: SignalOfSample) -> str:
    sample = signal.sample
    return (
        f"The simulated signal of {sample.mass_GeV:g} GeV and ε = {sample.epsilon:g} gives "
        f"{signal.expected:.3f} ± "
        f"{signal.error:.3f} events against a limit of {signal.upper_limit:.3f}: it is "
        f"{'excluded' if signal.excluded else 'not excluded'}."
    )


def _counts(
    counts: Sequence[Count],
    expected: Sequence[ExpectedCount],
    exposure: dict[str, float],
    blind: bool,
    name: str,
) -> Table:
    simulated = {(e.period, e.signature): e.expected for e in expected}
    rows: list[tuple[Cell, ...]] = []
    for count in counts:
        seen: Cell = HIDDEN if blind else simulated.get((count.period, count.signature), count.observed)
        rows.append(
            (
                count.period,
                count.signature,
                seen,
                count.background,
                count.background_uncertainty,
                exposure.get(count.period),
                ", ".join(count.cuts_not_applied),
            )
        )
    return Table(
        f"{name}-counts",
        "Bins of the likelihood",
        ("period", "signature", "expected" if expected else "observed", "background", "uncertainty",
         "electrons on target", "cuts that the files do not allow"),
        rows,
    )  # fmt: skip


def _excluded_range(record: Analysis, draw: Draw) -> Drawing:
    excluded = record.exclusion
    cl = record.limit.quoted.cl if record.limit is not None else 0.9
    table = Table(
        "excluded-range",
        "Excluded range of the kinetic mixing at each mass",
        ("m_A′ [GeV]", "ε excluded from", "to"),
        list(zip(excluded.mass_GeV, excluded.epsilon_low, excluded.epsilon_high, strict=True)),
    )
    masses = [m for m, low in zip(excluded.mass_GeV, excluded.epsilon_low, strict=True) if low is not None]
    reach = f"from {masses[0]:.3g} to {masses[-1]:.3g} GeV" if masses else "at no mass"
    return draw(
        f"Excluded range of ε, {percent(cl)} CL" + (", expected" if record.blind else ""),
        f"The region between the smallest and the largest excluded kinetic mixing, {reach}, on "
        "logarithmic axes. " + _end_of(record),
        figures.excluded_range(
            excluded.mass_GeV,
            excluded.epsilon_low,
            excluded.epsilon_high,
            end_GeV=record.g2_excluded_up_to_GeV,
            end_is_frame=record.g2_end_is_frame,
            label="expected, blinded" if record.blind else "excluded",
        ),
        table,
    )


def _systematics(effects: Sequence[SystematicEffect]) -> Table:
    return Table(
        "systematics",
        "What systematic sources do to the events that pass",
        ("source", "kind", "size", "period", "signature", "as is", "up", "down", "relative", "its error"),
        [
            (e.source, e.kind, e.size, e.period, e.signature, e.nominal, e.up, e.down, e.relative,
             e.relative_error)
            for e in effects
        ],
    )  # fmt: skip
