"""Verbs on model points and planes: explain, scan, plot, scorecard, ledger, plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import ConfigError
from . import completion, tables
from .options import (
    BLIND,
    ENGINE,
    EOT,
    EOT_OF_CARD,
    INPUT,
    LIMIT,
    MODEL,
    OUTLIERS,
    AxisOption,
    Numbers,
    exposure_option,
    only_of_files,
    require_no_axis,
)
from .verb import Common, application, verb, write_text

if TYPE_CHECKING:
    from ..exclusion.grids import Axis, Plane
    from ..exclusion.planner import Background, Target
    from ..records import Record
    from ..signal import Mode


@verb(application, "explain", show=tables.show_record,
       example="na64root explain --mass-GeV 0.39 --epsilon 6e-3")  # fmt: skip
@click.option("--mass-GeV", "mass_GeV", type=float, required=True, help="A' mass.")
@click.option("--epsilon", type=float, required=True, help="Kinetic mixing.")
@MODEL
@EOT_OF_CARD
@LIMIT
def _explain(common: Common, mass_GeV: float, epsilon: float, eot: tuple[str, ...]) -> Record:
    """Every number of one model point, from couplings to verdict."""
    from ..exclusion.explain import explain

    return explain(
        common.card,
        mass_GeV=mass_GeV,
        epsilon=epsilon,
        exposure=exposure_option(common.card, eot, total=True),
        work=common.work,
    )


@verb(application, "scan", example="na64root scan mass-epsilon --eot 1e12 -o scan", show=tables.show_plane)
@click.argument("arguments", nargs=-1, metavar="PLANE FILES...", shell_complete=completion.planes)
@click.option(
    "--x", "x_axis", type=AxisOption(), metavar="AXIS", help="Any plane: its axes, in place of PLANE, as"
)
@click.option("--y", "y_axis", type=AxisOption(), metavar="AXIS", help="QUANTITY=LOW:HIGH[:POINTS[:lin]].")
@click.option("--mass-GeV", "mass_GeV", type=float, help="A' mass, where no axis gives it.")
@click.option("--epsilon", type=float, help="Where no axis gives it; default the central g-2 line.")
@EOT
@MODEL
@LIMIT
@click.option(
    "--mode", type=click.Choice(["semivisible", "invisible"]), default="semivisible", show_default=True
)
@ENGINE
@INPUT
@OUTLIERS
@BLIND
def _scan(
    common: Common,
    arguments: tuple[str, ...],
    x_axis: Axis | None,
    y_axis: Axis | None,
    mass_GeV: float | None,
    epsilon: float | None,
    eot: tuple[str, ...],
    mode: Mode,
    exclude_outlier_spills: bool,
    blind: bool,
) -> Record:
    """The excluded region of a plane; without FILES for the observed counts of the card.

    PLANE is mass-epsilon, mass-alpha or mass1-splitting, Figs. 4 and 5 of the paper. Other planes are given
    by --x and --y: QUANTITY is mass (A'), mass1 (chi1), epsilon, g (epsilon e), y (alpha_D epsilon^2
    (m_chi1/m_A')^4), alpha, ratio (of A' to chi1 mass) or splitting (Delta over the chi1 mass).
    """
    from ..analyze import DataOptions, scan_of_files
    from ..exclusion.grids import PLANES, Plane

    files = arguments
    plane: Plane | str
    if x_axis is not None and y_axis is not None:
        plane = Plane.of_axes(common.card, x_axis, y_axis, epsilon=epsilon, mass_GeV=mass_GeV)
    elif x_axis is not None or y_axis is not None:
        raise ConfigError("one axis without the other: give --x and --y")
    elif not arguments or arguments[0] not in PLANES:
        found = f"{arguments[0]} is no plane" if arguments else "no plane"
        raise ConfigError(f"{found} (known: {', '.join(PLANES)}): give one, or --x and --y")
    else:
        plane, files = arguments[0], arguments[1:]
        if epsilon is not None or mass_GeV is not None:
            raise ConfigError(f"--epsilon or --mass-GeV beside {plane}: give the axes by --x and --y")
    if not files:
        only_of_files(common, exclude_outlier_spills=exclude_outlier_spills, blind=blind)
    drawn = plane if isinstance(plane, Plane) else Plane.named(plane, common.card)
    require_no_axis(common, drawn.x.quantity, drawn.y.quantity)
    return scan_of_files(
        files,
        common.card,
        plane,
        DataOptions(exposure_option(common.card, eot, total=True), exclude_outlier_spills, blind=blind),
        mode=mode,
        results=common.results_if_named,
        work=common.work,
    )


@verb(application, "scorecard", example="na64root scorecard -j 2", show=tables.show_scorecard)
def _scorecard(common: Common) -> Record:
    """Published numbers and curves beside those computed here, with tolerances fixed in advance."""
    from ..analyze import score

    return score(common.card, work=common.work)


@verb(application, "plot", show=tables.show_record, keeps=True,
       example="na64root plot scan/scan.json projection/scan.json -o figures")  # fmt: skip
@click.argument("plane", type=click.Path(path_type=Path))
@click.argument("projections", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--overlay",
    "overlays",
    multiple=True,
    metavar="FILE[:NAME]",
    help="A curve of two columns, which its first line names: mass (or mass1) and epsilon, g or y, or the "
    "plane's axes; may be repeated.",
)
@click.option(
    "--overlay-columns", metavar="X,Y", help="The columns of all of them, where no line names them."
)
def _plot(
    common: Common,
    plane: Path,
    projections: tuple[Path, ...],
    overlays: tuple[str, ...],
    overlay_columns: str | None,
) -> Record:
    """A plane drawn again from the JSON of `scan`: PDF, PNG, its curves as CSV, ROOT objects.

    PROJECTIONS are results in the same plane, drawn as lines with the description of their card. --config
    names the card of the plane, which the title is made from.
    """
    from ..exclusion.curves_of_files import UserCurve
    from ..records import PlaneResult, read_record
    from ..reports.plane_files import labelled, plot

    if overlay_columns is not None and not overlays:
        raise ConfigError("--overlay-columns without --overlay (no file to read): leave it out")
    curves = [UserCurve.of(text, overlay_columns) for text in overlays]
    drawn = read_record(plane, PlaneResult, "the JSON of `na64root scan`")
    others = [(path, read_record(path, PlaneResult, "the JSON of `na64root scan`")) for path in projections]
    for curve in curves:
        if curve.name in drawn.overlays:
            raise ConfigError(f"--overlay {curve.name} (the plane has that already): give FILE:NAME")
        found = {curve.name: curve.overlay(drawn, common.card)}
        drawn = drawn.model_copy(update={"overlays": drawn.overlays | found})
    return plot(drawn, common.card, common.results, projections=labelled(drawn, others))


@verb(application, "ledger", example="na64root ledger -o ledger", show=tables.show_ledger)
@click.option("--presets", "presets_only", is_flag=True, help="Only the cards with other choices.")
def _ledger(common: Common, presets_only: bool) -> Record:
    """What each assumed number of the card and each choice of model moves, one at a time.

    Watched are the end of the excluded part of the central g-2 line and the lower edge at 10 and 100 MeV.
    With -o also as ledger.csv and ledger.md.
    """
    from ..exclusion.ledger import PresetComparison, as_csv, as_markdown, ledger, presets
    from ..records import provenance

    if presets_only:
        return PresetComparison(
            presets=presets(), files={}, provenance=provenance(common.card, seed=common.seed)
        )
    results, names = common.results_if_named, ("ledger.csv", "ledger.md")
    if results is not None:
        results.require(names)
    record = ledger(common.card, work=common.work)
    if results is None:
        return record
    with results.replacing(names) as folder:
        for name, text in zip(names, (as_csv(record), as_markdown(record)), strict=True):
            write_text(folder / name, text)
    return record.model_copy(update={"files": {name: str(results.path / name) for name in names}})


@verb(application, "plan", example="na64root plan --target relic -o plan", show=tables.show_plan)
@click.option(
    "--target",
    type=click.Choice(["g2", "g2-band", "relic"]),
    default="g2",
    show_default=True,
    help="What to exclude: the central g-2 line, all of its 2 sigma band, the thermal relic line.",
)
@click.option("--hcal1-length-cm", "lengths", type=Numbers(), help="Default: 50,75,100,125,150.")
@click.option("--energies-GeV", "energies", type=Numbers(), help="Of the beam; default: 50,75,100,125,150.")
@click.option("--masses-GeV", "masses", type=Numbers(), help="Default: 30 from 0.02 to 0.8.")
@click.option(
    "--background",
    type=click.Choice(["scaled", "kept"]),
    default="scaled",
    show_default=True,
    help="With the exposure, or as in the card, whatever the exposure.",
)
@MODEL
@LIMIT
@click.option("--largest-eot", type=float, default=1e14, show_default=True, help="Beyond it: none.")
def _plan(
    common: Common,
    target: Target,
    lengths: list[float] | None,
    energies: list[float] | None,
    masses: list[float] | None,
    background: Background,
    largest_eot: float,
) -> Record:
    """Electrons on target that it takes to reach a line of models, for lengths of HCAL1 and beam energies.

    With -o also the figure, exposure-TARGET.pdf and .png.
    """
    from ..reports.figured import plan

    return plan(
        common.card,
        target,
        common.results_if_named,
        hcal1_lengths_cm=lengths,
        beam_energies_GeV=energies,
        mass_GeV=masses,
        background=background,
        largest_eot=largest_eot,
        work=common.work,
    )
