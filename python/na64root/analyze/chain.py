""":func:`analyze` is the analysis on one screen; below it are its steps and the writing of its files."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from .. import exclusion, figures, limits, records, selection
from ..annotations import Progress
from ..cling import root
from ..config import Card
from ..errors import ConfigError
from ..exclusion.planes import plane_of
from ..limits.side_by_side import Kind, limits_side_by_side, require_agreement
from ..records import refuse_to_replace, renamed_into, require_writable
from ..reports import blinding, plane_files, selection_report
from ..selection import engines
from ..simulation import signal_files, simulate
from .counts import (
    counts_of_likelihood,
    opened,
    refuse_to_show,
    select_with_quality,
    with_background_estimates,
)
from .models import model_of_plane, signal_of_sample
from .records import Analysis, Exclusion, SignalFiles, SignalUncertaintyOfSample

log = logging.getLogger(__name__)

# Everything an analysis may write: checked before it starts; what a new one does not make again is removed.
FIGURES = ("cut_flow", "ecal_hcal", "r", "limits", "exclusion")


FILES = ("results.json", "results.root", *(f"{name}.{kind}" for name in FIGURES for kind in ("pdf", "png")))


def analyze(
    files: Sequence[str],
    card: Card,
    *,
    eot: Mapping[str, float] | None = None,
    output_dir: Path,
    pseudodata: bool = False,
    signal: SignalFiles | None = None,
    exclude_outlier_spills: bool = False,
    systematics: bool = False,
    blind: bool = False,
    seed: int = 1,
    threads: int = 1,
    engine: engines.Engine = engines.THREADS,
    force: bool = False,
    progress: Progress | None = None,
) -> Analysis:
    """Analyse ntuples; write results.json, results.root and the figures into `output_dir`.

    Args:
        pseudodata: first write pseudodata.root into `output_dir` and analyse it in place of `files`.
        signal: a simulated sample; it takes the place of the chain's signal in `limit`.
        exclude_outlier_spills: leave out the spills that :func:`na64root.selection.quality.assess` flags.
        systematics: vary the card's systematic sources in the input and in the signal sample. The sample is
            also varied where the card has `systematics.in_limit = "varied"`.
        blind: hide the events in the signal boxes; the limits are expected ones.
        engine: what selects the events, makes the toys and computes the plane.

    Raises:
        ConfigError: `systematics.in_limit = "varied"` with the signal of the chain.
        Na64Error: results exist and `force` is not set; what the modules of the chain raise.
        EnginesDisagreeError: RooStats and the exact engine differ by more than three toy errors.
    """
    in_limit = card.systematics.in_limit == "varied"
    if in_limit and signal is None and card.signal.acceptance == "chain":
        raise ConfigError(
            "systematics.in_limit = varied with the signal of the chain (which has no events to vary): give "
            "--signal, set signal.acceptance to simulation, or systematics.in_limit to published"
        )
    if pseudodata and card.input.good_runs:
        raise ConfigError(
            "a list of good runs with --pseudodata (its run numbers only stand for their period): leave out "
            "--good-runs"
        )
    refuse_to_show(card, blind, exclude_outlier_spills)
    refuse_to_replace(output_dir, FILES, force)
    require_writable(output_dir)
    threads = engine.threads_here(threads)
    if pseudodata:
        log.info("writing pseudo-data")
        path = output_dir / "pseudodata.root"
        files = [simulate.pseudodata(card, path, seed=seed, eot=eot, threads=threads, force=force).file]

    log.info("selecting events")
    card.exposure(eot)  # before anything is read
    ntuple = opened(files, card, exclude_outlier_spills)
    selected, data_quality = select_with_quality(
        ntuple,
        card,
        eot,
        exclude_outlier_spills,
        systematics=systematics,
        blind=blind,
        seed=seed,
        threads=threads,
        engine=engine,
    )
    spills = [(outlier.run, outlier.spill) for outlier in data_quality.outliers]
    for note in selected.notes:
        log.info("%s", note)
    selected, estimates = with_background_estimates(ntuple, card, selected, spills, blind, threads)
    counts = counts_of_likelihood(selected)
    limit = plane = model = found = interval = sample = of_sample = None
    uncertainties: list[SignalUncertaintyOfSample] = []
    if signal is not None:
        log.info("selecting signal events")
        sample = signal_files.read_signal(
            signal.files,
            card,
            selected.exposure,
            mass_GeV=signal.mass_GeV,
            epsilon=signal.epsilon,
            vary=systematics or in_limit,
            seed=seed,
            threads=threads,
        )
    if counts:
        log.info("computing the exclusion plane")
        exclusion.warn_of_published_sources(card)
        with engine.executor(threads) as executor:
            point = exclusion.Exclusion(card, counts, selected.exposure, seed=seed, threads=threads)
            plane = plane_of(
                point,
                "mass-epsilon",
                threads=threads,
                executor=executor,
                progress=progress,
                selected=selected,
            )
            if sample is None:
                model, uncertainties = model_of_plane(point, plane)
            else:
                model = exclusion.counting_model_of_sample(card, counts, selected.exposure, sample)
                of_sample = signal_of_sample(card, counts, selected.exposure, model, sample)
                uncertainties = of_sample.uncertainties
            log.info("setting limits, RooStats and exact")
            kind: Kind = "expected" if selected.weighted or blind else "observed"
            limit = limits_side_by_side(
                model, card, kind=kind, seed=seed, processes=threads, executor=executor
            )
        if kind == "observed":
            found, interval = limits.evidence(
                model, cl=card.limit.confidence_level.value, treatment=card.limit.treatment
            )
    else:
        log.warning("no bin has both a count and exposure: no limit, no exclusion plane")

    analysis = Analysis(
        cutflow=selected.cutflow,
        counts=selected.counts,
        expected=selected.expected,
        exposure=selected.exposure,
        limit=limit,
        exclusion=_excluded(plane),
        g2_excluded_up_to_GeV=plane.g2_excluded_up_to_GeV if plane else None,
        candidates=selected.candidates,
        files={"pseudodata": str(files[0])} if pseudodata else {},
        provenance=records.provenance(
            card,
            seed=seed,
            limit_method="RooStats and exact",
            input_files=selected.files,
            input_details=selected.input,
        ),
        discovery=found,
        interval=interval,
        acceptance=card.signal.acceptance,
        signal=of_sample,
        data_quality=data_quality,
        notes=selected.notes,
        background_estimates=estimates,
        signal_uncertainties=uncertainties,
        files_skipped=selected.input.files_skipped,
        systematics=selected.systematics,
        blind=blind,
    )
    with renamed_into(output_dir, FILES) as folder:
        _draw(analysis, selected, card, folder)
        if plane:
            plane_files.draw(plane, card, folder, "exclusion")
        _write_root(folder / "results.root", selected, plane, model, card.limit.confidence_level.value)
        remembered = blinding.remember(output_dir, "analyze", blind=blind, provenance=analysis.provenance)
        if remembered:
            more = analysis.files | {remembered.name: str(remembered)}
            analysis = analysis.model_copy(update={"files": more})
        analysis = _write_json(analysis, folder, output_dir)
    if limit:
        require_agreement(limit)
    return analysis


def _excluded(plane: records.PlaneResult | None) -> Exclusion:
    if plane is None:
        return Exclusion(mass_GeV=[], epsilon_low=[], epsilon_high=[])
    return Exclusion(mass_GeV=plane.x, epsilon_low=plane.epsilon_low, epsilon_high=plane.epsilon_high)


def _draw(analysis: Analysis, selected: selection.SelectionResult, card: Card, folder: Path) -> None:
    """Every figure but the plane; a histogram that the input does not allow has no figure."""
    selection_report.draw_cut_flow(selected, folder, "cut_flow")
    preselection = selected.histograms.get("ecal_hcal_preselection")
    selection_report.draw_plane(selected, preselection, card, folder, "ecal_hcal")
    selection_report.draw_r(selected, card, folder, "r")
    if analysis.limit:
        quoted = analysis.limit.roostats
        side_by_side = [(f"RooStats, {quoted.treatment}", quoted.upper_limit, quoted.upper_limit_error)]
        side_by_side += [(f"exact, {name}", x.upper_limit, 0.0) for name, x in analysis.limit.exact.items()]
        figures.save(figures.limit_comparison(side_by_side, quoted.cl), folder, "limits")


def _write_root(
    path: Path,
    selected: selection.SelectionResult,
    plane: records.PlaneResult | None,
    model: limits.CountingModel | None,
    cl: float,
) -> None:
    """Cut flow and histograms, the RooFit workspace, the plane as TH2D and its curves as TGraphs."""
    ROOT = root()
    file = ROOT.TFile.Open(str(path), "RECREATE")
    try:
        selection.write_into(selected, file)
        if model:
            file.WriteObject(limits.workspace(model), "workspace")
        if plane:
            plane_files.write_objects(file, plane, cl)
    finally:
        file.Close()


def _write_json(analysis: Analysis, folder: Path, output_dir: Path) -> Analysis:
    """Write results.json, which lists itself and every other file at the place where it will be."""
    names = ["results.json", *sorted(path.name for path in folder.iterdir())]
    files = {name: str(output_dir / name) for name in names} | analysis.files
    analysis = analysis.model_copy(update={"files": files})
    (folder / "results.json").write_text(records.to_json(analysis) + "\n", "utf-8")
    return analysis
