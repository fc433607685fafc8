"""Results that are published: which they are, what they say of blinding, and the card that made them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import records
from ..analyze import Analysis
from ..backgrounds import Backgrounds
from ..config import Card
from ..errors import ConfigError, DataError
from ..inputs import note, read_text
from ..limits.export import Exported
from ..records import BLINDING, LimitReport, PlaneResult, Provenance, Record, read_record
from ..reports.selection_report import SelectionReport
from ..simulation.acceptance import AcceptanceReport
from ..simulation.efficiency_map import FORMAT_NAME, EfficiencyMap

# A record by keys that it alone has, and the verb whose JSON it is.
KINDS: dict[str, tuple[type[Record], tuple[str, ...]]] = {
    "analyze": (Analysis, ("cutflow", "exclusion", "candidates")),
    "select": (SelectionReport, ("cutflow", "cuts", "n_minus_one")),
    "background": (Backgrounds, ("estimates", "not_estimated", "dimuon")),
    "scan": (PlaneResult, ("upper_limit_mu", "contours")),
    "limit": (LimitReport, ("upper_limit", "criterion")),
    "acceptance": (AcceptanceReport, ("signatures", "produced", "decays")),
    "export": (Exported, ("counts", "signal_uncertainty", "constraint")),
}

MAP = "efficiency map"

# Of kinds whose numbers rest on no observed event.
WITHOUT_DATA = ("acceptance", MAP)


@dataclass(frozen=True)
class Source:
    """A result: its file, its verb, its record, and the card that made it.

    `blind`: whether the signal boxes of its input are hidden; None where it does not say so, or has no input.
    """

    path: Path
    kind: str
    record: Any
    blind: bool | None
    card: Card


def find(paths: Sequence[str | Path], card: Card) -> list[Source]:
    """The results in files and folders; of a folder all that can be published.

    Args:
        card: the one that results are made with, unless their provenance names a card of the package.

    Raises:
        DataError: nothing there, or not readable.
        ConfigError: a result of a card that is not at hand, or results that hide and show the same events.
    """
    found: list[Source] = []
    for path in map(Path, paths):
        files = _in_folder(path) if path.is_dir() else [path]
        for file in files:
            if all(file.resolve() != source.path.resolve() for source in found):
                found.append(_read(file, card))
    _require_one_blindness(found)
    return found


def _in_folder(folder: Path) -> list[Path]:
    files = [path for path in sorted(folder.glob("*.json")) if _kind(_loaded(path)) is not None]
    if not files:
        raise DataError(
            f"{folder} holds no result that is published (those of {', '.join(KINDS)}, or an efficiency "
            "map): give the folder of one, which -o named"
        )
    return files


def _loaded(path: Path) -> Any:
    note(path)
    try:
        return json.loads(read_text(path))
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror}): give a result of na64root") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is no JSON ({error}): make the result again") from None


def _kind(data: Any) -> str | None:
    if not isinstance(data, dict):
        return None
    if str(data.get("format", "")).startswith(FORMAT_NAME):
        return MAP
    return next((kind for kind, (_, keys) in KINDS.items() if set(keys) <= data.keys()), None)


def _read(path: Path, card: Card) -> Source:
    data = _loaded(path)
    kind = _kind(data)
    if kind is None:
        raise DataError(
            f"{path} is no result that is published (those of {', '.join(KINDS)}, or an efficiency "
            "map): give the JSON of one"
        )
    if kind == MAP:
        record: Any = EfficiencyMap.load(path)
    else:
        record = read_record(path, KINDS[kind][0], f"the JSON of `na64root {kind}` of this version")
    # What the file itself says: a record fills in what an older version did not write.
    said = None if kind in WITHOUT_DATA else data.get("blind")
    blind = said if isinstance(said, bool) else None
    if blind is None and kind not in WITHOUT_DATA:
        _require_unblinded_folder(path)
    return Source(path, kind, record, blind, card_of(record.provenance, card, str(path)))


def _require_unblinded_folder(path: Path) -> None:
    """What does not say whether it is blinded must not come from where blinded results are."""
    memory = path.parent / BLINDING
    if not memory.exists():
        return
    try:
        entries = [json.loads(line) for line in read_text(memory).splitlines() if line.strip()]
        blinded = any(entry["blind"] for entry in entries)
    except (OSError, ValueError, TypeError, KeyError):
        blinded = True  # what is damaged clears nobody
    if blinded:
        raise ConfigError(
            f"{path} does not say whether its counts are blinded, and blinded results are beside it "
            f"({memory.name}): publish it from a folder of its own"
        )


def _require_one_blindness(found: Iterable[Source]) -> None:
    rests_on_data = [source for source in found if source.kind not in WITHOUT_DATA]
    blinded = next((source for source in rests_on_data if source.blind), None)
    other = next((source for source in rests_on_data if not source.blind), None)
    if blinded is not None and other is not None:
        why = "shows what is observed" if other.blind is False else "does not say whether it is blinded"
        raise ConfigError(f"{blinded.path} is blinded, {other.path} {why}: publish them apart")


def card_of(made: Provenance, card: Card, what: str) -> Card:
    """The card of a result, known by its checksum: the one given, or one of the package with its changes.

    Raises:
        ConfigError: neither is it; qualifiers are not guessed.
    """
    if made.card_sha256 == card.sha256:
        return card
    if (again := records.card_of(made)) is not None:
        return again
    raise ConfigError(
        f"{what} was made with a card {made.card} that is not the one given (its parameters would be "
        "guessed): give --config and --set as for that result"
    )
