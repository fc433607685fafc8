"""What is said of any result: where it comes from, how to make it again, which assumptions it rests on."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from ..config import Card, Quantity
from ..exclusion.ledger import Ledger, LedgerRow
from ..records import Provenance
from .blocks import Block, Cell, Code, Folded, Section, Table, Text, facts, written


def provenance(made: Provenance, path: Path, sha256: str, file_name: str, folder_of_command: str) -> Folded:
    """Where a result comes from: its own file, what it was made of and with, and the command."""
    blocks: list[Block] = [
        facts(
            f"{file_name}-provenance",
            "What it was made with",
            [
                ("result", str(path)),
                ("its SHA-256", sha256),
                ("na64root", made.version or made.na64root),
                ("ROOT", made.root),
                ("Python", made.python),
                ("NumPy", made.numpy),
                ("card", made.card),
                ("its SHA-256", made.card_sha256),
                ("seed", made.seed),
                ("cross section", made.approximation),
                ("limits by", made.limit_method),
            ],
        )
    ]
    if made.card_changed:
        rows = list(made.card_changed.items())
        blocks.append(
            Table(f"{file_name}-changed", "Numbers changed in the card", ("number", "changed to"), rows)
        )
    files = [("input", f) for f in made.input_files]
    if made.input is not None:
        files += [("friend", f) for f in made.input.friend_files]
    if files:
        blocks.append(
            Table(
                f"{file_name}-inputs",
                "Files that were read",
                ("kind", "file", "bytes", "events", "SHA-256"),
                [(kind, f.path, f.size, f.entries, f.sha256 or "remote, none") for kind, f in files],
            )
        )
    if made.input is not None:
        if made.input.files_skipped:
            blocks.append(
                Table(
                    f"{file_name}-skipped",
                    "Files that were left out",
                    ("file", "why"),
                    [(f.path, f.cause) for f in made.input.files_skipped],
                )
            )
        if (good := made.input.good_runs) is not None:
            pairs: list[tuple[str, Cell]] = [
                ("list", good.path),
                ("its SHA-256", good.sha256),
                ("ranges", good.ranges),
            ]
            blocks.append(facts(f"{file_name}-good-runs", "List of good runs", pairs))
    blocks += _command(made, folder_of_command)
    return Folded("Where this comes from, and how to make it again", blocks)


def _command(made: Provenance, folder: str) -> list[Block]:
    if made.command is None:
        return [
            Text(["It does not say which command made it: a function of Python did, or an older version."])
        ]
    said = "This command makes it again, from the same files"
    text = " ".join(["na64root", *(shlex.quote(word) for word in made.command), "-o", shlex.quote(folder)])
    return [Text([f"{said} (the SHA-256 says whether they are):"]), Code(text)]


def assumptions(card: Card, ledgers: Sequence[Ledger]) -> Section:
    """What is assumed in a card, and what each number moves where a ledger of the same card says so."""
    ledger = next((one for one in ledgers if one.provenance.card_sha256 == card.sha256), None)
    assumed = card.assumed()
    by_name: dict[str, LedgerRow] = {}
    for row in ledger.rows if ledger is not None else ():
        known = by_name.get(row.name)
        if known is None or abs(row.end_point_shift_GeV or 0.0) > abs(known.end_point_shift_GeV or 0.0):
            by_name[row.name] = row
    changed = card.changed()
    # Two cards of one page can differ in what was changed alone.
    name = f"assumptions-{card.card.name}" + (f"-{card.sha256[:8]}" if changed else "")
    title = f"Assumptions of the card {card.card.name}{', changed' if changed else ''}, and their price"
    if ledger is None:
        settings = (value for value in card.settings().values() if isinstance(value, Quantity))
        sets = [value.source for value in settings if value.provenance == "user"]  # --set, as typed
        return Section(
            title,
            [
                f"{len(assumed)} numbers of this card are assumed: the publication does not print them.",
                "What each of them moves is computed by the command below; give its folder to the report "
                "too.",
            ],
            [
                Code(" ".join(["na64root ledger --config", card.card.name, *sets, "-o ledger"])),
                Table(
                    name,
                    "Assumed numbers",
                    ("number", "value", "why this value"),
                    [(key, q.value, q.source) for key, q in assumed.items()],
                ),
            ],
        )
    moving = sorted(by_name, key=lambda key: -abs(by_name[key].end_point_shift_GeV or 0.0))
    rows = [_priced(key, assumed.get(key), by_name[key]) for key in moving]
    return Section(
        title,
        [
            f"{len(assumed)} numbers of this card are assumed: the publication does not print them. "
            f"{len([key for key in by_name if key in assumed])} of them enter; "
            f"{len(ledger.does_not_enter)} move nothing."
        ],
        [
            Table(
                name,
                "What moves the end of the excluded g−2 line most comes first: one number changed at a time",
                ("number or choice", "value", "changed to", "end point moves by [GeV]", "edge at 10 MeV",
                 "edge at 100 MeV", "why this value"),
                rows,
            )
        ],
    )  # fmt: skip


def _priced(name: str, quantity: Quantity | None, row: LedgerRow) -> tuple[str | float | None, ...]:
    def change(value: float | None) -> str | None:
        return None if value is None else f"{100 * value + 0.0:+.1f} %"

    return (
        name,
        written(row.card_value),
        written(row.varied_to),
        "not possible" if row.refused else f"{row.end_point_shift_GeV or 0.0:+.4f}",
        change(row.lower_edge_10MeV_shift),
        change(row.lower_edge_100MeV_shift),
        row.refused or (quantity.source if quantity is not None else row.reason),
    )
