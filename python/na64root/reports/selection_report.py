"""The report of a selection: cut flow, N-1, planes and skim as JSON, ROOT, LaTeX and figures."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .. import figures, records, selection
from ..config import SIGNATURES, Card
from ..event_loop.histograms import Histogram
from ..inputs import one_run
from ..ntuple import note_files
from ..records import Count, CutFlowRow, Provenance, Record, ResultsFolder, together
from ..selection import SelectionOptions
from ..selection.blinding import HIDDEN
from ..selection.cut_table import CutDescription
from ..selection.n_minus_one import NMinusOne
from ..selection.skim import Skimmed
from ..work import Work

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

# Names that an analysis does not use, so that both may lie in one folder.
FIGURES = (
    "cutflow",
    "ecal_hcal_before",
    "ecal_hcal_preselection",
    "ecal_hcal_after",
    "hcal_r",
    "srd",
    "momentum",
    "n_minus_one_S1",
    "n_minus_one_S2",
)


FILES = (
    "select.json",
    "select.root",
    "cutflow.tex",
    *(f"{name}.{kind}" for name in FIGURES for kind in ("pdf", "png")),
)


class SelectionReport(Record):
    """The result of `na64root select`.

    The first five are as in the result of an analysis; `cutflow_errors` are statistical, of the weighted
    events of each row. Blinded, `observed` is null and the flow of each signature ends before its box.
    """

    cutflow: list[CutFlowRow]
    counts: list[Count]
    exposure: dict[str, float]
    candidates: list[selection.Candidate]
    expected: list[selection.ExpectedCount]
    cutflow_errors: list[float]
    cuts: tuple[CutDescription, ...]
    n_minus_one: tuple[NMinusOne, ...]
    skim: Skimmed | None
    blind: bool
    event_loops: int
    notes: list[str]
    files: dict[str, str]
    provenance: Provenance


@one_run()
@together()
def report(
    files: Sequence[str],
    card: Card,
    results: ResultsFolder,
    options: SelectionOptions = SelectionOptions(n_minus_one=True),
    *,
    work: Work = Work(),
) -> SelectionReport:
    """Select events in one loop; write select.json, select.root, cutflow.tex and figures, and a skim.

    Raises:
        Na64Error: results exist that are not to be replaced; what :func:`selection.select` raises.
    """
    note_files(files)
    results.require(FILES)
    if options.skim is not None:
        results.require_other(options.skim.path, FILES)
    selected = selection.select(files, card, options, work=work)
    for note in selected.notes:
        log.info("%s", note)
    provenance = records.provenance(card, input_files=selected.files, input_details=selected.input)
    log.info("drawing figures")
    with results.replacing(FILES) as folder:
        draw(selected, card, folder)
        selection.write_root(selected, folder / "select.root")
        (folder / "cutflow.tex").write_text(latex(selected), "utf-8")
        names = ["select.json", *sorted(path.name for path in folder.iterdir())]
        made = {name: str(results.path / name) for name in names}
        if remembered := results.remember("select", blind=options.blind, provenance=provenance):
            made[remembered.name] = str(remembered)
        result = SelectionReport(
            cutflow=selected.cutflow,
            counts=selected.counts,
            exposure=selected.exposure,
            candidates=selected.candidates,
            expected=selected.expected,
            cutflow_errors=selected.cutflow_errors,
            cuts=selected.cuts,
            n_minus_one=selected.n_minus_one,
            skim=selected.skim,
            blind=selected.blind,
            event_loops=selected.event_loops,
            notes=selected.notes,
            files=made,
            provenance=provenance,
        )
        (folder / "select.json").write_text(records.to_json(result) + "\n", "utf-8")
    return result


def draw(selected: selection.SelectionResult, card: Card, folder: Path) -> None:
    """Every figure; a histogram that the input does not allow, or that is hidden, has none."""
    draw_cut_flow(selected, folder, "cutflow")
    planes = {
        "ecal_hcal_before": "ecal_hcal_trigger",
        "ecal_hcal_preselection": "ecal_hcal_preselection",
    }
    for figure, name in planes.items():
        draw_plane(selected, selected.histograms.get(name), card, folder, figure)
    draw_plane(selected, _sum_of_signatures(selected), card, folder, "ecal_hcal_after")
    draw_r(selected, card, folder, "hcal_r")
    _draw_before_cut(selected, folder)
    for signature in SIGNATURES:
        of_signature = [found for found in selected.n_minus_one if found.signature == signature]
        if of_signature:
            panels_of = n_minus_one_figure(of_signature, blind=selected.blind)
            figures.save(panels_of, folder, f"n_minus_one_{signature}")


def n_minus_one_figure(of_signature: Sequence[NMinusOne], *, blind: bool) -> Figure:
    """What each cut of one signature looks at, after all its other cuts; a panel each."""
    panels = [_panel(found.histogram, found.cut, list(found.accepted.values())) for found in of_signature]
    title = f"{of_signature[0].signature}: each cut's quantity after all other cuts{_hidden(blind)}"
    return figures.distributions(panels, title)


def draw_cut_flow(selected: selection.SelectionResult, folder: Path, name: str) -> None:
    """The cut flow of each period of the card."""
    rows = [row for row in selected.cutflow if row.period in selected.exposure]
    figures.save(figures.cut_flow(rows), folder, name)


def draw_plane(
    selected: selection.SelectionResult, plane: Histogram | None, card: Card, folder: Path, name: str
) -> None:
    """A plane of ECAL against HCAL energy with the boxes of the signatures."""
    if plane is None:
        return
    ecal, hcal = (np.array(axis.edges) for axis in plane.axes)
    cut = card.selection
    boxes = {
        "S1": (ecal[0], cut.ecal.s1_max_GeV.value, cut.hcal.s1_signal_min_GeV.value, hcal[-1]),
        "S2": (ecal[0], cut.ecal.s2_max_GeV.value, hcal[0], cut.hcal.s2_total_max_GeV.value),
    }
    title = f"{plane.title.partition(';')[0]}; {HIDDEN}" if selected.blind else plane.title
    figures.save(figures.energy_plane(ecal, hcal, np.array(plane.contents), boxes, title), folder, name)


def draw_r(selected: selection.SelectionResult, card: Card, folder: Path, name: str) -> None:
    """R before its cut."""
    if r := selected.histograms.get("r"):
        edges, contents = np.array(r.axes[0].edges), np.array(r.contents)
        figure = figures.r_distribution(edges, contents, card.selection.r.r_max.value, r.title)
        figures.save(figure, folder, name)


def _sum_of_signatures(selected: selection.SelectionResult) -> Histogram | None:
    """The selected events of both signatures, which share none."""
    planes = [selected.histograms.get(f"ecal_hcal_{signature}") for signature in SIGNATURES]
    found = [plane for plane in planes if plane is not None]
    if not found:
        return None
    total = np.sum([plane.contents for plane in found], axis=0).tolist()
    return found[0].model_copy(update={"title": "Selected, S1 and S2", "contents": total})


def _draw_before_cut(selected: selection.SelectionResult, folder: Path) -> None:
    """SRD and momentum just before their cuts."""
    accepted = {
        (cut.name, variable.name): list(variable.accepted.values())
        for cut in selected.cuts
        for variable in cut.variables
    }
    for figure, names in {"srd": ("srd0", "srd1", "srd2"), "momentum": ("momentum",)}.items():
        panels = [
            _panel(selected.histograms[name], selected.histograms[name].title, accepted[figure, name])
            for name in names
            if name in selected.histograms
        ]
        if panels:
            title = f"Before the cut {figure}{_hidden(selected.blind)}"
            figures.save(figures.distributions(panels, title), folder, figure)


def _panel(
    histogram: Histogram, heading: str, accepted: Sequence[tuple[float | None, float | None]]
) -> figures.Panel:
    variances = None if histogram.variances is None else np.array(histogram.variances)
    axis = histogram.axes[0]
    return figures.Panel(
        heading,
        axis.title,
        np.array(axis.edges),
        np.array(histogram.contents),
        variances,
        histogram.outside,
        accepted,
    )


def _hidden(blind: bool) -> str:
    return f", {HIDDEN}" if blind else ""


def latex(selected: selection.SelectionResult) -> str:
    """The cut flow as a LaTeX table, by run period and signature; lines of booktabs where it is loaded.

    Weighted simulation has the sum of weights with its error, and the number of events in brackets.
    """
    table = cells(selected)
    bins = [(period, signature) for period in selected.exposure for signature in SIGNATURES]
    lines = [
        "% \\usepackage{booktabs} is used where it is loaded.",
        *(rf"\providecommand{{\{rule}}}{{\hline}}" for rule in ("toprule", "midrule", "bottomrule")),
        rf"\begin{{tabular}}{{l{'r' * len(bins)}}}",
        r"\toprule",
        " & ".join(
            ["", *(rf"\multicolumn{{{len(SIGNATURES)}}}{{c}}{{{_escaped(p)}}}" for p in selected.exposure)]
        )
        + r" \\",
        " & ".join(["Cut", *(signature for _, signature in bins)]) + r" \\",
        r"\midrule",
    ]
    for cut, row in table.items():
        entries = [row.get(bin_, "--") for bin_ in bins]
        lines.append(" & ".join([_escaped(cut), *entries]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def cells(selected: selection.SelectionResult | SelectionReport) -> dict[str, dict[tuple[str, str], str]]:
    """The cut flow by cut, then by period and signature, as LaTeX."""
    weighted = any(row.events != row.weighted for row in selected.cutflow)
    order = ["initial", *dict.fromkeys(cut.name for cut in selected.cuts)]
    table: dict[str, dict[tuple[str, str], str]] = {cut: {} for cut in order}
    if selected.blind:
        for cut in selected.cuts:
            if cut.expression is not None:
                table[cut.name] |= {(period, cut.signature): "blinded" for period in selected.exposure}
    for row, error in zip(selected.cutflow, selected.cutflow_errors, strict=True):
        if row.period in selected.exposure:
            text = f"{row.events}"
            if weighted:
                text = rf"${row.weighted:.4g} \pm {error:.2g}$ ({row.events})"
            table[row.cut][row.period, row.signature] = text
    return {cut: row for cut, row in table.items() if row}


def _escaped(text: str) -> str:
    return "".join(f"\\{letter}" if letter in "_%&#$" else letter for letter in text)
