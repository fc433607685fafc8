"""The card's selection on ntuples, and the quality of the data.

`cut_table` turns the card into cuts, `blinding` says which of them hide what; `booked` is one event loop
with all that is filled in it, `event_selection` runs it with `options` and gives `records`, `root_files`
writes them as histograms; `engines` says where it runs; `left_out`, `exposure`, `systematics`, `n_minus_one`
and `skim` are parts of that loop, `skim_cuts` knows which cuts a skim was made with; `quality` is a loop of
its own, in the order of the events.
"""

from .event_selection import select
from .options import SelectionOptions
from .records import Candidate, ExpectedCount, SelectedColumns, SelectionResult
from .root_files import write_into, write_root

__all__ = [
    "Candidate",
    "ExpectedCount",
    "SelectedColumns",
    "SelectionOptions",
    "SelectionResult",
    "select",
    "write_into",
    "write_root",
]
