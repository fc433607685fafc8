"""Verbs on counting models: limit and export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..config import Criterion
from ..errors import ConfigError
from . import tables
from .options import (
    BLIND,
    CONSTRAINT,
    ENGINE,
    EOT,
    EOT_OF_CARD,
    FILES,
    INPUT,
    LIMIT,
    MODEL,
    OUTLIERS,
    model_of_options,
    model_options,
    require_one_model,
)
from .verb import Common, application, verb

if TYPE_CHECKING:
    from ..limits import Method
    from ..records import Record, ResultsFolder


@verb(application, "limit", show=tables.show_limit,
       example="na64root limit --observed 0,0 --background 0.19,0.53 --signal-uncertainty 0.2")  # fmt: skip
@model_options
@MODEL
@EOT_OF_CARD
@LIMIT
@click.option(
    "--method", type=click.Choice(["exact", "roostats", "asymptotic"]), default="exact", show_default=True
)
@click.option("--criterion", type=click.Choice(["cls", "clsb"]), default="cls", show_default=True,
              help="What falls to 1 - CL at the limit: CLs or CLs+b.")  # fmt: skip
@click.option(
    "--diagnostics",
    is_flag=True,
    help="Write figures, and their numbers, of what the limit rests on; needs -o.",
)
@ENGINE
def _limit(
    common: Common,
    eot: tuple[str, ...],
    method: Method,
    criterion: Criterion,
    diagnostics: bool,
    **flags: Any,
) -> Record:
    """A CLs upper limit on the total expected signal, from counts in one or more bins.

    Without --observed and --background it is that of the card: the number that explain, analyze and export
    start from, the signal shared as at the end of the excluded part of the central g-2 line.
    """
    card, results = common.card, common.results_if_named
    from ..limits import evidence, upper_limit
    from ..records import LimitReport, provenance
    from ..work import said_while

    if common.engine == "dask" and (method != "roostats" or diagnostics):
        raise ConfigError(
            "--engine dask is for the toys of --method roostats without --diagnostics: leave it out"
        )
    cl, treatment = card.limit.confidence_level.value, card.limit.treatment
    if diagnostics:
        _require_diagnostics(results, criterion)
    model, _ = model_of_options(common, eot, flags)
    made = provenance(card, seed=common.seed, limit_method=f"{method}, {treatment}")
    files: dict[str, str] = {}
    if diagnostics:
        from ..limits.diagnostics import diagnose
        from ..reports.diagnostics import write

        assert results is not None, "_require_diagnostics"
        found = diagnose(model, cl=cl, method=method, treatment=treatment, work=common.work)
        result = found.limit
        files = write(found, results, provenance=made)
    else:
        with said_while("the limit"):
            result = upper_limit(
                model, cl=cl, method=method, treatment=treatment, work=common.work, criterion=criterion
            )
    with said_while("the enumeration for p-value and two-sided interval"):
        discovery, interval = evidence(model, cl=cl, treatment=treatment)
    if results is not None and (kept := results.remember("limit", blind=False, provenance=made)):
        files |= {kept.name: str(kept)}
    return LimitReport(**dict(result), provenance=made, discovery=discovery, interval=interval, files=files)


def _require_diagnostics(results: ResultsFolder | None, criterion: Criterion) -> None:
    """Whether diagnostics can be written, before anything is computed."""
    from ..reports.diagnostics import FILES

    if results is None:
        raise ConfigError("--diagnostics without -o (its figures are files): give a folder")
    if criterion != "cls":
        raise ConfigError("--diagnostics with --criterion clsb (they show CLs): leave one out")
    results.require(FILES)


@verb(application, "export", example="na64root export --format pyhf data.root -o exported",
       show=tables.show_exported, keeps=True)  # fmt: skip
@FILES
@EOT
@click.option(
    "--format",
    "formats",
    type=click.Choice(["workspace", "hs3", "pyhf", "datacard", "all"]),
    default="all",
    show_default=True,
)
@model_options
@MODEL
@CONSTRAINT
@INPUT
@OUTLIERS
@BLIND
def _export(
    common: Common,
    files: tuple[str, ...],
    eot: tuple[str, ...],
    formats: str,
    exclude_outlier_spills: bool,
    blind: bool,
    **flags: Any,
) -> Record:
    """The counting model for other programs: RooFit workspace, HS3, pyhf, Combine datacard.

    Of FILES it is the model that analyze sets its limit with, without FILES that of `na64root limit` with the
    same options: the card's own counts, or those of --observed and --background.
    """
    require_one_model(common, eot, flags, files, exclude_outlier_spills=exclude_outlier_spills, blind=blind)
    from ..limits.export import FORMATS, RECORD, Exported, export
    from ..records import provenance, to_json

    chosen = list(FORMATS) if formats == "all" else [formats]
    card, results = common.card, common.results
    if files:
        from ..ntuple import note_files

        note_files(files)
    results.require([*(FORMATS[name][0] for name in chosen), RECORD])
    model, selected = model_of_options(
        common, eot, flags, files, exclude_outlier_spills=exclude_outlier_spills, blind=blind
    )
    made = provenance(
        card,
        seed=common.seed,
        input_files=selected.files if selected else [],
        input_details=selected.input if selected else None,
    )
    comment = ""
    if selected and (blind or selected.weighted):
        why = "blinded" if blind else "weighted simulation"
        comment = f"Nothing is observed ({why}): the most probable counts without signal stand in."
    paths = export(model, results, formats=chosen, comment=comment)
    paths |= {RECORD: results.path / RECORD}
    if kept := results.remember("export", blind=blind, provenance=made):
        paths |= {kept.name: kept}
    exported = Exported(
        files={name: str(path) for name, path in paths.items()},
        counts=list(model.bins),
        signal_uncertainty=model.signal_uncertainty,
        constraint=model.constraint,
        provenance=made,
        blind=blind,
        notes=[*(selected.notes if selected else ()), *filter(None, [comment])],
    )
    results.write(RECORD, to_json(exported) + "\n")
    return exported
