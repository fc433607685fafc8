"""The record of blinding: which results of a folder were made blind, and when it was unblinded.

Events in the signal boxes are hidden by the selection itself; here is only the memory of it.
"""

from __future__ import annotations

import datetime
from pathlib import Path

from ..errors import Na64Error
from ..records import Provenance, Record

# A line for each run; kept when results are replaced.
FILE = "blinding.jsonl"


class BlindingEntry(Record):
    """One run: what was made, from what, and whether the signal boxes were hidden."""

    time: str
    verb: str
    blind: bool
    card: str
    card_sha256: str
    inputs_sha256: dict[str, str]
    na64root: str


def remember(folder: Path, verb: str, *, blind: bool, provenance: Provenance) -> Path | None:
    """Append a run to the record of a folder; an unblinded one only where a blinded one came before.

    Returns:
        the file of the record, None where there is nothing to remember.

    Raises:
        Na64Error: it cannot be written.
    """
    path = folder / FILE
    if not blind and not path.exists():
        return None
    entry = BlindingEntry(
        time=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        verb=verb,
        blind=blind,
        card=provenance.card,
        card_sha256=provenance.card_sha256,
        inputs_sha256={file.path: file.sha256 for file in provenance.input_files},
        na64root=provenance.na64root,
    )
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(entry.model_dump_json() + "\n")
    except OSError as error:
        raise Na64Error(
            f"cannot write the record of blinding {path} ({error.strerror}): make it writable"
        ) from None
    return path
