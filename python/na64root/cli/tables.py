"""Result records as tables for a person, on a rich console; every number in them is in the record."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..config import SIGNATURES

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from ..analyze import Analysis, Scorecard, SignalOfSample
    from ..backgrounds import Backgrounds
    from ..exclusion.coupling import CouplingLimit
    from ..exclusion.ledger import Ledger, PresetComparison
    from ..exclusion.planner import Plan
    from ..html_report import Report
    from ..limits.export import Exported
    from ..limits.side_by_side import Limits
    from ..ntuple import ColumnContent, Inspection, TreeContent
    from ..records import (
        CutFlowRow,
        Discovery,
        FitReport,
        Interval,
        LimitReport,
        ModelOfFile,
        PlaneResult,
        Record,
    )
    from ..reports.cards import CardDifference, CardListing
    from ..reports.selection_report import SelectionReport
    from ..selection.quality import Quality
    from ..selection.systematics import SystematicEffect
    from ..simulation.acceptance import AcceptanceReport, RReport


def _titled(text: str) -> Text:
    """A line with its title, `[bold]TITLE[/]`, in bold; nothing else in it is markup, as in a path."""
    from rich.text import Text

    title, _, rest = text.partition("[/]")
    return Text.assemble((title.replace("[bold]", "", 1), "bold"), rest)


# Criteria as they are written.
CRITERIA = {"cls": "CLs", "clsb": "CLs+b"}


# Candidates that are printed; all of them are in results.json.
MOST_CANDIDATES = 20


# Objects of a class that are named.
MOST_NAMES = 20


# Duplicates that are printed; `quality --json` has some more, and their number.
MOST_EXAMPLES = 5


_BLINDED = ", blinded: the signal boxes are hidden"


def _show_files(files: Mapping[str, str], console: Console) -> None:
    """The files that were written, the same way for every verb."""
    if files:
        console.print(_titled("\n[bold]Files[/]"))
    for path in files.values():
        console.print(f"  {path}", soft_wrap=True)


def _draw_cut_flow(rows: Sequence[CutFlowRow], console: Console) -> None:
    """Events left of all periods as bars, on a logarithmic scale; on a terminal alone."""
    from ..records import cuts_in_order

    if not console.is_terminal or not rows:
        return
    weighted = any(row.weighted != row.events for row in rows)
    signatures = list(dict.fromkeys(row.signature for row in rows))
    left: dict[tuple[str, str], float] = {}
    for row in rows:
        key = row.cut, row.signature
        left[key] = left.get(key, 0.0) + (row.weighted if weighted else row.events)
    cuts = cuts_in_order(rows)
    name_width = max(len(cut) for cut in cuts)
    width = max(10, (console.width - name_width - 2) // len(signatures) - 14)
    top = math.log10(1.0 + max(left.values()))
    console.print(_titled("\n[bold]Cut flow[/], all periods, logarithmic"))
    for cut in cuts:
        text = f"{cut:>{name_width}} "
        for signature in signatures:
            events = left.get((cut, signature))
            length = 0 if not events or not top else math.log10(1.0 + events) / top * width
            bar = "" if events is None else "█" * int(length) + "▌" * (length % 1.0 >= 0.5)
            number = "" if events is None else f"{events:.4g}" if weighted else f"{events:.0f}"
            text += f" {signature} {bar:<{width}} {number:<8}" if events is not None else " " * (width + 13)
        console.print(text.rstrip(), soft_wrap=True)


def show_record(record: Record, console: Console) -> None:
    """A record as a two-column table, nested records with dotted names, and its files."""
    values = record.model_dump()
    files = values.pop("files", {})
    _show_values(values, console)
    _show_files(files, console)


def _show_values(values: Mapping[str, Any], console: Console) -> None:
    from rich.table import Table

    table = Table("quantity", "value", box=None)
    for name, value in _flat(values):
        table.add_row(name, value)
    console.print(table)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            value = dict(enumerate(value))
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            some = [*value[:3], "...", value[-1]] if len(value) > 5 else value
            yield (
                f"{prefix}{name}",
                f"{', '.join(map(str, some)) or 'none'}" + f" ({len(value)})" * bool(value),
            )
        else:
            text = "none" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
            yield f"{prefix}{name}", text


def show_limit(record: LimitReport, console: Console) -> None:
    """The limit with its expected band, discovery and interval, or its diagnostics."""
    criterion = CRITERIA[record.criterion]
    how = f"{100 * record.cl:g} % CL ({criterion}, {record.method}, nuisances: {record.treatment})"
    _show_blinded_and_notes(record.blind, record.notes, console)
    if record.upper_limit is None:
        console.print(f"limits on the expected signal in events at {how}")
    else:
        error = f" ± {record.upper_limit_error:.2g}" if record.upper_limit_error else ""
        console.print(f"upper limit on the expected signal: {record.upper_limit:.4f}{error} events at {how}")
    e = record.expected
    band = [f"{x:.3f}" if x is not None else "none" for x in (e.minus2, e.minus1, e.median, e.plus1, e.plus2)]
    console.print(f"expected, -2 -1 0 +1 +2 sigma: {', '.join(band)}")
    _show_model_file(record.model_file, console)
    _show_evidence(record.discovery, record.interval, record.cl, console)
    _show_files(record.files, console)


def show_coupling(record: CouplingLimit, console: Console) -> None:
    """The excluded ranges in a sentence, with those expected, and the limit on the events."""
    quoted = record.quoted
    console.print(
        f"m_A' = {record.mass_GeV:g} GeV, {100 * quoted.cl:g} % CL (CLs, {quoted.method}, nuisances: "
        f"{quoted.treatment}): {record.verdict}."
    )
    median = record.excluded_expected.get("median")
    if median is not None:
        ranges = " and ".join(f"{one.low:.4g} to {one.high:.4g}" for one in median) or "none"
        console.print(f"expected without signal (median): {ranges}")
    for path in record.files.values():
        console.print(f"  {path}", soft_wrap=True)


def _show_model_file(of: ModelOfFile | None, console: Console) -> None:
    """The limit on the parameter of interest of a file that a model is from."""
    if of is None:
        return
    limit = of.expected.median if of.upper_limit is None else of.upper_limit
    what = "expected limit" if of.upper_limit is None else "limit"
    if limit is not None:
        console.print(
            f"{what} on the strength in {of.path} ({of.format}): {limit:.4g}, "
            f"of {of.signal_events:.4g} events",
            soft_wrap=True,
        )


def show_fit(record: FitReport, console: Console) -> None:
    """The best fit and each test that was made."""
    from rich.table import Table

    limit = record.limit
    console.print(
        f"upper limit {limit.upper_limit:.4f} events at {100 * record.cl:g} % CL (CLs, {limit.method}, "
        f"nuisances: {record.treatment})"
    )
    _show_model_file(record.model_file, console)
    if record.fit is not None:
        error = "at its bound" if record.fit.mu_error is None else f"± {record.fit.mu_error:.3g}"
        console.print(f"best fit: mu = {record.fit.mu:.4g} {error}")
        if record.fit.parameters:
            table = Table("nuisance parameter", "pull", "error / measured", box=None)
            for p in record.fit.parameters:
                constraint = "at its bound" if p.constraint is None else f"{p.constraint:.3f}"
                table.add_row(p.name, f"{p.pull:+.3f}", constraint)
            console.print(table)
    for good in record.goodness:
        console.print(
            f"goodness of fit, {good.hypothesis.replace('_', ' ')}: statistic {good.statistic:.3f}, p-value "
            f"{good.p_value:.4f} ± {good.p_value_error:.4f} ({good.toys} toys)"
        )
    for one in record.injection:
        console.print(
            f"injected {one.injected:.4g}: fitted {one.mean:.4g} ± {one.mean_error:.2g} (median "
            f"{one.median:.4g}, {100 * one.at_zero:.1f} % at zero), pull {one.pull_mean:+.3f} ± "
            f"{one.pull_mean_error:.3f}, width {one.pull_width:.3f}"
        )
    if record.point is not None:
        point = record.point
        p_value = point.two_sided_p_value
        console.print(
            f"mu = {point.mu:.4g}: CLs+b {point.clsb:.4g}, CLb {point.clb:.4g}, CLs {point.cls:.4g}"
            + ("" if p_value is None else f", two-sided p-value {p_value:.4g}")
            + f": {'excluded' if point.excluded else 'not excluded'}"
        )
    _show_evidence(record.discovery, record.interval, record.cl, console)
    if record.bayesian is not None:
        b = record.bayesian
        console.print(
            f"Bayesian limit, prior {b.prior}: {b.upper_limit:.4f} ± {b.upper_limit_error:.1g} events"
        )
    if record.limit_impacts:
        table = Table("uncertainty", "impact on the limit", "doubled", "jump at zero", box=None)
        for i in record.limit_impacts:
            jump = f"{i.jump:+.4f} (ties broken)" if i.tie_breaking else "none"
            table.add_row(i.source, f"{i.impact:+.4f}", f"{i.doubled:.4f}", jump)
        console.print(table)
    if record.strength_impacts:
        table = Table("nuisance parameter", "fitted mu, -1 sigma", "+1 sigma", box=None)
        for change in record.strength_impacts:
            table.add_row(change.parameter, f"{change.down:.4f}", f"{change.up:.4f}")
        console.print(table)
    for note in record.notes:
        console.print(f"note: {note}", soft_wrap=True)
    for path in record.files.values():
        console.print(f"  {path}", soft_wrap=True)


def _show_evidence(
    discovery: Discovery | None, interval: Interval | None, cl: float, console: Console
) -> None:
    if discovery is not None:
        console.print(
            f"against background alone: p-value {discovery.p_value:.3g}, significance "
            f"{discovery.significance:.2f} sigma"
        )
    if interval is not None:
        console.print(
            f"two-sided interval: {interval.low:.3f} to {interval.high:.3f} events at {100 * cl:g} % CL "
            f"(Feldman-Cousins, nuisances: {interval.treatment})"
        )


def show_plane(record: PlaneResult, console: Console) -> None:
    """What is excluded in a plane, mass by mass where it is that of mass and epsilon."""
    from rich.table import Table

    _show_blinded_and_notes(record.blind, record.notes, console)
    if record.plane != "mass-epsilon":
        excluded = sum(mu is not None and mu < 1.0 for row in record.upper_limit_mu for mu in row)
        points = len(record.x) * len(record.y)
        console.print(
            f"{record.plane}: {excluded} of {points} points excluded, {len(record.contours)} contours"
        )
        return
    table = Table("m_A' [GeV]", "epsilon excluded from", "to", box=None)
    for mass, low, high in zip(record.x, record.epsilon_low, record.epsilon_high, strict=True):
        table.add_row(f"{mass:.4g}", *("-" if value is None else f"{value:.3e}" for value in (low, high)))
    console.print(table)
    has_line = "g-2 central" in record.overlays
    _show_g2(record.g2_excluded_up_to_GeV, console, frame=record.g2_end_is_frame, has_line=has_line)
    if record.inclusive is not None:
        end, frame = record.inclusive.g2_excluded_up_to_GeV, record.inclusive.g2_end_is_frame
        where = "nowhere from the lowest mass on" if end is None else f"up to {end:.3f} GeV"
        console.print(
            f"With the inclusive signal: {where}{' and beyond, the end of the plane' * frame} "
            f"({record.inclusive.remark}).",
            soft_wrap=True,
        )


def _show_blinded_and_notes(blind: bool, notes: Sequence[str], console: Console) -> None:
    if blind:
        console.print(
            _titled("[bold]Blinded[/]: the most probable counts without signal stand in for those observed.")
        )
    for note in notes:
        console.print(note, soft_wrap=True)


def _show_g2(end: float | None, console: Console, *, frame: bool = False, has_line: bool = True) -> None:
    if not has_line:
        console.print("There is no central g-2 line: this mediator does not make the muon's g-2 larger.")
    elif end is None:
        console.print("The central g-2 line is not excluded from the lowest mass on.")
    else:
        beyond = " and beyond, the end of the plane" * frame
        console.print(f"The central g-2 line is excluded up to m_A' = {end:.3f} GeV{beyond}.")


def show_analysis(record: Analysis, console: Console) -> None:
    """Cut flow, counts, limits and end point of an analysis."""
    from rich.table import Table

    from ..records import cuts_in_order

    console.print(_titled("[bold]Cut flow[/]: events left" + _BLINDED * record.blind))
    inside = [row for row in record.cutflow if row.period in record.exposure]
    bins = list(dict.fromkeys((row.period, row.signature) for row in inside))
    table = Table("cut", box=None)
    for period, signature in bins:
        table.add_column(f"{period} {signature}", justify="right")
    events = {(row.cut, row.period, row.signature): row.events for row in inside}
    for cut in cuts_in_order(inside):
        table.add_row(cut, *(str(events.get((cut, *bin_), "")) for bin_ in bins))
    console.print(table)
    _draw_cut_flow(inside, console)
    outside = {row.period: row.events for row in record.cutflow if row.period not in record.exposure}
    for reason, number in outside.items():
        console.print(f"  {reason}: {number} events, in no bin")

    console.print(_titled("\n[bold]Counts[/]"))
    table = Table("period", "signature", box=None)
    for column in ("observed", "background", "EOT"):
        table.add_column(column, justify="right")
    table.add_column("cuts not applied")
    for count in record.counts:
        table.add_row(
            count.period,
            count.signature,
            "blinded" if record.blind else "none" if count.observed is None else str(count.observed),
            f"{count.background:.3f} ± {count.background_uncertainty:.3f}",
            f"{record.exposure[count.period]:.3g}",
            ", ".join(count.cuts_not_applied),
        )
    console.print(table)
    for event in record.candidates[:MOST_CANDIDATES]:
        console.print(
            f"  candidate {event.signature} {event.period}: run {event.run} spill {event.spill} "
            f"event {event.spillevent}, ECAL {event.ecal_GeV:.2f}, VETO {1e3 * event.veto_GeV:.2f} MeV, HCAL "
            f"{event.hcal1_GeV:.2f} + {event.hcal2_GeV:.2f} + {event.hcal3_GeV:.2f} GeV"
        )
    if len(record.candidates) > MOST_CANDIDATES:
        console.print(f"  ... {len(record.candidates)} candidates, all in {record.files['results.json']}")
    if record.systematics:
        _show_varied_counts(record.systematics, console)

    if record.limit is not None:
        _show_side_by_side(record.limit, console)
        _show_evidence(record.discovery, record.interval, record.limit.quoted.cl, console)
        if record.signal is not None:
            _show_signal(record.signal, console)
        elif varied := [x for x in record.signal_uncertainties if x.origin == "varied"]:
            sizes = (f"{x.source} {100 * x.uncertainty:.2g} ± {100 * (x.error or 0.0):.1g} %" for x in varied)
            console.print(f"  varied sources of the signal uncertainty: {', '.join(sizes)}", soft_wrap=True)
        console.print()
        has_line = "g-2 central" in record.exclusion.overlays
        _show_g2(record.g2_excluded_up_to_GeV, console, frame=record.g2_end_is_frame, has_line=has_line)
    else:
        console.print("\nNo limit: no bin has both an observed count and exposure.")
    _show_files(record.files, console)


def show_selection(record: SelectionReport, console: Console) -> None:
    """Cut flows by run period, and what lies outside of them."""
    from rich.table import Table

    from ..records import cuts_in_order

    errors = {
        (row.period, row.signature, row.cut): (row, error)
        for row, error in zip(record.cutflow, record.cutflow_errors, strict=True)
    }
    for period in record.exposure:
        console.print(_titled(f"[bold]Cut flow, {period}[/]: events left" + _BLINDED * record.blind))
        table = Table("cut", box=None)
        for signature in SIGNATURES:
            table.add_column(signature, justify="right")
            table.add_column(f"{signature}, weighted", justify="right")
        for cut in cuts_in_order(row for row in record.cutflow if row.period == period):
            found = [errors.get((period, signature, cut)) for signature in SIGNATURES]
            table.add_row(
                cut,
                *(
                    text
                    for pair in found
                    for text in (
                        ("", "")
                        if pair is None
                        else (str(pair[0].events), f"{pair[0].weighted:.6g} ± {pair[1]:.4g}")
                    )
                ),
            )
        console.print(table)
    _draw_cut_flow([row for row in record.cutflow if row.period in record.exposure], console)
    outside = {row.period: row.events for row in record.cutflow if row.period not in record.exposure}
    for reason, number in outside.items():
        console.print(f"  {reason}: {number} events, in no bin")
    for declared in (cut for cut in record.cuts if cut.declared):
        text = f"  declared cut {declared.name} ({declared.signature}): {declared.expression}"
        console.print(text, soft_wrap=True, markup=False)
    if record.skim is not None and record.skim.file is not None:
        console.print(f"\nskim: {record.skim.events} events in {record.skim.file}", soft_wrap=True)
    _show_files(record.files, console)


def show_acceptance(record: AcceptanceReport, console: Console) -> None:
    """The cut flow of a simulated signal, and where its decays are."""
    from rich.table import Table

    console.print(
        f"A' of {record.mass_GeV:g} GeV, epsilon = {record.epsilon:g}, {record.mode}: "
        f"{record.produced:.4g} expected before cuts, {record.events} simulated"
    )
    for found in record.signatures:
        console.print(_titled(f"\n[bold]{found.signature}[/]"))
        table = Table("cut", box=None)
        for column in ("simulated", "effective", "expected"):
            table.add_column(column, justify="right")
        for row in found.cut_flow:
            value = f"{row.expected:.4g} ± {row.error:.2g}"
            table.add_row(row.cut, str(row.events), f"{row.effective_events:.0f}", value)
        console.print(table)
        chain = "" if found.semi_analytic is None else f"; semi-analytic {found.semi_analytic:.4g} events"
        console.print(f"acceptance {found.acceptance:.4g} ± {found.acceptance_error:.2g}{chain}")
        console.print(f"share of decays in HCAL3: {found.hcal3_share:.3f} ± {found.hcal3_share_error:.3f}")
    console.print(_titled("\n[bold]Decays[/]"))
    table = Table("volume", box=None)
    for column in ("all", *(f"{found.signature}, events" for found in record.signatures)):
        table.add_column(column, justify="right")
    for volume, share in record.decays.items():
        events = (
            f"{found.by_volume[volume]:.4g} ± {found.by_volume_error[volume]:.2g}"
            for found in record.signatures
        )
        table.add_row(volume, f"{share:.4f}", *events)
    console.print(table)
    if record.r_report is not None:
        _show_r_report(record.r_report, console)
    if (best := record.best_r_cut) is not None:
        console.print(
            _titled(
                f"\n[bold]Best cut on R[/] {best.best:g} ({best.flat[0]:g} to {best.flat[1]:g} within 1 %): "
                f"sensitivity {100.0 * best.gain:+.1f} ± {100.0 * best.gain_error:.1f} % against "
                f"R < {best.r_max:g} (paper: {best.published})"
            ),
            soft_wrap=True,
        )
    if (together := record.best_cuts) is not None:
        cuts = ", ".join(f"{name.removeprefix('selection.')} {x:g}" for name, x in together.best.cuts.items())
        console.print(
            _titled(
                f"\n[bold]Best cuts together[/] {cuts}: sensitivity {100.0 * together.gain:+.1f} ± "
                f"{100.0 * together.gain_error:.1f} % against the card's (paper: {together.published})"
            ),
            soft_wrap=True,
        )
    if record.map is not None:
        console.print(f"\n  {record.map}", soft_wrap=True)


def _show_r_report(report: RReport, console: Console) -> None:
    from rich.table import Table

    console.print(
        _titled(
            f"\n[bold]Efficiency of the R cut[/] (the paper: {report.paper_average:g} on average, "
            f"{report.paper_lowest:g} at least)"
        )
    )
    table = Table("switched", "efficiency", box=None)
    for period in report.causes[0].by_period:
        table.add_column(period, justify="right")
    for cause in report.causes:
        periods = (f"{value:.3f}" for value in cause.by_period.values())
        table.add_row(cause.description, f"{cause.efficiency:.3f} ± {cause.error:.3f}", *periods)
    console.print(table)


def _show_signal(signal: SignalOfSample, console: Console) -> None:
    sample = signal.sample
    console.print(
        _titled(
            f"\n[bold]Signal of the sample[/] at m_A' = {sample.mass_GeV:g} GeV, epsilon = {sample.epsilon:g}"
        )
    )
    chain = "" if signal.chain is None else f" (chain {sum(signal.chain.values()):.3f})"
    console.print(
        f"  expected {signal.expected:.3f} ± {signal.error:.3f}{chain}, upper limit "
        f"{signal.upper_limit:.3f}: {'excluded' if signal.excluded else 'not excluded'}"
    )

    if sample.systematics:
        _show_varied_signal(sample.systematics, console)


def _show_varied_counts(effects: Sequence[SystematicEffect], console: Console) -> None:
    from rich.table import Table

    console.print(_titled("\n[bold]Systematic variations[/]: events after all cuts, all periods"))
    signatures = list(dict.fromkeys(e.signature for e in effects))
    table = Table("source", "kind", box=None)
    for column in ("size", *(f"{s} {what}" for s in signatures for what in ("as is", "up", "down"))):
        table.add_column(column, justify="right")
    for source in dict.fromkeys(e.source for e in effects):
        here = [e for e in effects if e.source == source]
        cells = []
        for signature in signatures:
            of_signature = [e for e in here if e.signature == signature]
            cells += [f"{sum(e.nominal for e in of_signature):.4g}", f"{sum(e.up for e in of_signature):.4g}"]
            down = [e.down for e in of_signature if e.down is not None]
            cells.append(f"{sum(down):.4g}" if down else "-")
        table.add_row(source, here[0].kind, f"{here[0].size:g}", *cells)
    console.print(table)


def _show_varied_signal(effects: Sequence[SystematicEffect], console: Console) -> None:
    from rich.table import Table

    from ..selection.systematics import of_total

    console.print("  relative effect of the systematic sources, symmetrised, with its statistical error:")
    signatures = list(dict.fromkeys(e.signature for e in effects))
    table = Table("source", "kind", box=None)
    for column in ("size", *signatures, "all bins"):
        table.add_column(column, justify="right")
    for source in dict.fromkeys(e.source for e in effects):
        here = [e for e in effects if e.source == source]
        groups = [*([e for e in here if e.signature == s] for s in signatures), here]
        found = [of_total(group) for group in groups]
        cells = ["-" if f is None else f"{100 * f[0]:.2f} ± {100 * f[1]:.2f} %" for f in found]
        table.add_row(source, here[0].kind, f"{here[0].size:g}", *cells)
    console.print(table)


def _show_side_by_side(limit: Limits, console: Console) -> None:
    from rich.table import Table

    quoted = limit.quoted
    what = "Upper limit" if limit.kind == "observed" else "Expected upper limit (simulation, no signal)"
    console.print(_titled(f"\n[bold]{what}[/] on the expected signal events, {100 * quoted.cl:g} % CL, CLs"))
    table = Table("engine, nuisances", box=None)
    table.add_column("limit", justify="right")
    for name, one in limit.named.items():
        error = f" ± {one.upper_limit_error:.3f}" if one.toys else ""
        table.add_row(name, f"{one.upper_limit:.3f}{error}")
    console.print(table)
    console.print(f"Quoted: {quoted.why}.")
    console.print(
        "With more ignorance the frequentist limit can get tighter: its toys also vary the auxiliary\n"
        "measurement, and with signal fewer toys without events are as extreme as the data."
    )


def show_inspection(record: Inspection, console: Console) -> None:
    """What the files hold, by run period and branch."""
    values = record.model_dump()
    for name in ("proposed_layout", "notes", "made_by_na64root", "trees", "objects", "folders"):
        del values[name]
    _show_values(values, console)
    for tree in record.trees:
        _show_tree(tree, console)
    held = {**record.objects, **({"folders": record.folders} if record.folders else {})}
    for kind, names in held.items():
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        console.print(f"{kind}: {', '.join(names[:MOST_NAMES])}{more}", soft_wrap=True)
    for note in record.notes:
        console.print(note, soft_wrap=True, markup=False)
    if record.proposed_layout is not None:
        console.print()
        console.print(record.proposed_layout.toml, soft_wrap=True, markup=False, end="")


def _show_tree(tree: TreeContent, console: Console) -> None:
    """The columns of a tree, a line each."""
    from rich.table import Table

    if tree.not_read is not None:
        console.print(_titled(f"\n[bold]{tree.name}[/]: {tree.not_read}"), soft_wrap=True)
        return
    console.print(_titled(f"\n[bold]{tree.name}[/]: {tree.kind}, {tree.entries} events"), soft_wrap=True)
    table = Table("branch", "type", box=None)
    for column in ("least", "most"):
        table.add_column(column, justify="right")
    for column in ("odd values", "example", "events"):
        table.add_column(column)
    not_read: dict[str, list[str]] = {}
    for found in tree.columns:
        if found.not_read is not None:
            not_read.setdefault(found.not_read, []).append(f"{found.name} ({_type_of(found)})")
            continue
        odd = {"NaN": found.nan, "infinite": found.infinite, **found.like_no_value}
        table.add_row(
            found.name,
            _type_of(found),
            *(_number(end) for end in (found.minimum, found.maximum)),
            ", ".join(f"{value} {100 * share:.3g} %" for value, share in odd.items() if share),
            _example_of(found),
            "" if found.events == tree.entries else f"first {found.events}",
        )
    if table.row_count:
        console.print(table)
    for why, names in not_read.items():
        console.print(f"not read, {why}: {', '.join(names)}", soft_wrap=True)


def _type_of(column: ColumnContent) -> str:
    """As `Double_t[2][6][6]`; the type of a collection says that already."""
    sizes = "".join(f"[{n or 'n'}]" for n in column.shape)
    return column.type if "<" in column.type else column.type + sizes


def _number(value: float | None) -> str:
    return "" if value is None else str(value) if isinstance(value, int) else f"{value:.6g}"


def _example_of(column: ColumnContent) -> str:
    if isinstance(column.example, list):
        some = ["none" if x is None else _number(x) for x in column.example]
        return ", ".join(some) + ", ..." * (len(some) == 3)
    return repr(column.example) if isinstance(column.example, str) else _number(column.example)


def show_quality(record: Quality, console: Console) -> None:
    """Runs, and the spills that stand out."""
    from rich.table import Table

    table = Table("run", "period", box=None)
    for column in ("spills", "flagged", "events", "triggers", "per spill", "ECAL [GeV]", "HCAL [GeV]"):
        table.add_column(column, justify="right")
    table.add_column(
        f"ECAL < {record.ecal_below_GeV:g}, HCAL < {record.hcal_below_GeV:g} GeV", justify="right"
    )
    for run in record.runs:
        means = (run.ecal_mean_GeV, run.hcal_mean_GeV, run.missing_energy_fraction)
        table.add_row(
            str(run.run),
            run.period,
            str(run.spills),
            str(run.flagged_spills or "-"),
            str(run.events),
            str(run.triggers),
            f"{run.triggers_per_spill:.1f}",
            *("-" if value is None else f"{value:.4g}" for value in means),
        )
    console.print(table)
    console.print(
        f"\n{record.entries} events, {record.duplicates} duplicates, {record.out_of_order} out of order, "
        f"{len(record.outlier_spills)} of {len(record.spills)} spills flagged"
    )
    for outlier in record.outliers:
        console.print(f"  run {outlier.run} spill {outlier.spill}: {outlier.reason}")
    for number in record.duplicate_examples[:MOST_EXAMPLES]:
        console.print(f"  duplicate: run {number.run} spill {number.spill} event {number.spillevent}")
    for note in record.notes:
        console.print(f"  note: {note}", soft_wrap=True)
    _show_files(record.files, console)


def show_backgrounds(record: Backgrounds, console: Console) -> None:
    """The background estimates, with what they are made of."""
    from rich.table import Table

    table = Table("signature", "method", box=None)
    for column in ("background", "parts of the uncertainty", "counted"):
        table.add_column(column)
    for signature, (value, error) in record.published.items():
        table.add_row(signature, "published", f"{value:.3g} ± {error:.2g}", "", "")
    for found in record.estimates:
        table.add_row(
            found.signature,
            found.method,
            f"{found.value:.3g} ± {found.uncertainty:.2g}",
            ", ".join(f"{name} {value:.2g}" for name, value in found.components.items()),
            ", ".join(f"{name}: {value:.6g}" for name, value in found.events.items()),
        )
    console.print(table)
    for found in record.estimates:
        for note in found.notes:
            console.print(f"  {found.signature} {found.method}: {note}")
    for method, why in record.not_estimated.items():
        console.print(f"  {method}: none ({why})")
    chosen = ", ".join(f"{signature} {method}" for signature, method in record.chosen.items())
    console.print(f"  the card takes: {chosen}")
    dimuon = record.dimuon
    console.print(
        f"\ndimuons: {dimuon.data.events:.6g}, {dimuon.data.per_electron:.4g} ± {dimuon.data.error:.2g} "
        "per electron"
    )
    if dimuon.correction is not None and dimuon.uncertainty is not None:
        console.print(
            f"data over simulation {dimuon.correction:.4g} ± {dimuon.statistical:.2g} (statistical), "
            f"± {dimuon.uncertainty:.2g} with the stated uncertainty"
        )
    for note in record.notes:
        console.print(f"  note: {note}", soft_wrap=True)
    _show_files(record.files, console)


def show_scorecard(record: Scorecard, console: Console) -> None:
    """Published numbers beside those computed here."""
    from rich.table import Table

    table = Table("what", "published", "here", "ratio", "median, max dex", "tolerance", "", box=None)
    for score in record.scores:
        missing = "curve" if score.points else "-"
        numbers = (missing if v is None else f"{v:.3g}" for v in (score.published, score.computed))
        ratio = "-" if score.ratio is None else f"{score.ratio:.3f}"
        dex = "" if score.median_dex is None else f"{score.median_dex:.3f}, {score.max_dex:.3f}"
        within = "within" if score.within else f"misses: {score.reason}"
        table.add_row(score.name, *numbers, ratio, dex, score.tolerance, within)
    console.print(table)
    for sentence in record.inclusive:
        console.print(sentence, soft_wrap=True)


def _show_presets(record: Ledger | PresetComparison, console: Console) -> None:
    from rich.table import Table

    from ..exclusion.ledger import excluded

    table = Table("", *(preset.card for preset in record.presets), box=None)
    for name in record.presets[0].choices:
        table.add_row(name, *(preset.choices[name] for preset in record.presets))
    ends = [preset.end_point_GeV for preset in record.presets]
    table.add_row("end point [GeV]", *("-" if end is None else f"{end:.3f}" for end in ends))
    for i, mass in enumerate(record.presets[0].mass_GeV):
        table.add_row(
            f"epsilon excluded at {1e3 * mass:g} MeV", *(excluded(preset, i) for preset in record.presets)
        )
    console.print(table)
    _show_files(record.files, console)


def show_ledger(record: Ledger | PresetComparison, console: Console) -> None:
    """What each assumption moves, or the presets beside each other."""
    from rich.table import Table

    from ..exclusion.ledger import Ledger, band_text, by_size, shown

    if isinstance(record, Ledger):
        _show_g2(record.answers.end_point_GeV, console)
        table = Table(box=None)
        for column in ("number or choice", "from", "to"):
            table.add_column(column, no_wrap=True)
        for column in (
            "end point [GeV]",
            "shift",
            "edge at 10 MeV",
            "at 100 MeV",
            "inclusive [GeV]",
            "edge at 500 MeV",
        ):
            table.add_column(column, justify="right")
        table.add_column("why so much", overflow="fold")
        for row in by_size(record.rows):
            values = [v if isinstance(v, str) else f"{v:.4g}" for v in (row.card_value, row.varied_to)]
            table.add_row(row.name, *values, *shown(row), row.refused or row.reason)
        console.print(table)
        console.print(f"{len(record.does_not_enter)} assumed numbers do not enter.")
        for name, band in (("", record.band), (", S2 read inclusively", record.inclusive_band)):
            console.print(f"End points of all rows{name}: {band_text(band)}.", soft_wrap=True)
        console.print(_titled("\n[bold]Choices beside each other[/]"))
    _show_presets(record, console)


def show_plan(record: Plan, console: Console) -> None:
    """Electrons on target needed, mass by mass."""
    from rich.table import Table

    console.print(
        f"Electrons on target to exclude {record.target} at {100 * record.confidence_level:g} % CL: no event "
        f"seen / expected median; - beyond {record.largest_eot:.3g}; backgrounds {record.background}"
    )
    for name, curves in (("HCAL1", record.by_hcal1_length), ("beam", record.by_beam_energy)):
        table = Table("m_A' [GeV]", box=None)
        for curve in curves:
            unit = f"{curve.hcal1_length_cm:g} cm" if name == "HCAL1" else f"{curve.beam_energy_GeV:g} GeV"
            table.add_column(f"{name} {unit}", justify="right")
        for i, mass in enumerate(record.mass_GeV):
            pairs = [(curve.eot_zero_events[i], curve.eot_median[i]) for curve in curves]
            cells = [" / ".join("-" if x is None else f"{x:.2g}" for x in pair) for pair in pairs]
            table.add_row(f"{mass:.4g}", *cells)
        console.print(table)
    table = Table("beam [GeV]", "g-2 line excluded up to [GeV]", "edge at 10 MeV", "at 100 MeV", box=None)
    for row in record.sensitivity:
        found = row.answers
        values = (found.end_point_GeV, found.lower_edge_10MeV, found.lower_edge_100MeV)
        table.add_row(f"{row.beam_energy_GeV:g}", *("-" if x is None else f"{x:.3g}" for x in values))
    console.print("With the exposure and the counts of the card:")
    console.print(table)
    _show_files(record.files, console)


def show_exported(record: Exported, console: Console) -> None:
    """The bins of the model and the files it was written to."""
    from rich.table import Table

    _show_blinded_and_notes(record.blind, record.notes, console)
    table = Table("bin", box=None)
    for column in ("stands in" if record.blind else "observed", "background", "share of the signal"):
        table.add_column(column, justify="right")
    for bin_ in record.counts:
        background = f"{bin_.background:.3f} ± {bin_.background_uncertainty:.3f}"
        table.add_row(bin_.name, str(bin_.observed), background, f"{bin_.signal_fraction:.3f}")
    console.print(table)
    console.print(f"signal uncertainty: {100 * record.signal_uncertainty:.3g} % ({record.constraint})")
    if record.named_sources:
        names = ", ".join(source.name for source in record.named_sources)
        console.print(f"named sources: {names}", soft_wrap=True)
    _show_files(record.files, console)


def show_report(record: Report, console: Console) -> None:
    """What the page says first, and where it is."""
    console.print(_titled(f"[bold]{record.title}[/]"), soft_wrap=True)
    for one in record.results:
        if len(record.results) > 1:
            console.print(f"{one.kind}, {one.path}:", soft_wrap=True)
        for sentence in one.headline:
            console.print(f"  {sentence}", soft_wrap=True)
    _show_files(record.files, console)


def show_card(record: CardListing | CardDifference, console: Console) -> None:
    """The values of a card with where they are from, or what differs between two."""
    from rich.table import Table

    from ..reports.cards import CardListing

    if isinstance(record, CardListing):
        counted = ", ".join(f"{number} {name}" for name, number in record.provenances.items())
        console.print(_titled(f"[bold]{record.card}[/]: {record.description}"), soft_wrap=True)
        console.print(f"numbers: {counted}; SHA-256 {record.sha256}", soft_wrap=True)
        table = Table("name", "value", "provenance", "source", box=None)
        for one in record.values:
            table.add_row(one.name, _setting(one.value), one.provenance or "", one.source or "")
        console.print(table)
        return
    table = Table("name", record.first, record.second, "why", box=None)
    for change in record.changes:
        sides = [change.first, change.second]
        shown = ("-" if side is None else _setting(side.value) for side in sides)
        last = next(side for side in reversed(sides) if side is not None)
        why = f"{last.provenance}: {last.source}" if last.provenance else ""
        table.add_row(change.name, *shown, why)
    console.print(table)
    console.print(f"{len(record.changes)} values differ, {len(record.source_only)} only in why they are so")


def _setting(value: float | str | bool) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
