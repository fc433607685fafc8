"""A plane for the counts of files, and the scorecard."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import exclusion, records, signal
from ..config import Card
from ..exclusion import planes
from ..exclusion.grids import Plane
from ..exclusion.ledger import inclusive_statement
from ..inputs import one_run
from ..ntuple import note_files
from ..records import ResultsFolder, refuse_to_replace
from ..reports import plane_files
from ..signal import Mode
from ..simulation import acceptance
from ..simulation.core_config import Signal
from ..theory import scorecard
from ..work import Work
from .counts import data_of
from .options import DataOptions
from .records import Scorecard


@one_run()
def scan_of_files(
    files: Sequence[str],
    card: Card,
    plane: Plane | str = "mass-epsilon",
    options: DataOptions = DataOptions(),
    *,
    mode: Mode = "semivisible",
    results: ResultsFolder | None = None,
    work: Work = Work(),
) -> records.PlaneResult:
    """An exclusion plane for the counts in `files`, without files for the card's own.

    With `results` its figure is written there; interrupted, the scan goes on from what it kept there.

    Args:
        options: how `files` are used, as for :func:`analyze`.
        work: what selects the events and computes the plane.

    Raises:
        Na64Error: results exist that are not to be replaced; what the modules of the chain raise.
    """
    options.require_hidden(card)
    signal.require_mode(card, mode)
    chosen = Plane.named(plane, card) if isinstance(plane, str) else plane
    names = [f"{chosen.name}.{kind}" for kind in plane_files.FILES]
    kept = None
    if results:
        if files:
            note_files(files)
        results.require(names)
        kept = results.path / f".{chosen.name}.unfinished"
        refuse_to_replace(results.path, [kept.name], force=True)
    exclusion.warn_of_published_sources(card)
    data = data_of(files, card, options, work)
    result = planes.scan(
        card,
        chosen,
        data.counts,
        data.exposure,
        mode=mode,
        others=True,
        kept=kept,
        work=work,
        selected=data.selected,
    )
    if results:
        with results.replacing(names) as folder:
            plane_files.write(result, card, folder)
            results.remember("scan", blind=data.blind, provenance=result.provenance)
    return result


def score(card: Card, *, work: Work = Work()) -> Scorecard:
    """Every published number and curve beside what is computed here, by the tolerances of decisions 007, 021.

    The plane, its ends and the inclusive statement are of the card; see :func:`scorecard.scorecard`.

    Raises:
        Na64Error: what the modules of the chain raise.
    """
    point = Signal(scorecard.R_POINT[0], scorecard.R_POINT[1])
    # Before the plane, since it refuses calorimeters that overlap, and a plane takes long.
    r_cut = acceptance.r_efficiency(scorecard.with_mediator(card, "kinetic_mixing"), point, work=work)
    plane = planes.scan(card, "mass-epsilon", expected=False, work=work)
    return Scorecard(
        scores=scorecard.scorecard(
            card,
            end_point_GeV=plane.g2_excluded_up_to_GeV,
            end_point_is_frame=plane.g2_end_is_frame,
            r_cut_efficiency=r_cut.efficiency,
            lower_edge=_lower_edge(card),
            upper_edge=list(zip(plane.x, plane.epsilon_high, strict=True)),
            threads=work.threads,
            progress=work.reporting("scores"),
        ),
        inclusive=inclusive_statement(card, work=work),
        provenance=records.provenance(card, seed=work.seed),
    )


def _lower_edge(card: Card) -> float | None:
    """The smallest excluded epsilon at the mass from which on chi2 decays."""
    exposure = card.exposure()
    excluded = exclusion.Exclusion(card, signal.card_counts(card, exposure), exposure)
    plane = card.plane
    grid = np.geomspace(plane.epsilon_min.value, plane.epsilon_max.value, round(plane.epsilon_points.value))
    return excluded.epsilon_range(excluded.at_mass(scorecard.first_decaying_mass(card)), grid)[0]
