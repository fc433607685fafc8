"""What is left out of a selection by the quality of the data, in the loop itself."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from .. import cling
from ..cling import root
from ..config import Card
from ..errors import DataError
from ..event_loop import compiled
from ..event_loop.histograms import bins, variances
from ..event_loop.words import for_rdataframe
from ..ntuple import Ntuple
from ..records import Record
from .quality import Outlier, pointer_to


class Exclusions(Record):
    """What an analysis left out by the quality of the data.

    Attributes:
        duplicates, repeated_files: as of :class:`Quality`; duplicates are counted once, and not told (null)
            where signal boxes are hidden.
        outliers: of the spills that were left out, why.
        kept_share: by run period, the share of its spills in the input that was kept, by the list of good
            runs and without outliers; it scales the card's exposure. Null where all exposures
            are by hand and spills are left out.
    """

    duplicates: int | None
    repeated_files: list[list[str]]
    outliers: list[Outlier]
    kept_share: dict[str, float | None]


class LeftOut:
    """What does not enter the selection of an input: events that came before, and spills by choice.

    Applied to a frame before anything is booked on it; counts after the loop. With more than one slot the
    loop finds whether there are duplicates, and not which occurrence is the first: where `duplicates` is not
    zero then, the loop is to be repeated in one thread.
    """

    DUPLICATE = "excluded: duplicate"
    SPILL = "excluded: outlier spill"

    def __init__(self, ntuple: Ntuple, card: Card, spills: Collection[tuple[int, int]] = ()) -> None:
        self._ntuple, self._spills = ntuple, spills
        # Simulation may use a number twice, as samples of several seeds do.
        self._once = card.quality.duplicates == "count_once" and not ntuple.simulated
        self._filter: Any = None
        self._numbers: Any = None
        self._in_spills: Any = None

    def applied_to(self, frame: Any) -> Any:
        """The frame with only the events that enter."""
        if not self._once and not self._spills:
            return frame
        if isinstance(frame, compiled.Node):
            self._filter = frame.leave_out(self._once, self._spills)
            return frame
        if cling.is_distributed(frame):
            return self._on_cluster(frame)
        cling.include("event_numbers.hpp")
        self._filter = root().na64root.EventFilter(int(frame.GetNSlots()), self._once)
        for run, spill in self._spills:
            self._filter.leave_out_spill(run, spill)
        weight = "mcWeight" if "mcWeight" in self._ntuple.present else "1.0"
        keep = f"{pointer_to('EventFilter', self._filter)}->keep(rdfslot_, run, spill, spillevent, {weight})"
        return frame.Filter(for_rdataframe(frame, keep), "quality")

    def _on_cluster(self, frame: Any) -> Any:
        """No worker sees all events: a cluster finds duplicates, and does not leave them out."""
        weight = ["mcWeight"] if "mcWeight" in self._ntuple.present else []
        if self._once:
            self._numbers = frame.AsNumpy(["run", "spill", "spillevent"], lazy=True)
        if not self._spills:
            return frame
        spills = ", ".join(f"{{{run}u, {spill}u}}" for run, spill in sorted(self._spills))
        pair = "std::pair<std::uint32_t, std::uint32_t>"
        column = "na64_in_spill_left_out"
        frame = compiled.define(
            frame,
            column,
            f"static const std::set<{pair}> na64_left_out{{{spills}}}; "
            f"return na64_left_out.count({pair}(run, spill)) != 0;",
        )
        one = compiled.define(frame.Filter(column), "na64_weight_left_out", *(weight or ["1.0"]))
        model = ("", "", 1, 0.5, 1.5)
        self._in_spills = one.Count(), one.Histo1D(model, column, "na64_weight_left_out")
        return frame.Filter(f"!{column}", "quality")

    @property
    def duplicates(self) -> int:
        """Events whose run, spill and number came before."""
        if self._numbers is not None:
            columns = self._numbers.GetValue()
            numbers = np.stack([columns[name] for name in ("run", "spill", "spillevent")], axis=1)
            return len(numbers) - len(np.unique(numbers, axis=0))
        return int(self._filter.duplicates()) if self._filter is not None else 0

    def counts(self) -> dict[str, tuple[int, float, float]]:
        """Events, sum of weights and of squared weights by reason, where there are any.

        Raises:
            DataError: events come twice and a cluster read them.
        """
        if self._numbers is not None and (found_twice := self.duplicates):
            raise DataError(
                f"{found_twice} events of {self._ntuple.paths[0]} come twice (a cluster keeps both): "
                "use --engine threads, or --set quality.duplicates=keep"
            )
        if self._in_spills is not None:
            events, histogram = (action.GetValue() for action in self._in_spills)
            spills = events, bins(histogram, (1,))[1], variances(histogram, (1,))[1]
        elif self._filter is not None:
            found = self._filter
            spills = found.events_in_spills(), found.weights_in_spills(), found.squares_in_spills()
        else:
            return {}
        duplicates = self.duplicates
        counts = {
            self.DUPLICATE: (duplicates, float(duplicates), float(duplicates)),
            self.SPILL: (int(spills[0]), float(spills[1]), float(spills[2])),
        }
        return {reason: count for reason, count in counts.items() if count[0] > 0}
