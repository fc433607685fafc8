"""Verbs whose result is a record with one figure: quality, backgrounds, exposures, couplings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from .. import figures
from ..annotations import Array
from ..config import Card
from ..inputs import one_run
from ..ntuple import note_files
from ..records import ResultsFolder
from ..selection.quality import Quality, assess
from ..work import Work

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .. import backgrounds
    from ..exclusion import planner
    from ..exclusion.coupling import CouplingLimit

# Of the others, which take half a second to import, each verb imports its own.
Figured = TypeVar("Figured", Quality, "backgrounds.Backgrounds", "planner.Plan", "CouplingLimit")


@one_run()
def assess_quality(
    files: Sequence[str],
    card: Card,
    results: ResultsFolder | None = None,
    *,
    blind: bool = False,
) -> Quality:
    """Quality of runs and spills, as :func:`na64root.selection.quality.assess`; its figure in `results`.

    Raises:
        Na64Error: the figure is not to be replaced; as :func:`na64root.selection.quality.assess`.
    """
    note_files(files)
    return _with_figure(
        "quality",
        lambda: assess(files, card, blind=blind),
        lambda assessed: quality_figure(assessed, [period.name for period in card.periods]),
        results,
        blinded=("quality", blind),
    )


def quality_figure(assessed: Quality, periods: Sequence[str]) -> Figure:
    """Quantities of each spill in the order of runs, flagged ones marked."""
    titles = {
        "triggers": "physics\ntriggers",
        "ecal_mean_GeV": "mean ECAL\nenergy [GeV]",
        "hcal_mean_GeV": "mean HCAL\nenergy [GeV]",
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
    named = {name: (places[name][0], places[name][-1] + 1) for name in periods if name in places}
    return figures.spill_quality(quantities, named)


@one_run()
def estimate_backgrounds(
    files: Sequence[str],
    card: Card,
    results: ResultsFolder | None = None,
    *,
    blind: bool = False,
    work: Work = Work(),
    **options: Any,
) -> backgrounds.Backgrounds:
    """Backgrounds from the data, `options` as for :func:`na64root.backgrounds.estimate`; with a figure.

    `blind` is remembered in `results`.

    Raises:
        Na64Error: the figure is not to be replaced; as :func:`na64root.backgrounds.estimate`.
    """
    from .. import backgrounds

    note_files(files)
    if options.get("simulation"):
        note_files(options["simulation"])
    return _with_figure(
        "backgrounds",
        lambda: backgrounds.estimate(files, card, blind=blind, work=work, **options),
        lambda found: backgrounds_figure(found, card),
        results,
        blinded=("background", blind),
    )


def backgrounds_figure(found: backgrounds.Backgrounds, card: Card) -> Figure:
    """The control regions of the card in the plane of energies, and the fit of the sideband."""
    box, regions = card.selection.ecal.s2_max_GeV.value, card.backgrounds
    quiet = card.selection.hcal.s2_total_max_GeV.value
    high, busy = regions.abcd.ecal_max_GeV.value, regions.abcd.hcal_max_GeV.value
    areas = {"B": (box, high, 0.0, quiet)}
    if regions.abcd.second == "hcal":
        areas |= {"C": (0.0, box, quiet, busy), "D": (box, high, quiet, busy)}
    areas["S2"] = (0.0, box, 0.0, quiet)
    fit = found.sideband
    return figures.background_regions(
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
        "VETO quiet, box of S2 empty by choice",
    )


def plan(
    card: Card,
    target: planner.Target = "g2",
    results: ResultsFolder | None = None,
    *,
    work: Work = Work(),
    **options: Any,
) -> planner.Plan:
    """The exposures needed to reach a target, `options` as for :func:`planner.plan`.

    With `results` its figure is written there.
    """
    from ..exclusion import planner

    return _with_figure(
        f"exposure-{target}",
        lambda: planner.plan(card, target, work=work, **options),
        lambda made: exposure_figure(made, card),
        results,
    )


def exposure_figure(made: planner.Plan, card: Card) -> Figure:
    """Electrons on target needed against mass, by length of HCAL1 and by beam energy."""
    from ..exclusion import planner

    what = {
        "g2": r"the central $(g-2)_\mu$ line",
        "g2-band": r"the $(g-2)_\mu$ band, $\pm 2\sigma$,",
        "relic": "the thermal relic line",
    }

    def curve(label: str, found: planner.PlanCurve) -> tuple[str, Array, Array]:
        return label, np.array(found.eot_zero_events, dtype=float), np.array(found.eot_median, dtype=float)

    return figures.exposure_plan(
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
        what=what[made.target],
        note=f"Backgrounds {made.background}. Scaled: {'; '.join(made.scaled)}. "
        f"Kept: {'; '.join(made.kept)}.",
        cl=made.confidence_level,
    )


def coupling(
    card: Card, mass_GeV: float, results: ResultsFolder | None = None, **options: Any
) -> CouplingLimit:
    """The limit on one parameter, `options` as for :func:`na64root.exclusion.coupling.coupling_limit`.

    With `results` its figure is written there.
    """
    from ..exclusion.coupling import coupling_limit

    return _with_figure(
        "coupling",
        lambda: coupling_limit(card, mass_GeV, **options),
        coupling_figure,
        results,
        blinded=("coupling", False),
    )


def coupling_figure(made: CouplingLimit) -> Figure:
    """Expected signal against the parameter, its limit, and the excluded ranges."""
    title = rf"$m_{{A'}}$ = {made.mass_GeV:g} GeV"
    if made.parameter != "epsilon":
        title += f", {made.epsilon_is}"
    return figures.coupling_limit(
        title,
        figures.AXES[made.parameter],
        made.values,
        made.n_signal,
        made.upper_limit_events,
        [(one.low, one.high) for one in made.excluded],
        made.quoted.cl,
    )


def _with_figure(
    name: str,
    make: Callable[[], Figured],
    draw: Callable[[Figured], Figure],
    results: ResultsFolder | None,
    blinded: tuple[str, bool] | None = None,
) -> Figured:
    """What `make` gives; with `results` its figure is written there.

    `blinded`: verb, and whether it hides the signal boxes, for the record of the folder.
    """
    names = tuple(f"{name}.{kind}" for kind in ("pdf", "png"))
    if results is None:
        return make()
    results.require(names)
    made = make()
    figure = draw(made)
    files = {file: str(results.path / file) for file in names}
    with results.replacing(names) as folder:
        figures.save(figure, folder, name)
        if blinded:
            verb, blind = blinded
            if kept := results.remember(verb, blind=blind, provenance=made.provenance):
                files[kept.name] = str(kept)
    return made.model_copy(update={"files": files})
