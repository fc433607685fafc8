"""What `export --format hepdata` does: results as a HEPData submission."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from .verb import Common

if TYPE_CHECKING:
    from rich.console import Console

    from ..publication import Submission
    from ..records import Record


def hepdata(common: Common, paths: tuple[str, ...], given: dict[str, Any]) -> Record:
    """Publish results, or without any those of the card.

    Raises:
        ConfigError: an option of the other formats; what :func:`na64root.publication.submit` raises.
    """
    others = [name for name, value in given.items() if value not in (None, False, ())]
    if others:
        option = f"--{others[0].replace('_', '-')}"
        raise ConfigError(f"{option} with --format hepdata (results are published as they are): leave it out")
    from ..publication import submit

    return submit(paths, common.card, common.results, work=common.work)


def show_submission(record: Submission, console: Console) -> None:
    """The tables, the files beside them and where they are."""
    from rich.table import Table

    for note in record.notes:
        console.print(f"  note: {note}", soft_wrap=True)
    table = Table("table", box=None)
    for name in record.tables:
        table.add_row(name)
    console.print(table)
    for resource in record.resources:
        console.print(f"with {resource.location}: {resource.description}", soft_wrap=True)
    for path in record.files.values():
        console.print(f"  {path}", soft_wrap=True)
