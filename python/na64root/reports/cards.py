"""A card as a record: its values with where they are from, and what differs between two."""

from __future__ import annotations

from ..config import Card, Quantity
from ..records import Record


class CardValue(Record):
    """One value of a card by its dotted name, as `--set` takes it; choices have no provenance."""

    name: str
    value: float | int | str | bool
    provenance: str | None
    source: str | None


class CardListing(Record):
    """Every value of a card. `provenances` counts the numbers by where they are from."""

    card: str
    description: str
    sha256: str
    provenances: dict[str, int]
    values: list[CardValue]


class CardChange(Record):
    """A value that two cards do not share; null where a card does not have it."""

    name: str
    first: CardValue | None
    second: CardValue | None


class CardDifference(Record):
    """What differs between two cards; `source_only` are numbers that are equal, for other reasons."""

    first: str
    second: str
    first_sha256: str
    second_sha256: str
    changes: list[CardChange]
    source_only: list[str]


def listing(card: Card) -> CardListing:
    """Every value of a card that `--set` can replace."""
    values = [_value(name, value) for name, value in card.settings().items()]
    counted: dict[str, int] = {}
    for value in values:
        if value.provenance is not None:
            counted[value.provenance] = counted.get(value.provenance, 0) + 1
    return CardListing(
        card=card.card.name,
        description=card.card.description,
        sha256=card.sha256,
        provenances=counted,
        values=values,
    )


def difference(first: Card, second: Card) -> CardDifference:
    """The values that two cards do not share, in the order of the first."""
    ours, others = ({v.name: v for v in listing(card).values} for card in (first, second))
    changes, source_only = [], []
    for name in dict.fromkeys([*ours, *others]):
        one, other = ours.get(name), others.get(name)
        if one == other or name.startswith("card."):
            continue
        if one is not None and other is not None and one.value == other.value:
            source_only.append(name)
        else:
            changes.append(CardChange(name=name, first=one, second=other))
    return CardDifference(
        first=first.card.name,
        second=second.card.name,
        first_sha256=first.sha256,
        second_sha256=second.sha256,
        changes=changes,
        source_only=source_only,
    )


def _value(name: str, value: Quantity | float | str | bool) -> CardValue:
    if isinstance(value, Quantity):
        return CardValue(name=name, value=value.value, provenance=value.provenance, source=value.source)
    return CardValue(name=name, value=value, provenance=None, source=None)
