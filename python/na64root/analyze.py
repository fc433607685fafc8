"""The chain: from NA64 ntuples to counts, limits, the exclusion plane and figures.

:func:`analyze` is the analysis on one screen; below it are its steps and the writing of its files.
"""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from . import (
    acceptance,
    backgrounds,
    blinding,
    engines,
    exclusion,
    limits,
    plane_files,
    planes,
    plots,
    quality,
    results,
    scorecard,
    selection,
    selection_report,
    signal_files,
    simulate,
    theory,
)
from .cling import root
from .config import SIGNATURES, Acceptance, Card, Correlation, Signature
from .errors import ConfigError
from .ntuple import DEFINING_CUTS, repeated_files
from .results import (
    Count,
    CutFlowRow,
    Discovery,
    Interval,
    Provenance,
    Record,
    Score,
    refuse_to_replace,
    renamed_into,
    require_writable,
)
from .side_by_side import Kind, Limits, limits_side_by_side, require_agreement
from .signal import MODES, Mode, Parameters, SignalModel, card_counts, effective_exposure
from .systematics import SystematicEffect

log = logging.getLogger(__name__)

Array = NDArray[np.float64]


# Everything an analysis may write: checked before it starts; what a new one does not make again is removed.
FIGURES = ("cut_flow", "ecal_hcal", "r", "limits", "exclusion")
FILES = ("results.json", "results.root", *(f"{name}.{kind}" for name in FIGURES for kind in ("pdf", "png")))


class Scorecard(Record):
    """Result of :func:`score`."""

    scores: list[Score]
    provenance: Provenance


class Exclusion(Record):
    """The excluded range of epsilon at each mass; null where nothing is excluded."""

    mass_GeV: list[float]
    epsilon_low: list[float | None]
    epsilon_high: list[float | None]


class SignalUncertaintyOfSample(Record):
    """A source of the signal uncertainty in the limit, relative, as `limits.impacts` names it.

    `origin`: of the card (``published``), or of a varied sample (``varied``), then with the statistical
    `error` of the number. Correlation ``all``: one nuisance for all bins.
    """

    source: str
    uncertainty: float
    error: float | None
    correlation: Correlation
    origin: Literal["published", "varied"]


class SignalOfSample(Record):
    """The limit for the expected signal of a sample given by files, in place of the chain's.

    `chain` is what the chain expects there, null in mode visible. `upper_limit` is the exact one on the
    number of signal events, `upper_limit_mu` the same over `expected`. `uncertainties` are the sources in
    the model beside the statistical error of each bin.
    """

    sample: signal_files.SimulatedSignal
    expected: float
    error: float
    chain: dict[str, float] | None
    upper_limit: float
    upper_limit_mu: float
    excluded: bool
    uncertainties: list[SignalUncertaintyOfSample]


class Analysis(Record):
    """The result of `na64root analyze`.

    `expected` holds the counts of weighted simulation, which has no observed ones. `limit` is null when no
    bin has both a count and exposure. `discovery` and `interval` are null where nothing was observed.
    `signal` is null without a signal sample; with one, `limit` has its shares and statistical errors, while
    the plane remains that of `acceptance`: the chain or the own simulation. `systematics` is what the card's
    sources do to the events of the input, empty unless asked for; `signal_uncertainties` are the sources in
    the model of `limit`. `blind`: events in the signal boxes are in nothing of this, nothing is observed,
    limit and plane are those expected without signal.
    """

    cutflow: list[CutFlowRow]
    counts: list[Count]
    exposure: dict[str, float]
    limit: Limits | None
    exclusion: Exclusion
    g2_excluded_up_to_GeV: float | None
    candidates: list[selection.Candidate]
    files: dict[str, str]
    provenance: Provenance
    expected: list[selection.ExpectedCount]
    discovery: Discovery | None = None
    interval: Interval | None = None
    acceptance: Acceptance = "chain"
    signal: SignalOfSample | None = None
    files_skipped: list[results.SkippedFile]
    systematics: list[SystematicEffect]
    data_quality: quality.Exclusions | None = None
    background_estimates: dict[Signature, backgrounds.BackgroundUsed] | None = None
    signal_uncertainties: list[SignalUncertaintyOfSample] = Field(default_factory=list)
    blind: bool = False
    notes: list[str]


