""":func:`analyze` is the analysis on one screen; below it are its steps and the writing of its files."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .. import exclusion, figures, limits, records, selection
from ..cling import new_file
from ..config import Card
from ..errors import ConfigError
from ..exclusion.planes import plane_of
from ..inputs import one_run
from ..limits.model_record import record_of
from ..limits.side_by_side import Kind, Limits, limits_side_by_side, require_agreement
from ..ntuple import note_files
from ..records import Discovery, Interval, PlaneResult, ResultsFolder
from ..reports import plane_files, selection_report
from ..signal import Mode
from ..simulation import simulate
from ..simulation.options import PseudodataOptions
from ..simulation.signal_files import SimulatedSignal, read_signal
from ..simulation.writer import EventFile
from ..work import Work
from .counts import Data, data_of
from .models import model_on_g2_line, signal_of_sample
from .options import AnalysisOptions, DataOptions
from .records import Analysis, ExcludedRange, SignalOfSample, SignalUncertaintyOfSample

log = logging.getLogger(__name__)

# Everything an analysis may write: checked before it starts; what a new one does not make again is removed.
FIGURES = ("cut_flow", "ecal_hcal", "r", "limits", "exclusion")


FILES = ("results.json", "results.root", *(f"{name}.{kind}" for name in FIGURES for kind in ("pdf", "png")))


@one_run()
def analyze(
    files: Sequence[str],
    card: Card,
    results: ResultsFolder,
    options: AnalysisOptions = AnalysisOptions(),
    *,
    work: Work = Work(),
) -> Analysis:
    """Analyse ntuples; write results.json, results.root and the figures into `results`.

    Args:
        work: what selects the events, makes the toys and computes the plane.

    Raises:
        ConfigError: what is wanted does not go with the card.
        Na64Error: results exist that are not to be replaced; what the modules of the chain raise.
        EnginesDisagreeError: RooStats and the exact engine differ by more than three toy errors.
    """
    options.require_possible(card)
    for given in (files, options.signal.files if options.signal else ()):
        if given:
            note_files(given)
    results.require(FILES)
    if options.pseudodata:
        files = [_pseudodata(card, results, options.data, work)]
    log.info("selecting events")
    data = data_of(files, card, options.data, work)
    sample = _signal_sample(card, options, data, work.here)
    if options.mode == "invisible":
        data = replace(data, counts=[count for count in data.counts if count.signature == "S2"])
    if data.counts:
        with work.connected() as connected:
            found = _exclude(card, data, sample, connected, options.mode)
    else:
        log.warning("no bin has both a count and exposure: no limit, no exclusion plane")
        found = Found()
    analysis = _report(card, options, data, found, work.seed)
    if options.pseudodata:
        analysis = analysis.model_copy(update={"files": {"pseudodata": files[0]}})
    analysis = _write(analysis, data, found, card, results)
    if found.limit:
        require_agreement(found.limit)
    return analysis


@dataclass(frozen=True)
class Found:
    """What is known of the signal: plane, counting model at its end, limits, and of a sample given."""

    plane: PlaneResult | None = None
    model: limits.CountingModel | None = None
    limit: Limits | None = None
    discovery: Discovery | None = None
    interval: Interval | None = None
    of_sample: SignalOfSample | None = None
    uncertainties: Sequence[SignalUncertaintyOfSample] = ()


def _pseudodata(card: Card, results: ResultsFolder, options: DataOptions, work: Work) -> str:
    log.info("writing pseudo-data")
    file = EventFile(results.path / "pseudodata.root", force=results.force)
    return simulate.pseudodata(card, file, PseudodataOptions(eot=options.eot), work=work).file


def _signal_sample(card: Card, options: AnalysisOptions, data: Data, work: Work) -> SimulatedSignal | None:
    """What the simulated sample expects in the exposure of the data; None where the signal is the chain's."""
    if options.signal is None:
        return None
    log.info("selecting signal events")
    sample = read_signal(
        options.signal.files,
        card,
        data.exposure,
        mass_GeV=options.signal.mass_GeV,
        epsilon=options.signal.epsilon,
        vary=options.data.systematics or card.systematics.in_limit == "varied",
        work=work,
    )
    if options.mode == "invisible" and sample.mode != "invisible":
        raise ConfigError(
            f"a signal sample of mode {sample.mode} in an analysis of mode {options.mode} (its events are of "
            f"another signal): give --mode {sample.mode}, or a sample of mode {options.mode}"
        )
    return sample


