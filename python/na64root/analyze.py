"""The chain: from NA64 ntuples to counts, limits, the exclusion plane and figures.

:func:`analyze` is the analysis on one screen; below it are the limits side by side and the writing of files.
"""

from __future__ import annotations

import csv
import logging
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from . import (
    acceptance,
    backgrounds,
    blinding,
    engines,
    exclusion,
    limits,
    planes,
    planner,
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
from .config import SIGNATURES, Acceptance, Card, Correlation, Signature, Treatment
from .errors import ConfigError
from .ntuple import DEFINING_CUTS, repeated_files
from .results import (
    Count,
    CutFlowRow,
    Discovery,
    Expected,
    Interval,
    LimitResult,
    Provenance,
    Record,
    Score,
    refuse_to_replace,
    renamed_into,
    require_writable,
)
from .signal import MODES, Mode, Parameters, SignalModel, card_counts, effective_exposure
from .systematics import SystematicEffect

log = logging.getLogger(__name__)

Array = NDArray[np.float64]

Kind = Literal["observed", "expected"]

# Everything an analysis may write: checked before it starts; what a new one does not make again is removed.
FIGURES = ("cut_flow", "ecal_hcal", "r", "limits", "exclusion")
FILES = ("results.json", "results.root", *(f"{name}.{kind}" for name in FIGURES for kind in ("pdf", "png")))
# What a plane is written as.
PLANE_FILES = ("pdf", "png", "csv", "root")
ROOT_TITLES = {
    "mass": "m_{A'} [GeV]",
    "mass1": "m_{#chi_{1}} [GeV]",
    "epsilon": "#varepsilon",
    "alpha": "#alpha_{D}",
    "ratio": "m_{A'}/m_{#chi_{1}}",
    "splitting": "#Delta/m_{#chi_{1}}",
}
# RooStats and the exact engine may differ by this many of RooStats' own toy errors.
TOY_ERRORS = 3.0
# Makes the seed of a second, independent set of toys.
SECOND_SET = 0x5EC0


class Scorecard(Record):
    """Result of :func:`score`."""

    scores: list[Score]
    provenance: Provenance


class Plotted(Record):
    """What :func:`plot` wrote, by name."""

    plane: str
    files: dict[str, str]


class EnginesDisagreeError(Exception):
    """RooStats and the exact engine give different limits: a bug in one of them, never the user's."""


class Limits(Record):
    """The quoted limit of RooStats, and the exact engine's with each treatment of the nuisances.

    `kind` is `expected` for weighted simulation, which has no observed counts, and for blinded data: the most
    probable ones without signal stand in for them.
    """

    roostats: LimitResult
    exact: dict[Treatment, LimitResult]
    kind: Literal["observed", "expected"]


class Exclusion(Record):
    """The excluded range of epsilon at each mass; null where nothing is excluded."""

    mass_GeV: list[float]
    epsilon_low: list[float | None]
    epsilon_high: list[float | None]


class SignalUncertaintyOfSample(Record):
    """A source of the signal uncertainty in the limit, relative, as `limits.impacts` names it.

    `origin`: of the card (``published``), or of the varied sample (``varied``), then with the statistical
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
    sources do to the events of the input, empty unless asked for. `blind`: events in the signal boxes are in
    nothing of this, nothing is observed, limit and plane are those expected without signal.
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
    notes: list[str]
    background_estimates: dict[Signature, backgrounds.BackgroundUsed] | None = None
    blind: bool = False


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
        ConfigError: `systematics.in_limit = "varied"` without a signal sample.
        Na64Error: results exist and `force` is not set; what the modules of the chain raise.
        EnginesDisagreeError: RooStats and the exact engine differ by more than three toy errors.
    """
    in_limit = card.systematics.in_limit == "varied"
    if in_limit and signal is None:
        raise ConfigError(
            "systematics.in_limit = varied without a signal sample (the chain has no events to vary): give "
            "--signal, or set it to published"
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
    selected, estimates = _with_background_estimates(files, card, selected, spills, threads)
    counts = _counts_of_likelihood(selected)
    limit = plane = model = found = interval = sample = of_sample = None
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
                model = _counting_model(card, counts, selected.exposure, plane)
            else:
                model = exclusion.counting_model_of_sample(card, counts, selected.exposure, sample)
                of_sample = _signal_of_sample(card, counts, selected.exposure, model, sample)
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
        files_skipped=selected.input.files_skipped,
        systematics=selected.systematics,
        blind=blind,
    )
    with renamed_into(output_dir, FILES) as folder:
        _draw(analysis, selected, card, folder)
        if plane:
            _draw_plane(plane, card, folder, "exclusion")
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
    if blind and (estimated := [s for s in SIGNATURES if card.backgrounds.method(s) != "published"]):
        raise ConfigError(
            f"--blind with an estimated background of {estimated[0]} (its regions can hold hidden events): "
            f"set backgrounds.{estimated[0]} to published"
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
    threads: int,
) -> tuple[selection.SelectionResult, dict[Signature, backgrounds.BackgroundUsed] | None]:
    """The selection with the backgrounds that the card has estimated from the data, and which these are."""
    if all(card.backgrounds.method(signature) == "published" for signature in SIGNATURES):
        return selected, None
    log.info("estimating backgrounds")
    estimated = backgrounds.estimate(
        files, card, eot=selected.exposure, without_spills=without_spills, threads=threads
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


def assess_quality(
    files: Sequence[str],
    card: Card,
    *,
    output_dir: Path | None = None,
    blind: bool = False,
    force: bool = False,
) -> quality.Quality:
    """The quality of runs and spills, as :func:`na64root.quality.assess`; with `output_dir` its figure.

    Raises:
        Na64Error: the figure exists and `force` is not set; as :func:`na64root.quality.assess`.
    """
    names = tuple(f"quality.{kind}" for kind in ("pdf", "png"))
    if output_dir:
        refuse_to_replace(output_dir, names, force)
        require_writable(output_dir)
    assessed = quality.assess(files, card, blind=blind)
    if not output_dir:
        return assessed
    titles = {
        "triggers": "physics\ntriggers",
        "ecal_mean_GeV": r"mean $E_\mathrm{ECAL}$ [GeV]",
        "hcal_mean_GeV": r"mean $E_\mathrm{HCAL}$ [GeV]",
        "missing_energy_fraction": f"share ECAL < {assessed.ecal_below_GeV:g},\n"
        f"HCAL < {assessed.hcal_below_GeV:g} GeV",
    }
    spills = assessed.spills
    quantities = [
        (
            title,
            np.array([getattr(spill, name) for spill in spills], dtype=float),
            np.array([name in spill.flags for spill in spills]),
        )
        for name, title in titles.items()
    ]
    places: dict[str, list[int]] = {}
    for i, spill in enumerate(spills):
        places.setdefault(spill.period, []).append(i)
    periods = {p.name: (places[p.name][0], places[p.name][-1] + 1) for p in card.periods if p.name in places}
    figure = plots.spill_quality(quantities, periods)
    made = {name: str(output_dir / name) for name in names}
    with renamed_into(output_dir, names) as folder:
        plots.save(figure, folder, "quality")
        if kept := blinding.remember(output_dir, "quality", blind=blind, provenance=assessed.provenance):
            made[kept.name] = str(kept)
    return assessed.model_copy(update={"files": made})


def estimate_backgrounds(
    files: Sequence[str],
    card: Card,
    *,
    output_dir: Path | None = None,
    force: bool = False,
    **options: Any,
) -> backgrounds.Backgrounds:
    """Backgrounds from the data, `options` as for :func:`na64root.backgrounds.estimate`; with a figure.

    Raises:
        Na64Error: the figure exists and `force` is not set; as :func:`na64root.backgrounds.estimate`.
    """
    names = tuple(f"backgrounds.{kind}" for kind in ("pdf", "png"))
    if output_dir:
        refuse_to_replace(output_dir, names, force)
        require_writable(output_dir)
    found = backgrounds.estimate(files, card, **options)
    if not output_dir:
        return found
    box, regions = card.selection.ecal.s2_max_GeV.value, card.backgrounds
    quiet = card.selection.hcal.s2_total_max_GeV.value
    high, busy = regions.abcd.ecal_max_GeV.value, regions.abcd.hcal_max_GeV.value
    areas = {"B": (box, high, 0.0, quiet)}
    if regions.abcd.second == "hcal":
        areas |= {"C": (0.0, box, quiet, busy), "D": (box, high, quiet, busy)}
    areas["S2"] = (0.0, box, 0.0, quiet)
    fit = found.sideband
    figure = plots.background_regions(
        np.array(found.ecal_edges_GeV),
        np.array(found.hcal_edges_GeV),
        np.array(found.plane),
        areas,
        None
        if fit is None
        else (
            np.array(fit.edges_GeV),
            np.array(fit.events),
            np.array(fit.energy_GeV),
            np.array(fit.curve),
            np.array(fit.low),
            np.array(fit.high),
            fit.alternatives,
        ),
        box,
        "VETO quiet, before the cuts of the signatures; box of S2 empty by choice",
    )
    made = {name: str(output_dir / name) for name in names}
    with renamed_into(output_dir, names) as folder:
        plots.save(figure, folder, "backgrounds")
        blind = bool(options.get("blind"))
        if kept := blinding.remember(output_dir, "background", blind=blind, provenance=found.provenance):
            made[kept.name] = str(kept)
    return found.model_copy(update={"files": made})


def limits_side_by_side(
    model: limits.CountingModel,
    card: Card,
    *,
    kind: Kind = "observed",
    seed: int,
    processes: int,
    executor: Executor | None = None,
) -> Limits:
    """The RooStats limit with the card's treatment, and the exact ones with each treatment.

    The toys are made by `executor` or in `processes`, as by :func:`na64root.limits.upper_limit`.

    Where RooStats is beyond three of its toy errors from the exact engine, which chance does in 0.3 % of
    runs, a second, independent set of toys is added to the first: chance is diluted, a bias stands out more.
    """
    cl, treatment = card.limit.confidence_level.value, card.limit.treatment
    exact = {
        name: limits.upper_limit(model, cl=cl, method="exact", treatment=name) for name in limits.TREATMENTS
    }

    def toys(seed: int) -> LimitResult:
        return limits.upper_limit(
            model,
            cl=cl,
            method="roostats",
            treatment=treatment,
            seed=seed,
            processes=processes,
            executor=executor,
        )

    quoted = toys(seed)
    if _disagree(quoted, exact[treatment]):
        log.warning(
            "RooStats toys (%.3f +- %.3f) are far from the exact limit (%.3f): a second set decides",
            quoted.upper_limit,
            quoted.upper_limit_error,
            exact[treatment].upper_limit,
        )
        quoted = _combined(quoted, toys(seed ^ SECOND_SET))
    return Limits(kind=kind, roostats=quoted, exact=exact)


def _disagree(quoted: LimitResult, exact: LimitResult) -> bool:
    difference = abs(quoted.upper_limit - exact.upper_limit)
    return difference > TOY_ERRORS * quoted.upper_limit_error + exact.upper_limit_error


def require_agreement(limit: Limits) -> None:
    """Check RooStats against the exact engine with the same treatment.

    Raises:
        EnginesDisagreeError: they differ by more than three toy errors, of both sets where there are two.
    """
    quoted = limit.roostats
    exact = {str(treatment): result for treatment, result in limit.exact.items()}[quoted.treatment]
    if _disagree(quoted, exact):
        raise EnginesDisagreeError(
            f"upper limit {quoted.upper_limit:.4f} +- {quoted.upper_limit_error:.4f} events by RooStats, "
            f"{exact.upper_limit:.4f} by the exact engine ({quoted.treatment}): one is wrong, report this; "
            "the results are written"
        )


def _combined(first: LimitResult, second: LimitResult) -> LimitResult:
    """The mean of two independent sets of toys, weighted by their numbers and not by their own errors."""
    toys = first.toys + second.toys
    w1, w2 = first.toys / toys, second.toys / toys
    bands = {
        name: None if one is None or other is None else w1 * one + w2 * other
        for (name, one), other in zip(first.expected, second.expected.model_dump().values(), strict=True)
    }
    return first.model_copy(
        update={
            "upper_limit": w1 * first.upper_limit + w2 * second.upper_limit,
            "upper_limit_error": math.hypot(w1 * first.upper_limit_error, w2 * second.upper_limit_error),
            "expected": Expected(**bands),
            "toys": toys,
        }
    )


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
    names = [f"{chosen.name}.{kind}" for kind in PLANE_FILES]
    kept = None
    if output_dir:
        refuse_to_replace(output_dir, names, force)
        require_writable(output_dir)
        output_dir.mkdir(parents=True, exist_ok=True)
        kept = output_dir / f".{chosen.name}.unfinished"
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
            _write_plane(result, card, folder)
            blinding.remember(output_dir, "scan", blind=blind, provenance=result.provenance)
    return result


def plot(
    plane: results.PlaneResult,
    card: Card,
    output_dir: Path,
    *,
    projections: Mapping[str, results.PlaneResult] | None = None,
    force: bool = False,
) -> Plotted:
    """Figure, curves (CSV) and ROOT objects of a plane, as :func:`scan` writes them.

    Args:
        card: of the plane, for the title.
        projections: other results in the same plane by the label of their contours.

    Raises:
        Na64Error: they exist and `force` is not set.  ConfigError: a projection in another plane.
    """
    for label, other in (projections or {}).items():
        if other.plane != plane.plane:
            raise ConfigError(
                f"{label} is a plane {other.plane} (drawn over {plane.plane}): give one of these"
            )
    names = [f"{plane.plane}.{kind}" for kind in PLANE_FILES]
    refuse_to_replace(output_dir, names, force)
    require_writable(output_dir)
    with renamed_into(output_dir, names) as folder:
        _write_plane(plane, card, folder, projections)
    return Plotted(plane=plane.plane, files={name: str(output_dir / name) for name in names})


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


def plan(
    card: Card,
    target: planner.Target = "g2",
    *,
    output_dir: Path | None = None,
    seed: int = 1,
    threads: int = 1,
    force: bool = False,
    progress: planes.Progress | None = None,
    **options: Any,
) -> planner.Plan:
    """The exposures needed to reach a target, `options` as for :func:`planner.plan`.

    With `output_dir` its figure is written there.
    """
    names = tuple(f"exposure-{target}.{kind}" for kind in ("pdf", "png"))
    if output_dir:
        refuse_to_replace(output_dir, names, force)
        require_writable(output_dir)
    made = planner.plan(card, target, seed=seed, threads=threads, progress=progress, **options)
    if not output_dir:
        return made
    what = {
        "g2": r"the central $(g-2)_\mu$ line",
        "g2-band": r"the $(g-2)_\mu$ band, $\pm 2\sigma$,",
        "relic": "the thermal relic line",
    }

    def curve(label: str, found: planner.PlanCurve) -> tuple[str, Array, Array]:
        return label, np.array(found.eot_zero_events, dtype=float), np.array(found.eot_median, dtype=float)

    figure = plots.exposure_plan(
        np.array(made.mass_GeV),
        [
            (
                f"HCAL1 length, beam of {card.beam.energy_GeV.value:g} GeV",
                [curve(f"{found.hcal1_length_cm:g} cm", found) for found in made.by_hcal1_length],
            ),
            (
                f"beam energy, HCAL1 of {planner.hcal1_length(card):g} cm",
                [curve(f"{found.beam_energy_GeV:g} GeV", found) for found in made.by_beam_energy],
            ),
        ],
        card_eot=made.card_eot,
        largest_eot=made.largest_eot,
        what=what[target],
        note=f"Backgrounds {made.background}. Scaled: {'; '.join(made.scaled)}. "
        f"Kept: {'; '.join(made.kept)}.",
        cl=made.confidence_level,
    )
    with renamed_into(output_dir, names) as folder:
        plots.save(figure, folder, f"exposure-{target}")
    return made.model_copy(update={"files": {name: str(output_dir / name) for name in names}})


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
    return _counting_model(card, counts, exposure, plane), selected


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
        selected, _ = _with_background_estimates(files, card, selected, spills, threads)
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
    card: Card, counts: Sequence[Count], exposure: Mapping[str, float], plane: results.PlaneResult
) -> limits.CountingModel:
    """The model of the quoted limit, its shares of S1 and S2 those at the end of the excluded g-2 line.

    Where none of that line is excluded they are those at its highest mass in the plane.
    """
    point = exclusion.Exclusion(card, counts, exposure)
    mass = plane.g2_excluded_up_to_GeV or plane.x[-1]
    epsilon = theory.epsilon_g2([mass], card.muon_g2.central.value)
    s1, s2 = point.expected(point.at_mass(mass), epsilon)[0]
    return point.limit.model(float(s1 / (s1 + s2)) if s1 + s2 > 0.0 else 0.5)


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
    return SignalOfSample(
        sample=sample,
        expected=expected,
        error=math.sqrt(sum(b.error**2 for b in bins)),
        chain=chain,
        upper_limit=limit.upper_limit,
        upper_limit_mu=limit.upper_limit / expected,
        excluded=expected >= limit.upper_limit,
        uncertainties=_uncertainties(card, model, sample),
    )


def _uncertainties(
    card: Card, model: limits.CountingModel, sample: signal_files.SimulatedSignal
) -> list[SignalUncertaintyOfSample]:
    varied = {}
    if card.systematics.in_limit == "varied":
        varied = exclusion.varied_sources([(b.period, b.signature) for b in model.bins], sample)
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


def _write_plane(
    plane: results.PlaneResult,
    card: Card,
    folder: Path,
    projections: Mapping[str, results.PlaneResult] | None = None,
) -> None:
    """PLANE_FILES of a plane."""
    _draw_plane(plane, card, folder, plane.plane, projections)
    with (folder / f"{plane.plane}.csv").open("w", encoding="utf-8", newline="") as file:
        for name, overlay in plane.overlays.items():
            file.write(f"# {name}: {overlay.source}; {overlay.caveat}\n")
        writer = csv.writer(file)
        writer.writerow(["curve", "kind", "part", *plane.plane.split("-")])
        for name, kind, part, contour in _curves(plane, projections):
            writer.writerows([name, kind, part, *point] for point in contour)
    ROOT = root()
    file = ROOT.TFile.Open(str(folder / f"{plane.plane}.root"), "RECREATE")
    try:
        _write_plane_objects(file, plane, card.limit.confidence_level.value)
    finally:
        file.Close()


def _curves(
    plane: results.PlaneResult, projections: Mapping[str, results.PlaneResult] | None
) -> Iterator[tuple[str, str, int, list[list[float]]]]:
    """Every curve of a figure: name, kind, part and points."""
    groups = {"blinded" if plane.blind else "observed": ("excluded", plane.contours)}
    groups |= {f"expected {name}": ("expected", lines) for name, lines in plane.expected_contours.items()}
    groups |= {label: ("projection", other.contours) for label, other in (projections or {}).items()}
    for name, (kind, lines) in groups.items():
        for part, line in enumerate(lines):
            yield name, kind, part, line
    for name, overlay in plane.overlays.items():
        yield name, overlay.kind, 0, overlay.contour


def _draw_plane(
    plane: results.PlaneResult,
    card: Card,
    folder: Path,
    name: str,
    projections: Mapping[str, results.PlaneResult] | None = None,
) -> None:
    title = _plane_title(plane, card) + ", expected, blinded" * plane.blind
    figure = plots.exclusion_plane(
        plane, title=title, cl=card.limit.confidence_level.value, projections=projections
    )
    plots.save(figure, folder, name)


def _plane_title(plane: results.PlaneResult, card: Card) -> str:
    """Exposure, and what is no axis."""
    model, axes = card.model, plane.plane.split("-")
    parts = [rf"${_scientific(sum(plane.exposure.values()))}$ EOT"]
    if "alpha" not in axes:
        parts.append(rf"$\alpha_D = {model.alpha_dark.value:g}$")
    if "ratio" not in axes:
        parts.append(rf"$m_{{A'}} = {model.mass_ratio.value:g}\,m_{{\chi_1}}$")
    if "splitting" not in axes:
        parts.append(rf"$\Delta/m_{{\chi_1}} = {model.relative_splitting.value:g}$")
    if "epsilon" not in axes:
        parts.append(plane.epsilon_is)
    if plane.mode == "invisible":
        parts.append(r"$A' \to$ invisible")
    return ", ".join(parts)


def _scientific(number: float) -> str:
    mantissa, exponent = f"{number:.2e}".split("e")
    return rf"{float(mantissa):g}\times 10^{{{int(exponent)}}}"


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
            _write_plane_objects(file, plane, cl)
    finally:
        file.Close()


def _write_plane_objects(file: Any, plane: results.PlaneResult, cl: float) -> None:
    ROOT = root()
    titles = ";".join(ROOT_TITLES[quantity] for quantity in plane.plane.split("-"))
    histogram = ROOT.TH2D(
        "upper_limit_mu",
        f"Upper limit on the signal strength;{titles}",
        *(part for axis in (plane.x, plane.y) for part in (len(axis), _bin_edges(axis))),
    )
    for j, row in enumerate(plane.upper_limit_mu, start=1):
        for i, mu in enumerate(row, start=1):
            histogram.SetBinContent(i, j, math.inf if mu is None else mu)
    file.WriteObject(histogram, histogram.GetName())
    file.WriteObject(ROOT.TParameter["double"]("confidence_level", cl), "confidence_level")
    curves = {f"contour_{i}": points for i, points in enumerate(plane.contours)}
    curves |= {key.replace(" ", "_"): overlay.contour for key, overlay in plane.overlays.items()}
    for name, points in curves.items():
        x, y = np.array(points, dtype=float).T.copy()
        file.WriteObject(ROOT.TGraph(len(x), x, y), name)


def _bin_edges(points: Sequence[float]) -> plots.Array:
    """Edges of bins around logarithmically spaced points."""
    logarithm = np.log(points)
    middle = 0.5 * (logarithm[1:] + logarithm[:-1])
    first, last = 2 * logarithm[0] - middle[0], 2 * logarithm[-1] - middle[-1]
    return np.asarray(np.exp(np.concatenate([[first], middle, [last]])))


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
