"""A plane for the counts of files, and the scorecard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from .. import exclusion, records
from ..annotations import Progress
from ..config import Card
from ..exclusion import planes
from ..exclusion.grids import Plane
from ..records import refuse_to_replace, renamed_into, require_writable
from ..reports import blinding, plane_files
from ..selection import engines
from ..signal import Mode
from ..simulation import acceptance
from ..simulation.core_config import Signal
from ..theory import scorecard
from .counts import counts_and_exposure, refuse_to_show
from .records import Scorecard


def scan(
    files: Sequence[str],
    card: Card,
    plane: Plane | str = "mass-epsilon",
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
    progress: Progress | None = None,
) -> records.PlaneResult:
    """An exclusion plane for the counts in `files`, without files for the card's own.

    With `output_dir` its figure is written there; interrupted, the scan goes on from what it kept there.

    Args:
        exclude_outlier_spills, blind: of `files`, as for :func:`analyze`.
        engine: what selects the events and computes the plane.

    Raises:
        Na64Error: results exist and `force` is not set; what the modules of the chain raise.
    """
    refuse_to_show(card, blind, exclude_outlier_spills)
    chosen = Plane.named(plane, card) if isinstance(plane, str) else plane
    names = [f"{chosen.name}.{kind}" for kind in plane_files.FILES]
    kept = None
    if output_dir:
        refuse_to_replace(output_dir, names, force)
        require_writable(output_dir)
        output_dir.mkdir(parents=True, exist_ok=True)
        kept = output_dir / f".{chosen.name}.unfinished"
    exclusion.warn_of_published_sources(card)
    threads = engine.threads_here(threads)
    counts, exposure, selected = counts_and_exposure(
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
            selected=selected,
        )
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
    point = Signal(scorecard.R_POINT[0], scorecard.R_POINT[1])
    r_cut = acceptance.r_efficiency(card, point, seed=seed, threads=threads)
    return Scorecard(
        scores=scorecard.scorecard(
            card,
            end_point_GeV=plane.g2_excluded_up_to_GeV,
            r_cut_efficiency=r_cut.efficiency,
            threads=threads,
        ),
        provenance=records.provenance(card, seed=seed),
    )