def _exclude(
    card: Card, data: Data, sample: SimulatedSignal | None, work: Work, mode: Mode = "semivisible"
) -> Found:
    """The plane, and the limits for the signal at its end or for that of the sample."""
    log.info("computing the exclusion plane")
    exclusion.warn_of_published_sources(card)
    point = exclusion.Exclusion(card, data.counts, data.exposure, mode=mode, expected=True, work=work)
    plane = plane_of(point, "mass-epsilon", others=True, work=work, selected=data.selected)
    of_sample = None
    if sample is None:
        model, uncertainties = model_on_g2_line(point, plane.g2_excluded_up_to_GeV)
    else:
        model = exclusion.counting_model_of_sample(card, data.counts, data.exposure, sample)
        of_sample = signal_of_sample(card, data.counts, data.exposure, model, sample)
        uncertainties = of_sample.uncertainties
    log.info("setting limits, RooStats and exact")
    nothing_observed = data.selected is not None and (data.selected.weighted or data.selected.blind)
    kind: Kind = "expected" if nothing_observed else "observed"
    limit = limits_side_by_side(model, card, kind=kind, work=work)
    discovery = interval = None
    if kind == "observed":
        cl, treatment = card.limit.confidence_level.value, card.limit.treatment
        discovery, interval = limits.evidence(model, cl=cl, treatment=treatment)
    return Found(plane, model, limit, discovery, interval, of_sample, uncertainties)


def _report(card: Card, options: AnalysisOptions, data: Data, found: Found, seed: int) -> Analysis:
    """The record of all of it."""
    selected = data.selected
    assert selected is not None, "an analysis has files"
    return Analysis(
        cutflow=selected.cutflow,
        counts=selected.counts,
        expected=selected.expected,
        exposure=selected.exposure,
        limit=found.limit,
        exclusion=_excluded(found.plane),
        g2_excluded_up_to_GeV=found.plane.g2_excluded_up_to_GeV if found.plane else None,
        g2_end_is_frame=found.plane is not None and found.plane.g2_end_is_frame,
        candidates=selected.candidates,
        files={},
        provenance=records.provenance(
            card,
            seed=seed,
            limit_method="RooStats and exact",
            input_files=selected.files,
            input_details=selected.input,
        ),
        discovery=found.discovery,
        interval=found.interval,
        acceptance=card.signal.acceptance,
        signal=found.of_sample,
        data_quality=data.quality,
        notes=selected.notes,
        background_estimates=data.estimates,
        signal_uncertainties=list(found.uncertainties),
        counting_model=record_of(found.model) if found.model else None,
        files_skipped=selected.input.files_skipped,
        systematics=selected.systematics,
        blind=options.data.blind,
    )


def _write(analysis: Analysis, data: Data, found: Found, card: Card, results: ResultsFolder) -> Analysis:
    """Write figures, ROOT objects and JSON, all or none; the record with its files."""
    selected = data.selected
    assert selected is not None, "an analysis has files"
    log.info("drawing figures")
    with results.replacing(FILES) as folder:
        _draw(analysis, selected, card, folder)
        if found.plane:
            plane_files.draw(found.plane, card, folder, "exclusion")
        cl = card.limit.confidence_level.value
        _write_root(folder / "results.root", selected, found.plane, found.model, cl)
        if remembered := results.remember("analyze", blind=analysis.blind, provenance=analysis.provenance):
            more = analysis.files | {remembered.name: str(remembered)}
            analysis = analysis.model_copy(update={"files": more})
        return _write_json(analysis, folder, results.path)


def _excluded(plane: records.PlaneResult | None) -> ExcludedRange:
    if plane is None:
        return ExcludedRange(mass_GeV=[], epsilon_low=[], epsilon_high=[])
    return ExcludedRange(
        mass_GeV=plane.x,
        epsilon_low=plane.epsilon_low,
        epsilon_high=plane.epsilon_high,
        mode=plane.mode,
        contours=plane.contours,
        expected_contours=plane.expected_contours,
        overlays=plane.overlays,
        inclusive=plane.inclusive,
    )


def _draw(analysis: Analysis, selected: selection.SelectionResult, card: Card, folder: Path) -> None:
    """Every figure but the plane; a histogram that the input does not allow has no figure."""
    selection_report.draw_cut_flow(selected, folder, "cut_flow")
    preselection = selected.histograms.get("ecal_hcal_preselection")
    selection_report.draw_plane(selected, preselection, card, folder, "ecal_hcal")
    selection_report.draw_r(selected, card, folder, "r")
    if analysis.limit:
        compared = figures.limit_comparison(analysis.limit.points, analysis.limit.quoted.cl)
        figures.save(compared, folder, "limits")


def _write_root(
    path: Path,
    selected: selection.SelectionResult,
    plane: records.PlaneResult | None,
    model: limits.CountingModel | None,
    cl: float,
) -> None:
    """Cut flow and histograms, the RooFit workspace, the plane as TH2D and its curves as TGraphs."""
    with new_file(path) as file:
        selection.write_into(selected, file)
        if model:
            file.WriteObject(limits.workspace(model), "workspace")
        if plane:
            plane_files.write_objects(file, plane, cl)


def _write_json(analysis: Analysis, folder: Path, output_dir: Path) -> Analysis:
    """Write results.json, which lists itself and every other file at the place where it will be."""
    names = ["results.json", *sorted(path.name for path in folder.iterdir())]
    files = {name: str(output_dir / name) for name in names} | analysis.files
    analysis = analysis.model_copy(update={"files": files})
    (folder / "results.json").write_text(records.to_json(analysis) + "\n", "utf-8")
    return analysis
