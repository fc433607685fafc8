"""Verbs on results: report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import tables
from .verb import Common, application, verb

if TYPE_CHECKING:
    from ..records import Record


@verb(application, "report", example="na64root report results scan -o report", show=tables.show_report,
       keeps=True)  # fmt: skip
@click.argument("results", nargs=-1, type=click.Path(path_type=Path), metavar="RESULTS...")
@click.option("--title", help="Of the page (default: made from the results).")
def _report(common: Common, results: tuple[Path, ...], title: str | None) -> Record:
    """One HTML page of results, report.html: it opens from disk, needs no network and can be printed.

    RESULTS are folders that -o of analyze, select, scan, limit, background, acceptance, quality, plan,
    scorecard or ledger named, or JSON files in them. What is hidden in a blinded result stays hidden.
    """
    if not results:
        raise click.UsageError("missing RESULTS", click.get_current_context())
    from ..html_report import report

    return report(results, common.results, title=title)