@dataclass(frozen=True)
class SignalFiles:
    """A simulated sample in place of the chain's signal; mass and epsilon where the files do not say them."""

    files: Sequence[str]
    mass_GeV: float | None = None
    epsilon: float | None = None


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
    progress: planes.Progress | None = None,
) -> Analysis:
    """Analyse ntuples; write results.json, results.root and the figures into `output_dir`.

    Args:
        pseudodata: first write pseudodata.root into `output_dir` and analyse it in place of `files`.
        signal: a simulated sample; it takes the place of the chain's signal in `limit`.
        exclude_outlier_spills: leave out the spills that :func:`na64root.quality.assess` flags.
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
    _refuse_to_show(card, blind, exclude_outlier_spills)
    refuse_to_replace(output_dir, FILES, force)
    require_writable(output_dir)
    threads = engine.threads_here(threads)
    if pseudodata:
        log.info("writing pseudo-data")
        path = output_dir / "pseudodata.root"
        files = [simulate.pseudodata(card, path, seed=seed, eot=eot, threads=threads, force=force).file]

    log.info("selecting events")
    selected, data_quality = _select(
        files,
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
    selected, estimates = _with_background_estimates(files, card, selected, spills, blind, threads)
    counts = _counts_of_likelihood(selected)
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
            plane = planes.scan(
                card,
                "mass-epsilon",
                counts,
                selected.exposure,
                expected=False,
                seed=seed,
                threads=threads,
                executor=executor,
                progress=progress,
                input_files=selected.files,
            ).model_copy(update={"blind": blind})
            if sample is None:
                model, uncertainties = _counting_model(card, counts, selected.exposure, plane, seed, threads)
            else:
                model = exclusion.counting_model_of_sample(card, counts, selected.exposure, sample)
                of_sample = _signal_of_sample(card, counts, selected.exposure, model, sample)
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
        provenance=results.provenance(
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


def _refuse_to_show(card: Card, blind: bool, exclude_outlier_spills: bool) -> None:
    """Raise ConfigError where something asked for depends on events that blinding hides."""
    if blind and exclude_outlier_spills:
        raise ConfigError(
            "--exclude-outlier-spills with --blind (the spills' means are also those of hidden events): "
            "leave one out"
        )
    for signature in SIGNATURES:
        method = card.backgrounds.method(signature)
        if blind and (why := backgrounds.in_signal_box(card, method)):
            raise ConfigError(
                f"--blind with the background of {signature} by {method} ({why}): change that, or set "
                f"backgrounds.{signature} to another method"
            )


def _select(
    files: Sequence[str],
    card: Card,
    eot: Mapping[str, float] | None,
    exclude_outlier_spills: bool,
    *,
    systematics: bool = False,
    blind: bool,
    seed: int = 1,
    threads: int,
    engine: engines.Engine = engines.THREADS,
) -> tuple[selection.SelectionResult, quality.Exclusions]:
    """The selection, and what it left out by the quality of the data."""
    outliers: list[quality.Outlier] = []
    spills: list[tuple[int, int]] = []
    if exclude_outlier_spills:
        assessed = quality.assess(files, card)
        outliers, spills = assessed.outliers, assessed.outlier_spills
        for outlier in outliers:
            log.info("run %d spill %d left out: %s", outlier.run, outlier.spill, outlier.reason)
    selected = selection.select(
        files,
        card,
        eot=eot,
        without_spills=spills,
        systematics=systematics,
        seed=seed,
        threads=threads,
        engine=engine,
        blind=blind,
    )
    duplicates = None
    if not blind:
        duplicates = next((r.events for r in selected.cutflow if r.period == quality.LeftOut.DUPLICATE), 0)
    return selected, quality.Exclusions(
        duplicates=duplicates,
        repeated_files=repeated_files(selected.files),
        outliers=outliers,
        kept_share=selected.kept_share,
    )


def _with_background_estimates(
    files: Sequence[str],
    card: Card,
    selected: selection.SelectionResult,
    without_spills: Sequence[tuple[int, int]],
    blind: bool,
    threads: int,
) -> tuple[selection.SelectionResult, dict[Signature, backgrounds.BackgroundUsed] | None]:
    """The selection with the backgrounds that the card has estimated from the data, and which these are."""
    if all(card.backgrounds.method(signature) == "published" for signature in SIGNATURES):
        return selected, None
    log.info("estimating backgrounds")
    estimated = backgrounds.estimate(
        files, card, eot=selected.exposure, without_spills=without_spills, blind=blind, threads=threads
    )
    counts, used = backgrounds.with_estimates(selected.counts, estimated)
    for signature, background in used.items():
        log.info(
            "background of %s: %.3g +- %.2g (%s)",
            signature,
            background.value,
            background.uncertainty,
            background.method,
        )
    return selected.model_copy(update={"counts": counts}), used


def scan(
    files: Sequence[str],
    card: Card,
    plane: planes.Plane | str = "mass-epsilon",
    *,
    eot: Mapping[str, float] | None = None,
    mode: Mode = "semivisible",
    output_dir: Path | None = None,
    exclude_outlier_spills: bool = False,
    blind: bool = False,
    seed: int = 1,
    threads: int = 1,
    engine: engines.Engine = engines.THREADS,
    force: bool = False,
    progress: planes.Progress | None = None,
) -> results.PlaneResult:
    """An exclusion plane for the counts in `files`, without files for the card's own.

    With `output_dir` its figure is written there; interrupted, the scan goes on from what it kept there.

    Args:
        exclude_outlier_spills, blind: of `files`, as for :func:`analyze`.
        engine: what selects the events and computes the plane.

    Raises:
        Na64Error: results exist and `force` is not set; what the modules of the chain raise.
    """
    _refuse_to_show(card, blind, exclude_outlier_spills)
    chosen = planes.Plane.named(plane, card) if isinstance(plane, str) else plane
    names = [f"{chosen.name}.{kind}" for kind in plane_files.FILES]
    kept = None
    if output_dir:
        refuse_to_replace(output_dir, names, force)
        require_writable(output_dir)
        output_dir.mkdir(parents=True, exist_ok=True)
        kept = output_dir / f".{chosen.name}.unfinished"
    exclusion.warn_of_published_sources(card)
    threads = engine.threads_here(threads)
    counts, exposure, selected = _counts(
        files,
        card,
        eot,
        threads,
        engine,
        blind=blind,
        exclude_outlier_spills=exclude_outlier_spills,
    )
    with engine.executor(threads) as executor:
        result = planes.scan(
            card,
            chosen,
            counts,
            exposure,
            mode=mode,
            others=True,
            kept=kept,
            seed=seed,
            threads=threads,
            executor=executor,
            progress=progress,
            input_files=selected.files if selected else [],
        )
    if selected:
        made = result.provenance.model_copy(update={"input": selected.input})
        result = result.model_copy(update={"blind": blind, "notes": selected.notes, "provenance": made})
    if output_dir:
        with renamed_into(output_dir, names) as folder:
            plane_files.write(result, card, folder)
            blinding.remember(output_dir, "scan", blind=blind, provenance=result.provenance)
    return result


def score(card: Card, *, seed: int = 1, threads: int = 1) -> Scorecard:
    """Every published number and curve beside what is computed here, with the tolerances of decision 007.

    Raises:
        Na64Error: what the modules of the chain raise.
    """
    plane = planes.scan(card, "mass-epsilon", expected=False, seed=seed, threads=threads)
    point = simulate.Signal(scorecard.R_POINT[0], scorecard.R_POINT[1])
    r_cut = acceptance.r_efficiency(card, point, seed=seed, threads=threads)
    return Scorecard(
        scores=scorecard.scorecard(
            card,
            end_point_GeV=plane.g2_excluded_up_to_GeV,
            r_cut_efficiency=r_cut.efficiency,
            threads=threads,
        ),
        provenance=results.provenance(card, seed=seed),
    )


def counting_model(
    files: Sequence[str],
    card: Card,
    *,
    eot: Mapping[str, float] | None = None,
    exclude_outlier_spills: bool = False,
    blind: bool = False,
    seed: int = 1,
    threads: int = 1,
    progress: planes.Progress | None = None,
) -> tuple[limits.CountingModel, selection.SelectionResult | None]:
    """The counting model that :func:`analyze` sets its limit with, without files for the card's own counts.

    The signal is shared between the signatures as at the end of the excluded part of the g-2 line.

    Returns:
        the model, and the selection of the files.

    Raises:
        Na64Error: no bin has both a count and exposure; what the modules of the chain raise.
    """
    _refuse_to_show(card, blind, exclude_outlier_spills)
    counts, exposure, selected = _counts(
        files, card, eot, threads, blind=blind, exclude_outlier_spills=exclude_outlier_spills
    )
    plane = planes.scan(
        card,
        "mass-epsilon",
        counts,
        exposure,
        expected=False,
        seed=seed,
        threads=threads,
        progress=progress,
        input_files=selected.files if selected else [],
    )
    model, _ = _counting_model(card, counts, exposure, plane, seed, threads)
    return model, selected


def _counts(
    files: Sequence[str],
    card: Card,
    eot: Mapping[str, float] | None,
    threads: int,
    engine: engines.Engine = engines.THREADS,
    *,
    blind: bool = False,
    exclude_outlier_spills: bool = False,
) -> tuple[list[Count], dict[str, float], selection.SelectionResult | None]:
    """Counts and exposure of the likelihood: those of the files, without files those of the card."""
    if files:
        selected, left_out = _select(
            files, card, eot, exclude_outlier_spills, blind=blind, threads=threads, engine=engine
        )
        for note in selected.notes:
            log.info("%s", note)
        spills = [(outlier.run, outlier.spill) for outlier in left_out.outliers]
        selected, _ = _with_background_estimates(files, card, selected, spills, blind, threads)
        return _counts_of_likelihood(selected), selected.exposure, selected
    exposure = card.exposure(eot)
    counts = card_counts(card, exposure)
    if exposure != card.exposure():
        log.warning(
            "the card's observed counts (%s) are kept where %s background events are expected: for a "
            "projection set limit.S1.observed and limit.S2.observed",
            ", ".join(f"{count.observed}" for count in counts),
            " + ".join(f"{count.background:.3g}" for count in counts),
        )
    return counts, exposure, None


def _counts_of_likelihood(selected: selection.SelectionResult) -> list[Count]:
    """The bins with a count and exposure.

    A weighted simulation has no observed counts, and blinded data show none: the most probable counts without
    signal stand in for them, so that the limits are expected ones.
    """
    stand_in = selected.weighted or selected.blind
    counts = [
        count.model_copy(update={"observed": math.floor(count.background)})
        if stand_in and not set(DEFINING_CUTS[count.signature]) & set(count.cuts_not_applied)
        else count
        for count in selected.counts
    ]
    return [count for count in counts if count.observed is not None and selected.exposure[count.period] > 0.0]


def _counting_model(
    card: Card,
    counts: Sequence[Count],
    exposure: Mapping[str, float],
    plane: results.PlaneResult,
    seed: int,
    threads: int,
) -> tuple[limits.CountingModel, list[SignalUncertaintyOfSample]]:
    """The model of the quoted limit, its signal that at the end of the excluded g-2 line; and its sources.

    Where none of that line is excluded it is that at its highest mass in the plane.
    """
    point = exclusion.Exclusion(card, counts, exposure, seed=seed, threads=threads)
    mass = plane.g2_excluded_up_to_GeV or plane.x[-1]
    epsilon = theory.epsilon_g2([mass], card.muon_g2.central.value)
    at_mass = point.at_mass(mass)
    s1, s2 = point.expected(at_mass, epsilon)[0]
    if not s1 + s2 > 0.0:
        model = point.limit.model(0.5)
        return model, _uncertainties(model, {})
    model = point.model(at_mass, float(epsilon[0]))
    return model, _uncertainties(model, point.varied_sources(at_mass, float(epsilon[0])))


def _signal_of_sample(
    card: Card,
    counts: Sequence[Count],
    exposure: Mapping[str, float],
    model: limits.CountingModel,
    sample: signal_files.SimulatedSignal,
) -> SignalOfSample:
    """What the sample's own point is worth, beside the chain's number there."""
    bins = [sample.of(b.period, cast(Signature, b.signature)) for b in model.bins]
    expected = sum(b.expected for b in bins)
    limit = limits.upper_limit(
        model,
        cl=card.limit.confidence_level.value,
        method="exact",
        treatment=card.limit.treatment,
        expected=False,
    )
    chain: dict[str, float] | None = None
    if sample.mode in MODES:
        at_mass = SignalModel(card, mode=sample.mode).at_mass(sample.mass_GeV, Parameters.of(card))
        weight = effective_exposure(card, exposure, counts)
        per_electron = at_mass.per_electron([sample.epsilon])[0]
        chain = {s: float(n) * weight[s] for s, n in zip(SIGNATURES, per_electron, strict=True)}
    varied = {}
    if card.systematics.in_limit == "varied":
        bins_of_model = [(b.period, b.signature) for b in model.bins]
        varied = exclusion.varied_sources(bins_of_model, sample.systematics)
    return SignalOfSample(
        sample=sample,
        expected=expected,
        error=math.sqrt(sum(b.error**2 for b in bins)),
        chain=chain,
        upper_limit=limit.upper_limit,
        upper_limit_mu=limit.upper_limit / expected,
        excluded=expected >= limit.upper_limit,
        uncertainties=_uncertainties(model, varied),
    )


def _uncertainties(
    model: limits.CountingModel, varied: Mapping[str, tuple[float, float]]
) -> list[SignalUncertaintyOfSample]:
    """The sources of a model, of varied ones with their statistical error."""
    return [
        SignalUncertaintyOfSample(
            source=name,
            uncertainty=source.uncertainty,
            error=varied[name][1] if name in varied else None,
            correlation=source.correlation,
            origin="varied" if name in varied else "published",
        )
        for name, source in model.sources.items()
    ]


def _excluded(plane: results.PlaneResult | None) -> Exclusion:
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
        plots.save(plots.limit_comparison(side_by_side, quoted.cl), folder, "limits")


def _write_root(
    path: Path,
    selected: selection.SelectionResult,
    plane: results.PlaneResult | None,
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
    (folder / "results.json").write_text(results.to_json(analysis) + "\n", "utf-8")
    return analysis


if __name__ == "__main__":
    from .cli import main

    sys.argv.insert(1, "analyze")
    sys.exit(main())
