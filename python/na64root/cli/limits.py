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
    FROM,
    INPUT,
    LIMIT,
    MODEL,
    OUTLIERS,
    limits_of_file,
    model_of_file,
    model_of_options,
    model_options,
    require_one_model,
    require_one_source,
)
from .publication import hepdata, show_submission
from .verb import Common, application, verb

if TYPE_CHECKING:
    from ..limits import Method
    from ..records import Record, ResultsFolder


@verb(application, "limit", show=tables.show_limit,
       example="na64root limit --observed 0,0 --background 0.19,0.53 --signal-uncertainty 0.2")  # fmt: skip
@FILES
@FROM
@model_options
@MODEL
@EOT_OF_CARD
@INPUT
@OUTLIERS
@BLIND
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
    files: tuple[str, ...],
    eot: tuple[str, ...],
    model_file: str | None,
    exclude_outlier_spills: bool,
    blind: bool,
    method: Method,
    criterion: Criterion,
    diagnostics: bool,
    **flags: Any,
) -> Record:
    """A CLs upper limit on the total expected signal, from counts in one or more bins.

    Of FILES it is that of the model of analyze. Without FILES, --observed and --background it is that of the
    card: the number that explain, analyze and export start from, the signal shared as at the end of the
    excluded part of the central g-2 line.
    """
    card, results = common.card, common.results_if_named
    of_events = {"exclude_outlier_spills": exclude_outlier_spills, "blind": blind}
    require_one_source(model_file, files)
    require_one_model(common, eot, flags, files, **of_events)
    if files:
        from ..ntuple import note_files

        note_files(files)
    from_file = None if model_file is None else model_of_file(model_file, common, eot, flags)
    from ..limits import evidence, upper_limit
    from ..records import LimitReport, provenance
    from ..work import said_while

    if common.engine == "dask" and (method != "roostats" or diagnostics):
        raise ConfigError(
            "--engine dask is for the toys of --method roostats without --diagnostics: leave it out"
        )
    cl, treatment = card.limit.confidence_level.value, card.limit.treatment
    blind = blind or (from_file is not None and from_file.blind)
    if diagnostics:
        _require_diagnostics(results, criterion, blind=blind)
    if blind and results is not None:
        results.require([])  # its record of blinding
    selected = None
    if from_file is not None:
        model = from_file.model
    else:
        model, selected = model_of_options(common, eot, flags, files, **of_events)
    notes = [*(from_file.notes if from_file else ()), *(selected.notes if selected else ())]
    weighted = selected is not None and selected.weighted
    if weighted:
        if diagnostics:
            raise ConfigError("--diagnostics of weighted simulation (nothing is observed): leave it out")
        notes.append("Nothing is observed (weighted simulation): there are expected limits only.")
    made = provenance(
        card,
        seed=common.seed,
        limit_method=f"{method}, {treatment}",
        input_files=selected.files if selected else [],
        input_details=selected.input if selected else None,
    )
    written: dict[str, str] = {}
    if diagnostics:
        from ..limits.diagnostics import diagnose
        from ..reports.diagnostics import write

        assert results is not None, "_require_diagnostics"
        found = diagnose(model, cl=cl, method=method, treatment=treatment, work=common.work)
        result = found.limit
        written = write(found, results, provenance=made)
    else:
        with said_while("the limit"):
            result = upper_limit(
                model, cl=cl, method=method, treatment=treatment, work=common.work, criterion=criterion
            )
    discovery, interval = None, None
    observed = not (blind or weighted)
    if observed:
        with said_while("the enumeration for p-value and two-sided interval"):
            discovery, interval = evidence(model, cl=cl, treatment=treatment)
    if results is not None and (kept := results.remember("limit", blind=blind, provenance=made)):
        written |= {kept.name: str(kept)}
    return LimitReport(
        **dict(result) | ({} if observed else {"upper_limit": None, "upper_limit_error": None}),
        provenance=made,
        discovery=discovery,
        interval=interval,
        files=written,
        model_file=None if from_file is None else limits_of_file(from_file, result, blind),
        blind=blind,
        notes=notes,
    )


