"""The cut flow and the bins of the likelihood."""

from collections.abc import Iterable

from ..config import Signature
from .record import Record


class CutFlowRow(Record):
    """Events left after a cut. Cut `initial` is the input; `excluded: REASON` counts events in no period."""

    period: str
    signature: str
    cut: str
    events: int
    weighted: float


def cuts_in_order(rows: Iterable[CutFlowRow]) -> list[str]:
    """Names of the cuts of several flows in one order: each right after the one before it in its flow."""
    order: list[str] = []
    flow, before = None, ""
    for row in rows:
        if (row.period, row.signature) != flow:
            flow, before = (row.period, row.signature), ""
        if row.cut not in order:
            order.insert(order.index(before) + 1 if before else 0, row.cut)
        before = row.cut
    return order


class Count(Record):
    """One bin of the likelihood. `observed` is null when the file cannot evaluate the signature."""

    period: str
    signature: Signature
    observed: int | None
    background: float
    background_uncertainty: float
    cuts_not_applied: list[str]
