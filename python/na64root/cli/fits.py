"""Verbs on what counts say beside a limit on events: fit, and the limit on a coupling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..errors import ConfigError
from . import tables
from .options import (
    EOT_OF_CARD,
    FILES,
    FROM,
    INPUT,
    LIMIT,
    MODEL,
    OUTLIERS,
    AxisOption,
    ModelFlags,
    Numbers,
    exposure_option,
    limits_of_file,
    model_of_file,
    model_of_options,
    model_options,
    require_no_axis,
    require_one_model,
    require_one_source,
)
from .verb import Common, application, verb

if TYPE_CHECKING:
    from ..exclusion.grids import Axis
    from ..limits import CountingModel
    from ..limits.bayesian import Prior
    from ..limits.fit import Part
    from ..records import Record
    from ..signal import Mode


@verb(application, "fit", show=tables.show_fit, keeps=True,
      example="na64root fit --observed 3,1 --background 0.19,0.53 -o fit")  # fmt: skip
@FILES
@FROM
@model_options
@MODEL
@EOT_OF_CARD
@INPUT
@OUTLIERS
@LIMIT
@click.option(
    "--do",
    "parts",
    multiple=True,
    type=click.Choice(["fit", "goodness", "injection", "scan", "point", "interval", "bayesian", "impacts"]),
    help="Only this; may be repeated (default: all, point where --mu or a mass is given).",
)
@click.option("--toys", type=int, default=2000, show_default=True, help="Of goodness and injection, each.")
@click.option(
    "--inject", type=Numbers(), help="Strengths to inject (default: 0, the limit, twice the limit)."
)
@click.option("--mu", type=float, help="Strength of a point to test, in expected events.")
@click.option("--mass-GeV", "mass_GeV", type=float, help="A' mass of a point to test, with its own shares.")
@click.option("--epsilon", type=float, help="Kinetic mixing of that point.")
@click.option(
    "--prior",
    type=click.Choice(["flat", "sqrt", "jeffreys"]),
    default="flat",
    show_default=True,
    help="Of the Bayesian limit, in mu: constant, 1/sqrt(mu), or Jeffreys' of the counts.",
)
def _fit(
    common: Common,
    files: tuple[str, ...],
    eot: tuple[str, ...],
    model_file: str | None,
    exclude_outlier_spills: bool,
    parts: tuple[Part, ...],
    toys: int,
    inject: list[float] | None,
    mu: float | None,
    mass_GeV: float | None,
    epsilon: float | None,
    prior: Prior,
    **flags: Any,
) -> Record:
    """What the counts say beside the limit: best fit with pulls, correlations and impacts, goodness of fit,
    injected signals, scans of the likelihood and CLs, p-values of a point, Feldman-Cousins, Bayes.

    The counting model is that of `na64root limit` with the same options and FILES, or of a file (--from);
    with --mass-GeV and --epsilon the signal is shared as at that point. With -o also figures and fit.json.
    """
    from ..limits.fit import FitOptions, fit
    from ..records import provenance
    from ..reports.fits import FILES as OF_FIT
    from ..reports.fits import write_fit

    if (mass_GeV is None) != (epsilon is None):
        raise ConfigError("--mass-GeV without --epsilon or the other way round (a point has both): give both")
    if mass_GeV is not None and mu is not None:
        raise ConfigError("--mu beside --mass-GeV (two strengths of one point): give one of them")
    if mass_GeV is not None and (model_file is not None or files):
        beside = "FILES" if model_file is None else f"--from {model_file}"
        raise ConfigError(f"--mass-GeV beside {beside} (two counting models): give one or the other")
    require_one_source(model_file, files)
    require_one_model(common, eot, flags, files, exclude_outlier_spills=exclude_outlier_spills)
    from_file = None if model_file is None else model_of_file(model_file, common, eot, flags)
    if from_file is not None and from_file.blind:
        raise ConfigError(
            f"no fit of {model_file} (it is blinded, and has no observed counts): use limit --from, which "
            "has the expected limits"
        )
    results = common.results_if_named
    if files:
        from ..ntuple import note_files

        note_files(files)
    if results is not None:
        results.require(OF_FIT)
    selected = None
    if from_file is not None:
        model = from_file.model
    elif mass_GeV is not None and epsilon is not None:
        model, mu = _at_point(common, eot, flags, mass_GeV, epsilon)
    else:
        model, selected = model_of_options(
            common, eot, flags, files, exclude_outlier_spills=exclude_outlier_spills
        )
        if selected is not None and selected.weighted:
            raise ConfigError(
                "no fit of weighted simulation (nothing is observed): use limit, which has expected limits"
            )
    wanted = parts or (*FitOptions().parts, *(() if mu is None else ("point",)))
    options = FitOptions(
        wanted, toys, None if inject is None else tuple(inject), mu, mass_GeV, epsilon, prior
    )
    card = common.card
    made = provenance(
        card,
        seed=common.seed,
        limit_method=f"exact, {card.limit.treatment}",
        input_files=selected.files if selected else [],
        input_details=selected.input if selected else None,
    )
    report = fit(model, card, options, provenance=made, work=common.work)
    if from_file is not None:
        about = limits_of_file(from_file, report.limit)
        notes = [*from_file.notes, *report.notes]
        report = report.model_copy(update={"model_file": about, "notes": notes})
    if selected is not None:
        report = report.model_copy(update={"notes": [*selected.notes, *report.notes]})
    return report if results is None else write_fit(report, results)


def _at_point(
    common: Common, eot: tuple[str, ...], flags: dict[str, Any], mass_GeV: float, epsilon: float
) -> tuple[CountingModel, float]:
    """The counting model and the expected signal of a point of the card's model."""
    described = ModelFlags(**flags)
    if described.are_counts:
        raise ConfigError(
            f"{described.given[0]} beside --mass-GeV (two counting models): give one or the other"
        )
    from ..exclusion import model_at_point

    exposure = exposure_option(common.card, eot, total=True)
    model, mu = model_at_point(common.card, mass_GeV, epsilon, exposure, work=common.work)
    return described.changed(model), mu


@verb(application, "coupling", show=tables.show_coupling,
      example="na64root coupling --mass-GeV 0.2 --over alpha=1e-3:1 --epsilon 2e-3 -o coupling")  # fmt: skip
@click.option("--mass-GeV", "mass_GeV", type=float, required=True, help="A' mass.")
@click.option(
    "--over",
    type=AxisOption(),
    metavar="AXIS",
    help="QUANTITY=LOW:HIGH[:POINTS[:lin]], as for scan (default: epsilon as in the card's plane).",
)
@click.option("--epsilon", type=float, help="Where it is not --over; default the central g-2 line.")
@MODEL
@EOT_OF_CARD
@LIMIT
@click.option(
    "--mode", type=click.Choice(["semivisible", "invisible"]), default="semivisible", show_default=True
)
def _coupling(
    common: Common,
    mass_GeV: float,
    over: Axis | None,
    epsilon: float | None,
    eot: tuple[str, ...],
    mode: Mode,
) -> Record:
    """The excluded values of epsilon, or of another parameter, at one mass: no range, one, or more.

    QUANTITY is epsilon, alpha, ratio (of A' to chi1 mass) or splitting. With -o also a figure.
    """
    from ..reports.figured import coupling

    if over is not None:
        require_no_axis(common, over.quantity)
    return coupling(
        common.card,
        mass_GeV,
        common.results_if_named,
        over=over,
        epsilon=epsilon,
        mode=mode,
        eot=exposure_option(common.card, eot, total=True),
        work=common.work,
    )