def _require_diagnostics(results: ResultsFolder | None, criterion: Criterion, *, blind: bool) -> None:
    """Whether diagnostics can be written, before anything is computed."""
    from ..reports.diagnostics import FILES

    if results is None:
        raise ConfigError("--diagnostics without -o (its figures are files): give a folder")
    if criterion != "cls":
        raise ConfigError("--diagnostics with --criterion clsb (they show CLs): leave one out")
    if blind:
        raise ConfigError("--diagnostics of a blinded model (they show what was observed): leave it out")
    results.require(FILES)


def _show_exported(record: Any, console: Any) -> None:
    if hasattr(record, "tables"):
        show_submission(record, console)
    else:
        tables.show_exported(record, console)


@verb(application, "export", example="na64root export --format pyhf data.root -o exported",
       show=_show_exported, keeps=True)  # fmt: skip
@FILES
@EOT
@click.option(
    "--format",
    "formats",
    type=click.Choice(["workspace", "hs3", "pyhf", "datacard", "all", "hepdata"]),
    default="all",
    show_default=True,
)
@FROM
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
    model_file: str | None,
    exclude_outlier_spills: bool,
    blind: bool,
    **flags: Any,
) -> Record:
    """The counting model for other programs: RooFit workspace, HS3, pyhf, Combine datacard.

    Of FILES it is the model that analyze sets its limit with, without FILES that of `na64root limit` with the
    same options: the card's own counts, those of --observed and --background, or of a file.

    With --format hepdata FILES are results (folders or JSON of analyze, scan, limit, acceptance, export,
    efficiency maps), and a HEPData submission is made of them, without FILES of the card's own limit and
    plane. `all` are the other four formats.
    """
    require_one_source(model_file, files, hepdata=formats == "hepdata")
    outliers = {"exclude_outlier_spills": exclude_outlier_spills}
    if formats == "hepdata":
        return hepdata(common, files, {"eot": eot, "blind": blind, **outliers, **flags})
    require_one_model(common, eot, flags, files, blind=blind, **outliers)
    from_file = None if model_file is None else model_of_file(model_file, common, eot, flags)
    from ..limits.export import FORMATS, RECORD, Exported, approximations, export
    from ..limits.model_record import record_of
    from ..limits.model_texts import NOTHING_OBSERVED, STAND_IN
    from ..records import provenance, to_json

    chosen = list(FORMATS) if formats == "all" else [formats]
    card, results = common.card, common.results
    if files:
        from ..ntuple import note_files

        note_files(files)
    results.require([*(FORMATS[name][0] for name in chosen), RECORD])
    selected = None
    if from_file is not None:
        model = from_file.model
    else:
        model, selected = model_of_options(common, eot, flags, files, blind=blind, **outliers)
    made = provenance(
        card,
        seed=common.seed,
        input_files=selected.files if selected else [],
        input_details=selected.input if selected else None,
    )
    comment = ""
    if from_file is not None and from_file.blind:
        blind, comment = True, f"{NOTHING_OBSERVED} (blinded): {STAND_IN}."
    if selected and (blind or selected.weighted):
        why = "blinded" if blind else "weighted simulation"
        comment = f"{NOTHING_OBSERVED} ({why}): {STAND_IN}."
    paths = export(model, results, formats=chosen, comment=comment)
    paths |= {RECORD: results.path / RECORD}
    if kept := results.remember("export", blind=blind, provenance=made):
        paths |= {kept.name: kept}
    exported = Exported(
        files={name: str(path) for name, path in paths.items()},
        **dict(record_of(model)),
        provenance=made,
        blind=blind,
        notes=[
            *(selected.notes if selected else ()),
            *(from_file.notes if from_file else ()),
            *filter(None, [comment]),
            *(line for form in chosen for line in approximations(model, form)),
        ],
    )
    results.write(RECORD, to_json(exported) + "\n")
    return exported
