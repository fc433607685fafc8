"""The cuts that a skim was made with, and which cuts of a card would have kept events that it lacks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from pydantic import ValidationError

from ..config import SIGNATURES, Card, Signature
from ..errors import DataError
from ..ntuple import Ntuple
from ..records import Record
from .cut_table import CutDescription, CutVariable, cuts, definitions, descriptions


class SkimCuts(Record):
    """The cuts that the events of a skim pass, of one signature or the other.

    `quantities`: what the card makes of branches for them (`na64_veto`, `na64_r`, ...), as C++.
    """

    cuts: tuple[CutDescription, ...]
    quantities: dict[str, str]


def cuts_of_skim(
    card: Card, ntuple: Ntuple, names: Mapping[Signature, Collection[str]]
) -> tuple[SkimCuts, ...]:
    """What a skim of this input says of the cuts of these names, by signature; and what its input says."""
    before = [part for path in ntuple.made_by_na64root for part in _said_by(path, ntuple)]
    made = _cuts(card, ntuple, names)
    return made, *(part for i, part in enumerate(before) if part != made and part not in before[:i])


def _cuts(card: Card, ntuple: Ntuple, names: Mapping[Signature, Collection[str]]) -> SkimCuts:
    table = {s: [cut for cut in cuts(card, s, ntuple) if cut.name in names[s]] for s in names}
    return SkimCuts(
        cuts=tuple(cut for cut in descriptions(card, table) if cut.expression is not None),
        quantities={name: made.expression for name, made in definitions(card, ntuple.present).items()},
    )


def notes_on_skims(ntuple: Ntuple, card: Card) -> list[str]:
    """A note for each skim of an input that lacks events which the cuts of the card would keep.

    Raises:
        DataError: what a skim says of its cuts cannot be read.
    """
    notes = []
    now: SkimCuts | None = None
    for path in ntuple.made_by_na64root:
        loose: dict[str, None] = {}
        for then in _said_by(path, ntuple):
            now = now or _cuts(card, ntuple, dict.fromkeys(SIGNATURES, card.selection.order))
            loose |= dict.fromkeys(_looser(now, then))
        if loose:
            notes.append(
                f"{path} is a skim made with tighter or other cuts than those of the card ({', '.join(loose)}"
                "): events that only these would keep are not in it, select from the files it was made of"
            )
    return notes


def _said_by(path: str, ntuple: Ntuple) -> list[SkimCuts]:
    """The cuts of a skim, or of each part of a merged one; none of what is no skim, or was made before."""
    try:
        return [SkimCuts.model_validate(part) for part in ntuple.made_by_na64root[path].get("cuts", [])]
    except (ValidationError, TypeError):
        raise DataError(
            f"{path} is a skim whose cuts cannot be read (another version of na64root wrote it): make the "
            "skim again"
        ) from None


def _looser(now: SkimCuts, then: SkimCuts) -> list[str]:
    """Signature and name of each cut of a skim that now is none, or may keep what it did not."""
    found = {(cut.signature, cut.name): cut for cut in now.cuts}
    loose = []
    signatures = {cut.signature for cut in now.cuts} & {cut.signature for cut in then.cuts}
    for cut in then.cuts:
        if cut.signature not in signatures:
            continue
        same = found.get((cut.signature, cut.name))
        if same is None or not _keeps_no_more(same, cut, now.quantities, then.quantities):
            loose.append(f"{cut.signature} {cut.name}")
    return loose


def _keeps_no_more(
    now: CutDescription, then: CutDescription, quantities: Mapping[str, str], before: Mapping[str, str]
) -> bool:
    text = f"{now.expression} {then.expression}"
    if any(quantities.get(name) != made for name, made in before.items() if name in text):
        return False
    if now.expression == then.expression:
        return True
    # A built-in cut accepts what is in the ranges of all its quantities; of a declared one, and of that which
    # counts modules, ranges are not all.
    if now.declared or then.declared or now.name == "srd" or len(now.variables) != len(then.variables):
        return False
    return all(_within(a, b) for a, b in zip(now.variables, then.variables, strict=True))


def _within(now: CutVariable, then: CutVariable) -> bool:
    if now.expression != then.expression or now.accepted.keys() != then.accepted.keys():
        return False
    return all(_range_within(now.accepted[period], then.accepted[period]) for period in then.accepted)


def _range_within(now: Sequence[float | None], then: Sequence[float | None]) -> bool:
    low = then[0] is None or (now[0] is not None and now[0] >= then[0])
    high = then[1] is None or (now[1] is not None and now[1] <= then[1])
    return low and high
