"""Where results go: a folder, whether what is there may be replaced, and its memory of blinding."""

import contextlib
import datetime
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import Na64Error
from ..inputs import belongs_to_run
from .files import refuse_to_replace, renamed_into, require_writable, write_atomically
from .origin import Provenance
from .record import Record

# A line for each run that was made blind, or after one that was; kept when results are replaced.
BLINDING = "blinding.jsonl"


class BlindingEntry(Record):
    """One run: what was made, from what, and whether the signal boxes were hidden."""

    time: str
    verb: str
    blind: bool
    card: str
    card_sha256: str
    inputs_sha256: dict[str, str]
    na64root: str


@dataclass(frozen=True)
class ResultsFolder:
    """A folder of results; with `force` results of the same names are replaced, otherwise that is refused.

    A file that the run reads (:mod:`na64root.inputs`) is never replaced.
    """

    path: Path
    force: bool = False

    def require(self, names: Iterable[str]) -> None:
        """What a long computation asks before it starts: that its files can be written here.

        Raises:
            Na64Error: one exists and `force` is not set or the run reads it; the folder cannot be written.
        """
        refuse_to_replace(self.path, names, self.force)
        require_writable(self.path)

    def require_other(self, path: Path, names: Iterable[str]) -> None:
        """Raise Na64Error where a file beside the results is to be one of them."""
        if os.path.realpath(path) in {os.path.realpath(self.path / name) for name in names}:
            raise Na64Error(f"{path} is a file of the results (two files, one name): give it another name")

    @contextlib.contextmanager
    def replacing(self, names: Iterable[str]) -> Iterator[Path]:
        """A temporary folder; at the end its files take the place of `names` here, all or none.

        Raises:
            Na64Error: as :meth:`require`, also where another run wrote one of them in the meantime.
        """
        with renamed_into(self.path, names, force=self.force) as temporary:
            yield temporary

    def write(self, name: str, text: str) -> Path:
        """Write one text file here, beside and renamed; its path.

        Raises:
            Na64Error: it exists and `force` is not set, or cannot be written.
        """
        path = self.path / name
        write_atomically(path, lambda temporary: _write(temporary, text), force=self.force)
        return path

    def remember(self, verb: str, *, blind: bool, provenance: Provenance) -> Path | None:
        """Append a run to the folder's record of blinding; an unblinded one only after a blinded one.

        Returns:
            the file of the record, None where there is nothing to remember.

        Raises:
            Na64Error: it cannot be written.
        """
        path = self.path / BLINDING
        if not blind and not path.exists():
            return None
        if belongs_to_run(path):
            raise Na64Error(
                f"{path} is read by this run (the record of blinding goes there): choose another output"
            )
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


def _write(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")
