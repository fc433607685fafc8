"""NA64 ntuples: files found and checked before they are read, the frame that reads them.

`files` finds and opens, `columns` sees trees and layouts, `baskets` unpacks, `checks` does all of it for an
input; `layouts`, `mapping` and `proposal` are about branches of this and of other layouts; `frame` is the
checked input, `periods` and `good_runs` say where its events belong, `inspection` what they are. Nothing
here loops over events but the inspection.
"""

from .baskets import check_baskets
from .checks import open_ntuple
from .files import UnknownLayoutError, about, expand, notes_on_files, repeated_files
from .frame import Friend, Input, Ntuple, note_files, reading, require_all_read
from .good_runs import GoodRuns, good_runs_of, read_good_runs
from .inspection import Inspection, inspect
from .layouts import DEFINING_CUTS, LAYOUT_B, TREE_A, Schema
from .periods import period_index, period_names, run_ranges

__all__ = [
    "DEFINING_CUTS",
    "LAYOUT_B",
    "TREE_A",
    "Friend",
    "GoodRuns",
    "Input",
    "Inspection",
    "Ntuple",
    "Schema",
    "UnknownLayoutError",
    "about",
    "check_baskets",
    "expand",
    "good_runs_of",
    "inspect",
    "note_files",
    "notes_on_files",
    "open_ntuple",
    "period_index",
    "period_names",
    "read_good_runs",
    "reading",
    "repeated_files",
    "require_all_read",
    "run_ranges",
]
