"""The page: sections of all results, what compares them, and their assumptions, in one file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from ..analyze import Analysis, Scorecard
from ..backgrounds import Backgrounds
from ..config import Card
from ..exclusion.coupling import CouplingLimit
from ..exclusion.ledger import Ledger
from ..exclusion.planner import Plan
from ..inputs import one_run
from ..records import (
    FitReport,
    LimitReport,
    LimitResult,
    PlaneResult,
    Record,
    ResultsFolder,
    card_of,
    together,
)
from ..reports.diagnostics import DiagnosticsReport
from ..reports.selection_report import SelectionReport
from ..selection.quality import Quality
from ..simulation.acceptance import AcceptanceReport
from ..verdicts import Verdict
from ..version import version
from . import data, fits, limits, origin, planes, points
from .blocks import Block, Code, Drawing, Folded, Section, Table, Text
from .drawings import Draw
from .found import Found, find

NAME = "report.html"


class Reported(Record):
    """A result on the page, and what it says in plain words."""

    kind: str
    path: str
    sha256: str
    headline: list[str]


class Report(Record):
    """The result of `na64root report`. `blind`: signal boxes are hidden in what it shows."""

    title: str
    results: list[Reported]
    blind: bool
    files: dict[str, str]
    version: str


@one_run()
@together()
def report(places: Sequence[str | Path], results: ResultsFolder, *, title: str | None = None) -> Report:
    """Write report.html of every result in folders (or files): one page that needs nothing else.

    Args:
        places: folders that the verbs wrote, or JSON files in them.
        results: where the page goes.
        title: of the page; made from the results where not given.

    Raises:
        DataError: as :func:`na64root.html_report.found.find`.
        Na64Error: the page exists and is not to be replaced, or cannot be written.
    """
    found = find(places)
    results.require([NAME])
    cards = {one.provenance.card_sha256: card_of(one.provenance) for one in found}
    draw = Draw()
    sections, named = [], _names(found)
    for one in found:
        card = cards[one.provenance.card_sha256]
        made = _section(one, card, draw)
        provenance = origin.provenance(
            one.provenance,
            one.path,
            one.sha256,
            _anchor(f"{named[one.path]}-{one.kind.removesuffix('.json')}"),
            str(one.path.parent),
        )
        shown = f"{made.title}: {named[one.path]}" if len(found) > 1 else made.title
        sections.append(Section(shown, made.headline, [*made.blocks, provenance]))
    summary = _summary(sections, found)
    reported = [
        Reported(kind=one.kind.removesuffix(".json"), path=str(one.path), sha256=one.sha256,
                 headline=list(section.headline))
        for one, section in zip(found, sections, strict=True)
    ]  # fmt: skip
    if compared := _compared(found, named, draw):
        sections.insert(0, compared)
    ledgers = [one.record for one in found if isinstance(one.record, Ledger)]
    sections += [origin.assumptions(card, ledgers) for card in cards.values() if card is not None]
    blind = any(one.blind for one in found)
    title = title or _title(sections, found)
    results.write(NAME, render(title, sections, summary=summary, blind=blind))
    path = results.path / NAME
    return Report(title=title, results=reported, blind=blind, files={NAME: str(path)}, version=version())


def _section(one: Found, card: Card | None, draw: Draw) -> Section:
    record = one.record
    if isinstance(record, Analysis):
        return data.of_analysis(record, draw)
    if isinstance(record, SelectionReport):
        return data.of_selection(record, draw)
    if isinstance(record, Backgrounds):
        return data.of_backgrounds(record, card, draw)
    if isinstance(record, Quality):
        return data.of_quality(record, card, draw)
    if isinstance(record, PlaneResult):
        return planes.of_plane(record, card, draw)
    if isinstance(record, LimitReport):
        return limits.of_limit(record)
    if isinstance(record, DiagnosticsReport):
        return limits.of_diagnostics(record, draw)
    if isinstance(record, FitReport):
        return fits.of_fit(record, draw)
    if isinstance(record, CouplingLimit):
        return points.of_coupling(record, draw)
    if isinstance(record, Verdict):
        return points.of_verdict(record)
    if isinstance(record, AcceptanceReport):
        return planes.of_acceptance(record, draw)
    if isinstance(record, Plan):
        return planes.of_plan(record, card, draw)
    if isinstance(record, Scorecard):
        return planes.of_scorecard(record, draw)
    return planes.of_ledger(record, draw)


def _names(found: Sequence[Found]) -> dict[Path, str]:
    """A short name of each result: that of its folder, with more of the path where two are alike."""
    names: dict[Path, str] = {}
    for depth in range(1, 6):
        names = {one.path: "/".join(one.path.resolve().parent.parts[-depth:]) for one in found}
        if len({(name, one.kind) for name, one in zip(names.values(), found, strict=True)}) == len(found):
            break
    return names


def _compared(found: Sequence[Found], named: dict[Path, str], draw: Draw) -> Section | None:
    """Limits and end points of several results beside each other; None where there is at most one."""
    known: list[tuple[str, str, LimitResult | LimitReport]] = []
    ends: list[tuple[str, str, float | None]] = []
    for one in found:
        name = named[one.path]
        if isinstance(one.record, Analysis):
            if one.record.limit is not None:
                known.append((name, one.record.limit.kind, one.record.limit.of_quoted))
            ends.append((name, one.kind, one.record.g2_excluded_up_to_GeV))
        elif isinstance(one.record, LimitReport):
            known.append((name, "expected" if one.record.blind else "observed", one.record))
        elif isinstance(one.record, PlaneResult) and one.record.plane == "mass-epsilon":
            ends.append((name, one.kind, one.record.g2_excluded_up_to_GeV))
    blocks: list[Block] = limits.compared(known, draw) if len(known) > 1 else []
    if len(ends) > 1:
        columns = ("result", "kind", "g−2 line excluded up to [GeV]")
        rows = [(name, kind.removesuffix(".json"), end) for name, kind, end in ends]
        blocks.append(Table("end-points", "How far the g−2 line is excluded", columns, rows))
    return Section("Results side by side", [], blocks) if blocks else None


def _title(sections: Sequence[Section], found: Sequence[Found]) -> str:
    return f"{sections[0].title}" if len(found) == 1 else f"{len(found)} results of na64root"


def _summary(sections: Sequence[Section], found: Sequence[Found]) -> list[tuple[str, Sequence[str]]]:
    return [(section.title if len(found) > 1 else "", section.headline) for section in sections]


def _anchor(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


@cache
def _template() -> jinja2.Template:
    folder = resources.files(__package__)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
                                     lstrip_blocks=True)  # fmt: skip
    environment.filters["anchor"] = _anchor
    for name, kind in (
        ("code", Code),
        ("drawing", Drawing),
        ("folded", Folded),
        ("table", Table),
        ("text", Text),
    ):
        environment.tests[name] = lambda block, kind=kind: isinstance(block, kind)
    environment.filters["svg"] = Markup  # made by drawings, which escapes what it is given
    for name in ("page.css", "page.js"):
        environment.globals[name.replace(".", "_")] = Markup((folder / name).read_text("utf-8"))
    return environment.from_string((folder / "page.html").read_text("utf-8"))


def render(title: str, sections: Sequence[Section], **more: Any) -> str:
    """The page as text."""
    return _template().render(title=title, sections=sections, version=version(), **more) + "\n"
