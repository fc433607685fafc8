"""Results in folders: which there are, whether they can be read, and whether they may stand together."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version
from pydantic import ValidationError

from ..analyze import Analysis, Scorecard
from ..backgrounds import Backgrounds
from ..config import load_card
from ..errors import DataError
from ..exclusion.coupling import CouplingLimit
from ..exclusion.ledger import Ledger, PresetComparison
from ..exclusion.planner import Plan
from ..inputs import note, read_text
from ..records import FitReport, LimitReport, PlaneResult, Provenance, Record, card_of, sha256_of
from ..reports.diagnostics import DiagnosticsReport
from ..reports.selection_report import SelectionReport
from ..selection.quality import Quality
from ..signal import card_counts
from ..simulation.acceptance import AcceptanceReport
from ..verdicts import Verdict
from ..version import version

# Of counts that may be anybody's, given by hand or in a file.
COUNTS_BY_HAND = (LimitReport, DiagnosticsReport, FitReport)


# Of the counts of a card, which has those of the paper or somebody's own.
COUNTS_OF_CARD = (CouplingLimit, Verdict, Plan, Scorecard, Ledger, PresetComparison)


# The file of each kind of result in a folder, and the records that it may hold, in the order of a page.
KINDS: dict[str, tuple[type[Record], ...]] = {
    "results.json": (Analysis,),
    "select.json": (SelectionReport,),
    "scan.json": (PlaneResult,),
    "limit.json": (LimitReport,),
    "diagnostics.json": (DiagnosticsReport,),
    "fit.json": (FitReport,),
    "coupling.json": (CouplingLimit,),
    "verdict.json": (Verdict,),
    "background.json": (Backgrounds,),
    "acceptance.json": (AcceptanceReport,),
    "quality.json": (Quality,),
    "plan.json": (Plan,),
    "scorecard.json": (Scorecard,),
    "ledger.json": (Ledger, PresetComparison),
}


@dataclass(frozen=True)
class Found:
    """A result, and the file that it is in."""

    path: Path
    kind: str
    record: Any
    sha256: str

    @property
    def provenance(self) -> Provenance:
        """Where it comes from."""
        made: Provenance = self.record.provenance
        return made

    @property
    def blind(self) -> bool | None:
        """Whether the signal boxes are hidden in it; None where it shows no count of data."""
        blind: bool | None = getattr(self.record, "blind", None)
        if isinstance(self.record, PlaneResult) and not blind and _counts_are_published(self.record):
            return None
        return blind


def find(places: Iterable[str | Path]) -> list[Found]:
    """Every result in folders, and those in files.

    Raises:
        DataError: a place without results, a damaged result, one of a newer version; results with hidden
            signal boxes beside others that may show what is in them.
    """
    found: list[Found] = []
    for place in map(Path, places):
        paths = [place / name for name in KINDS if (place / name).is_file()] if place.is_dir() else [place]
        if not paths:
            raise DataError(
                f"{place} holds no results (looked for {', '.join(KINDS)}): give a folder that -o of "
                "analyze, "
                "select, scan, ... named"
            )
        found += [_read(path) for path in paths if all(path.resolve() != f.path.resolve() for f in found)]
    _require_same_blindness(found)
    order = list(KINDS)
    return sorted(found, key=lambda one: order.index(one.kind))


def _read(path: Path) -> Found:
    note(path)
    try:
        values = json.loads(read_text(path))
    except OSError as error:
        raise DataError(
            f"cannot read {path} ({error.strerror}): give a folder that -o of analyze, select, scan, ... "
            "named"
        ) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is damaged ({error}): make this result again") from None
    made_by = _version_of(values)
    candidates = {path.name: KINDS[path.name]} if path.name in KINDS else KINDS
    problem = ""
    for kind, records in candidates.items():
        for record in records:
            try:
                return Found(path, kind, record.model_validate_json(json.dumps(values)), sha256_of(path))
            except ValidationError as error:
                problem = problem or _first(error)
    if made_by is not None and _is_newer(made_by):
        raise DataError(f"{path} is of na64root {made_by} (newer than {version()}): update na64root")
    if path.name not in KINDS:
        raise DataError(
            f"{path} is no result that a report shows ({problem}): give one of {', '.join(KINDS)}"
        )
    raise DataError(f"{path} is damaged ({problem}): make this result again")


def _version_of(values: Any) -> str | None:
    made = values.get("provenance") if isinstance(values, dict) else None
    said = (made.get("version") or made.get("na64root")) if isinstance(made, dict) else None
    return said if isinstance(said, str) else None


def _is_newer(other: str) -> bool:
    try:
        return Version(other) > Version(version())
    except InvalidVersion:
        return False


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'the whole'}: {first['msg']}"


def _counts_are_published(plane: PlaneResult) -> bool:
    """Whether a plane is for counts that come with the package: those of the card that it names."""
    made = plane.provenance
    if made.input_files or not _card_has_published_counts(made):
        return False
    packaged = load_card(made.card)
    card = (card_of(made) or packaged).model_copy(update={"limit": packaged.limit})
    published = [
        count
        for count in card_counts(card, plane.exposure)
        if plane.mode == "semivisible" or count.signature == "S2"
    ]
    return plane.counts == published


def _card_has_published_counts(made: Provenance) -> bool:
    """Whether the counts of a card are those of the card of the package that it names."""
    changed = any(name.startswith(("limit.S1.", "limit.S2.")) for name in made.card_changed)
    return card_of(made) is not None and not changed


def _require_same_blindness(found: Sequence[Found]) -> None:
    """Nothing that is hidden in one result may be read off another of the same page."""
    hidden = next((one for one in found if one.blind), None)
    if hidden is None:
        return
    for one in found:
        typed = isinstance(one.record, PlaneResult) and not one.provenance.input_files and one.blind is False
        typed |= isinstance(one.record, COUNTS_BY_HAND) and not (one.blind or one.provenance.input_files)
        typed |= isinstance(one.record, COUNTS_OF_CARD) and not _card_has_published_counts(one.provenance)
        if typed:
            raise DataError(
                f"{one.path} beside blinded results (its counts were given by hand and may be those that are "
                "hidden): report it apart"
            )
        of_data = isinstance(one.record, COUNTS_BY_HAND) and not one.blind
        if one.blind is False or of_data:
            raise DataError(
                f"{hidden.path} is blinded and {one.path} is not (together they would show what is hidden): "
                "report them apart"
            )
        if isinstance(one.record, Backgrounds) and one.blind is None:
            raise DataError(
                f"{one.path} beside blinded results (an older version made it, which does not say "
                "whether the "
                "signal boxes are hidden): make it again"
            )
