"""N-1: what each cut looks at, after all other cuts of its signature; and which cuts an event fails.

Both come from one number per event and signature, a bit for each cut that it fails, so that the distributions
of all cuts cost one more evaluation of the cuts and are filled in the loop that counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..config import Card, Signature
from ..errors import ConfigError
from ..event_loop.compiled import Node, Tally, as_number, define
from ..event_loop.histograms import Histogram, record
from ..records import Record
from .cut_table import Cut, Variable

# Bits of the number that says which cuts an event fails.
_MOST_CUTS = 64


class NMinusOne(Record):
    """What a cut looks at, for events of all periods that pass every other cut of the signature.

    `accepted`: by period, the range that the cut accepts, null where it is open.
    """

    signature: Signature
    cut: str
    variable: str
    accepted: dict[str, tuple[float | None, float | None]]
    histogram: Histogram


class FailedCuts:
    """The events of a node by the cuts that reject them: of each signature a bit for each cut.

    On an RDataFrame these are the columns `na64_failed_S1` and `na64_failed_S2`.
    """

    def __init__(self, node: Any, table: Mapping[Signature, Sequence[Cut]]) -> None:
        """`table`: the cuts of each signature in order; those that the file cannot make have no bit.

        Raises:
            ConfigError: more cuts than bits.
        """
        self.applied = {s: [cut for cut in cuts if cut.condition is not None] for s, cuts in table.items()}
        for signature, cuts in self.applied.items():
            if len(cuts) > _MOST_CUTS:
                raise ConfigError(
                    f"{signature} has {len(cuts)} cuts (at most {_MOST_CUTS} are possible): declare fewer"
                )
        self.tallies: dict[Signature, Tally] = {}
        if isinstance(node, Node):
            for signature, cuts in self.applied.items():
                self.tallies[signature] = node.tally([cut.condition for cut in cuts if cut.condition])
            return
        for signature, cuts in self.applied.items():
            bits = (f"(std::uint64_t{{!({cut.expression})}} << {i})" for i, cut in enumerate(cuts))
            node = define(node, f"na64_failed_{signature}", " | ".join(bits) or "std::uint64_t{0}")
        self.node = node

    def all_but(self, signature: Signature) -> list[Any]:
        """For each cut of a signature a node of the events that pass all others."""
        cuts = range(len(self.applied[signature]))
        if self.tallies:
            return [self.tallies[signature].passing(1 << i) for i in cuts]
        mask = f"na64_failed_{signature}"
        node = self.node.Filter(f"({mask} & ({mask} - 1)) == 0")  # one at most
        return [node.Filter(f"({mask} | {1 << i}ull) == {1 << i}ull") for i in cuts]

    def passed(self, names: Mapping[Signature, Sequence[str]]) -> str:
        """A C++ expression: the event passes the named cuts of a signature, of any of those given."""
        conditions = []
        for signature, wanted in names.items():
            bits = sum(1 << i for i, cut in enumerate(self.applied[signature]) if cut.name in wanted)
            conditions.append(f"(na64_failed_{signature} & {bits}ull) == 0")
        return " || ".join(conditions)


class Distributions:
    """The distributions of every cut, booked on the events of a node."""

    def __init__(self, failed: FailedCuts, card: Card, only: Sequence[str] | None = None) -> None:
        """`only`: names of the cuts to show; None for all."""
        self.periods = [period.name for period in card.periods]
        self.actions: list[tuple[Signature, Cut, Variable, Any]] = []
        for signature, cuts in failed.applied.items():
            for cut, others in zip(cuts, failed.all_but(signature), strict=True):
                if only is not None and cut.name not in only:
                    continue
                for variable in cut.variables:
                    # Of one type in all histograms: each combination of types costs a second of compilation.
                    column = f"na64_variable_{signature}_{cut.name}_{variable.name}"
                    shown = as_number(others, column, variable.quantity)
                    model = (column, "", variable.bins, variable.low, variable.high)
                    self.actions.append(
                        (signature, cut, variable, shown.Histo1D(model, column, "na64_weight"))
                    )

    def result(self, weighted: bool) -> list[NMinusOne]:
        """The records, once the event loop has run."""
        return [
            NMinusOne(
                signature=signature,
                cut=cut.name,
                variable=variable.name,
                accepted=dict(zip(self.periods, variable.accepted, strict=True)),
                histogram=record(action, f"{signature}, all cuts but {cut.name}", [variable.title], weighted),
            )
            for signature, cut, variable, action in self.actions
        ]
